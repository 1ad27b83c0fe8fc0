//! Grouping by packed keys: every row's key, brought together with its equals.
//!
//! Grouping 20 million events by user, category and brand makes millions of groups. One hash table over them misses the
//! caches at every row, some 11 ns and more each; so keys are first dealt to parts by their highest bits, each part as many keys as
//! fit the second-level cache twice, and then sorted there. Neither skew nor a bad hash can make that slow, groups come out in
//! the order in which results are wanted, and a user's rows stand side by side. Most consumers want no more than that: they have
//! the keys sorted by the leading fields alone ([`Parts::LEADING_ONLY`]), which is two digits in place of four, and count
//! what a user, a session or a product holds in a table that stays in cache (see [`tally`](super::tally)).
//!
//! Cost a row: read and pack the fields, one buffered write to a part, a read and a write a digit in cache, and one walk over the
//! groups; a write to memory and a read back are all that leaves the caches. Memory: 8 bytes a row
//! (16 where keys are wider than 64 bits), in large pages. Where the budget is less than that, the keys of a range of parts are
//! dealt and sorted before those of the next one: a pass over the columns each.
//!
//! Segments whose rows ascend by the leading field already, those of a sorted copy, are not dealt: a part's keys are read from them
//! in place when its turn comes (see [`ordered`](super::ordered)), and are in order. If others bring keys to the part too, they are
//! sorted and merged in. Where those are few, a consumer may have the rows themselves, without keys ([`Parts::TAKES_ROWS`]).
//!
//! Parts are ranges of keys of about equal row counts, found from a sample: users are far from evenly spread over
//! their numbers. A part always holds all keys that share the leading fields, so that a consumer sees a user whole.

use std::ops::Range;

use super::decode::{CHUNK_ROWS, Scratch, scratch};
use super::driver::{Chunk, Input, Scan, deal, scan_morsels};
use super::field::Field;
use super::keys::{Key, KeyScratch, Layout};
use super::ordered::Ordered;
use super::room::Room;
use super::selection::SelectionScratch;
use super::sort::sort;

/// Keys that a part should have.
const PART_KEYS: usize = 24 << 10;

/// The most parts: each has a buffer of [`BUFFER_KEYS`] in every worker's second-level cache. (An eighth of them, with buffers of one
/// cache line in the first-level cache, dealt no faster and left more to sort.)
const MAX_PARTS: usize = 2048;

/// Keys collected for a part before they are moved out together: two cache lines of 64-bit keys.
const BUFFER_KEYS: usize = 16;

/// Keys of a block: parts grow by blocks, so that no key moves twice.
const BLOCK_KEYS: usize = 256;

/// Blocks that are asked of the system at once: 32 MiB of 64-bit keys.
const CHUNK_BLOCKS: usize = 16 << 10;

/// The most passes over the columns that a small budget of memory can ask for.
const MAX_PASSES: usize = 64;

/// Where dealt keys are fewer than this part of those in order, they are merged in.
const FEW_DEALT: usize = 8;

/// Rows for each dealt key with which rows that are in order are taken as they lie, in pieces between the keys.
const ROWS_A_KEY: usize = 64;

/// Bits of the table from leading key bits to parts.
const BUCKET_BITS: u32 = 14;

/// Rows looked at to place the parts' bounds.
const SAMPLE_ROWS: usize = 128 << 10;

/// A consumer of sorted parts.
pub(crate) trait Parts: Sync {
    /// Whether keys are wanted in order of their leading fields only: half of the sorting, for a consumer that takes the keys
    /// which share them in any order.
    const LEADING_ONLY: bool = false;

    /// What one worker makes.
    type Partial: Send;

    /// A worker's start.
    fn start(&self) -> Self::Partial;

    /// Takes in the keys of part number `part`, sorted. Higher parts have higher leading fields.
    fn part<K: Key>(&self, partial: &mut Self::Partial, part: usize, keys: &[K]);

    /// Whether rows that lie in order of the leading field are wanted as they lie, in place of their keys. Then [`Parts::part`] is called
    /// between them with the keys of rows that don't, of one leading ordinal a time: those that share it, rows or keys, come one after
    /// the other, and nothing is in order but that.
    const TAKES_ROWS: bool = false;

    /// Takes in some rows of a part that ascend by the leading field.
    fn rows(&self, _partial: &mut Self::Partial, _chunk: &Chunk<'_>) {}
}

/// Sorts the keys of all selected rows and hands them part by part to the consumer; keys that share their first `leading`
/// fields are in one part. Returns what the workers made.
pub(crate) fn group<P: Parts>(input: &Input<'_>, layout: &Layout<'_>, leading: usize, consumer: &P) -> Vec<P::Partial> {
    if layout.bits() <= u64::BITS {
        group_by::<u64, P>(input, layout, leading, consumer)
    } else {
        group_by::<u128, P>(input, layout, leading, consumer)
    }
}

fn group_by<K: Key, P: Parts>(input: &Input<'_>, layout: &Layout<'_>, leading: usize, consumer: &P) -> Vec<P::Partial> {
    let bounds = Bounds::sampled::<K>(input, layout, leading);
    let low = if P::LEADING_ONLY { layout.bits_below(leading) } else { 0 };
    let mut partials = Vec::new();
    let mut morsels = input.morsels(|segment| !bounds.ordered.has(segment));
    morsels.extend(bounds.ordered.strays());
    for parts in bounds.passes(input.memory() / size_of::<K>() as u64) {
        let dealing = Deal { layout, bounds: &bounds, parts: parts.clone(), _key: std::marker::PhantomData::<K> };
        let dealt = scan_morsels(input, &morsels, &dealing);
        partials.extend(deal(parts.len(), |tasks| {
            let mut partial = consumer.start();
            let mut buffers = Buffers::default();
            for part in tasks.map(|task| parts.start + task) {
                let slices: Vec<&[K]> = dealt.iter().flat_map(|(worker, _)| worker.of_part(part)).collect();
                if P::TAKES_ROWS
                    && let Some(ranges) = bounds.in_order(input, layout.field(0), part, &slices)
                {
                    let high = bounds.high_bit(part);
                    let dealt = sort(&slices, (&mut buffers.keys, &mut buffers.scratch), low, high);
                    let grouped = Grouped { input, layout, part, consumer };
                    grouped.in_order(ranges, dealt, &mut partial, &mut buffers.selection);
                    continue;
                }
                let is_sorted = buffers.read(input, layout, &bounds, part) && P::LEADING_ONLY;
                let keys = buffers.joined(is_sorted, slices, low, bounds.high_bit(part));
                if !keys.is_empty() {
                    consumer.part(&mut partial, part, keys);
                }
            }
            partial
        }));
    }
    partials
}

/// A part of which a consumer takes the rows as they lie.
struct Grouped<'a, P> {
    input: &'a Input<'a>,
    layout: &'a Layout<'a>,
    part: usize,
    consumer: &'a P,
}

impl<P: Parts> Grouped<'_, P> {
    /// Hands over rows that ascend by the leading field, and sorted keys, those that share it one after the other.
    fn in_order<K: Key>(
        &self,
        ranges: Vec<(usize, Range<usize>)>,
        dealt: &[K],
        partial: &mut P::Partial,
        scratch: &mut SelectionScratch,
    ) {
        let (leading, below) = (self.layout.field(0), self.layout.bits_below(1));
        let mut keys = dealt.chunk_by(|left, right| left.is_alike(*right, below)).peekable();
        for (segment, rows) in ranges {
            let columns = &self.input.events().segments()[segment];
            let ordinal = |row: usize| leading.ordinal(segment, columns, row);
            let mut start = rows.start;
            // Keys that share the last rows' ordinal wait: the next range may have more of it.
            let last = ordinal(rows.end - 1);
            while let Some(shared) = keys.next_if(|keys| keys[0].bits(below, leading.bits()) < last) {
                let key = shared[0].bits(below, leading.bits());
                let end = start + partition_point(rows.end - start, |row| ordinal(start + row) <= key);
                self.rows(segment, start..end, partial, scratch);
                self.consumer.part(partial, self.part, shared);
                start = end;
            }
            self.rows(segment, start..rows.end, partial, scratch);
        }
        keys.for_each(|shared| self.consumer.part(partial, self.part, shared));
    }

    fn rows(&self, segment: usize, rows: Range<usize>, partial: &mut P::Partial, scratch: &mut SelectionScratch) {
        self.input.rows(segment, rows, scratch, |chunk| self.consumer.rows(partial, chunk));
    }
}

/// How many of `count` places, from the first, fit; none does behind one that doesn't. Those near the first are looked at first.
fn partition_point(count: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut step) = (0, 1);
    while low + step <= count && fits(low + step - 1) {
        low += step;
        step *= 2;
    }
    let mut high = count.min(low + step - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// One worker's room for the keys of a part.
struct Buffers<K> {
    /// Those of segments that ascend, and how many they are.
    ascending: Vec<K>,
    count: usize,
    keys: Vec<K>,
    scratch: Vec<K>,
    ordinals: Scratch<u64>,
    selection: SelectionScratch,
}

impl<K: Key> Default for Buffers<K> {
    fn default() -> Self {
        let (ascending, count, keys, scratch) = Default::default();
        Self { ascending, count, keys, scratch, ordinals: self::scratch(), selection: SelectionScratch::new() }
    }
}

impl<K: Key> Buffers<K> {
    /// Reads the keys of a part from the segments that ascend; whether together they ascend by the leading fields.
    fn read(&mut self, input: &Input<'_>, layout: &Layout<'_>, bounds: &Bounds, part: usize) -> bool {
        let below = bounds.below_leading;
        let (mut count, mut is_ascending) = (0, true);
        let Self { ascending, ordinals, selection, .. } = self;
        bounds.ordered.rows(bounds.buckets[part], |segment, rows| {
            let first = count;
            input.rows(segment, rows, selection, |chunk| {
                if ascending.len() < count + CHUNK_ROWS {
                    ascending.resize((count + CHUNK_ROWS).max(2 * count), K::default());
                }
                layout.pack(chunk, ordinals, &mut ascending[count..count + chunk.len()]);
                count += chunk.len();
            });
            if first > 0 && first < count {
                let leading = |place: usize| ascending[place].range(below, K::BITS);
                is_ascending &= leading(first - 1) <= leading(first);
            }
        });
        self.count = count;
        is_ascending
    }

    /// The keys that were read and those of the slices, sorted from bit `low` on; `is_sorted` says that what was read is.
    fn joined(&mut self, is_sorted: bool, slices: Vec<&[K]>, low: u32, high: u32) -> &[K] {
        let Self { ascending, count, keys, scratch, .. } = self;
        let ascending = &ascending[..*count];
        let dealt: usize = slices.iter().map(|slice| slice.len()).sum();
        if is_sorted && dealt == 0 {
            return ascending;
        }
        if is_sorted && dealt < ascending.len() / FEW_DEALT {
            let sorted = sort(&slices, (keys, scratch), low, high).to_vec();
            merge(ascending, &sorted, low, keys);
            return keys;
        }
        let slices: Vec<&[K]> = slices.into_iter().chain([ascending]).collect();
        sort(&slices, (keys, scratch), low, high)
    }
}

/// Merges two slices of keys, each sorted by the bits from `low` on.
fn merge<K: Key>(left: &[K], right: &[K], low: u32, into: &mut Vec<K>) {
    into.clear();
    let mut start = 0;
    for key in right {
        let above = key.range(low, K::BITS);
        let end = start + left[start..].partition_point(|other| other.range(low, K::BITS) <= above);
        into.extend_from_slice(&left[start..end]);
        into.push(*key);
        start = end;
    }
    into.extend_from_slice(&left[start..]);
}

/// Which part a key belongs to.
#[derive(Debug)]
struct Bounds {
    /// Bits below the leading ones that choose a bucket.
    shift: u32,
    /// How many leading bits do.
    bits: u32,
    /// One a bucket, ascending.
    part_of_bucket: Vec<u16>,
    /// One a part: its first bucket and its last.
    buckets: Vec<(usize, usize)>,
    /// Keys to be expected to be dealt.
    expected: u64,
    /// What is not dealt.
    ordered: Ordered,
    /// Bits below the leading fields.
    below_leading: u32,
}

impl Bounds {
    fn sampled<K: Key>(input: &Input<'_>, layout: &Layout<'_>, leading: usize) -> Self {
        let leading_bits = layout.bits() - layout.bits_below(leading);
        let bits = BUCKET_BITS.min(leading_bits);
        let shift = layout.bits() - bits;
        let ordered = if leading == 1 {
            Ordered::find(input, layout.field(0), 1 << bits, leading_bits - bits)
        } else {
            Ordered::none(input)
        };
        let (mut seen, mut sampled, mut dealt) = (0_usize, 0_usize, 0_usize);
        let mut of_dealt = vec![0_usize; 1 << bits];
        let mut scratch = layout.scratch::<K>();
        input.sample(SAMPLE_ROWS, |chunk| {
            seen += chunk.rows();
            sampled += chunk.len();
            if !ordered.has(chunk.segment()) {
                dealt += chunk.rows();
                for key in layout.keys(chunk, &mut scratch) {
                    of_dealt[key.digit(shift, (1 << bits) - 1)] += 1;
                }
            }
        });
        // The share of rows that the filter covers, seen in the sample, scales what is known of each bucket.
        let share = |part: usize, whole: usize, rows: usize| {
            usize::try_from(rows as u128 * part as u128 / (whole as u128).max(1)).unwrap_or(usize::MAX)
        };
        let dealt_rows = input.candidates().filter(|(index, _)| !ordered.has(*index)).map(|(_, segment)| segment.rows);
        let dealt_rows: usize = dealt_rows.sum();
        let mut rows_of_bucket = of_dealt;
        rows_of_bucket.iter_mut().for_each(|rows| *rows = share(dealt_rows, dealt, *rows));
        ordered.count(|bucket, rows| rows_of_bucket[bucket] += share(sampled, seen, rows).max(1));
        let all: usize = rows_of_bucket.iter().sum();
        let expected = share(sampled, seen, dealt_rows);
        let part_of_bucket = parts_of(&rows_of_bucket, (all / PART_KEYS).clamp(1, MAX_PARTS));
        let parts = part_of_bucket.last().map_or(0, |last| usize::from(*last)) + 1;
        let mut buckets = vec![(usize::MAX, 0); parts];
        for (bucket, part) in part_of_bucket.iter().enumerate() {
            let (first, last) = &mut buckets[usize::from(*part)];
            (*first, *last) = (bucket.min(*first), bucket);
        }
        let below_leading = layout.bits_below(leading);
        Self { shift, bits, part_of_bucket, buckets, expected: expected as u64, ordered, below_leading }
    }

    fn parts(&self) -> usize {
        self.buckets.len()
    }

    /// The rows of a part that aren't dealt, if they ascend by the leading field from range to range and few keys are dealt beside.
    fn in_order<K>(
        &self,
        input: &Input<'_>,
        leading: &Field<'_>,
        part: usize,
        dealt: &[&[K]],
    ) -> Option<Vec<(usize, Range<usize>)>> {
        let mut ranges = Vec::new();
        let (mut last, mut ascends, mut count) = (None, true, 0);
        self.ordered.rows(self.buckets[part], |segment, rows| {
            let ordinal = |row: usize| leading.ordinal(segment, &input.events().segments()[segment], row);
            ascends &= last.is_none_or(|last| last <= ordinal(rows.start));
            last = Some(ordinal(rows.end - 1));
            count += rows.len();
            ranges.push((segment, rows));
        });
        let dealt: usize = dealt.iter().map(|keys| keys.len()).sum();
        (ascends && dealt <= count / ROWS_A_KEY).then_some(ranges)
    }

    /// Ranges of parts, each of about as many keys as may be kept at a time: one, if that is all of them.
    fn passes(&self, keys: u64) -> Vec<Range<usize>> {
        let wanted = usize::try_from(self.expected.div_ceil(keys.max(1))).unwrap_or(usize::MAX);
        let parts = self.parts().div_ceil(wanted.clamp(1, MAX_PASSES));
        (0..self.parts()).step_by(parts).map(|start| start..self.parts().min(start + parts)).collect()
    }

    /// Above this bit, all keys of a part are the same.
    fn high_bit(&self, part: usize) -> u32 {
        let (first, last) = self.buckets[part];
        self.shift + (usize::BITS - (first ^ last).leading_zeros())
    }
}

/// Which of at most `wanted` parts each bucket is in, ascending: a part ends once those up to it have as many rows as they should, so that
/// none has more than its share and a bucket.
fn parts_of(rows_of_bucket: &[usize], wanted: usize) -> Vec<u16> {
    let all: u128 = rows_of_bucket.iter().map(|rows| *rows as u128).sum();
    let (mut part, mut passed, mut filled) = (0_u16, 0_u128, 0);
    let part_of = |rows: &usize| {
        if *rows > 0 && filled > 0 && passed * wanted as u128 >= (u128::from(part) + 1) * all {
            part += 1;
            filled = 0;
        }
        filled += rows;
        passed += *rows as u128;
        part
    };
    rows_of_bucket.iter().map(part_of).collect()
}

/// Deals keys to parts.
struct Deal<'a, K> {
    layout: &'a Layout<'a>,
    bounds: &'a Bounds,
    /// The parts of this pass; keys of others are left out.
    parts: Range<usize>,
    _key: std::marker::PhantomData<K>,
}

/// One worker's keys by part.
struct Dealt<K> {
    /// [`BUFFER_KEYS`] a part.
    buffers: Vec<[K; BUFFER_KEYS]>,
    /// Keys in each part's buffer.
    filled: Vec<u8>,
    /// Room for keys, [`CHUNK_BLOCKS`] blocks at a time.
    chunks: Vec<Room<K>>,
    /// Blocks given to parts, counted through all chunks.
    blocks: u32,
    parts: Vec<Part>,
}

/// The blocks of a part.
#[derive(Debug, Clone, Default)]
struct Part {
    blocks: Vec<u32>,
    /// Keys in all of them.
    keys: usize,
}

impl<K: Key> Dealt<K> {
    fn new(parts: usize) -> Self {
        Self {
            buffers: vec![[K::default(); BUFFER_KEYS]; parts],
            filled: vec![0; parts],
            chunks: Vec::new(),
            blocks: 0,
            parts: vec![Part::default(); parts],
        }
    }

    /// Moves a part's full buffer out.
    fn flush(&mut self, part: usize) {
        let Part { blocks, keys } = &mut self.parts[part];
        let at = *keys % BLOCK_KEYS;
        if at == 0 {
            if (self.blocks as usize).is_multiple_of(CHUNK_BLOCKS) {
                self.chunks.push(Room::new(CHUNK_BLOCKS * BLOCK_KEYS));
            }
            blocks.push(self.blocks);
            self.blocks += 1;
        }
        let Some(block) = blocks.last().map(|block| *block as usize) else { return };
        let start = block % CHUNK_BLOCKS * BLOCK_KEYS + at;
        self.chunks[block / CHUNK_BLOCKS][start..start + BUFFER_KEYS].copy_from_slice(&self.buffers[part]);
        *keys += BUFFER_KEYS;
    }

    /// All keys of a part.
    fn of_part(&self, part: usize) -> impl Iterator<Item = &[K]> {
        let Part { blocks, keys } = &self.parts[part];
        let full = blocks.iter().enumerate().map(move |(place, block)| {
            let (block, keys) = (*block as usize, BLOCK_KEYS.min(keys - place * BLOCK_KEYS));
            let start = block % CHUNK_BLOCKS * BLOCK_KEYS;
            &self.chunks[block / CHUNK_BLOCKS][start..start + keys]
        });
        let rest = &self.buffers[part][..usize::from(self.filled[part])];
        full.chain([rest]).filter(|slice| !slice.is_empty())
    }
}

impl<K: Key> Scan for Deal<'_, K> {
    type Partial = (Dealt<K>, KeyScratch<K>);

    fn start(&self) -> Self::Partial {
        (Dealt::new(self.bounds.parts()), self.layout.scratch())
    }

    fn scan(&self, (dealt, scratch): &mut Self::Partial, chunk: &Chunk<'_>) {
        let (shift, mask) = (self.bounds.shift, (1 << self.bounds.bits) - 1);
        let is_partial = self.parts.len() < self.bounds.parts();
        for key in self.layout.keys(chunk, scratch) {
            let part = usize::from(self.bounds.part_of_bucket[key.digit(shift, mask)]);
            if is_partial && !self.parts.contains(&part) {
                continue;
            }
            let filled = &mut dealt.filled[part];
            dealt.buffers[part][usize::from(*filled) % BUFFER_KEYS] = *key;
            *filled += 1;
            if usize::from(*filled) == BUFFER_KEYS {
                *filled = 0;
                dealt.flush(part);
            }
        }
    }

    fn merge(&self, _into: &mut Self::Partial, _other: Self::Partial) {
        // What each worker dealt stays apart: parts are put together when they are sorted.
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_have_about_as_many_rows(rows in prop::collection::vec(prop_oneof![0..9_usize, 0..900_usize], 1..400), wanted in 1..50_usize) {
            let part_of_bucket = parts_of(&rows, wanted);
            let mut rows_of_part = vec![0; wanted];
            rows.iter().zip(&part_of_bucket).for_each(|(rows, part)| rows_of_part[usize::from(*part)] += rows);
            let share = rows.iter().sum::<usize>().div_ceil(wanted);
            let most = share + rows.iter().max().unwrap();
            prop_assert!(rows_of_part.iter().all(|rows| *rows <= most), "{rows_of_part:?} of {share} each");
            prop_assert!(part_of_bucket.is_sorted_by(|left, right| left == right || left + 1 == *right));
        }
    }

    #[test]
    fn rows_beyond_the_most_parts_are_not_left_to_the_last() {
        let parts = parts_of(&[30; 4096], 2048);
        assert_eq!(parts.iter().filter(|part| **part == 2047).count(), 2);
        // Two buckets are less than a share and three are more: parts of two each would leave a hundred buckets to the last.
        let parts = parts_of(&[26; 4200], 2048);
        assert!((0..2048).all(|part| parts.iter().filter(|other| **other == part).count() <= 3));
    }
}
