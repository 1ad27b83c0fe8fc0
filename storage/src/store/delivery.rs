//! What is brought to the store in one piece, and what it counts.

use bytes::Bytes;

use super::Batch;
use super::sources::SourceRange;

/// A block of rows with all that must become durable together with them.
///
/// The rows read are those of the batch, the rejects and the duplicates together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The rows to store.
    pub batch: Batch,
    /// The lines that were not rows.
    pub rejects: Vec<Reject>,
    /// Rows that were read and recognised as stored already.
    pub rows_duplicate: u64,
    /// The position in a topic behind these rows.
    pub position: Option<LogPosition>,
    /// The offset of the first record that gave these rows, where they may be of several. Without it a first delivery is
    /// that of one record, the one before its position.
    pub first_offset: Option<i64>,
    /// The byte range of the source that these rows came from. It must have been claimed.
    pub range: Option<SourceRange>,
}

impl Delivery {
    /// Rows read: stored, rejected and duplicate ones.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.batch.rows as u64 + self.rejects.len() as u64 + self.rows_duplicate
    }
}

/// The next offset to read from a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// The topic's name.
    pub topic: String,
    /// The topic's id, where the broker gives one: tells a topic from a later one of the same name.
    pub topic_id: Option<[u8; 16]>,
    /// The partition.
    pub partition: i32,
    /// The offset behind the last one read.
    pub next_offset: i64,
}

/// A line that is not a row, kept as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The source's name, or `topic/partition@offset`.
    pub source: String,
    /// The line's number, from 1.
    pub line: u64,
    /// Where the line starts in its source, in bytes.
    pub byte_offset: u64,
    /// Why it is not a row.
    pub reason: String,
    /// The line's bytes, without the newline; a carriage return before it is kept.
    pub raw: Bytes,
}

/// What the store has counted in all its commits.
///
/// Invariant, checked before each commit and after each reading: rows read = stored + rejected + duplicate + dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows read.
    pub rows_read: u64,
    /// Rows in the segments.
    pub rows_stored: u64,
    /// Lines in the reject file.
    pub rows_rejected: u64,
    /// Rows that were stored already when they came.
    pub rows_duplicate: u64,
    /// Rows that were stored and have been dropped since, because they had grown too old.
    pub rows_dropped: u64,
}

impl Totals {
    /// Whether the sum is right.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let parts = [self.rows_stored, self.rows_rejected, self.rows_duplicate, self.rows_dropped];
        parts.into_iter().try_fold(0_u64, u64::checked_add) == Some(self.rows_read)
    }

    pub(crate) fn add(&mut self, delivery: &Delivery) {
        self.rows_read += delivery.rows_read();
        self.rows_stored += delivery.batch.rows as u64;
        self.rows_rejected += delivery.rejects.len() as u64;
        self.rows_duplicate += delivery.rows_duplicate;
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            rows_read: self.rows_read + other.rows_read,
            rows_stored: self.rows_stored + other.rows_stored,
            rows_rejected: self.rows_rejected + other.rows_rejected,
            rows_duplicate: self.rows_duplicate + other.rows_duplicate,
            rows_dropped: self.rows_dropped + other.rows_dropped,
        }
    }
}

/// The state of the store as of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitSummary {
    /// The number of the commit; grows by one each time.
    pub generation: u64,
    /// What the store has counted.
    pub totals: Totals,
    /// Segments in the store.
    pub segments: usize,
}
