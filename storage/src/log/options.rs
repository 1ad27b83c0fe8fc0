//! What a log may be told; what a topic may be told stands in `settings`.

use std::time::Duration;

/// The largest number of partitions of one topic.
pub const MAXIMUM_PARTITIONS: i32 = 10_000;

/// Whose clock a batch's time comes from; Kafka's `message.timestamp.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's: what it sent is kept.
    #[default]
    CreateTime,
    /// The log's: a batch gets the time at which it was appended.
    LogAppendTime,
}

/// Settings of a whole log. What a topic may set for itself is what holds for topics that don't.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogOptions {
    /// Bytes between two entries of an index; Kafka's `log.index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// A `.log` file that would grow beyond this is closed and a new one begun; Kafka's `log.segment.bytes`.
    pub segment_bytes: u32,
    /// A `.log` file is closed when its batches span more milliseconds than this, or when it has grown for longer;
    /// Kafka's `log.roll.ms`.
    pub segment_ms: i64,
    /// The largest batch taken, in bytes as sent; Kafka's `message.max.bytes`.
    pub max_batch_bytes: u32,
    /// Milliseconds after which records may go, −1 to keep them; Kafka's `log.retention.ms`. Where Kafka keeps a week,
    /// this log keeps everything: it is the truth from which stores are derived.
    pub retention_ms: i64,
    /// Bytes of a partition beyond which its oldest records may go, −1 to keep them; Kafka's `log.retention.bytes`.
    pub retention_bytes: i64,
    /// Whose clock a batch's time comes from; Kafka's `log.message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// Records after which a partition is written to disk unasked; Kafka's `log.flush.interval.messages`.
    pub flush_messages: i64,
    /// Milliseconds after which a record is written to disk unasked; Kafka's `log.flush.interval.ms`. Where Kafka leaves
    /// it to the system alone, this log makes sure after a minute, which costs next to nothing once the system has
    /// written by itself (Linux does after half a minute), and bounds what a start after a crash has to read again.
    pub flush_ms: i64,
    /// How often it is looked for segments that are old or large enough to be closed or removed; Kafka's
    /// `log.retention.check.interval.ms`.
    pub retention_check: Duration,
    /// Zeros written ahead of small batches in a `.log` file that has at least as many bytes already, 0 for none. The page
    /// cache then has the pages in one piece, and an `fsync` no new length to write down; the zeros are cut off when the file
    /// is closed.
    pub fill_ahead_bytes: u32,
    /// Threads that run `fsync`, so that partitions don't wait for each other.
    pub sync_threads: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            index_interval_bytes: 4096,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            max_batch_bytes: 1_048_588,
            retention_ms: -1,
            retention_bytes: -1,
            timestamp_type: TimestampType::CreateTime,
            flush_messages: i64::MAX,
            flush_ms: 60_000,
            retention_check: Duration::from_secs(30),
            fill_ahead_bytes: 256 << 10,
            sync_threads: 2,
        }
    }
}

impl LogOptions {
    /// The settings with `segment_bytes` replaced.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The settings with `max_batch_bytes` replaced.
    #[must_use]
    pub fn with_max_batch_bytes(mut self, bytes: u32) -> Self {
        self.max_batch_bytes = bytes;
        self
    }

    /// The settings with `retention_check` replaced.
    #[must_use]
    pub fn with_retention_check(mut self, interval: Duration) -> Self {
        self.retention_check = interval;
        self
    }
}
