//! Where rows were dropped, so that the number that a row has among all rows ever stored leads to its place now.
//!
//! Rows are appended and keep their order, so that a row's number never changes; its place does when rows before it go. A
//! gap says how many went between two places. Dropped rows that stood side by side make a gap of one place; where old and new rows
//! alternate too often to write every place down, neighbouring gaps become one over all their places, and the numbers
//! inside lead nowhere.

use crate::wire::{Put, Take, TakeError};

/// The most gaps that a store has: 24 KiB of its manifest, which every commit writes.
const MOST: usize = 1024;

/// Rows that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    /// Rows of the store before the first place at which rows went.
    start: u64,
    /// Rows of the store before the last such place.
    end: u64,
    /// Rows that went.
    rows: u64,
}

/// All gaps of a store, in the order of its rows; none touches the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gaps(Vec<Gap>);

impl Gaps {
    /// That of a store of which it isn't known where rows were dropped.
    pub(crate) fn unknown(rows_stored: u64, rows_dropped: u64) -> Self {
        Self(Vec::from_iter((rows_dropped > 0).then_some(Gap { start: 0, end: rows_stored, rows: rows_dropped })))
    }

    /// The place of the row with a number among all rows ever stored, counted from 0: how many rows of the store are before it. Of
    /// a dropped row, it is that of the next row that was not. `None` if that can't be told.
    pub(crate) fn place(&self, number: u64) -> Option<u64> {
        let mut dropped = 0;
        for gap in &self.0 {
            if number <= gap.start + dropped {
                break;
            }
            if number < gap.end + dropped + gap.rows {
                return (gap.start == gap.end).then_some(gap.start);
            }
            dropped += gap.rows;
        }
        Some(number - dropped)
    }

    /// Checks that they lie in a store of so many rows and hold what was dropped; the error says what is wrong.
    pub(crate) fn check(&self, rows_stored: u64, rows_dropped: u64) -> Result<(), String> {
        let dropped = self.0.iter().try_fold(0_u64, |sum, gap| sum.checked_add(gap.rows));
        let ascend = self.0.is_sorted_by(|before, next| before.end < next.start);
        let lie_inside = self.0.iter().all(|gap| gap.start <= gap.end && gap.end <= rows_stored);
        if dropped == Some(rows_dropped) && ascend && lie_inside {
            return Ok(());
        }
        Err(format!("the gaps of {rows_dropped} dropped rows among {rows_stored} overlap or hold {dropped:?}"))
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u32(self.0.len() as u32);
        for gap in &self.0 {
            [gap.start, gap.end, gap.rows].into_iter().for_each(|number| bytes.put_u64(number));
        }
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Result<Self, TakeError> {
        take.list(|take| Ok(Gap { start: take.u64()?, end: take.u64()?, rows: take.u64()? })).map(Self)
    }
}

/// Gaps while rows are dropped: told of all rows in their order, whether they stay.
#[derive(Debug)]
pub(crate) struct Dropping {
    /// Starts and ends of the gaps that there were before, those that come last first.
    bounds: Vec<u64>,
    /// The same in the rows that stay, in order.
    moved: Vec<u64>,
    /// Rows told of.
    rows: u64,
    /// Those of them that stay.
    kept: u64,
    before: Gaps,
    gaps: Vec<Gap>,
}

impl Dropping {
    /// Before the first row of a store with gaps.
    pub(crate) fn of(before: Gaps) -> Self {
        let bounds = before.0.iter().rev().flat_map(|gap| [gap.end, gap.start]).collect();
        Self { bounds, moved: Vec::new(), rows: 0, kept: 0, before, gaps: Vec::new() }
    }

    /// Takes in the next rows, which all stay or all go.
    pub(crate) fn pass(&mut self, rows: u64, stay: bool) {
        while let Some(bound) = self.bounds.pop_if(|bound| *bound <= self.rows + rows) {
            self.moved.push(self.kept + if stay { bound - self.rows } else { 0 });
        }
        self.rows += rows;
        if stay {
            self.kept += rows;
        } else {
            self.gaps.push(Gap { start: self.kept, end: self.kept, rows });
            if self.gaps.len() >= 2 * MOST {
                condense(&mut self.gaps);
            }
        }
    }

    /// The gaps after the last row.
    pub(crate) fn finish(mut self) -> Gaps {
        self.pass(0, true);
        let moved = self.moved.chunks_exact(2).zip(&self.before.0);
        self.gaps.extend(moved.map(|(bounds, gap)| Gap { start: bounds[0], end: bounds[1], rows: gap.rows }));
        self.gaps.sort_unstable_by_key(|gap| (gap.start, gap.end));
        condense(&mut self.gaps);
        Gaps(self.gaps)
    }
}

/// Makes one of gaps that touch, and of neighbouring ones as long as there are too many.
fn condense(gaps: &mut Vec<Gap>) {
    let mut width = 1;
    loop {
        gaps.dedup_by(|next, gap| {
            let are_one = next.start <= gap.end || next.start / width == gap.start / width;
            if are_one {
                gap.end = gap.end.max(next.end);
                gap.rows += next.rows;
            }
            are_one
        });
        if gaps.len() <= MOST {
            return;
        }
        width *= 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Drops rows from a store whose rows are known by their numbers, and gives the gaps and the numbers left.
    fn dropped(gaps: &Gaps, numbers: &[u64], stay: impl Fn(u64) -> bool) -> (Gaps, Vec<u64>) {
        let mut dropping = Dropping::of(gaps.clone());
        for number in numbers {
            dropping.pass(1, stay(*number));
        }
        (dropping.finish(), numbers.iter().copied().filter(|number| stay(*number)).collect())
    }

    proptest! {
        #[test]
        fn numbers_lead_to_their_rows(rows in 1_u64..200, drops in prop::collection::vec(any::<u64>(), 1..4), run in 1_u64..30) {
            let (mut gaps, mut numbers) = (Gaps::default(), (0..rows).collect::<Vec<_>>());
            for seed in drops {
                (gaps, numbers) = dropped(&gaps, &numbers, |number| (number / run).wrapping_mul(seed | 1) % 7 > 2);
                gaps.check(numbers.len() as u64, rows - numbers.len() as u64).unwrap();
                for number in 0..=rows {
                    let place = numbers.iter().filter(|kept| **kept < number).count() as u64;
                    prop_assert_eq!(gaps.place(number), Some(place), "{} of {:?}", number, gaps);
                }
            }
        }
    }

    #[test]
    fn too_many_gaps_become_wider_ones_and_are_known_again_once_all_between_has_gone() {
        let rows = 10_000;
        let all: Vec<u64> = (0..rows).collect();
        let (gaps, numbers) = dropped(&Gaps::default(), &all, |number| number % 2 == 1 || number > 8000);
        gaps.check(numbers.len() as u64, rows - numbers.len() as u64).unwrap();
        assert!(gaps.0.len() <= MOST);
        let places = |gaps: &Gaps, numbers: &[u64]| -> (usize, usize) {
            let told: Vec<_> = (0..=rows).filter_map(|number| Some((number, gaps.place(number)?))).collect();
            let true_ones = told
                .iter()
                .filter(|(number, place)| *place == numbers.iter().filter(|kept| **kept < *number).count() as u64);
            (told.len(), true_ones.count())
        };
        let (told, true_ones) = places(&gaps, &numbers);
        assert_eq!(told, true_ones);
        assert!((2000..9000).contains(&told), "{told}");
        let (gaps, numbers) = dropped(&gaps, &numbers, |number| number > 8000);
        assert_eq!(places(&gaps, &numbers), (rows as usize + 1, rows as usize + 1));
    }

    #[test]
    fn where_it_is_unknown_nothing_is_told() {
        let gaps = Gaps::unknown(10, 5);
        gaps.check(10, 5).unwrap();
        let places: Vec<_> = [0, 1, 14, 15, 16].map(|number| gaps.place(number)).into();
        assert_eq!(places, [Some(0), None, None, Some(10), Some(11)]);
        assert_eq!(Gaps::unknown(10, 0), Gaps::default());
        assert!(gaps.check(9, 5).unwrap_err().contains("overlap"));
        assert!(gaps.check(10, 6).unwrap_err().contains("hold Some(5)"));
    }
}
