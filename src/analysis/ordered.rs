//! Rows that lie in the order they are grouped in: what needs no dealing.
//!
//! Whether a segment's rows ascend by the leading field of a key is seen from the column itself: in a segment of rows as they
//! arrived the first descent comes within a few rows, and in one of a sorted copy there is none. There the rows of a part, which
//! is a range of leading ordinals, are a range of rows, found by bisection. They are read in place when the part's turn comes, and no
//! key leaves the caches on the way. Nobody has to say which segments are sorted, and nothing goes wrong where one is not.
//!
//! Sessions are in order where users are: a segment numbers them by first appearance, and a user's stand together. But one that has
//! two users, or goes on in another segment, has a number out of order, and rows without a session have the last of all. Such rows
//! are found by one walk over the numbers, a nanosecond each; where they are few, they are stepped over and dealt.

use std::ops::Range;

use super::decode::{CHUNK_ROWS, scratch};
use super::driver::{Input, deal};
use super::events::EventSegment;
use super::field::Field;

/// One of so many rows may be out of order, or these few.
const MOST_STRAYS: usize = 256;

/// The segments whose rows ascend by a field.
#[derive(Debug)]
pub(super) struct Ordered {
    /// One a segment; `None` where rows don't ascend.
    runs: Vec<Option<Run>>,
    /// Those that ascend, in the order of their first rows.
    segments: Vec<usize>,
}

/// A segment whose rows ascend.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    /// The first row of each bucket, and behind the last the number of rows.
    starts: Vec<u32>,
    /// Rows that are out of order, ascending; the others ascend without them.
    strays: Vec<u32>,
    /// The ordinal of the first row that is in order.
    first: u64,
}

impl Ordered {
    /// Finds them among the candidates, with their rows cut into `buckets` of equal ranges of 2^`shift` ordinals.
    pub(super) fn find(input: &Input<'_>, field: &Field<'_>, buckets: usize, shift: u32) -> Self {
        let candidates: Vec<(usize, &EventSegment<'_>)> = input.candidates().collect();
        let found = deal(candidates.len(), |tasks| {
            let look = |task: usize| {
                let (index, segment) = candidates[task];
                Some((index, Run::of(field, (index, segment), buckets, shift)?))
            };
            tasks.filter_map(look).collect::<Vec<(usize, Run)>>()
        });
        let mut runs: Vec<Option<Run>> = input.events().segments().iter().map(|_| None).collect();
        let mut firsts = Vec::new();
        for (index, run) in found.into_iter().flatten() {
            firsts.push((run.first, index));
            runs[index] = Some(run);
        }
        firsts.sort_unstable();
        Self { runs, segments: firsts.into_iter().map(|(_, segment)| segment).collect() }
    }

    /// No segment is taken as it lies.
    pub(super) fn none(input: &Input<'_>) -> Self {
        Self { runs: input.events().segments().iter().map(|_| None).collect(), segments: Vec::new() }
    }

    /// Whether a segment's rows ascend, but for strays.
    pub(super) fn has(&self, segment: usize) -> bool {
        self.runs[segment].is_some()
    }

    /// The rows that are out of order in segments that ascend otherwise.
    pub(super) fn strays(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let of_run = |(segment, run): (usize, &Option<Run>)| {
            let strays = run.iter().flat_map(|run| &run.strays).map(|row| *row as usize);
            strays.map(|row| (segment, row..row + 1)).collect::<Vec<_>>()
        };
        self.runs.iter().enumerate().flat_map(of_run)
    }

    /// Visits the rows of some buckets that are in order, range by range.
    pub(super) fn rows(&self, (first, last): (usize, usize), mut visit: impl FnMut(usize, Range<usize>)) {
        for segment in &self.segments {
            let Some(run) = &self.runs[*segment] else { continue };
            let (mut start, end) = (run.starts[first], run.starts[last + 1]);
            let strays = run.strays.partition_point(|row| *row < start)..run.strays.partition_point(|row| *row < end);
            for row in run.strays[strays].iter().copied().chain([end]) {
                if start < row {
                    visit(*segment, start as usize..row as usize);
                }
                start = row + 1;
            }
        }
    }

    /// Adds each bucket's rows to a count.
    pub(super) fn count(&self, mut add: impl FnMut(usize, usize)) {
        for run in self.runs.iter().flatten() {
            for (bucket, bounds) in run.starts.windows(2).enumerate().filter(|(_, bounds)| bounds[0] < bounds[1]) {
                add(bucket, (bounds[1] - bounds[0]) as usize);
            }
        }
    }
}

impl Run {
    fn of(field: &Field<'_>, (index, segment): (usize, &EventSegment<'_>), buckets: usize, shift: u32) -> Option<Self> {
        if segment.rows == 0 {
            return None;
        }
        let ordinal = |row: usize| field.ordinal(index, segment, row);
        let strays = match field.numbers_identifiers() {
            Some(missing) => {
                let mut ordinals = scratch();
                strays(segment.rows, missing, |rows, numbers| {
                    field.put_into((index, segment), rows, &mut ordinals[..], numbers, |number, ordinal| {
                        // A numbering has fewer than 2^32.
                        *number = u32::try_from(ordinal).unwrap_or(u32::MAX);
                    });
                })?
            }
            None if field.ascends(index, segment) => Vec::new(),
            None => return None,
        };
        Self::among(strays, segment.rows, ordinal, buckets, shift)
    }

    /// The buckets of rows that ascend but for strays; `None` if all are.
    fn among(
        strays: Vec<u32>,
        rows: usize,
        ordinal: impl Fn(usize) -> u64,
        buckets: usize,
        shift: u32,
    ) -> Option<Self> {
        let first = (0_u32..).zip(&strays).take_while(|(row, stray)| row == *stray).count();
        if first == rows {
            return None;
        }
        // A stray is taken for the row before it that is in order, and those before all of them for the first.
        let in_order = |row: usize| match strays.binary_search_by_key(&row, |stray| *stray as usize) {
            Err(_) => row,
            Ok(place) => {
                let together = (0..=place).rev().zip((0..=row).rev());
                let before = together.take_while(|(place, row)| strays[*place] as usize == *row).count();
                row.checked_sub(before).unwrap_or(first)
            }
        };
        let starts = bucket_starts(rows, buckets, |row| ordinal(in_order(row)) >> shift);
        Some(Self { starts, first: ordinal(first), strays })
    }
}

/// The rows with numbers below an earlier one, and those of the missing value; `None` if they are many.
#[expect(clippy::cast_possible_truncation, reason = "a segment has fewer than 2^32 rows")]
fn strays(rows: usize, missing: u64, mut read: impl FnMut(Range<usize>, &mut [u32])) -> Option<Vec<u32>> {
    let missing = u32::try_from(missing).unwrap_or(u32::MAX);
    let (mut strays, mut highest, mut numbers) = (Vec::new(), 0, scratch::<u32>());
    for start in (0..rows).step_by(CHUNK_ROWS) {
        let numbers = &mut numbers[..CHUNK_ROWS.min(rows - start)];
        read(start..start + numbers.len(), numbers);
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        // All are compared, several at once: in most chunks none is out of order.
        let descents = numbers.iter().zip(&numbers[1..]).fold(0, |all, (left, right)| all | u32::from(left > right));
        if descents == 0 && first >= highest && last != missing {
            highest = last;
            continue;
        }
        for (row, number) in (start..).zip(numbers) {
            if *number == missing || *number < highest {
                strays.push(row as u32);
            } else {
                highest = *number;
            }
        }
        if strays.len() > MOST_STRAYS + start / MOST_STRAYS {
            return None;
        }
    }
    Some(strays)
}

/// The first row of each bucket where the buckets of rows ascend: a bisection each for those that have rows, behind the one before.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a segment has fewer than 2^32 rows, and buckets index a list in memory"
)]
fn bucket_starts(rows: usize, buckets: usize, bucket: impl Fn(usize) -> u64) -> Vec<u32> {
    let mut starts = Vec::with_capacity(buckets + 1);
    let mut row = 0;
    while row < rows {
        let present = bucket(row);
        starts.resize(starts.len().max((present as usize).min(buckets - 1) + 1), row as u32);
        // Steps of doubled length up to a row of another bucket, then bisection between the last two.
        let (mut low, mut step) = (row, 1);
        while low + step < rows && bucket(low + step) == present {
            low += step;
            step *= 2;
        }
        let mut high = rows.min(low + step);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if bucket(middle) == present { low = middle } else { high = middle }
        }
        row = high;
    }
    starts.resize(buckets + 1, rows as u32);
    starts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn buckets_start_where_their_first_row_is(mut of_rows in prop::collection::vec(0..20_u64, 0..300)) {
            of_rows.sort_unstable();
            let starts = bucket_starts(of_rows.len(), 20, |row| of_rows[row]);
            let expected: Vec<u32> =
                (0..=20).map(|bucket| of_rows.partition_point(|known| *known < bucket) as u32).collect();
            prop_assert_eq!(starts, expected);
        }

        #[test]
        fn every_row_is_in_its_bucket_or_a_stray(
            mut of_rows in prop::collection::vec(0..40_u64, 1..300), disturbed in prop::collection::vec((0..300_usize, 0..41_u64), 0..9),
        ) {
            of_rows.sort_unstable();
            for (row, ordinal) in disturbed {
                if row < of_rows.len() {
                    of_rows[row] = ordinal;
                }
            }
            let rows = of_rows.len();
            let strays = strays(rows, 40, |rows, numbers| {
                numbers.iter_mut().zip(&of_rows[rows]).for_each(|(number, ordinal)| *number = *ordinal as u32);
            });
            // One that is far too high early makes strays of nearly all: too many are none.
            let Some(strays) = strays else {
                prop_assert!(rows > MOST_STRAYS);
                return Ok(());
            };
            let Some(run) = Run::among(strays, rows, |row| of_rows[row], 20, 1) else {
                prop_assert!(of_rows.iter().all(|ordinal| *ordinal == 40));
                return Ok(());
            };
            let ordered = Ordered { runs: vec![Some(run)], segments: vec![0] };
            let strays: Vec<usize> = ordered.strays().map(|(_, rows)| rows.start).collect();
            let mut seen = strays.clone();
            let mut last = 0;
            for bucket in 0..20 {
                ordered.rows((bucket, bucket), |_, rows| {
                    for row in rows {
                        seen.push(row);
                        assert_eq!(of_rows[row] >> 1, bucket as u64);
                        assert!(of_rows[row] >= last && of_rows[row] != 40);
                        last = of_rows[row];
                    }
                });
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_in_no_order_are_given_up_soon() {
        let mut looked_at = 0;
        let strays = strays(1_000_000, 9, |rows, numbers| {
            looked_at += numbers.len();
            numbers.iter_mut().zip(rows).for_each(|(number, row)| *number = [3, 1, 2][row % 3]);
        });
        assert_eq!((strays, looked_at), (None, CHUNK_ROWS));
    }
}
