//! Narrow columns into scratch buffers, a chunk at a time.
//!
//! Columns come in a dozen shapes: five widths, framed or by dictionary. Kernels would have to be compiled for every
//! combination of shapes, or branch at each row. Instead a chunk of rows is widened into buffers that stay in the
//! first-level cache, with one branch a chunk and loops that the compiler turns into vector code; the kernels then run over
//! plain slices of one type. The widening is far below what any kernel does with the row.

use std::ops::Range;

use cartlog_storage::store::{ColumnView, Identifiers, Integers, Packed};

/// Rows decoded at once: three buffers of 64-bit values take 24 KiB of the first-level cache.
pub(crate) const CHUNK_ROWS: usize = 1024;

/// A buffer of one chunk.
pub(crate) type Scratch<T> = Box<[T; CHUNK_ROWS]>;

/// An empty buffer.
pub(crate) fn scratch<T: Copy + Default>() -> Scratch<T> {
    Box::new([T::default(); CHUNK_ROWS])
}

/// Calls `$body` with `$slice` bound to the rows of a packed column, whatever its width, `$zero` where all are zero.
macro_rules! with_packed {
    ($packed:expr, $rows:expr, $slice:ident => $body:expr, $zero:expr) => {
        match $packed {
            Packed::Zero(_) => $zero,
            Packed::U8(values) => {
                let $slice = &values[$rows];
                $body
            }
            Packed::U16(values) => {
                let $slice = &values[$rows];
                $body
            }
            Packed::U32(values) => {
                let $slice = &values[$rows];
                $body
            }
            Packed::U64(values) => {
                let $slice = &values[$rows];
                $body
            }
        }
    };
}
pub(crate) use with_packed;

/// Integers in full: `out[i]` is the value of row `rows.start + i`.
pub(crate) fn integers(view: &ColumnView<'_>, rows: Range<usize>, out: &mut [i64]) {
    match *view {
        ColumnView::Integers(Integers::Frame { base, multiplier, packed }) => {
            with_packed!(packed, rows, slice => {
                for (out, value) in out.iter_mut().zip(slice) {
                    *out = base.wrapping_add(multiplier.wrapping_mul(widen(*value).cast_signed()));
                }
            }, out.fill(base));
        }
        ColumnView::Integers(Integers::Dictionary { values, codes }) => {
            with_packed!(codes, rows, slice => {
                for (out, code) in out.iter_mut().zip(slice) {
                    *out = values[index(*code)];
                }
            }, out.fill(values.first().copied().unwrap_or_default()));
        }
        ColumnView::Codes(codes) => packed_integers(codes, rows, out),
        ColumnView::Identifiers(identifiers) => packed_integers(identifiers.codes, rows, out),
    }
}

/// The same column with other numbers behind its values.
pub(crate) fn repacked<'a>(view: ColumnView<'a>, packed: Packed<'a>) -> ColumnView<'a> {
    match view {
        ColumnView::Integers(Integers::Frame { base, multiplier, .. }) => {
            ColumnView::Integers(Integers::Frame { base, multiplier, packed })
        }
        ColumnView::Integers(Integers::Dictionary { values, .. }) => {
            ColumnView::Integers(Integers::Dictionary { values, codes: packed })
        }
        ColumnView::Codes(_) => ColumnView::Codes(packed),
        ColumnView::Identifiers(identifiers) => ColumnView::Identifiers(Identifiers { codes: packed, ..identifiers }),
    }
}

fn packed_integers(packed: Packed<'_>, rows: Range<usize>, out: &mut [i64]) {
    with_packed!(packed, rows, slice => {
        for (out, value) in out.iter_mut().zip(slice) {
            *out = widen(*value).cast_signed();
        }
    }, out.fill(0));
}

/// `add + multiply * packed`, wrapping.
pub(crate) fn affine(packed: Packed<'_>, rows: Range<usize>, multiply: u64, add: u64, out: &mut [u64]) {
    affine_into(packed, rows, (multiply, add), out, |out, value| *out = value);
}

/// `values[packed] - base`, wrapping.
pub(crate) fn gather(packed: Packed<'_>, rows: Range<usize>, values: &[i64], base: i64, out: &mut [u64]) {
    with_packed!(packed, rows, slice => {
        for (out, code) in out.iter_mut().zip(slice) {
            *out = values[index(*code)].wrapping_sub(base).cast_unsigned();
        }
    }, out.fill(values.first().map_or(0, |value| value.wrapping_sub(base).cast_unsigned())));
}

/// `table[packed]`.
pub(crate) fn lookup(packed: Packed<'_>, rows: Range<usize>, table: &Lookup, out: &mut [u64]) {
    lookup_into(packed, rows, table, out, |out, value| *out = value);
}

/// Calls `put` with each of `into` and `add + multiply * packed` of its row, wrapping.
pub(crate) fn affine_into<T>(
    packed: Packed<'_>,
    rows: Range<usize>,
    (multiply, add): (u64, u64),
    into: &mut [T],
    put: impl Fn(&mut T, u64),
) {
    with_packed!(packed, rows, slice => {
        if multiply == 1 {
            for (into, value) in into.iter_mut().zip(slice) {
                put(into, add.wrapping_add(widen(*value)));
            }
        } else {
            for (into, value) in into.iter_mut().zip(slice) {
                put(into, add.wrapping_add(multiply.wrapping_mul(widen(*value))));
            }
        }
    }, into.iter_mut().for_each(|into| put(into, add)));
}

/// A number for each packed number.
///
/// Tables of up to 2^8 and 2^16 entries have that many, so that numbers of one and two bytes are looked up without a look at the table's
/// length, which is a third of what a lookup costs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    entries: Vec<u32>,
    listed: usize,
}

/// The packed numbers that a byte can be.
const BYTES: usize = 1 << 8;
/// Those that two bytes can be.
const WORDS: usize = 1 << 16;

impl Lookup {
    /// A table of these entries, that of packed number 0 first.
    pub(crate) fn new(mut entries: Vec<u32>) -> Self {
        let listed = entries.len();
        let room = [BYTES, WORDS].into_iter().find(|room| listed <= *room).unwrap_or(listed);
        entries.resize(room, 0);
        Self { entries, listed }
    }

    /// The entries.
    pub(crate) fn listed(&self) -> &[u32] {
        &self.entries[..self.listed]
    }
}

impl FromIterator<u32> for Lookup {
    fn from_iter<I: IntoIterator<Item = u32>>(entries: I) -> Self {
        Self::new(entries.into_iter().collect())
    }
}

/// Calls `put` with each of `into` and `table[packed]` of its row.
pub(crate) fn lookup_into<T>(
    packed: Packed<'_>,
    rows: Range<usize>,
    table: &Lookup,
    into: &mut [T],
    put: impl Fn(&mut T, u64),
) {
    #[inline(always)]
    fn each<T, N: Copy + Into<u64>>(numbers: &[N], entries: &[u32], into: &mut [T], put: impl Fn(&mut T, u64)) {
        for (into, number) in into.iter_mut().zip(numbers) {
            put(into, entries[index(*number)].into());
        }
    }
    let entries = table.entries.as_slice();
    match packed {
        Packed::Zero(_) => {
            let all = entries.first().copied().unwrap_or_default().into();
            into.iter_mut().for_each(|into| put(into, all));
        }
        Packed::U8(numbers) => match entries.first_chunk::<BYTES>() {
            Some(entries) => each(&numbers[rows], entries, into, put),
            None => each(&numbers[rows], entries, into, put),
        },
        Packed::U16(numbers) => match entries.first_chunk::<WORDS>() {
            Some(entries) => each(&numbers[rows], entries, into, put),
            None => each(&numbers[rows], entries, into, put),
        },
        Packed::U32(numbers) => each(&numbers[rows], entries, into, put),
        Packed::U64(numbers) => each(&numbers[rows], entries, into, put),
    }
}

/// Adds to each of `out` how many of the thresholds its packed number reaches.
pub(crate) fn add_thresholds(packed: Packed<'_>, rows: Range<usize>, thresholds: &[u64], out: &mut [u64]) {
    /// Compares numbers at their own width, as many at once as a vector holds.
    fn add<T: Copy + PartialOrd + TryFrom<u64>>(numbers: &[T], thresholds: &[u64], out: &mut [u64]) {
        let mut reached = [0_u8; CHUNK_ROWS];
        for (out, numbers) in out.chunks_mut(CHUNK_ROWS).zip(numbers.chunks(CHUNK_ROWS)) {
            let reached = &mut reached[..out.len()];
            // As many as a byte counts; one that is wider than the numbers is never reached.
            for thresholds in thresholds.chunks(u8::MAX.into()) {
                reached.fill(0);
                for threshold in thresholds.iter().filter_map(|threshold| T::try_from(*threshold).ok()) {
                    reached
                        .iter_mut()
                        .zip(numbers)
                        .for_each(|(count, number)| *count += u8::from(*number >= threshold));
                }
                out.iter_mut().zip(&*reached).for_each(|(out, count)| *out += u64::from(*count));
            }
        }
    }
    with_packed!(packed, rows, slice => add(slice, thresholds, out), {
        let reached = thresholds.iter().filter(|threshold| **threshold == 0).count() as u64;
        out.iter_mut().for_each(|out| *out += reached);
    });
}

/// Keeps the bytes of `mask` where `allowed[packed]` is 1.
pub(crate) fn mask_by_code(packed: Packed<'_>, rows: Range<usize>, allowed: &[u8], mask: &mut [u8]) {
    with_packed!(packed, rows, slice => {
        for (mask, code) in mask.iter_mut().zip(slice) {
            *mask &= allowed[index(*code)];
        }
    }, {
        let all = allowed.first().copied().unwrap_or_default();
        mask.iter_mut().for_each(|mask| *mask &= all);
    });
}

/// Keeps the bytes of `mask` where the packed number lies between the two, both included.
pub(crate) fn mask_between(packed: Packed<'_>, rows: Range<usize>, (lowest, highest): (u64, u64), mask: &mut [u8]) {
    /// Compares numbers at their own width, as many at once as a vector holds.
    fn compare<T: Copy + PartialOrd + TryFrom<u64>>(numbers: &[T], lowest: u64, highest: u64, mask: &mut [u8]) {
        let Ok(lowest) = T::try_from(lowest) else { return mask.fill(0) };
        let rows = mask.iter_mut().zip(numbers);
        match T::try_from(highest) {
            Ok(highest) if highest == lowest => rows.for_each(|(mask, number)| *mask &= u8::from(*number == lowest)),
            Ok(highest) => {
                rows.for_each(|(mask, number)| *mask &= u8::from(*number >= lowest) & u8::from(*number <= highest));
            }
            Err(_) => rows.for_each(|(mask, number)| *mask &= u8::from(*number >= lowest)),
        }
    }
    with_packed!(packed, rows, slice => compare(slice, lowest, highest, mask), {
        if lowest > 0 {
            mask.fill(0);
        }
    });
}

/// Keeps the bytes of `mask` where the packed number is one of these, ascending.
pub(crate) fn mask_one_of(packed: Packed<'_>, rows: Range<usize>, wanted: &[u64], mask: &mut [u8]) {
    let is_wanted = |number: u64| u8::from(wanted.binary_search(&number).is_ok());
    with_packed!(packed, rows, slice => {
        for (mask, number) in mask.iter_mut().zip(slice) {
            *mask &= is_wanted(widen(*number));
        }
    }, {
        let all = is_wanted(0);
        mask.iter_mut().for_each(|mask| *mask &= all);
    });
}

/// How many of the packed numbers of some rows are below `limit`.
pub(crate) fn count_below(packed: Packed<'_>, rows: Range<usize>, limit: u64) -> u64 {
    /// Compares numbers at their own width, as many at once as a vector holds.
    fn count<T: Copy + PartialOrd + TryFrom<u64>>(numbers: &[T], limit: u64) -> u64 {
        let Ok(limit) = T::try_from(limit) else { return numbers.len() as u64 };
        let below = |numbers: &[T]| numbers.iter().map(|number| u16::from(*number < limit)).sum::<u16>();
        numbers.chunks(CHUNK_ROWS).map(|numbers| u64::from(below(numbers))).sum()
    }
    with_packed!(packed, rows, slice => count(slice, limit), if limit > 0 { rows.len() as u64 } else { 0 })
}

/// How many of the packed numbers of the rows `start + rows[i]` are below `limit`.
pub(crate) fn count_few_below(packed: Packed<'_>, start: usize, rows: &[u16], limit: u64) -> u64 {
    with_packed!(packed, start.., slice => {
        rows.iter().map(|row| u64::from(widen(slice[usize::from(*row)]) < limit)).sum()
    }, if limit > 0 { rows.len() as u64 } else { 0 })
}

/// A packed number as 64 bits.
pub(crate) fn widen(value: impl Into<u64>) -> u64 {
    value.into()
}

/// A packed number as an index.
#[expect(
    clippy::cast_possible_truncation,
    reason = "codes index a slice in memory, so they fit; a wrong one fails its bounds check"
)]
pub(crate) fn index(code: impl Into<u64>) -> usize {
    code.into() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_shape_decodes_to_the_same_values() {
        let (bytes, words, longs, wides) = (vec![3_u8, 0, 7], vec![3_u16, 0, 7], vec![3_u32, 0, 7], vec![3_u64, 0, 7]);
        let packed = [Packed::U8(&bytes), Packed::U16(&words), Packed::U32(&longs), Packed::U64(&wides)];
        for packed in packed {
            let mut out = [0_i64; 2];
            integers(&ColumnView::Integers(Integers::Frame { base: -10, multiplier: 5, packed }), 1..3, &mut out);
            assert_eq!(out, [-10, 25]);
            let values = [4, 5, 6, 7, 8, 9, 10, i64::MAX];
            integers(&ColumnView::Integers(Integers::Dictionary { values: &values, codes: packed }), 1..3, &mut out);
            assert_eq!(out, [4, i64::MAX]);
            let mut ordinals = [0_u64; 3];
            affine(packed, 0..3, 1, 2, &mut ordinals);
            assert_eq!(ordinals, [5, 2, 9]);
            affine(packed, 0..3, 10, 2, &mut ordinals);
            assert_eq!(ordinals, [32, 2, 72]);
            gather(packed, 0..3, &values, 4, &mut ordinals);
            assert_eq!(ordinals, [3, 0, i64::MAX.cast_unsigned() - 4]);
            for more in [0, 300, 70_000] {
                let table: Lookup = [9, 8, 7, 6, 5, 4, 3, 2].into_iter().chain(0..more).collect();
                assert_eq!(table.listed().len(), 8 + more as usize);
                lookup(packed, 0..3, &table, &mut ordinals);
                assert_eq!(ordinals, [6, 9, 2]);
            }
            let between: [(u64, u64, [u8; 3]); 8] = [
                (0, 0, [0, 1, 0]),
                (3, 3, [1, 0, 0]),
                (7, 7, [0, 0, 0]),
                (1 << 40, 1 << 40, [0, 0, 0]),
                (1, 1 << 40, [1, 0, 0]),
                (0, 2, [0, 1, 0]),
                (0, u64::MAX, [1, 1, 0]),
                (2, 7, [1, 0, 0]),
            ];
            for (lowest, highest, expected) in between {
                let mut mask = [1, 1, 0];
                mask_between(packed, 0..3, (lowest, highest), &mut mask);
                assert_eq!(mask, expected, "between {lowest} and {highest}");
            }
            for (wanted, expected) in [(&[0, 7][..], [0, 1, 0]), (&[3, 7, 1 << 40], [1, 0, 0]), (&[1, 2], [0, 0, 0])] {
                let mut mask = [1, 1, 0];
                mask_one_of(packed, 0..3, wanted, &mut mask);
                assert_eq!(mask, expected);
            }
            for (limit, expected) in [(0, 0), (1, 1), (4, 2), (7, 2), (8, 3), (1 << 40, 3)] {
                assert_eq!(count_below(packed, 0..3, limit), expected);
                assert_eq!(count_few_below(packed, 0, &[0, 2, 1], limit), expected);
                assert_eq!(count_few_below(packed, 1, &[1], limit), u64::from(limit > 7));
            }
            let many: Vec<u64> = (0..300).map(|place| place / 100).chain([7, 1 << 40]).collect();
            for (thresholds, expected) in [(&[][..], [0, 0, 0]), (&[0, 3, 4, 7], [2, 1, 4]), (&many, [300, 100, 301])] {
                let mut ordinals = [5_u64; 3];
                add_thresholds(packed, 0..3, thresholds, &mut ordinals);
                assert_eq!(ordinals, expected.map(|reached: u64| 5 + reached));
            }
            let mut mask = [1, 1, 0];
            mask_by_code(packed, 0..3, &[1, 1, 1, 0, 1, 1, 1, 1], &mut mask);
            assert_eq!(mask, [0, 1, 0]);
        }
    }

    #[test]
    fn a_column_of_zeros_takes_no_rows_to_decode() {
        let mut out = [1_i64; 2];
        integers(&ColumnView::Codes(Packed::Zero(5)), 3..5, &mut out);
        assert_eq!(out, [0, 0]);
        integers(&ColumnView::Integers(Integers::Dictionary { values: &[42], codes: Packed::Zero(5) }), 3..5, &mut out);
        assert_eq!(out, [42, 42]);
        for (limit, expected) in [(0, 0), (1, 2)] {
            assert_eq!(count_below(Packed::Zero(5), 3..5, limit), expected);
            assert_eq!(count_few_below(Packed::Zero(5), 1, &[0, 3], limit), expected);
        }
        for (bounds, expected) in [((0, 0), [1, 0]), ((0, 9), [1, 0]), ((1, 9), [0, 0])] {
            let mut mask = [1, 0];
            mask_between(Packed::Zero(5), 3..5, bounds, &mut mask);
            assert_eq!(mask, expected);
            let mut mask = [1, 0];
            mask_one_of(Packed::Zero(5), 3..5, &[bounds.0], &mut mask);
            assert_eq!(mask, expected);
        }
    }

    #[test]
    fn more_rows_than_a_chunk_has_are_counted() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|row| (row % 3) as u8).collect();
        assert_eq!(count_below(Packed::U8(&bytes), 1..200_000, 2), 133_333);
    }
}
