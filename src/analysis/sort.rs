//! Sorting packed keys by radix, in cache.
//!
//! Keys that reach this file are the few ten thousand of one part (see [`group`](super::group)), which fit the
//! second-level cache together with their scratch space. There, least-significant-digit radix sort costs two walks over the
//! keys a digit, whatever the distribution, with no mispredicted branch. Only the bits in which the keys of this part differ
//! are sorted by: with the part's range of users fixed, 48-bit keys have some 37 left, which is four digits.
//!
//! A part may still be large: one user with a third of all events. Then one most-significant digit is split off first,
//! so that the inner passes run in cache again.

use super::keys::Key;

/// The most keys sorted without splitting off a digit first: 512 KiB of 64-bit keys.
const IN_CACHE: usize = 1 << 16;

/// Fewer keys than this are not worth a histogram.
const SMALL: usize = 96;

/// Bits of a digit at most: 1024 counters and as many places to write to.
const MAX_DIGIT_BITS: u32 = 10;

/// Sorts keys ascending. `scratch` grows to the same length and keeps its room for the next call.
pub(crate) fn sort<K: Key>(keys: &mut [K], scratch: &mut Vec<K>) {
    if scratch.len() < keys.len() {
        scratch.resize(keys.len(), K::default());
    }
    sort_within(keys, &mut scratch[..keys.len()]);
}

fn sort_within<K: Key>(keys: &mut [K], scratch: &mut [K]) {
    if keys.len() < SMALL {
        keys.sort_unstable();
        return;
    }
    let first = keys[0];
    let differing = keys.iter().fold(K::default(), |all, key| all.either(key.differing(first)));
    let (low, high) = (differing.trailing_zeros(), differing.significant_bits());
    if high == 0 {
        return;
    }
    if keys.len() <= IN_CACHE {
        sort_digits(keys, scratch, low, high);
        return;
    }
    let bits = MAX_DIGIT_BITS.min(high - low);
    let ends = scatter(keys, scratch, high - bits, bits);
    keys.copy_from_slice(scratch);
    let mut start = 0;
    for end in ends {
        if end - start > 1 && high - bits > low {
            sort_within(&mut keys[start..end], &mut scratch[start..end]);
        }
        start = end;
    }
}

/// Least-significant-digit passes over the bits `low..high`.
fn sort_digits<K: Key>(keys: &mut [K], scratch: &mut [K], low: u32, high: u32) {
    let passes = (high - low).div_ceil(MAX_DIGIT_BITS);
    let width = (high - low).div_ceil(passes);
    let (mut from, mut to) = (&mut *keys, &mut *scratch);
    for pass in 0..passes {
        let shift = low + pass * width;
        scatter(from, to, shift, width.min(high - shift));
        (from, to) = (to, from);
    }
    if passes % 2 == 1 {
        keys.copy_from_slice(scratch);
    }
}

/// Moves keys in order of the digit at `shift`, stably; returns where each digit's keys end.
fn scatter<K: Key>(from: &[K], to: &mut [K], shift: u32, bits: u32) -> [usize; 1 << MAX_DIGIT_BITS] {
    let digit = |key: K| usize::try_from(key.bits(shift, bits)).unwrap_or_default() & ((1 << MAX_DIGIT_BITS) - 1);
    let mut places = [0; 1 << MAX_DIGIT_BITS];
    for key in from {
        places[digit(*key)] += 1;
    }
    let mut start = 0;
    for place in &mut places {
        let count = *place;
        *place = start;
        start += count;
    }
    for key in from {
        let place = &mut places[digit(*key)];
        to[*place] = *key;
        *place += 1;
    }
    places
}

/// The runs of equal keys in a sorted slice: each distinct key with the number of times it occurs, ascending.
pub(crate) fn runs<K: Key>(sorted: &[K]) -> impl Iterator<Item = (K, u64)> {
    sorted.chunk_by(|left, right| left == right).map(|run| (run[0], run.len() as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<K: Key>(mut keys: Vec<K>) {
        let mut expected = keys.clone();
        expected.sort_unstable();
        sort(&mut keys, &mut Vec::new());
        assert_eq!(keys, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn sorts_as_the_standard_library_does(
            seeds in prop::collection::vec(any::<u64>(), 0..700), mask in any::<u64>(), wide in any::<u128>(),
        ) {
            check(seeds.iter().map(|seed| seed & mask).collect());
            check(seeds.iter().map(|seed| u128::from(*seed).wrapping_mul(wide | 1) & wide).collect());
        }
    }

    #[test]
    fn a_part_larger_than_the_cache_is_split_first() {
        let numbers = (0..IN_CACHE as u64 * 3).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        check(numbers.clone().map(|number| number >> 20).collect());
        check(numbers.clone().map(|number| (number >> 62) << 40).collect());
        check(numbers.map(|number| u128::from(number) << 50).collect());
        check(vec![7_u64; IN_CACHE * 2]);
    }

    #[test]
    fn runs_count_equal_neighbours() {
        assert_eq!(runs(&[1_u64, 1, 4, 9, 9, 9]).collect::<Vec<_>>(), [(1, 2), (4, 1), (9, 3)]);
        assert_eq!(runs::<u64>(&[]).count(), 0);
    }
}
