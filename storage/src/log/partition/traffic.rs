//! What went through a partition since it was opened, for those who watch it.
//!
//! What came in follows from the partition's end, which is kept anyway; only what readers got and what was refused is
//! counted, with one relaxed addition each.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Partition;
use crate::log::batch::Offset;

/// What went through a partition since it was opened. Each number only rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Batches appended.
    pub batches_in: u64,
    /// Records in them.
    pub records_in: u64,
    /// Their bytes, as they are on disk.
    pub bytes_in: u64,
    /// Bytes of the batches that readers were given. How many records those hold is not looked at: a reader gets a slice of
    /// the file.
    pub bytes_out: u64,
    /// Batches that were not appended: unsound, out of order, or not to be written.
    pub refused_batches: u64,
}

/// What a partition notes of its traffic.
#[derive(Debug, Default)]
pub(super) struct Counters {
    end_at_open: Offset,
    bytes_at_open: u64,
    pub(super) bytes_out: AtomicU64,
    pub(super) refused_batches: AtomicU64,
}

impl Counters {
    /// Begins at a partition's end, and the bytes before it.
    pub(super) fn from(end_at_open: Offset, bytes_at_open: u64) -> Self {
        Self { end_at_open, bytes_at_open, ..Self::default() }
    }
}

impl Partition {
    /// What went through it since it was opened.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            batches_in: self.batches.load(Ordering::Relaxed),
            records_in: self.end().0.abs_diff(self.counters.end_at_open.0),
            bytes_in: self.bytes_before_end().saturating_sub(self.counters.bytes_at_open),
            bytes_out: self.counters.bytes_out.load(Ordering::Relaxed),
            refused_batches: self.counters.refused_batches.load(Ordering::Relaxed),
        }
    }
}
