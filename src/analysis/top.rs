//! The most frequent keys, without keeping or sorting the others' counts.

use std::cmp::Reverse;

use super::decode::{Scratch, index, scratch};
use super::driver::{Chunk, Input, Scan, scan};
use super::field::Field;
use super::group::{Parts, group};
use super::keys::{Key, KeyScratch, Layout};
use super::tally::Tally;

/// Whether keys are counted in an array, where a row may stand for several.
pub(crate) fn is_counted(layout: &Layout<'_>) -> bool {
    layout.bits() <= MAX_ARRAY_BITS
}

/// How many rows have each key, of which there are few ([`is_counted`]).
pub(crate) fn counted(input: &Input<'_>, layout: &Layout<'_>) -> Vec<u64> {
    let counting = Count { layout };
    let mut counts = scan(input, &counting);
    counting.translate(&mut counts);
    counts.counts
}

/// Bits of keys that are counted in an array of one counter each: 8 MiB a worker, of which only what occurs is touched.
const MAX_ARRAY_BITS: u32 = 20;

/// The `limit` keys that most of the selected rows have, each with its number of rows: most first, among equals the smaller
/// key first.
///
/// Small key spaces are counted in an array, in one scan; others are brought together by [`group`], which summaries are not for.
pub(crate) fn most_frequent(input: &Input<'_>, layout: &Layout<'_>, limit: usize) -> Vec<(u128, u64)> {
    let mut top = Top::new(limit);
    if is_counted(layout) {
        for (key, count) in (0..).zip(counted(input, layout)).filter(|(_, count)| *count > 0) {
            top.offer(key, count);
        }
    } else {
        for (partial, _) in group(input, layout, 1, &Frequent { layout, limit }) {
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

/// The most combinations of packed numbers that are counted as they lie in a segment: a megabyte of counters, of which
/// those in use stay in the nearest caches.
const MOST_PLACES: usize = 1 << 18;

/// Counts keys in an array.
///
/// Where a segment lists its numbers, its rows are counted by those and not translated one by one; the counts are,
/// once the segment is through.
struct Count<'a> {
    layout: &'a Layout<'a>,
}

struct Counts {
    scratch: KeyScratch<u64>,
    places: Scratch<u32>,
    /// The segment whose rows are counted by place, and their counts.
    segment: usize,
    by_place: Vec<u32>,
    /// Events that rows stand for.
    events: Scratch<u64>,
    /// By key.
    counts: Vec<u64>,
}

impl Count<'_> {
    fn fields(&self) -> Vec<&Field<'_>> {
        (0..self.layout.fields()).map(|field| self.layout.field(field)).collect()
    }

    /// Moves the counts by place to those by key.
    fn translate(&self, counts: &mut Counts) {
        for (place, count) in counts.by_place.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            let (mut rest, mut key, mut shift) = (place, 0, 0);
            for field in self.fields().iter().rev() {
                let Some(listed) = field.listed(counts.segment) else { continue };
                key |= u64::from(listed[rest % listed.len()]) << shift;
                rest /= listed.len();
                shift += field.bits();
            }
            counts.counts[index(key)] += u64::from(std::mem::take(count));
        }
        counts.by_place.clear();
    }
}

impl Scan for Count<'_> {
    type Partial = Counts;

    fn start(&self) -> Counts {
        Counts {
            scratch: self.layout.scratch(),
            places: scratch(),
            segment: 0,
            by_place: Vec::new(),
            events: scratch(),
            counts: vec![0; 1 << self.layout.bits()],
        }
    }

    fn scan(&self, partial: &mut Counts, chunk: &Chunk<'_>) {
        if chunk.segment() != partial.segment {
            self.translate(partial);
            partial.segment = chunk.segment();
        }
        if let Some(events) = chunk.counts(&mut partial.events) {
            for (key, events) in self.layout.keys(chunk, &mut partial.scratch).iter().zip(events) {
                partial.counts[index(*key)] += events;
            }
        } else if let Some((places, combinations)) = chunk.places(&self.fields(), MOST_PLACES, &mut partial.places) {
            partial.by_place.resize(combinations, 0);
            for place in places {
                partial.by_place[*place as usize] += 1;
            }
        } else {
            for key in self.layout.keys(chunk, &mut partial.scratch) {
                partial.counts[index(*key)] += 1;
            }
        }
    }

    fn merge(&self, into: &mut Counts, mut other: Counts) {
        self.translate(&mut other);
        for (count, other) in into.counts.iter_mut().zip(other.counts) {
            *count += other;
        }
    }
}

/// Keeps the best of each part.
struct Frequent<'a> {
    layout: &'a Layout<'a>,
    limit: usize,
}

impl Parts for Frequent<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = (Top, Tally);

    fn start(&self) -> Self::Partial {
        (Top::new(self.limit), Tally::of_bits(self.layout.bits_below(1)))
    }

    fn part<K: Key>(&self, (top, tally): &mut Self::Partial, _part: usize, keys: &[K]) {
        let below = self.layout.bits_below(1);
        for rows in keys.chunk_by(|left, right| left.is_alike(*right, below)) {
            // A group with fewer rows than that can't have more of any key.
            if (rows.len() as u64) < top.least {
                continue;
            }
            let leading = (rows[0].wide() >> below) << below;
            for (rest, count) in tally.count(rows.iter().map(|key| key.bits(0, below))) {
                top.offer(leading | u128::from(*rest), *count);
            }
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
