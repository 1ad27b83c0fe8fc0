//! Grouping by packed keys: every row's key, brought together with its equals.
//!
//! Grouping 20 million events by user, category and brand makes millions of groups. One hash table over them misses the
//! caches at every row, some 11 ns and more each; so keys are first dealt to parts by their highest bits, each part as many keys as
//! fit the second-level cache twice, and then sorted there. Sorted keys are better than a table of counts: groups come out in the order in
//! which results are wanted, users' groups stand side by side, and neither skew nor a bad hash can make it slow.
//!
//! Cost a row: read and pack the fields, one buffered write to a part, a read and a write a digit in cache, and one walk over the
//! runs; a write to memory and a read back are all that leaves the caches. Memory: 8 bytes a row
//! (16 where keys are wider than 64 bits), given back part by part.
//!
//! Parts are ranges of keys of about equal row counts, found from a sample: users are far from evenly spread over
//! their numbers. A part always holds all keys that share the leading fields, so that a consumer sees a user whole.

use std::sync::Mutex;

use super::driver::{Chunk, Input, Scan, deal, scan_apart};
use super::keys::{Key, KeyScratch, Layout};
use super::sort::sort;

/// Keys that a part should have.
const PART_KEYS: usize = 24 << 10;

/// The most parts: each has a buffer of [`BUFFER_KEYS`] in every worker's second-level cache.
const MAX_PARTS: usize = 2048;

/// Keys collected for a part before they are moved out together: two cache lines of 64-bit keys.
const BUFFER_KEYS: usize = 16;

/// Keys of a block: parts grow by blocks, so that no key moves twice.
const BLOCK_KEYS: usize = 512;

/// Bits of the table from leading key bits to parts.
const BUCKET_BITS: u32 = 14;

/// Rows looked at to place the parts' bounds.
const SAMPLE_ROWS: usize = 128 << 10;

/// A consumer of sorted parts.
pub(crate) trait Parts: Sync {
    /// What one worker makes.
    type Partial: Send;

    /// A worker's start.
    fn start(&self) -> Self::Partial;

    /// Takes in the keys of part number `part`, sorted. Higher parts have higher keys.
    fn part<K: Key>(&self, partial: &mut Self::Partial, part: usize, keys: &[K]);
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
    let dealt = scan_apart(input, &Deal { layout, bounds: &bounds, _key: std::marker::PhantomData::<K> });
    let mut parts: Vec<Vec<Vec<K>>> = (0..bounds.parts).map(|_| Vec::new()).collect();
    for worker in dealt {
        for (part, blocks) in parts.iter_mut().zip(worker.finish()) {
            part.extend(blocks);
        }
    }
    let parts: Vec<Mutex<Vec<Vec<K>>>> = parts.into_iter().map(Mutex::new).collect();
    deal(parts.len(), |tasks| {
        let mut partial = consumer.start();
        let (mut keys, mut scratch) = (Vec::new(), Vec::new());
        for part in tasks {
            let blocks = parts[part].lock().map(|mut blocks| std::mem::take(&mut *blocks)).unwrap_or_default();
            keys.clear();
            blocks.iter().for_each(|block| keys.extend_from_slice(block));
            drop(blocks);
            if !keys.is_empty() {
                sort(&mut keys, &mut scratch);
                consumer.part(&mut partial, part, &keys);
            }
        }
        partial
    })
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
    parts: usize,
}

impl Bounds {
    fn sampled<K: Key>(input: &Input<'_>, layout: &Layout<'_>, leading: usize) -> Self {
        let leading_bits = layout.bits() - layout.bits_below(leading);
        let bits = BUCKET_BITS.min(leading_bits);
        let shift = layout.bits() - bits;
        let mut rows_of_bucket = vec![0_usize; 1 << bits];
        let (mut seen, mut sampled) = (0, 0);
        let mut scratch = layout.scratch::<K>();
        input.sample(SAMPLE_ROWS, |chunk| {
            seen += chunk.rows();
            sampled += chunk.len();
            for key in layout.keys(chunk, &mut scratch) {
                rows_of_bucket[bucket(*key, shift, bits)] += 1;
            }
        });
        // The share of rows that the filter covers, seen in the sample, scales the number of parts.
        let expected = (input.candidate_rows() as u128 * sampled as u128 / (seen as u128).max(1)) as usize;
        let wanted = (expected / PART_KEYS).clamp(1, MAX_PARTS);
        let per_part = sampled.div_ceil(wanted).max(1);
        let (mut part, mut filled) = (0_u16, 0);
        let part_of_bucket = rows_of_bucket.iter().map(|rows| {
            if filled + rows > per_part && filled > 0 && usize::from(part) + 1 < MAX_PARTS {
                part += 1;
                filled = 0;
            }
            filled += rows;
            part
        });
        let part_of_bucket: Vec<u16> = part_of_bucket.collect();
        Self { shift, bits, parts: usize::from(part) + 1, part_of_bucket }
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "at most BUCKET_BITS bits")]
fn bucket<K: Key>(key: K, shift: u32, bits: u32) -> usize {
    key.bits(shift, bits) as usize
}

/// Deals keys to parts.
struct Deal<'a, K> {
    layout: &'a Layout<'a>,
    bounds: &'a Bounds,
    _key: std::marker::PhantomData<K>,
}

/// One worker's keys by part.
struct Dealt<K> {
    scratch: KeyScratch<K>,
    /// [`BUFFER_KEYS`] a part.
    buffers: Vec<[K; BUFFER_KEYS]>,
    /// Keys in each part's buffer.
    filled: Vec<u8>,
    /// Full blocks and the one being filled, by part.
    blocks: Vec<Vec<Vec<K>>>,
}

impl<K: Key> Dealt<K> {
    fn finish(mut self) -> Vec<Vec<Vec<K>>> {
        for (part, filled) in self.filled.iter().enumerate() {
            push_all(&mut self.blocks[part], &self.buffers[part][..usize::from(*filled)]);
        }
        self.blocks
    }
}

fn push_all<K: Key>(blocks: &mut Vec<Vec<K>>, keys: &[K]) {
    match blocks.last_mut() {
        Some(block) if block.len() + keys.len() <= BLOCK_KEYS => block.extend_from_slice(keys),
        _ => {
            let mut block = Vec::with_capacity(BLOCK_KEYS);
            block.extend_from_slice(keys);
            blocks.push(block);
        }
    }
}

impl<K: Key> Scan for Deal<'_, K> {
    type Partial = Dealt<K>;

    fn start(&self) -> Dealt<K> {
        Dealt {
            scratch: self.layout.scratch(),
            buffers: vec![[K::default(); BUFFER_KEYS]; self.bounds.parts],
            filled: vec![0; self.bounds.parts],
            blocks: vec![Vec::new(); self.bounds.parts],
        }
    }

    fn scan(&self, dealt: &mut Dealt<K>, chunk: &Chunk<'_>) {
        let (shift, bits) = (self.bounds.shift, self.bounds.bits);
        for key in self.layout.keys(chunk, &mut dealt.scratch) {
            let part = usize::from(self.bounds.part_of_bucket[bucket(*key, shift, bits)]);
            let buffer = &mut dealt.buffers[part];
            let filled = &mut dealt.filled[part];
            buffer[usize::from(*filled) % BUFFER_KEYS] = *key;
            *filled += 1;
            if usize::from(*filled) == BUFFER_KEYS {
                *filled = 0;
                push_all(&mut dealt.blocks[part], buffer);
            }
        }
    }

    fn merge(&self, into: &mut Dealt<K>, other: Dealt<K>) {
        for (blocks, others) in into.blocks.iter_mut().zip(other.finish()) {
            blocks.extend(others);
        }
    }
}
