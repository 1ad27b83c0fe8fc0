//! Sorting packed keys by radix, in cache.
//!
//! Keys that reach this file are those of one part (see [`group`](super::group)), which share their highest bits. Least-significant-digit
//! radix sort costs a walk over the keys a digit and one that counts all digits, whatever the distribution, with no mispredicted
//! branch. With the users of a part fixed to a range, and only the user to be sorted by, that is two digits.
//! (Digits of seven bits, whose cache lines fit the first-level cache, were tried: one walk more costs more than they save.)
//!
//! The keys and their copy should stay in the second-level cache. A part with more keys than that, say one user with a third of all
//! events, is first split by its highest digit, and each piece sorted by itself.

use super::keys::Key;

/// The most keys sorted without splitting off a digit first: 512 KiB of 64-bit keys.
const IN_CACHE: usize = 64 << 10;

/// Keys that a piece should have, once a part is split.
const PIECE: usize = 24 << 10;

/// Fewer keys than this are not worth a histogram.
const SMALL: usize = 96;

/// Bits of a digit at most.
const MAX_DIGIT_BITS: u32 = 10;

/// Values of a digit at most.
const DIGITS: usize = 1 << MAX_DIGIT_BITS;

/// The most digits that any key has.
const MAX_PASSES: usize = (u128::BITS.div_ceil(MAX_DIGIT_BITS)) as usize;

/// Where the next key of each digit's value goes.
type Places = [u32; DIGITS];

/// Sorts the keys of several slices by the bits from `low` on, of which those from `high` on are the same in all; keys that differ
/// below `low` alone stay in any order. What is sorted comes back as a slice of one of the two buffers, which keep
/// their room.
///
/// The first walk reads the slices where they lie, so that they are not copied together before.
pub(crate) fn sort<'b, K: Key>(
    slices: &[&[K]],
    (keys, scratch): (&'b mut Vec<K>, &'b mut Vec<K>),
    low: u32,
    high: u32,
) -> &'b [K] {
    let count = slices.iter().map(|slice| slice.len()).sum::<usize>();
    for buffer in [&mut *keys, &mut *scratch] {
        if buffer.len() < count {
            buffer.resize(count, K::default());
        }
    }
    let (keys, scratch) = (&mut keys[..count], &mut scratch[..count]);
    if count < SMALL || high <= low {
        let mut at = 0;
        for slice in slices {
            keys[at..at + slice.len()].copy_from_slice(slice);
            at += slice.len();
        }
        if high > low {
            keys.sort_unstable();
        }
        return keys;
    }
    if count > IN_CACHE {
        split(slices, scratch, low, high, |piece, from, shift| sort_piece(from, &mut keys[piece], low, shift));
        return keys;
    }
    let digits = Digits::between(low, high);
    let mut places = digits.count(slices.iter().copied().flatten());
    let (first, rest) = places.split_at_mut(1);
    slices.iter().for_each(|slice| digits.move_keys(0, slice, keys, &mut first[0]));
    if digits.passes(1, keys, scratch, rest) { scratch } else { keys }
}

/// Moves the keys of the slices into `to` by their highest digit, and hands out each piece: its place, its keys, and the bit below
/// which they differ.
fn split<K: Key>(
    slices: &[&[K]],
    to: &mut [K],
    low: u32,
    high: u32,
    mut piece: impl FnMut(std::ops::Range<usize>, &mut [K], u32),
) {
    let bits = (to.len() / PIECE).max(2).ilog2().min(MAX_DIGIT_BITS).min(high - low);
    let digit = Digits { low: high - bits, width: bits, passes: 1 };
    let mut places = digit.count(slices.iter().copied().flatten());
    slices.iter().for_each(|slice| digit.move_keys(0, slice, to, &mut places[0]));
    let mut start = 0;
    for end in places[0][..1 << bits].iter().map(|end| *end as usize) {
        piece(start..end, &mut to[start..end], high - bits);
        start = end;
    }
}

/// Sorts the keys of `from` into `to`, which has as many.
fn sort_piece<K: Key>(from: &mut [K], to: &mut [K], low: u32, high: u32) {
    // What doesn't differ is not sorted by: a piece may be one user with a third of all events.
    let first = from.first().copied().unwrap_or_default();
    let differing = from.iter().fold(K::default(), |all, key| all.either(key.differing(first)));
    let (low, high) = (low.max(differing.trailing_zeros()), high.min(differing.significant_bits()));
    if high <= low || from.len() < SMALL {
        to.copy_from_slice(from);
        if high > low {
            to.sort_unstable();
        }
    } else if from.len() > IN_CACHE {
        let mut pieces = Vec::new();
        split(&[from], to, low, high, |piece, _, shift| pieces.push((piece, shift)));
        for (piece, shift) in pieces {
            sort_piece(&mut to[piece.clone()], &mut from[piece.clone()], low, shift);
            to[piece.clone()].copy_from_slice(&from[piece]);
        }
    } else {
        let digits = Digits::between(low, high);
        let mut places = digits.count(from.iter());
        if !digits.passes(0, from, to, &mut places) {
            to.copy_from_slice(from);
        }
    }
}

/// The digits that keys are sorted by, the lowest first.
#[derive(Debug, Clone, Copy)]
struct Digits {
    low: u32,
    width: u32,
    passes: usize,
}

impl Digits {
    /// As few digits as there can be, of about the same width.
    fn between(low: u32, high: u32) -> Self {
        let passes = (high - low).div_ceil(MAX_DIGIT_BITS);
        Self { low, width: (high - low).div_ceil(passes), passes: passes as usize }
    }

    fn digit<K: Key>(self, pass: usize, key: K) -> usize {
        key.digit(self.low + pass as u32 * self.width, (1 << self.width) - 1) % DIGITS
    }

    /// Where the first key of each value of each digit goes: all digits are counted in one walk.
    fn count<'k, K: Key>(self, keys: impl Iterator<Item = &'k K>) -> Vec<Places> {
        let mut places = vec![[0; DIGITS]; self.passes.min(MAX_PASSES)];
        for key in keys {
            for (pass, places) in places.iter_mut().enumerate() {
                places[self.digit(pass, *key)] += 1;
            }
        }
        for places in &mut places {
            let mut start = 0;
            for place in places {
                (*place, start) = (start, start + *place);
            }
        }
        places
    }

    /// Moves keys to the places of their digits, stably, and the places on.
    fn move_keys<K: Key>(self, pass: usize, from: &[K], to: &mut [K], places: &mut Places) {
        for key in from {
            let place = &mut places[self.digit(pass, *key)];
            to[*place as usize] = *key;
            *place += 1;
        }
    }

    /// The walks from `pass` on, back and forth; whether the keys end in `to`.
    fn passes<K: Key>(self, pass: usize, from: &mut [K], to: &mut [K], places: &mut [Places]) -> bool {
        let (mut from, mut to) = (from, to);
        for (pass, places) in (pass..).zip(&mut *places) {
            self.move_keys(pass, from, to, places);
            (from, to) = (to, from);
        }
        places.len() % 2 == 1
    }
}

/// The runs of equal keys in a sorted slice: each distinct key with the number of times it occurs, ascending.
pub(crate) fn runs<K: Key>(sorted: &[K]) -> impl Iterator<Item = (K, u64)> {
    sorted.chunk_by(|left, right| left == right).map(|run| (run[0], run.len() as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<K: Key>(keys: &[K]) {
        let mut expected = keys.to_vec();
        expected.sort_unstable();
        let high_bit = keys.iter().fold(K::default(), |all, key| all.either(*key)).significant_bits();
        let slices: Vec<&[K]> = keys.chunks(100).collect();
        let (mut buffer, mut scratch) = (Vec::new(), Vec::new());
        assert_eq!(sort(&slices, (&mut buffer, &mut scratch), 0, high_bit), expected);
        let high = |keys: &[K]| keys.iter().map(|key| key.wide() >> 40).collect::<Vec<_>>();
        let mut by_high_bits = sort(&slices, (&mut buffer, &mut scratch), 40, high_bit).to_vec();
        assert_eq!(high(&by_high_bits), high(&expected));
        by_high_bits.sort_unstable();
        assert_eq!(by_high_bits, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn sorts_as_the_standard_library_does(
            seeds in prop::collection::vec(any::<u64>(), 0..700), mask in any::<u64>(), wide in any::<u128>(),
        ) {
            check(&seeds.iter().map(|seed| seed & mask).collect::<Vec<_>>());
            check(&seeds.iter().map(|seed| u128::from(*seed).wrapping_mul(wide | 1) & wide).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_part_larger_than_the_cache_is_split_first() {
        let numbers = (0..IN_CACHE as u64 * 3).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        check(&numbers.clone().map(|number| number >> 20).collect::<Vec<_>>());
        check(&numbers.clone().map(|number| (number >> 62) << 40).collect::<Vec<_>>());
        check(&numbers.clone().map(|number| if number >> 63 == 0 { 5 } else { number }).collect::<Vec<_>>());
        check(&numbers.map(|number| u128::from(number) << 50).collect::<Vec<_>>());
        check(&vec![7_u64; IN_CACHE * 2]);
    }

    #[test]
    fn runs_count_equal_neighbours() {
        assert_eq!(runs(&[1_u64, 1, 4, 9, 9, 9]).collect::<Vec<_>>(), [(1, 2), (4, 1), (9, 3)]);
        assert_eq!(runs::<u64>(&[]).count(), 0);
    }
}
