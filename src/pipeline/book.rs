//! The ranges of sources that a topic holds, learnt from its records' headers.
//!
//! The store keeps such a book itself; this one is for producing without a store.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use cartlog_storage::store::{KnownRange, SourceId};

/// Known ranges by source, with the checksum of each.
#[derive(Debug, Default)]
pub(super) struct Book {
    sources: HashMap<SourceId, BTreeMap<u64, Known>>,
}

/// A known range by its start.
#[derive(Debug, Clone, Copy)]
struct Known {
    end: u64,
    crc32c: u32,
}

impl Book {
    /// Notes that these bytes stand at `start` of a source. What was known before stays as it was.
    pub(super) fn add(&mut self, source: &SourceId, start: u64, bytes: &[u8]) {
        let ranges = self.sources.entry(source.clone()).or_default();
        let end = start + bytes.len() as u64;
        for gap in gaps(ranges, start..end) {
            let place = |offset: u64| usize::try_from(offset - start).unwrap_or(bytes.len());
            let crc32c = crc32c::crc32c(&bytes[place(gap.start)..place(gap.end)]);
            insert(ranges, gap, crc32c);
        }
    }

    /// What is known of a source, in order.
    pub(super) fn known(&self, source: &SourceId) -> Vec<KnownRange> {
        let ranges = self.sources.get(source).into_iter().flatten();
        ranges.map(|(&start, known)| KnownRange { range: start..known.end, crc32c: known.crc32c }).collect()
    }
}

/// The parts of a range that are not known.
fn gaps(ranges: &BTreeMap<u64, Known>, range: Range<u64>) -> Vec<Range<u64>> {
    let mut at = range.start;
    let mut gaps = Vec::new();
    let before = ranges.range(..=range.start).next_back();
    for (&start, known) in before.into_iter().chain(ranges.range(range.start + 1..range.end.max(range.start + 1))) {
        if start > at {
            gaps.push(at..start);
        }
        at = at.max(known.end);
    }
    if at < range.end {
        gaps.push(at..range.end);
    }
    gaps
}

/// Adds a range of which nothing is known, and joins it with its neighbours.
fn insert(ranges: &mut BTreeMap<u64, Known>, range: Range<u64>, crc32c: u32) {
    let mut start = range.start;
    let mut known = Known { end: range.end, crc32c };
    if let Some((&before_start, &before)) = ranges.range(..range.start).next_back()
        && before.end == range.start
    {
        start = before_start;
        known.crc32c = combine(before.crc32c, known.crc32c, range.end - range.start);
    }
    if let Some(after) = ranges.remove(&range.end) {
        known = Known { end: after.end, crc32c: combine(known.crc32c, after.crc32c, after.end - range.end) };
    }
    ranges.insert(start, known);
}

/// The checksum of two stretches one after the other, the second of them so long.
fn combine(first: u32, second: u32, second_length: u64) -> u32 {
    crc32c::crc32c_combine(first, second, usize::try_from(second_length).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_book_equals_a_bitmap(adds in prop::collection::vec((0..80_usize, 1..30_usize), 0..20)) {
            let content: Vec<u8> = (0..110).map(|index| (index * 7 % 251) as u8).collect();
            let source = SourceId::from("0123456789abcdef");
            let mut book = Book::default();
            let mut bitmap = [false; 111];
            for (start, length) in adds {
                book.add(&source, start as u64, &content[start..start + length]);
                bitmap[start..start + length].fill(true);
            }
            let mut expected = Vec::new();
            let mut start = None;
            for (index, is_known) in bitmap.into_iter().enumerate() {
                match (start, is_known) {
                    (None, true) => start = Some(index),
                    (Some(from), false) => {
                        let crc32c = crc32c::crc32c(&content[from..index]);
                        expected.push(KnownRange { range: from as u64..index as u64, crc32c });
                        start = None;
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(book.known(&source), expected);
        }
    }
}
