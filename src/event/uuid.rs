//! UUIDs in canonical lower-case form as 128-bit numbers.
//!
//! Only the canonical form becomes a number, because only then the number gives the text back exactly. Upper-case or
//! braced UUIDs are kept as the texts they are.

use super::words;

/// Bytes of a canonical UUID.
pub const LENGTH: usize = 36;

/// Parses a UUID in canonical lower-case form, `72d76fde-8bb3-4e00-8c23-a032dfed738c`; anything else is `None`.
///
/// ```
/// use cartlog::event::uuid;
/// assert_eq!(uuid::parse(b"00000000-0000-0000-0000-0000000000ff"), Some(255));
/// assert_eq!(uuid::parse(b"00000000-0000-0000-0000-0000000000FF"), None);
/// ```
#[inline]
#[must_use]
pub fn parse(text: &[u8]) -> Option<u128> {
    let text: &[u8; LENGTH] = text.try_into().ok()?;
    if [text[8], text[13], text[18], text[23]] != [b'-'; 4] {
        return None;
    }
    let joined =
        |low, high| Some(u64::from(words::load_half(text, low)?) | u64::from(words::load_half(text, high)?) << 32);
    let part = |digits| words::hexadecimal(digits).map(u128::from);
    let high = part(words::load(text, 0)?)? << 96 | part(joined(9, 14)?)? << 64;
    let low = part(joined(19, 24)?)? << 32 | part(words::load(text, 28)?)?;
    Some(high | low)
}

/// Writes a UUID in canonical lower-case form.
pub fn write(text: &mut Vec<u8>, uuid: u128) {
    for (index, byte) in uuid.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
        text.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn written_uuids_read_back(uuid: u128) {
            let mut text = Vec::new();
            write(&mut text, uuid);
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert_eq!(parse(&text), Some(uuid));
        }

        #[test]
        fn one_byte_off_is_another_text(uuid: u128, place in 0..LENGTH, byte: u8) {
            let mut text = Vec::new();
            write(&mut text, uuid);
            text[place] = byte;
            if let Some(read) = parse(&text) {
                let mut again = Vec::new();
                write(&mut again, read);
                prop_assert_eq!(again, text);
            }
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "abc",
            "72d76fde8bb34e008c23a032dfed738c",
            "72d76fde-8bb3-4e00-8c23-a032dfed738",
            "72D76FDE-8BB3-4E00-8C23-A032DFED738C",
        ] {
            assert_eq!(parse(text.as_bytes()), None);
        }
    }
}
