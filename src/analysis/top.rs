//! The most frequent keys, without keeping or sorting the others' counts.

use std::cmp::Reverse;

use super::decode::index;
use super::driver::{Chunk, Input, Scan, scan};
use super::group::{Parts, group};
use super::keys::{Key, KeyScratch, Layout};
use super::sort::runs;

/// Bits of keys that are counted in an array of one counter each: 8 MiB a worker, of which only what occurs is touched.
const MAX_ARRAY_BITS: u32 = 20;

/// The `limit` keys that most of the selected rows have, each with its number of rows: most first, among equals the smaller
/// key first.
///
/// Small key spaces are counted in an array, in one scan; others are sorted by [`group`].
pub(crate) fn most_frequent(input: &Input<'_>, layout: &Layout<'_>, limit: usize) -> Vec<(u128, u64)> {
    let mut top = Top::new(limit);
    if layout.bits() <= MAX_ARRAY_BITS {
        let counts = scan(input, &Tally { layout });
        for (key, count) in (0..).zip(counts.counts).filter(|(_, count)| *count > 0) {
            top.offer(key, count);
        }
    } else {
        for partial in group(input, layout, 1, &Frequent { limit }) {
            partial.best.into_iter().for_each(|(Reverse(count), key)| top.offer(key, count));
        }
    }
    top.finish()
}

/// The best of what it was offered.
#[derive(Debug)]
struct Top {
    limit: usize,
    /// At most twice the limit.
    best: Vec<(Reverse<u64>, u128)>,
    /// A count below this can't be among the best.
    least: u64,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), best: Vec::new(), least: 0 }
    }

    fn offer(&mut self, key: u128, count: u64) {
        if count < self.least {
            return;
        }
        self.best.push((Reverse(count), key));
        if self.best.len() >= self.limit.saturating_mul(2) {
            let (_, (Reverse(last), _), _) = self.best.select_nth_unstable(self.limit - 1);
            self.least = *last;
            self.best.truncate(self.limit);
        }
    }

    fn finish(mut self) -> Vec<(u128, u64)> {
        self.best.sort_unstable();
        self.best.truncate(self.limit);
        self.best.into_iter().map(|(Reverse(count), key)| (key, count)).collect()
    }
}

/// Counts keys in an array.
struct Tally<'a> {
    layout: &'a Layout<'a>,
}

struct Counts {
    scratch: KeyScratch<u64>,
    counts: Vec<u64>,
}

impl Scan for Tally<'_> {
    type Partial = Counts;

    fn start(&self) -> Counts {
        Counts { scratch: self.layout.scratch(), counts: vec![0; 1 << self.layout.bits()] }
    }

    fn scan(&self, partial: &mut Counts, chunk: &Chunk<'_>) {
        for key in self.layout.keys(chunk, &mut partial.scratch) {
            partial.counts[index(*key)] += 1;
        }
    }

    fn merge(&self, into: &mut Counts, other: Counts) {
        for (count, other) in into.counts.iter_mut().zip(other.counts) {
            *count += other;
        }
    }
}

/// Keeps the best of each part.
struct Frequent {
    limit: usize,
}

impl Parts for Frequent {
    type Partial = Top;

    fn start(&self) -> Top {
        Top::new(self.limit)
    }

    fn part<K: Key>(&self, top: &mut Top, _part: usize, keys: &[K]) {
        for (key, count) in runs(keys) {
            top.offer(key.wide(), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_whatever_the_order_of_offers() {
        for limit in [1, 2, 3, 7, 100, usize::MAX] {
            for stride in [1, 3, 7, 11] {
                let mut top = Top::new(limit);
                (0..20_u128).map(|place| place * stride % 20).for_each(|key| top.offer(key, (key % 4) as u64));
                let mut expected: Vec<_> = (0..20_u128).map(|key| (key, (key % 4) as u64)).collect();
                expected.sort_by_key(|(key, count)| (Reverse(*count), *key));
                expected.truncate(limit);
                assert_eq!(top.finish(), expected, "limit {limit}, stride {stride}");
            }
        }
    }
}
