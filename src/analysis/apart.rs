//! Identifiers numbered segment by segment, for who brings users together and counts what each has.
//!
//! Equal identifiers of several segments are found by a join of all of them (see [`numbering`](super::numbering)). Who counts the sessions
//! of one user at a time needs less: numbers of one segment are equal where the identifiers are, and a user whose rows all
//! come from one segment, as nearly all do in a store that keeps events in order of users, is counted by them alone. The
//! identifiers of the others are looked at, a handful a user.

use std::collections::HashSet;

use cartlog_storage::store::{ColumnView, Identifier, Identifiers};

use super::events::Events;

/// The identifiers of a column by segment.
#[derive(Debug)]
pub(super) struct Apart<'a> {
    segments: Vec<Option<Identifiers<'a>>>,
    /// The number of each segment's missing value, below those of its identifiers; behind the last, how many numbers there are.
    starts: Vec<u64>,
}

impl<'a> Apart<'a> {
    /// The identifiers of a column; costs nothing a row.
    pub(super) fn of(events: &Events<'a>, column: usize) -> Self {
        let identifiers = events.segments().iter().map(|segment| match segment.columns[column].shape() {
            ColumnView::Identifiers(identifiers) => Some(identifiers),
            ColumnView::Integers(_) | ColumnView::Codes(_) => None,
        });
        let segments: Vec<Option<Identifiers<'a>>> = identifiers.collect();
        let mut starts = vec![0];
        let mut next = 0;
        for identifiers in &segments {
            next += identifiers.map_or(0, |identifiers| identifiers.distinct() as u64) + 1;
            starts.push(next);
        }
        Self { segments, starts }
    }

    /// What is added to the numbers of each segment.
    pub(super) fn starts(&self) -> impl Iterator<Item = u64> {
        self.starts[..self.segments.len()].iter().copied()
    }

    /// The largest number.
    pub(super) fn maximum(&self) -> u64 {
        self.starts[self.segments.len()].saturating_sub(1)
    }

    /// The segment of a number, by place.
    fn segment(&self, number: u64) -> usize {
        self.starts.partition_point(|start| *start <= number) - 1
    }

    /// Whether a number stands for rows without an identifier.
    pub(super) fn is_missing(&self, number: u64) -> bool {
        self.starts[self.segment(number)] == number
    }

    fn identifier(&self, number: u64) -> Option<Identifier<'a>> {
        let segment = self.segment(number);
        (*self.segments.get(segment)?)?.get(number - self.starts[segment])
    }

    /// How many identifiers these numbers stand for; they ascend, each but once, and none is that of a missing value.
    pub(super) fn distinct(&self, numbers: &[u64]) -> u64 {
        match numbers {
            [] => 0,
            [.., last] if numbers[0] >= self.starts[self.segment(*last)] => numbers.len() as u64,
            _ => numbers.iter().filter_map(|number| self.identifier(*number)).collect::<HashSet<_>>().len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use cartlog_storage::store::Packed;

    use super::*;

    #[test]
    fn identifiers_that_segments_share_count_once() {
        let of = |uuids| Identifiers { codes: Packed::Zero(0), uuids, text_ends: &[], text: &[] };
        let apart = Apart { segments: vec![Some(of(&[7, 8])), None, Some(of(&[9, 8, 7]))], starts: vec![0, 3, 4, 8] };
        let missing: Vec<u64> = (0..8).filter(|number| apart.is_missing(*number)).collect();
        assert_eq!((missing, apart.maximum()), (vec![0, 3, 4], 7));
        for (numbers, distinct) in [
            (&[][..], 0),
            (&[2], 1),
            (&[1, 2], 2),
            (&[5, 6, 7], 3),
            (&[1, 5], 2),
            (&[1, 5, 7], 2),
            (&[1, 2, 5, 6, 7], 3),
        ] {
            assert_eq!(apart.distinct(numbers), distinct, "{numbers:?}");
        }
    }
}
