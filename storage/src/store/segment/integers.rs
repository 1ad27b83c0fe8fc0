//! 64-bit integers made narrow: frame of reference with a common divisor, or a dictionary of the segment.
//!
//! Times of one-second resolution kept in milliseconds share the divisor 1000, prices with two decimals kept with four
//! share 100: dividing the distances from the smallest value by what they all share costs readers one multiplication
//! and saves one or two bytes a row. Ids that are far apart but few (products, categories) go through a dictionary of
//! two-byte codes instead. The smaller of the two wins; at equal size the frame does, which is faster to read.
//!
//! Cost: dividing and testing divisibility by multiplication with the modular inverse, not by division (about 1 ns a
//! row instead of 5). A column is walked over once for its extremes and divisor, chunk by chunk, so that the second look
//! at a chunk finds it in a near cache. The dictionary is tried only where its codes could be narrower than the frame,
//! and given up at the first value too many. Values of a small range (prices) need no hash table for it: a bit for each
//! possible value says which are there, and their order gives the codes, at a third of the time.

use crate::store::intern::{self, InternTable};

use super::layout::Encoding;
use super::packing::{Numbers, Width};

/// The most values a segment's dictionary holds: what two-byte codes can name.
const MAX_DICTIONARY: usize = 1 << 16;

/// The largest quotient of a value for which there may be a table of all possible ones, of two bytes each.
const LARGEST_RANGE: u64 = 1 << 22;

/// Possible values in that table for each row: clearing it must not cost more than the rows.
const SPARSEST: u64 = 8;

/// An encoded column of integers.
#[derive(Debug)]
pub(super) struct EncodedIntegers {
    pub(super) encoding: Encoding,
    pub(super) width: Width,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) multiplier: i64,
    /// Distances or codes.
    pub(super) packed: Numbers,
    /// The dictionary's values, ascending.
    pub(super) values: Vec<i64>,
}

/// Encodes the chunks, one after the other, of `rows` values in all.
pub(super) fn encode(chunks: &[&[i64]], rows: usize) -> EncodedIntegers {
    let Some(Spread { min, max, divisor }) = Spread::of(chunks) else {
        return EncodedIntegers {
            encoding: Encoding::Frame,
            width: Width::Zero,
            min: 0,
            max: 0,
            multiplier: 1,
            packed: Numbers::Zero,
            values: Vec::new(),
        };
    };
    let largest = divisor.divide(distance(max, min));
    let width = Width::for_largest(largest);
    let limit = match width {
        Width::Zero | Width::One => 0,
        Width::Two => 1 << 8,
        Width::Four | Width::Eight => MAX_DICTIONARY,
    };
    if limit > 0 {
        let is_smaller = |values: usize| {
            let code_width = Width::for_largest(values as u64 - 1);
            values <= limit && rows * code_width.bytes() + values * size_of::<i64>() < rows * width.bytes()
        };
        let quotient = |value| divisor.divide(distance(value, min));
        let dictionary = if largest <= LARGEST_RANGE.min(SPARSEST * rows as u64) {
            let value = |quotient: u64| min.wrapping_add(quotient.wrapping_mul(divisor.value) as i64);
            ranked_dictionary(chunks, rows, largest, quotient, value, is_smaller)
        } else {
            local_dictionary(chunks, rows, limit)
        };
        if let Some((codes, values)) = dictionary.filter(|(_, values)| is_smaller(values.len())) {
            let width = Width::for_largest(values.len() as u64 - 1);
            let packed = match width {
                Width::One => Numbers::pack(width, &[&codes], rows, u64::from),
                _ => Numbers::U16(codes),
            };
            return EncodedIntegers {
                encoding: Encoding::LocalDictionary,
                width,
                min,
                max,
                multiplier: 1,
                packed,
                values,
            };
        }
    }
    let packed = if divisor.value == 1 {
        Numbers::pack(width, chunks, rows, |value| distance(value, min))
    } else {
        Numbers::pack(width, chunks, rows, |value| divisor.divide(distance(value, min)))
    };
    EncodedIntegers {
        encoding: Encoding::Frame,
        width,
        min,
        max,
        multiplier: divisor.value as i64,
        packed,
        values: Vec::new(),
    }
}

/// What is known of a column's values after one walk over them.
struct Spread {
    min: i64,
    max: i64,
    /// The greatest common divisor of all distances; 1 if there are none but zero, or if it is beyond `i64`.
    divisor: Divisor,
}

impl Spread {
    /// `None` without values.
    fn of(chunks: &[&[i64]]) -> Option<Self> {
        let first = *chunks.iter().find_map(|chunk| chunk.first())?;
        let (mut min, mut max) = (first, first);
        // What divides the distances from any one value divides those from any other.
        let mut divisor: Option<Divisor> = None;
        for chunk in chunks {
            (min, max) = chunk.iter().fold((min, max), |(min, max), &value| (min.min(value), max.max(value)));
            if divisor.is_none_or(|divisor| divisor.value > 1) {
                divisor = common_divisor(chunk, first, divisor);
            }
        }
        let divisor = divisor.filter(|divisor| i64::try_from(divisor.value).is_ok());
        Some(Self { min, max, divisor: divisor.unwrap_or_else(|| Divisor::new(1)) })
    }
}

/// How far `value` is above `min`: exact for any two, as an unsigned number.
fn distance(value: i64, min: i64) -> u64 {
    value.wrapping_sub(min) as u64
}

/// The greatest common divisor of `known` and the distances from `first`; `None` if there are none but zero.
fn common_divisor(chunk: &[i64], first: i64, known: Option<Divisor>) -> Option<Divisor> {
    let mut divisor = known;
    for &value in chunk {
        let distance = value.abs_diff(first);
        let shared = match divisor {
            None if distance == 0 => continue,
            None => distance,
            Some(divisor) if divisor.divides(distance) => continue,
            Some(divisor) => greatest_common_divisor(divisor.value, distance),
        };
        divisor = Some(Divisor::new(shared));
        if shared == 1 {
            break;
        }
    }
    divisor
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A divisor with what exact division by multiplication needs (Granlund & Montgomery, "Division by Invariant
/// Integers", section 9): its power of two, and the inverse of its odd part modulo 2^64.
#[derive(Debug, Clone, Copy)]
struct Divisor {
    value: u64,
    shift: u32,
    inverse: u64,
    /// The largest quotient that a multiple can have.
    largest: u64,
}

impl Divisor {
    /// `value` is not zero.
    fn new(value: u64) -> Self {
        let shift = value.trailing_zeros();
        let odd = value >> shift;
        // Newton's iteration doubles the right bits each time; odd * odd is 1 modulo 8, so that 3 bits are right first.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Self { value, shift, inverse, largest: u64::MAX / value }
    }

    #[inline]
    fn divides(self, distance: u64) -> bool {
        distance.wrapping_mul(self.inverse).rotate_right(self.shift) <= self.largest
    }

    /// The quotient of a multiple.
    #[inline]
    fn divide(self, multiple: u64) -> u64 {
        (multiple >> self.shift).wrapping_mul(self.inverse)
    }
}

/// Codes into the ascending distinct values, or `None` if a dictionary of so many is not `wanted`. Each value has a
/// `quotient` from 0 to `largest`, in the same order.
fn ranked_dictionary(
    chunks: &[&[i64]],
    rows: usize,
    largest: u64,
    quotient: impl Fn(i64) -> u64,
    value: impl Fn(u64) -> i64,
    wanted: impl Fn(usize) -> bool,
) -> Option<(Vec<u16>, Vec<i64>)> {
    let mut present = vec![0_u64; largest as usize / 64 + 1];
    for chunk in chunks {
        for &value in *chunk {
            let quotient = quotient(value);
            present[quotient as usize / 64] |= 1 << (quotient % 64);
        }
    }
    let distinct = present.iter().map(|word| word.count_ones() as usize).sum();
    if !wanted(distinct) {
        return None;
    }
    let mut ranks = vec![0_u16; largest as usize + 1];
    let mut values = Vec::with_capacity(distinct);
    for (number, &word) in present.iter().enumerate() {
        let mut left = word;
        while left != 0 {
            let quotient = number * 64 + left.trailing_zeros() as usize;
            ranks[quotient] = values.len() as u16;
            values.push(value(quotient as u64));
            left &= left - 1;
        }
    }
    let mut codes = Vec::with_capacity(rows);
    for chunk in chunks {
        codes.extend(chunk.iter().map(|&value| ranks[quotient(value) as usize]));
    }
    Some((codes, values))
}

/// Codes into the ascending distinct values, or `None` if there are more than `limit`.
fn local_dictionary(chunks: &[&[i64]], rows: usize, limit: usize) -> Option<(Vec<u16>, Vec<i64>)> {
    let seed = intern::seed();
    let mut table = InternTable::new();
    let mut values: Vec<i64> = Vec::new();
    let mut codes: Vec<u16> = Vec::with_capacity(rows);
    let mut previous: Option<(i64, u16)> = None;
    for chunk in chunks {
        for &value in *chunk {
            let code = match previous {
                Some((same, code)) if same == value => code,
                _ => {
                    let hash = intern::hash_integer(value, seed);
                    let (index, is_new) = table.find_or_insert(hash, |index| values[index as usize] == value);
                    if is_new {
                        if values.len() == limit {
                            return None;
                        }
                        values.push(value);
                    }
                    index as u16
                }
            };
            previous = Some((value, code));
            codes.push(code);
        }
    }
    let mut order: Vec<u16> = (0..values.len()).map(|index| index as u16).collect();
    order.sort_unstable_by_key(|&index| values[usize::from(index)]);
    let mut rank = vec![0_u16; values.len()];
    for (position, &index) in order.iter().enumerate() {
        rank[usize::from(index)] = position as u16;
    }
    for code in &mut codes {
        *code = rank[usize::from(*code)];
    }
    let sorted = order.iter().map(|&index| values[usize::from(index)]).collect();
    Some((codes, sorted))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn exact_division_equals_division(value in 1_u64.., quotient in any::<u64>(), other in any::<u64>()) {
            let divisor = Divisor::new(value);
            let quotient = quotient % (u64::MAX / value + 1).max(1);
            prop_assert!(divisor.divides(quotient * value));
            prop_assert_eq!(divisor.divide(quotient * value), quotient);
            prop_assert_eq!(divisor.divides(other), other % value == 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn both_dictionaries_are_the_same(
            picks in prop::collection::vec(0_u64..300, 1..2000), step in 1_u64..1000, min in any::<i64>(), limit in 1..400_usize,
        ) {
            let min = min.clamp(i64::MIN, i64::MAX - 300_000);
            let values: Vec<i64> = picks.iter().map(|pick| min + (pick * step) as i64).collect();
            let chunks: Vec<&[i64]> = values.chunks(100).collect();
            let ranked = ranked_dictionary(
                &chunks,
                values.len(),
                *picks.iter().max().unwrap(),
                |value| distance(value, min) / step,
                |quotient| min + (quotient * step) as i64,
                |distinct| distinct <= limit,
            );
            prop_assert_eq!(ranked, local_dictionary(&chunks, values.len(), limit));
        }

        #[test]
        fn a_spread_equals_the_naive_one(values in prop::collection::vec(prop_oneof![-50_i64..50, any::<i64>()], 0..20), factor in 1_i64..1000) {
            let values: Vec<i64> = values.iter().map(|value| value.wrapping_mul(factor)).collect();
            let chunks: Vec<&[i64]> = values.chunks(3).collect();
            let spread = Spread::of(&chunks).map(|spread| (spread.min, spread.max, spread.divisor.value));
            let expected = values.iter().min().zip(values.iter().max()).map(|(&min, &max)| {
                let divisor = values.iter().fold(0, |divisor, &value| greatest_common_divisor(divisor, distance(value, min)));
                (min, max, if (1..=i64::MAX as u64).contains(&divisor) { divisor } else { 1 })
            });
            prop_assert_eq!(spread, expected);
        }
    }

    #[test]
    fn seconds_in_milliseconds_share_a_thousand() {
        let encoded = encode(&[&[5_000, 1_000], &[9_000, 2_000]], 4);
        assert_eq!((encoded.min, encoded.max, encoded.multiplier), (1_000, 9_000, 1_000));
        assert_eq!((encoded.encoding, encoded.width), (Encoding::Frame, Width::One));
        assert_eq!(encoded.packed.bytes(), [4, 0, 8, 1]);
    }

    #[test]
    fn few_far_values_become_a_dictionary() {
        let values: Vec<i64> = (0..1000).map(|row| [i64::MAX, i64::MIN, 17][row % 3]).collect();
        let encoded = encode(&[&values], values.len());
        assert_eq!((encoded.encoding, encoded.width), (Encoding::LocalDictionary, Width::One));
        assert_eq!(encoded.values, [i64::MIN, 17, i64::MAX]);
        assert_eq!(encoded.packed.bytes()[..4], [2, 0, 1, 2]);
    }
}
