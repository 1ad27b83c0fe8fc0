//! What a job has done so far, counted by the tee and looked at by everyone else.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::summary::RowCounts;

/// Rows by their fate, and how far each lane is.
#[derive(Debug, Default)]
pub(super) struct Counters {
    rows_read: AtomicU64,
    rows_stored: AtomicU64,
    rows_rejected: AtomicU64,
    rows_duplicate: AtomicU64,
    rows_from_gaps: AtomicU64,
    records_lost: AtomicU64,
    next_offsets: Vec<AtomicI64>,
}

impl Counters {
    /// Counters for so many lanes.
    pub(super) fn new(lanes: usize) -> Self {
        Self { next_offsets: (0..lanes).map(|_| AtomicI64::default()).collect(), ..Self::default() }
    }

    /// Adds rows and gives the sums. Only one thread may add.
    pub(super) fn add(&self, rows: RowCounts, is_from_gap: bool) -> RowCounts {
        let add = |counter: &AtomicU64, rows| counter.fetch_add(rows, Ordering::Relaxed) + rows;
        if is_from_gap {
            add(&self.rows_from_gaps, rows.rows_read);
        }
        RowCounts {
            rows_read: add(&self.rows_read, rows.rows_read),
            rows_stored: add(&self.rows_stored, rows.rows_stored),
            rows_rejected: add(&self.rows_rejected, rows.rows_rejected),
            rows_duplicate: add(&self.rows_duplicate, rows.rows_duplicate),
        }
    }

    /// The sums so far.
    pub(super) fn rows(&self) -> RowCounts {
        RowCounts {
            rows_read: self.rows_read.load(Ordering::Relaxed),
            rows_stored: self.rows_stored.load(Ordering::Relaxed),
            rows_rejected: self.rows_rejected.load(Ordering::Relaxed),
            rows_duplicate: self.rows_duplicate.load(Ordering::Relaxed),
        }
    }

    /// Of the rows read, those fetched from the log because they stood between our own.
    pub(super) fn rows_from_gaps(&self) -> u64 {
        self.rows_from_gaps.load(Ordering::Relaxed)
    }

    /// Counts offsets that the log had dropped before they were read.
    pub(super) fn lost(&self, offsets: &Range<i64>) {
        self.records_lost.fetch_add(offsets.start.abs_diff(offsets.end), Ordering::Relaxed);
    }

    /// The offsets that the log had dropped before they were read.
    pub(super) fn records_lost(&self) -> u64 {
        self.records_lost.load(Ordering::Relaxed)
    }

    /// A lane is done with everything below this offset.
    pub(super) fn reached(&self, lane: usize, next_offset: i64) {
        if let Some(next) = self.next_offsets.get(lane) {
            next.store(next_offset, Ordering::Relaxed);
        }
    }

    /// The offset that a lane is done with everything below of.
    pub(super) fn next_offset(&self, lane: usize) -> i64 {
        self.next_offsets.get(lane).map_or(0, |next| next.load(Ordering::Relaxed))
    }
}
