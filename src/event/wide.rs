//! The three steps of the fast path that 256-bit instructions make shorter: structure, digits, hexadecimal digits.
//!
//! Each does what a plain step of [`super::structure`] and [`super::words`] does, as a test of each shows. They are safe
//! functions with a target feature: only who has the feature can call them, and the one place that comes by it asks the
//! processor first (`fast.rs`). Without them a line takes about twice the instructions.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_loadu_si128,
    _mm_madd_epi16, _mm_maddubs_epi16, _mm_min_epu8, _mm_movemask_epi8, _mm_packus_epi16, _mm_packus_epi32,
    _mm_set1_epi8, _mm_set1_epi16, _mm_set1_epi32, _mm_setr_epi8, _mm_sub_epi8, _mm256_add_epi8, _mm256_and_si256,
    _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_extracti128_si256, _mm256_maddubs_epi16, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_epi64x, _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_sub_epi8,
};

use super::fast::Steps;
use super::words::{self, POWERS};

/// The proof that the processor has the instructions: there is none where it hasn't.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wide(());

impl Wide {
    /// Asks the processor.
    pub(super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt"))
        .then_some(Self(()))
    }
}

#[expect(unsafe_code, reason = "half of the parser's instructions are saved")]
impl Steps for Wide {
    #[inline(always)]
    fn commas_and_newlines(self, stretch: &[u8; 64]) -> (u64, u64) {
        // SAFETY: `self` is the proof that the processor has AVX2.
        unsafe { commas_and_newlines(stretch) }
    }

    #[inline(always)]
    fn last_digits(self, bytes: &[u8], end: usize, count: u32) -> Option<u64> {
        // SAFETY: as above.
        unsafe { last_digits(bytes, end, count) }
    }

    #[inline(always)]
    fn uuid(self, text: &[u8]) -> Option<u128> {
        // SAFETY: as above.
        unsafe { uuid(text) }
    }
}

/// A bit for each comma, and one for each newline.
#[inline]
#[target_feature(enable = "avx2")]
fn commas_and_newlines(stretch: &[u8; 64]) -> (u64, u64) {
    let (chunks, _) = stretch.as_chunks();
    let low = _mm256_set_m128i(load(&chunks[1]), load(&chunks[0]));
    let high = _mm256_set_m128i(load(&chunks[3]), load(&chunks[2]));
    let mask = |byte: u8| {
        let wanted = _mm256_set1_epi8(byte as i8);
        let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)) as u32;
        let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)) as u32;
        u64::from(low) | u64::from(high) << 32
    };
    (mask(b','), mask(b'\n'))
}

/// The value of the `count` (1 to 16) decimal digits that end before `end`; `None` if one of them is none.
///
/// (Muła, "SIMD-ized parsing of series of integers": neighbours are joined to pairs, fours and eights.)
#[inline]
#[target_feature(enable = "avx2")]
fn last_digits(bytes: &[u8], end: usize, count: u32) -> Option<u64> {
    let text: &[u8; 16] = bytes.get(..end)?.last_chunk()?;
    let places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let is_digit = _mm_cmpgt_epi8(places, _mm_set1_epi8(15 - count as i8));
    let digits = _mm_and_si128(_mm_sub_epi8(load(text), _mm_set1_epi8(b'0' as i8)), is_digit);
    let valid = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    if _mm_movemask_epi8(valid) != 0xFFFF {
        return None;
    }
    let pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010A));
    let fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x0001_0064));
    let eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x0001_2710));
    let eights = _mm_cvtsi128_si64(eights) as u64;
    Some((eights & 0xFFFF_FFFF) * POWERS[8] + (eights >> 32))
}

/// A UUID in canonical lower-case form as its number; `None` for any other text.
#[inline]
#[target_feature(enable = "avx2")]
fn uuid(text: &[u8]) -> Option<u128> {
    let text: &[u8; super::uuid::LENGTH] = text.try_into().ok()?;
    let word = |at| words::load(text, at).unwrap_or_default() as i64;
    let half = |at| u64::from(words::load_half(text, at).unwrap_or_default());
    let joined = |low, high| (half(low) | half(high) << 32) as i64;
    let digits = _mm256_set_epi64x(word(28), joined(19, 24), joined(9, 14), word(0));
    let within = |start: u8, last: u8| {
        let distance = _mm256_sub_epi8(digits, _mm256_set1_epi8(start as i8));
        let is_within = _mm256_cmpeq_epi8(_mm256_min_epu8(distance, _mm256_set1_epi8(last as i8)), distance);
        (distance, is_within)
    };
    let ((decimal, is_decimal), (letter, is_letter)) = (within(b'0', 9), within(b'a', 5));
    let dashes = [text[8], text[13], text[18], text[23]];
    if _mm256_movemask_epi8(_mm256_or_si256(is_decimal, is_letter)) != -1 || dashes != [b'-'; 4] {
        return None;
    }
    let letter = _mm256_and_si256(_mm256_add_epi8(letter, _mm256_set1_epi8(10)), is_letter);
    let values = _mm256_or_si256(_mm256_and_si256(decimal, is_decimal), letter);
    let pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi16(0x0110));
    let bytes = _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
    let high = (_mm_cvtsi128_si64(bytes) as u64).swap_bytes();
    let low = (_mm_extract_epi64::<1>(bytes) as u64).swap_bytes();
    Some(u128::from(high) << 64 | u128::from(low))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(text: &[u8; 16]) -> __m128i {
    #[expect(unsafe_code, reason = "there is no safe way to load")]
    // SAFETY: sixteen bytes are there, and this load wants no alignment.
    unsafe {
        _mm_loadu_si128(text.as_ptr().cast())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{structure, uuid};
    use super::*;

    proptest! {
        #[test]
        fn equal_the_plain_steps(
            stretch in proptest::collection::vec(prop_oneof![Just(b','), Just(b'\n'), any::<u8>()], 64),
            digits in proptest::collection::vec(prop_oneof![30 => b'0'..=b'9', 1 => any::<u8>()], 0..40),
            count in 1..17_u32,
            number: u128,
            place in 0..uuid::LENGTH,
            byte in prop_oneof![Just(b'-'), Just(b'g'), Just(b'F'), Just(b':'), any::<u8>()],
        ) {
            let Some(wide) = Wide::new() else { return Ok(()) };
            let stretch: &[u8; 64] = stretch[..].try_into().unwrap();
            prop_assert_eq!(wide.commas_and_newlines(stretch), structure::commas_and_newlines(stretch));
            let value = wide.last_digits(&digits, digits.len(), count);
            if digits.len() >= 16 {
                prop_assert_eq!(value, words::last_digits(&digits, digits.len(), count));
            } else {
                prop_assert_eq!(value, None);
            }
            let mut text = Vec::new();
            uuid::write(&mut text, number);
            prop_assert_eq!(wide.uuid(&text), Some(number));
            text[place] = byte;
            prop_assert_eq!(wide.uuid(&text), uuid::parse(&text));
            prop_assert_eq!(wide.uuid(&text[1..]), None);
        }
    }
}
