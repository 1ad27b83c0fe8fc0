//! What a log and a topic may be told.

/// The largest number of partitions of one topic.
pub(super) const MAXIMUM_PARTITIONS: i32 = 10_000;

/// Settings of a whole log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogOptions {
    /// Bytes between two entries of an index; Kafka's `log.index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// A `.log` file that would grow beyond this is closed and a new one begun; Kafka's `log.segment.bytes`.
    pub segment_bytes: u32,
    /// The largest batch taken, in bytes as sent; Kafka's `message.max.bytes`.
    pub max_batch_bytes: u32,
    /// Threads that run `fsync`, so that partitions don't wait for each other.
    pub sync_threads: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { index_interval_bytes: 4096, segment_bytes: 1 << 30, max_batch_bytes: 1_048_588, sync_threads: 2 }
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
}

/// Settings of one topic, kept with it; what is `None` follows the log's [`LogOptions`].
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TopicConfig {
    /// The largest batch taken, in bytes as sent; Kafka's `max.message.bytes`.
    #[serde(skip_serializing_if = "Option::is_none", rename = "max.message.bytes")]
    pub max_batch_bytes: Option<u32>,
    /// The size at which a `.log` file is closed; Kafka's `segment.bytes`.
    #[serde(skip_serializing_if = "Option::is_none", rename = "segment.bytes")]
    pub segment_bytes: Option<u32>,
}

impl TopicConfig {
    /// The settings with `max_batch_bytes` replaced.
    #[must_use]
    pub fn with_max_batch_bytes(mut self, bytes: u32) -> Self {
        self.max_batch_bytes = Some(bytes);
        self
    }

    /// The settings with `segment_bytes` replaced.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = Some(bytes);
        self
    }
}
