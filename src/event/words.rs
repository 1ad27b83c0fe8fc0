//! Eight bytes at a time: what a 64-bit word says about the text it holds.
//!
//! Words are little-endian, so that the first byte of the text is the lowest of the word and the first match is the
//! lowest bit set. Every function here is a handful of instructions without a branch, in safe code: bounds checks cost
//! less than one mispredicted branch a row. (Classic: Mycroft's byte tests; Lemire, "Quickly parsing eight digits".)

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The eight bytes at `at`, or `None` where the text ends before.
#[inline]
pub(super) fn load(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// The four bytes at `at`, or `None` where the text ends before.
#[inline]
pub(super) fn load_half(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// How many bytes at the start of the word are at least `limit` (which is at most 0x80); bytes from 0x80 on are.
#[inline]
pub(super) const fn leading_at_least(word: u64, limit: u8) -> u32 {
    (word.wrapping_sub(ONES * limit as u64) & !word & HIGHS).trailing_zeros() / 8
}

/// How many bytes at the start of the word are decimal digits.
#[inline]
pub(super) const fn leading_digits(word: u64) -> u32 {
    let values = word ^ (ONES * b'0' as u64);
    ((values.wrapping_add(ONES * 0x76) | values) & HIGHS).trailing_zeros() / 8
}

/// The value of the first `count` bytes (1 to 8), which are decimal digits.
#[inline]
pub(super) const fn decimal(word: u64, count: u32) -> u64 {
    let digits = (word & (ONES * 0x0F)) << (64 - 8 * count);
    let pairs = digits.wrapping_mul(2561) >> 8;
    let fours = (pairs & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    (fours & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32
}

/// The first `count` bytes (0 to 7) of the word, the others zero.
#[inline]
pub(super) const fn first(word: u64, count: u32) -> u64 {
    word & ((1 << (8 * count)) - 1)
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
        fn equal_the_loops(text in proptest::array::uniform8(byte()), limit in 0u8..=0x80) {
            let word = u64::from_le_bytes(text);
            let at_least = text.iter().position(|byte| *byte < limit).unwrap_or(8);
            prop_assert_eq!(leading_at_least(word, limit), at_least as u32);
            let digits = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(8);
            prop_assert_eq!(leading_digits(word), digits as u32);
            if digits > 0 {
                let value: u64 = std::str::from_utf8(&text[..digits]).unwrap().parse().unwrap();
                prop_assert_eq!(decimal(word, digits as u32), value);
            }
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

        #[test]
        fn first_keeps_the_start(text in proptest::array::uniform8(byte()), count in 0u32..8) {
            let mut expected = [0; 8];
            expected[..count as usize].copy_from_slice(&text[..count as usize]);
            prop_assert_eq!(first(u64::from_le_bytes(text), count), u64::from_le_bytes(expected));
        }
    }
}
