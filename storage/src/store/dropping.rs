//! Retention: rows whose time is before a limit go, in one commit.
//!
//! A segment of which every row is older goes as a file, by the zone map in its front; one that holds both is written again
//! without the older rows; all others stay as they are. What the store has read stays known: positions and ranges of
//! sources don't change, so that neither the log nor a file brings a dropped row back. The dictionaries keep their texts.
//!
//! Invariants:
//! - rows stored and rows dropped change by the same number, and the gaps say where;
//! - no file that the manifest names is touched before the commit that no longer names it.

use std::sync::Arc;

use crate::io::Directory;

use super::batch::{Batch, ColumnValues};
use super::gaps::Dropping;
use super::manifest::{FileKind, Manifest, SegmentRecord};
use super::sealer::Sealer;
use super::snapshot::open_segment;
use super::{ColumnStatistics, StoreError, WriterOptions, recovery, writer};

/// What [`drop_before`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DropSummary {
    /// Rows in the store now.
    pub rows: u64,
    /// Segments before.
    pub segments_before: usize,
    /// Their bytes.
    pub bytes_before: u64,
    /// Rows that were dropped.
    pub rows_dropped: u64,
    /// Segments that went as files.
    pub segments_dropped: u64,
    /// Segments that were written again without their older rows.
    pub segments_rewritten: u64,
}

/// Drops the rows whose value in the first timestamp column is before `limit`, in milliseconds since 1970.
///
/// Readers are not disturbed; a writer must not be at work. Memory is bounded by the rows of one segment.
///
/// # Errors
/// [`StoreError::NoStore`], [`StoreError::Locked`]; [`StoreError::InvalidSchema`] if no column is a timestamp; what recovery
/// finds wrong; [`StoreError::Corrupt`] for a damaged segment that would have to be written again; I/O errors. Nothing
/// has changed then.
pub fn drop_before(
    directory: Arc<dyn Directory>,
    options: WriterOptions,
    limit: i64,
) -> Result<DropSummary, StoreError> {
    let _lock = writer::lock(&*directory)?;
    let manifest = Manifest::read(&*directory)?.ok_or(StoreError::NoStore)?;
    let mut sealer = recovery::recover(directory, &manifest.schema, &options)?;
    let time = manifest.schema.time_column().ok_or_else(|| StoreError::InvalidSchema {
        reason: "no column is a timestamp, so that no row is older than another".to_owned(),
    })?;
    let mut next = sealer.manifest.clone();
    next.generation += 1;
    next.segments.clear();
    let segments = &sealer.manifest.segments;
    let bytes_before = segments.iter().map(|segment| segment.length).sum();
    let mut summary = DropSummary { segments_before: segments.len(), bytes_before, ..DropSummary::default() };
    let mut replaced = Vec::new();
    let mut gaps = Dropping::of(sealer.manifest.gaps.clone());
    for record in &sealer.manifest.segments {
        let segment = open_segment(&*sealer.directory, record, &next.schema)?;
        let left = match segment.statistics(time) {
            ColumnStatistics::Integers { max, .. } if max < limit => {
                gaps.pass(record.rows, false);
                None
            }
            ColumnStatistics::Integers { min, .. } if min < limit => {
                let (batch, origins) = sealer.kept(record, time, limit, &mut gaps)?;
                let written = sealer.write_batches(vec![batch], next.next_file, origins)?;
                next.next_file += 1;
                summary.segments_rewritten += 1;
                Some(written)
            }
            _ => {
                gaps.pass(record.rows, true);
                next.segments.push(record.clone());
                continue;
            }
        };
        replaced.push(FileKind::Segment.name(record.file));
        summary.segments_dropped += u64::from(left.is_none());
        summary.rows_dropped += record.rows - left.as_ref().map_or(0, |left| left.rows);
        next.segments.extend(left);
    }
    next.totals.rows_stored -= summary.rows_dropped;
    next.totals.rows_dropped += summary.rows_dropped;
    next.gaps = gaps.finish();
    summary.rows = next.totals.rows_stored;
    if replaced.is_empty() {
        return Ok(summary);
    }
    next.replace(&*sealer.directory)?;
    sealer.manifest = next;
    for name in &replaced {
        sealer.directory.remove(name).map_err(StoreError::io(name, "removing"))?;
    }
    Ok(summary)
}

impl Sealer {
    /// The rows of a segment from a time on, and where they came from; `gaps` learns which those are.
    fn kept(
        &self,
        record: &SegmentRecord,
        time: usize,
        limit: i64,
        gaps: &mut Dropping,
    ) -> Result<(Batch, Vec<super::Origin>), StoreError> {
        let batch = self.read_sound(record)?;
        let is_kept = kept_rows(&batch, time, limit);
        for run in is_kept.chunk_by(|before, next| before == next) {
            gaps.pass(run.len() as u64, run[0]);
        }
        let mut origins = Vec::new();
        let mut left = &is_kept[..];
        for origin in &record.origins {
            let of_origin = left.split_off(..(origin.rows as usize).min(left.len())).unwrap_or_default();
            let rows = of_origin.iter().filter(|is_kept| **is_kept).count() as u64;
            let kept_from =
                if rows < origin.rows { Some(limit.max(origin.kept_from.unwrap_or(limit))) } else { origin.kept_from };
            if rows > 0 {
                origins.push(super::Origin { rows, kept_from, ..origin.clone() });
            }
        }
        Ok((filtered(batch, &is_kept), origins))
    }
}

/// Which rows of a batch are not older than a limit.
pub(crate) fn kept_rows(batch: &Batch, time: usize, limit: i64) -> Vec<bool> {
    match batch.columns.get(time) {
        Some(ColumnValues::Integers(times)) => times.iter().map(|time| *time >= limit).collect(),
        _ => vec![true; batch.rows],
    }
}

/// The rows of a batch that are kept, in the same order.
pub(crate) fn filtered(batch: Batch, is_kept: &[bool]) -> Batch {
    let kept: Vec<u32> = (0..).zip(is_kept).filter(|(_, is_kept)| **is_kept).map(|(row, _)| row).collect();
    batch.chosen(&kept)
}
