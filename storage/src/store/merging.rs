//! Small segments into large ones: which, when, and how.
//!
//! An ingest that commits every few seconds makes a small segment each time; readers pay for every one of them. Segments
//! that stand side by side are merged, their rows in the same order, so that nothing but their number changes.
//!
//! Which: whenever the last [`FANOUT`] segments are of about one size or smaller, they become one, whose size is of the
//! next tier; so each row is written again at most once a tier, seven times up to a full segment from a single row. A
//! writer does that by itself after a commit; [`compact`] merges all that fits, whatever the sizes.
//!
//! Invariants:
//! - a merge is a commit of its own: a crash leaves the store before or after it, and leftover files go when it is next
//!   opened;
//! - what is damaged is never merged: its error says where, and both it and its checksums stay as they are;
//! - readers go on with the files that they have mapped, and who opens the store meanwhile reads the newer manifest.

use std::ops::Range;
use std::sync::Arc;

use crate::io::Directory;

use super::manifest::{FileKind, Manifest, SegmentRecord};
use super::sealer::Sealer;
use super::snapshot::open_segment;
use super::{StoreError, WriterOptions, origin, recovery, writer};

/// How many segments of a tier make one of the next.
const FANOUT: usize = 8;

/// What [`compact`] has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompactSummary {
    /// Rows in the store.
    pub rows: u64,
    /// Rows written again so far.
    pub rows_merged: u64,
    /// Rows that are to be written again.
    pub rows_to_merge: u64,
    /// Segments at the start.
    pub segments_before: usize,
    /// Segments now.
    pub segments_after: usize,
    /// Bytes in segments at the start.
    pub bytes_before: u64,
    /// Bytes in segments now.
    pub bytes_after: u64,
}

/// Merges all neighbouring segments of a store that fit into a full one, and tells `progress` after each merge.
///
/// Readers are not disturbed; a writer must not be at work. Memory is bounded by one full segment's rows.
///
/// # Errors
/// [`StoreError::NoStore`], [`StoreError::Locked`]; what recovery finds wrong; [`StoreError::Corrupt`] for a damaged
/// segment, before which everything has been merged; I/O errors.
pub fn compact(
    directory: Arc<dyn Directory>,
    options: WriterOptions,
    mut progress: impl FnMut(&CompactSummary),
) -> Result<CompactSummary, StoreError> {
    let _lock = writer::lock(&*directory)?;
    let manifest = Manifest::read(&*directory)?.ok_or(StoreError::NoStore)?;
    let mut sealer = recovery::recover(directory, &manifest.schema, &options)?;
    let bytes = |segments: &[SegmentRecord]| segments.iter().map(|segment| segment.length).sum();
    let segments = &sealer.manifest.segments;
    let mut groups = fitting(segments, options.segment_rows as u64);
    let rows = |range: &Range<usize>| segments[range.clone()].iter().map(|segment| segment.rows).sum::<u64>();
    let mut summary = CompactSummary {
        rows: sealer.manifest.totals.rows_stored,
        rows_to_merge: groups.iter().map(rows).sum(),
        segments_before: segments.len(),
        segments_after: segments.len(),
        bytes_before: bytes(segments),
        bytes_after: bytes(segments),
        ..CompactSummary::default()
    };
    progress(&summary);
    // From the last to the first, so that the places of those before stay as they are.
    while let Some(group) = groups.pop() {
        summary.rows_merged += sealer.merge(group)?;
        summary.segments_after = sealer.manifest.segments.len();
        summary.bytes_after = bytes(&sealer.manifest.segments);
        progress(&summary);
    }
    Ok(summary)
}

/// Neighbours that together fit into a full segment, at least two each, ascending.
fn fitting(segments: &[SegmentRecord], full_rows: u64) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut rows) = (0, 0_u64);
    for (index, segment) in segments.iter().enumerate() {
        if index > start && rows.saturating_add(segment.rows) > full_rows {
            groups.push(start..index);
            (start, rows) = (index, 0);
        }
        rows = rows.saturating_add(segment.rows);
    }
    groups.push(start..segments.len());
    groups.retain(|group| group.len() > 1);
    groups
}

/// The last segments, if they are to become one.
pub(crate) fn due(segments: &[SegmentRecord], full_rows: u64) -> Option<Range<usize>> {
    let tier = |segment: &SegmentRecord| segment.rows.max(1).ilog2() / FANOUT.ilog2();
    let highest = segments.last().map(tier)?;
    let small = segments.iter().rev().take_while(|segment| tier(segment) <= highest);
    let mut rows = 0_u64;
    let fits = small.take_while(|segment| {
        rows = rows.saturating_add(segment.rows);
        rows <= full_rows
    });
    let count = fits.count();
    (count >= FANOUT).then(|| segments.len() - count..segments.len())
}

impl Sealer {
    /// Merges what is due, tier after tier.
    pub(crate) fn merge_due(&mut self) -> Result<(), StoreError> {
        while let Some(range) = due(&self.manifest.segments, self.segment_rows) {
            self.merge(range)?;
        }
        Ok(())
    }

    /// Makes one segment of some neighbours and commits it; gives its rows.
    fn merge(&mut self, range: Range<usize>) -> Result<u64, StoreError> {
        let old = self.manifest.segments[range.clone()].to_vec();
        let batches = old.iter().map(|record| self.read_sound(record)).collect::<Result<Vec<_>, _>>()?;
        let mut next = self.manifest.clone();
        next.generation += 1;
        let origins = origin::joined(old.iter().flat_map(|record| record.origins.iter().cloned()))?;
        let record = self.write_batches(batches, next.next_file, origins)?;
        let rows = record.rows;
        next.next_file += 1;
        next.segments.splice(range, [record]);
        next.replace(&*self.directory)?;
        self.manifest = next;
        for record in &old {
            let name = FileKind::Segment.name(record.file);
            self.directory.remove(&name).map_err(StoreError::io(&name, "removing"))?;
        }
        Ok(rows)
    }

    /// A segment's rows, every byte of it checked: what is copied gets new checksums, which must not cover up damage.
    pub(crate) fn read_sound(&self, record: &SegmentRecord) -> Result<super::Batch, StoreError> {
        let segment = open_segment(&*self.directory, record, &self.manifest.schema)?;
        let lengths: Vec<usize> = self.encoder.dictionaries.iter().map(|dictionary| dictionary.len()).collect();
        segment.check_sound(&self.manifest.schema, &lengths)?;
        Ok(segment.to_batch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(rows: &[u64]) -> Vec<SegmentRecord> {
        let record = |(file, rows): (u64, &u64)| SegmentRecord {
            file,
            rows: *rows,
            length: 0,
            checksum: 0,
            origins: Vec::new(),
        };
        (0..).zip(rows).map(record).collect()
    }

    #[test]
    fn neighbours_that_fit_are_merged() {
        for (rows, expected) in [
            (&[][..], &[][..]),
            (&[100], &[]),
            (&[100, 100], &[]),
            (&[50, 50, 1], &[(0, 2)]),
            (&[10, 100, 10, 10, 80, 1, 1], &[(2, 5), (5, 7)]),
            (&[u64::MAX, u64::MAX], &[]),
        ] {
            let groups: Vec<_> =
                fitting(&segments(rows), 100).into_iter().map(|group| (group.start, group.end)).collect();
            assert_eq!(groups, expected, "{rows:?}");
        }
    }

    #[test]
    fn a_row_is_written_again_once_a_tier() {
        let (mut rows, mut written) = (Vec::new(), 0);
        for _ in 0..5000 {
            rows.push(100_u64);
            while let Some(range) = due(&segments(&rows), 1 << 20) {
                let merged = rows[range.clone()].iter().sum();
                written += merged;
                rows.splice(range, [merged]);
            }
            assert!(rows.len() <= 40, "{rows:?}");
            assert!(rows.iter().all(|rows| *rows <= 1 << 20));
        }
        assert_eq!(rows.iter().sum::<u64>(), 500_000);
        assert!(written <= 5 * 500_000, "{written}");
    }
}
