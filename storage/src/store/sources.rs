//! Which bytes of which sources the store has.
//!
//! A source is known by its content, so that the same file under another name is recognised, and every row belongs to
//! exactly one byte range. Invariants:
//! - the known ranges of a source are ascending, disjoint and not empty;
//! - adjacent ones are merged, their checksums combined, so that a source read from end to end is one range.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::StoreError;
use super::combine::combine;
use crate::wire::{Put, Take, TakeError};

/// A source's identity, made of its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(String);

impl SourceId {
    /// The text of the identity.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SourceId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for SourceId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A byte range of a source, as a delivery brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRange {
    /// The source.
    pub source: SourceId,
    /// The source's name for people: a path, or `-`.
    pub name: String,
    /// The bytes, of the decompressed content.
    pub range: Range<u64>,
    /// The CRC32C of these bytes.
    pub crc32c: u32,
}

/// A byte range that the store has, with the checksum of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRange {
    /// The bytes, of the decompressed content.
    pub range: Range<u64>,
    /// The CRC32C of these bytes.
    pub crc32c: u32,
}

/// A source of which the store has something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSource {
    /// The source.
    pub id: SourceId,
    /// The name it was first delivered under.
    pub name: String,
    /// What the store has of it: ascending, disjoint, adjacent ones merged.
    pub ranges: Vec<KnownRange>,
}

impl KnownSource {
    /// Adds a range that must not overlap what is here; an empty one changes nothing.
    pub(crate) fn add(&mut self, added: &SourceRange) -> Result<(), StoreError> {
        let SourceRange { range, crc32c, .. } = added;
        self.check_free(added)?;
        if range.is_empty() {
            return Ok(());
        }
        let at = self.place_of(range);
        self.ranges.insert(at, KnownRange { range: range.clone(), crc32c: *crc32c });
        // With the one behind first, so that the index of the one before stays right.
        for left in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            if let Some(merged) = self.ranges.get(left).zip(self.ranges.get(left + 1)).and_then(|(a, b)| joined(a, b)) {
                self.ranges[left] = merged;
                self.ranges.remove(left + 1);
            }
        }
        Ok(())
    }

    fn check_free(&self, added: &SourceRange) -> Result<(), StoreError> {
        let range = &added.range;
        let next = self.ranges.get(self.place_of(range));
        if range.is_empty() || next.is_none_or(|next| next.range.start >= range.end) {
            Ok(())
        } else {
            Err(overlap(added))
        }
    }

    /// The index of the first range that ends behind the start of this one.
    fn place_of(&self, range: &Range<u64>) -> usize {
        self.ranges.partition_point(|known| known.range.end <= range.start)
    }

    /// Whether the ranges are as the invariants say.
    pub(crate) fn is_sound(&self) -> bool {
        self.ranges.iter().all(|known| !known.range.is_empty())
            && self.ranges.is_sorted_by(|left, right| left.range.end < right.range.start)
    }
}

fn overlap(added: &SourceRange) -> StoreError {
    StoreError::RangeOverlap {
        id: added.source.0.clone(),
        name: added.name.clone(),
        start: added.range.start,
        end: added.range.end,
    }
}

fn joined(left: &KnownRange, right: &KnownRange) -> Option<KnownRange> {
    (left.range.end == right.range.start).then(|| KnownRange {
        range: left.range.start..right.range.end,
        crc32c: combine(left.crc32c, right.crc32c, right.range.end - right.range.start),
    })
}

/// All sources of a store, by identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KnownSources {
    sources: BTreeMap<SourceId, KnownSource>,
}

impl KnownSources {
    pub(crate) fn new(sources: impl IntoIterator<Item = KnownSource>) -> Self {
        Self { sources: sources.into_iter().map(|source| (source.id.clone(), source)).collect() }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &KnownSource> {
        self.sources.values()
    }

    /// Appends them as the manifest holds them: a list, ascending by identity.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u32(self.sources.len() as u32);
        for source in self.iter() {
            bytes.put_counted(source.id.as_str().as_bytes());
            bytes.put_counted(source.name.as_bytes());
            bytes.put_u32(source.ranges.len() as u32);
            for known in &source.ranges {
                bytes.put_u64(known.range.start);
                bytes.put_u64(known.range.end);
                bytes.put_u32(known.crc32c);
            }
        }
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Result<Self, TakeError> {
        let sources = take.list(|take| {
            let (id, name) = (take.text()?.into(), take.text()?.to_owned());
            let ranges = take.list(|take| Ok(KnownRange { range: take.u64()?..take.u64()?, crc32c: take.u32()? }))?;
            Ok(KnownSource { id, name, ranges })
        })?;
        Ok(Self::new(sources))
    }

    pub(crate) fn get(&self, id: &SourceId) -> &[KnownRange] {
        self.sources.get(id).map_or(&[], |source| &source.ranges)
    }

    /// Adds ranges that ascend within each source, all of them or, if one overlaps, none.
    pub(crate) fn add_all<'r>(
        &mut self,
        added: impl Iterator<Item = &'r SourceRange> + Clone,
    ) -> Result<(), StoreError> {
        let mut before: Option<&SourceRange> = None;
        for range in added.clone() {
            if let Some(known) = self.sources.get(&range.source) {
                known.check_free(range)?;
            }
            let is_behind =
                |before: &SourceRange| before.source != range.source || before.range.end <= range.range.start;
            if !before.is_none_or(is_behind) {
                return Err(overlap(range));
            }
            before = Some(range);
        }
        added.into_iter().try_for_each(|range| self.add(range))
    }

    pub(crate) fn add(&mut self, added: &SourceRange) -> Result<(), StoreError> {
        self.sources
            .entry(added.source.clone())
            .or_insert_with(|| KnownSource { id: added.source.clone(), name: added.name.clone(), ranges: Vec::new() })
            .add(added)
    }
}

/// Ranges that somebody has taken upon them to deliver, or delivered before.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Ascending, disjoint, adjacent ones merged.
    sources: BTreeMap<SourceId, Vec<Range<u64>>>,
}

impl Claims {
    pub(crate) fn new(known: &KnownSources) -> Self {
        let ranges = |source: &KnownSource| source.ranges.iter().map(|known| known.range.clone()).collect();
        Self { sources: known.iter().map(|source| (source.id.clone(), ranges(source))).collect() }
    }

    /// Takes a range and gives the parts of it that nobody had before.
    pub(crate) fn claim(&mut self, source: &SourceId, wanted: Range<u64>) -> Vec<Range<u64>> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let ranges = self.sources.entry(source.clone()).or_default();
        let first = ranges.partition_point(|known| known.end < wanted.start);
        let behind = ranges.partition_point(|known| known.start <= wanted.end);
        let (mut free, mut next) = (Vec::new(), wanted.start);
        for known in &ranges[first..behind] {
            if next < known.start {
                free.push(next..known.start.min(wanted.end));
            }
            next = next.max(known.end);
        }
        if next < wanted.end {
            free.push(next..wanted.end);
        }
        let start = ranges[first..behind].first().map_or(wanted.start, |known| known.start.min(wanted.start));
        let end = ranges[first..behind].last().map_or(wanted.end, |known| known.end.max(wanted.end));
        ranges.splice(first..behind, std::iter::once(start..end));
        free
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(content: &[u8], range: Range<usize>) -> SourceRange {
        SourceRange {
            source: "id".into(),
            name: "file.csv".into(),
            crc32c: crc32c::crc32c(&content[range.clone()]),
            range: range.start as u64..range.end as u64,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn ranges_in_any_order_become_one(order in Just((0..20_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let content: Vec<u8> = (0..200).map(|n| (n * 7) as u8).collect();
            let mut sources = KnownSources::default();
            for block in order {
                sources.add(&range(&content, block * 10..block * 10 + 10)).unwrap();
                prop_assert!(sources.iter().all(KnownSource::is_sound));
            }
            let expected = KnownRange { range: 0..200, crc32c: crc32c::crc32c(&content) };
            prop_assert_eq!(sources.get(&"id".into()), [expected]);
        }

        #[test]
        fn claims_equal_a_set_of_bytes(wanted in prop::collection::vec((0..60_u64, 0..12_u64), 0..30)) {
            let (mut claims, mut oracle) = (Claims::default(), std::collections::BTreeSet::new());
            for (start, length) in wanted {
                let free = claims.claim(&"id".into(), start..start + length);
                let bytes: Vec<u64> = free.into_iter().flatten().collect();
                let expected: Vec<u64> = (start..start + length).filter(|&byte| oracle.insert(byte)).collect();
                prop_assert_eq!(bytes, expected);
            }
        }
    }

    #[test]
    fn refuses_an_overlap() {
        let mut sources = KnownSources::default();
        sources.add(&range(&[0; 50], 10..20)).unwrap();
        for overlapping in [0..11, 19..30, 12..13, 5..25] {
            assert!(matches!(sources.add(&range(&[0; 50], overlapping)), Err(StoreError::RangeOverlap { .. })));
        }
        sources.add(&range(&[0; 50], 20..20)).unwrap();
        sources.add(&range(&[0; 50], 30..31)).unwrap();
        assert_eq!(sources.get(&"id".into()).len(), 2);
    }
}
