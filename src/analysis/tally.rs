//! What one group holds, counted and forgotten: the inner loops of groups that come one after the other.
//!
//! Grouped rows come a user, a session or a product at a time, most with a handful of rows. Sorting each group's rows would
//! cost more than bringing the group together did, and clearing a table for each would too. So tables are never cleared: an
//! entry carries the number of the group that it was made for, and an older one is free.

use super::ahead::ask_for;
use super::decode::index;
use super::room::Room;

/// Which of the numbers `0..count` the present group has.
///
/// Four bytes a number; asking costs one access, and a new group nothing.
#[derive(Debug)]
pub(crate) struct Seen {
    groups: Vec<u32>,
    group: u32,
}

impl Seen {
    /// Room for the numbers `0..count`.
    pub(crate) fn new(count: usize) -> Self {
        Self { groups: vec![0; count], group: 0 }
    }

    /// Begins another group, which has none of the numbers yet.
    pub(crate) fn next_group(&mut self) {
        if self.group == u32::MAX {
            self.groups.fill(0);
            self.group = 0;
        }
        self.group += 1;
    }

    /// Whether the group did not have the number before; has it from now on.
    #[inline]
    pub(crate) fn is_new(&mut self, number: usize) -> bool {
        let known = &mut self.groups[number];
        let is_new = *known != self.group;
        *known = self.group;
        is_new
    }
}

/// The most rows of a group whose values are compared one by one.
const FEW: usize = 12;

/// Bits of the values for which there is a counter each: 16 MiB, of which only those that occur are touched.
const MOST_COUNTED_BITS: u32 = 22;

/// How often each value occurs in a group.
///
/// Values of few bits have a counter each, and a row costs no branch that depends on the data. Of others, small groups are
/// counted by comparing with the values met so far, and large ones in an open-addressing table of twice the rows,
/// which stays in the nearest caches for all but the largest groups.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Each distinct value with its count, in the order of appearance.
    counts: Vec<(u64, u64)>,
    /// One a value, zero between groups; none where values have many bits.
    counters: Option<Room<u32>>,
    slots: Vec<Slot>,
    group: u32,
}

/// A place of the table.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The group that it was taken by.
    group: u32,
    /// Where its value stands in the counts.
    place: u32,
}

impl Tally {
    /// For values of so many bits.
    pub(crate) fn of_bits(bits: u32) -> Self {
        Self { counters: (bits <= MOST_COUNTED_BITS).then(|| Room::new(1 << bits)), ..Self::default() }
    }

    /// Asks for the counter of a value that is to come.
    #[inline]
    pub(crate) fn expect(&self, value: u64) {
        if let Some(counters) = &self.counters {
            ask_for(counters, index(value));
        }
    }

    /// Each distinct value among `values`, with how often it occurs, in the order of first appearance.
    pub(crate) fn count(&mut self, values: impl ExactSizeIterator<Item = u64>) -> &[(u64, u64)] {
        if let Some(counters) = &mut self.counters {
            if self.counts.len() < values.len() {
                self.counts.resize(values.len(), (0, 0));
            }
            let mut distinct = 0;
            for value in values {
                let counter = &mut counters[index(value)];
                self.counts[distinct].0 = value;
                distinct += usize::from(*counter == 0);
                *counter += 1;
            }
            let counts = &mut self.counts[..distinct];
            for (value, count) in counts.iter_mut() {
                *count = std::mem::take(&mut counters[index(*value)]).into();
            }
            return counts;
        }
        self.counts.clear();
        if values.len() <= FEW {
            for value in values {
                match self.counts.iter_mut().find(|(known, _)| *known == value) {
                    Some((_, count)) => *count += 1,
                    None => self.counts.push((value, 1)),
                }
            }
        } else {
            self.count_many(values);
        }
        &self.counts
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the highest bits of a hash are a slot; a group has below 2^32 rows"
    )]
    fn count_many(&mut self, values: impl ExactSizeIterator<Item = u64>) {
        let wanted = (values.len() * 2).next_power_of_two();
        if self.slots.len() < wanted || self.group == u32::MAX {
            self.slots.clear();
            self.slots.resize(wanted, Slot::default());
            self.group = 0;
        }
        self.group += 1;
        let (mask, shift) = (wanted - 1, u64::BITS - wanted.ilog2());
        for value in values {
            // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4).
            let mut at = (value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> shift) as usize;
            loop {
                let slot = &mut self.slots[at];
                if slot.group != self.group {
                    *slot = Slot { group: self.group, place: self.counts.len() as u32 };
                    self.counts.push((value, 1));
                    break;
                }
                let (known, count) = &mut self.counts[slot.place as usize];
                if *known == value {
                    *count += 1;
                    break;
                }
                at = (at + 1) & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn groups_of_any_size_are_counted(
            groups in prop::collection::vec(prop::collection::vec(prop_oneof![0..9_u64, any::<u64>()], 0..200), 1..9),
        ) {
            let (mut tally, mut counters) = (Tally::of_bits(MOST_COUNTED_BITS + 1), Tally::of_bits(4));
            for group in groups {
                let mut expected = BTreeMap::new();
                group.iter().for_each(|value| *expected.entry(*value).or_insert(0) += 1);
                let mut counted = tally.count(group.iter().copied()).to_vec();
                counted.sort_unstable();
                prop_assert_eq!(counted, expected.into_iter().collect::<Vec<_>>());
                let small = || group.iter().map(|value| value % 16);
                let of_counters = counters.count(small().collect::<Vec<_>>().into_iter()).to_vec();
                prop_assert_eq!(of_counters, tally.count(small().collect::<Vec<_>>().into_iter()));
            }
        }
    }

    #[test]
    fn a_number_is_new_once_a_group() {
        let mut seen = Seen::new(3);
        for _ in 0..2 {
            seen.next_group();
            assert_eq!([2, 0, 2, 1, 0].map(|number| seen.is_new(number)), [true, true, false, true, false]);
        }
        seen.group = u32::MAX;
        seen.next_group();
        assert!(seen.is_new(1));
    }
}
