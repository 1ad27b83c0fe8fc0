//! Exact quantiles of many groups at once, by radix selection.
//!
//! A quantile is the value at a known place of the sorted group; sorting finds all places where a few are wanted. Instead the
//! highest bits of every value are counted by group. The counts tell in which bucket each wanted place lies, and a
//! second scan counts the next bits of the rows in those buckets alone; and so on until no bits are left. Prices in whole cents
//! have 18 bits: two scans, whatever their distribution, in memory that depends on
//! the number of groups and not on the rows.

use super::decode::{Scratch, index, scratch};
use super::driver::{Chunk, Input, Scan, scan};
use super::field::Field;
use super::number::quantile_place;

/// Counters of one scan, about: 2 MiB, of which skewed data touch a part.
const COUNTERS_BITS: u32 = 18;

/// The most bits resolved by one scan, and the least.
const DIGIT_BITS: std::ops::RangeInclusive<u32> = 4..=12;

/// The nearest-rank quantiles of every group: entry `group` holds the ordinals at `percents`, in their order; `None` for a
/// group without a selected row.
pub(crate) fn quantiles<const N: usize>(
    input: &Input<'_>,
    groups: &Field<'_>,
    values: &Field<'_>,
    percents: [u64; N],
) -> Vec<Option<[u64; N]>> {
    let mut selection = Selector { groups, values, levels: Vec::new(), nodes: groups.count(), shift: values.bits() };
    // Where each wanted value lies: its node among those of the level, its place within the node, its bits so far.
    let mut wanted: Vec<Option<[Wanted; N]>> = Vec::new();
    loop {
        let bits = selection.next_bits();
        let counts = scan(input, &selection.level(bits)).counts;
        if selection.levels.is_empty() {
            wanted = (0..selection.nodes)
                .map(|node| {
                    let count: u64 = counts[node << bits..(node + 1) << bits].iter().sum();
                    let at = |percent| Wanted { node, place: quantile_place(count, percent), prefix: 0 };
                    (count > 0).then(|| percents.map(at))
                })
                .collect();
        }
        let mut children = vec![0_u32; selection.nodes << bits];
        let mut nodes = 0;
        for wanted in wanted.iter_mut().flatten().flatten() {
            let counts = &counts[wanted.node << bits..(wanted.node + 1) << bits];
            let mut digit = 0;
            while digit + 1 < counts.len() && wanted.place >= counts[digit] {
                wanted.place -= counts[digit];
                digit += 1;
            }
            let child = &mut children[(wanted.node << bits) + digit];
            if *child == 0 {
                nodes += 1;
                *child = nodes;
            }
            wanted.node = *child as usize - 1;
            wanted.prefix = (wanted.prefix << bits) | digit as u64;
        }
        selection.shift -= bits;
        selection.nodes = nodes as usize;
        selection.levels.push(Level { bits, shift: selection.shift, children });
        if selection.shift == 0 {
            return wanted.into_iter().map(|wanted| wanted.map(|wanted| wanted.map(|wanted| wanted.prefix))).collect();
        }
    }
}

/// A value that is looked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    node: usize,
    place: u64,
    prefix: u64,
}

/// One resolved digit.
#[derive(Debug)]
struct Level {
    bits: u32,
    shift: u32,
    /// For a node and a digit: 0, or 1 + the node of the next level.
    children: Vec<u32>,
}

/// What is resolved so far: the nodes of the first level are the groups.
#[derive(Debug)]
struct Selector<'a> {
    groups: &'a Field<'a>,
    values: &'a Field<'a>,
    levels: Vec<Level>,
    nodes: usize,
    /// Bits not resolved yet.
    shift: u32,
}

impl Selector<'_> {
    fn next_bits(&self) -> u32 {
        let room = COUNTERS_BITS.saturating_sub(self.nodes.max(1).ilog2());
        room.clamp(*DIGIT_BITS.start(), *DIGIT_BITS.end()).min(self.shift)
    }

    fn level(&self, bits: u32) -> CountDigit<'_> {
        CountDigit { selector: self, bits, shift: self.shift - bits }
    }
}

/// Counts a digit of the values that are still looked for.
struct CountDigit<'a> {
    selector: &'a Selector<'a>,
    bits: u32,
    shift: u32,
}

impl CountDigit<'_> {
    /// The counter of a row's digit; `None` if no wanted value lies where the digits before lead.
    #[inline]
    fn slot(&self, group: usize, value: u64) -> Option<usize> {
        let mut node = group;
        for level in &self.selector.levels {
            node = (level.children[slot(node, value, level.shift, level.bits)] as usize).checked_sub(1)?;
        }
        Some(slot(node, value, self.shift, self.bits))
    }
}

struct Counts {
    groups: Scratch<u64>,
    values: Scratch<u64>,
    /// Events that rows stand for.
    events: Scratch<u64>,
    counts: Vec<u64>,
}

impl Scan for CountDigit<'_> {
    type Partial = Counts;

    fn start(&self) -> Counts {
        Counts {
            groups: scratch(),
            values: scratch(),
            events: scratch(),
            counts: vec![0; self.selector.nodes << self.bits],
        }
    }

    fn scan(&self, partial: &mut Counts, chunk: &Chunk<'_>) {
        let groups = chunk.ordinals(self.selector.groups, &mut partial.groups);
        let values = chunk.ordinals(self.selector.values, &mut partial.values);
        let rows = groups.iter().zip(values);
        if let Some(events) = chunk.counts(&mut partial.events) {
            for ((group, value), events) in rows.zip(events) {
                if let Some(slot) = self.slot(index(*group), *value) {
                    partial.counts[slot] += events;
                }
            }
        } else if self.selector.levels.is_empty() {
            for (group, value) in rows {
                partial.counts[slot(index(*group), *value, self.shift, self.bits)] += 1;
            }
        } else {
            for (group, value) in rows {
                if let Some(slot) = self.slot(index(*group), *value) {
                    partial.counts[slot] += 1;
                }
            }
        }
    }

    fn merge(&self, into: &mut Counts, other: Counts) {
        for (count, other) in into.counts.iter_mut().zip(other.counts) {
            *count += other;
        }
    }
}

#[inline]
fn slot(node: usize, value: u64, shift: u32, bits: u32) -> usize {
    (node << bits) | (index(value.checked_shr(shift).unwrap_or_default()) & ((1 << bits) - 1))
}
