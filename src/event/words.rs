//! Eight bytes at a time: what a 64-bit word says about the text it holds.
//!
//! Words are little-endian, so that the first byte of the text is the lowest of the word and the first match is the
//! lowest bit set. Every function here is a handful of instructions without a branch, in safe code: bounds checks cost
//! less than one mispredicted branch a row. (Classic: Mycroft's byte tests; Lemire, "Quickly parsing eight digits".)

/// Powers of ten.
pub(super) const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The eight bytes at `at`, or `None` where the text ends before.
#[inline]
pub(super) fn load(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// The eight bytes that end before `end`, or `None` where the text starts later.
#[inline]
pub(super) fn load_before(text: &[u8], end: usize) -> Option<u64> {
    text.get(..end)?.last_chunk().copied().map(u64::from_le_bytes)
}

/// The four bytes at `at`, or `None` where the text ends before.
#[inline]
pub(super) fn load_half(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// The value of eight bytes that are each 0 to 9, the first the most significant.
#[inline]
const fn join(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(2561) >> 8;
    let fours = (pairs & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    (fours & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32
}

/// The value of the last `count` bytes (1 to 8), or `None` if one of them is no decimal digit.
#[inline]
pub(super) const fn last_decimal(word: u64, count: u32) -> Option<u64> {
    let values = (word ^ (ONES * b'0' as u64)) & (u64::MAX << (64 - 8 * count));
    if (values.wrapping_add(ONES * 0x76) | values) & HIGHS != 0 {
        return None;
    }
    Some(join(values))
}

/// The value of the `count` (1 to 16) decimal digits that end before `end`; `None` if one of them is none.
#[inline]
pub(super) fn last_digits(bytes: &[u8], end: usize, count: u32) -> Option<u64> {
    let word = |end, count| last_decimal(load_before(bytes, end)?, count);
    if count <= 8 { word(end, count) } else { Some(word(end - 8, count - 8)? * POWERS[8] + word(end, 8)?) }
}

/// A bit for each byte of the word that is `byte`.
#[inline]
pub(super) const fn equal_bytes(word: u64, byte: u8) -> u8 {
    let differing = word ^ (ONES * byte as u64);
    // The high bit of each byte that is zero, exactly (unlike the shorter test, which may also name bytes above it).
    let equal = !(((differing & !HIGHS) + !HIGHS) | differing) & HIGHS;
    ((equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// The value of eight lower-case hexadecimal digits, or `None` if one is not.
#[inline]
pub(super) const fn hexadecimal(word: u64) -> Option<u32> {
    let letters = (word >> 6) & ONES;
    let values = (word & (ONES * 0x0F)) + letters * 9;
    let above_nine = (values.wrapping_add(ONES * 0x76) >> 7) & ONES;
    let written = values.wrapping_add(ONES * b'0' as u64).wrapping_add(above_nine * 0x27);
    // Values from 16 on are what letters from `g` on would stand for.
    if written != word || values & (ONES * 0xF0) != 0 {
        return None;
    }
    let pairs = ((values << 4) | (values >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs | (pairs >> 8)) & 0x0000_FFFF_0000_FFFF;
    Some(((fours | (fours >> 16)) as u32).swap_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes from the neighbourhoods where these tests could go wrong.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![any::<u8>(), b'0'..=b'9', b'a'..=b'g', Just(b','), Just(b'/'), Just(b':'), Just(b'-'), Just(0x80)]
    }

    proptest! {
        #[test]
        fn equal_the_loops(text in proptest::array::uniform8(byte()), wanted in byte()) {
            let word = u64::from_le_bytes(text);
            for count in 1..=8 {
                let last = &text[8 - count..];
                let value = last.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(last).unwrap().parse().unwrap());
                prop_assert_eq!(last_decimal(word, count as u32), value);
            }
            let equal = (0..8).filter(|place| text[*place] == wanted).fold(0, |bits, place| bits | 1 << place);
            prop_assert_eq!(equal_bytes(word, wanted), equal);
            let canonical = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let value = canonical.then(|| u32::from_str_radix(std::str::from_utf8(&text).unwrap(), 16).unwrap());
            prop_assert_eq!(hexadecimal(word), value);
        }

        #[test]
        fn hexadecimal_reads_every_value(value: u32) {
            let text: [u8; 8] = format!("{value:08x}").into_bytes().try_into().unwrap();
            prop_assert_eq!(hexadecimal(u64::from_le_bytes(text)), Some(value));
        }

        #[test]
        fn one_byte_makes_hexadecimal_none(value: u32, place in 0usize..8, byte: u8) {
            let mut text: [u8; 8] = format!("{value:08x}").into_bytes().try_into().unwrap();
            text[place] = byte;
            let is_digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            prop_assert_eq!(hexadecimal(u64::from_le_bytes(text)).is_some(), is_digit);
        }
    }
}
