//! Consuming the records of one partition, each with its offset.
//!
//! rskafka leaves control records (the marks of transactions) away and tells no offset for what it leaves away. A
//! fetch below the end that brings nothing has met only such, so the consumer steps over one offset and asks again;
//! it never steps over an offset that may hold a record.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rskafka::client::error::ProtocolError;
use rskafka::client::partition::PartitionClient;

use super::error::KafkaError;
use super::header::BlockHeaders;
use super::link::Link;

/// Bytes of record batches asked for at once: some blocks as they stand compressed in the log.
const FETCH_BYTES: i32 = 2 << 20;
/// How long a fetch waits for records at the end of the log, in milliseconds.
const LONG_POLL_MS: i32 = 500;

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its offset in its partition.
    pub offset: i64,
    /// Its value; empty if it has none.
    pub value: Bytes,
    /// Which block it is, if it is one of ours; a foreign record counts by its offset.
    pub block: Option<BlockHeaders>,
}

/// What one fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The records, by ascending offset; none at the end of the log.
    pub records: Vec<LogRecord>,
    /// The offset to read next: all before it are in `records`, were given before, or do not exist.
    pub next_offset: i64,
    /// The offset behind the log's last record.
    pub log_end: i64,
}

/// A reader of one partition.
#[derive(Debug)]
pub struct Consumer {
    link: Link,
    next_offset: i64,
}

impl Consumer {
    pub(super) fn new(link: Link, offset: i64) -> Self {
        Self { link, next_offset: offset }
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.link.partition()
    }

    /// The offset that the next fetch starts at.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Goes on at another offset.
    pub fn seek(&mut self, offset: i64) {
        self.next_offset = offset;
    }

    /// The offsets that the partition holds now.
    ///
    /// # Errors
    ///
    /// [`KafkaError::UnknownPartition`], [`KafkaError::Request`].
    pub async fn offsets(&self) -> Result<Range<i64>, KafkaError> {
        self.link.offsets().await
    }

    /// Fetches the next records, waiting up to half a second for the first one at the end of the log.
    ///
    /// # Errors
    ///
    /// [`KafkaError::OffsetOutOfRange`] if the log no longer, or not yet, holds the next offset, naming what is lost;
    /// [`KafkaError::UnknownPartition`]; [`KafkaError::Request`] once the retries are used up.
    pub async fn fetch(&mut self) -> Result<Fetched, KafkaError> {
        let from = self.next_offset;
        let request = |leader: Arc<PartitionClient>| async move {
            leader.fetch_records(from, 1..FETCH_BYTES + 1, LONG_POLL_MS).await
        };
        let (records, log_end) = match self.link.request("fetching from", request).await {
            Ok(answer) => answer,
            Err(failure) if failure.code() == Some(ProtocolError::OffsetOutOfRange) => return Err(self.lost().await?),
            Err(failure) => return Err(self.link.error(failure)),
        };
        let records: Vec<LogRecord> = records
            .into_iter()
            .map(|record| {
                let value = Bytes::from(record.record.value.unwrap_or_default());
                let block = BlockHeaders::decode(&record.record.headers, value.len());
                LogRecord { offset: record.offset, value, block }
            })
            .collect();
        self.next_offset = match records.last() {
            Some(last) => last.offset + 1,
            // Below the end, yet no record: only marks of transactions here. Behind an open transaction the readable
            // end is lower than the log's, and nothing may be stepped over.
            None if from < log_end && from < self.offsets().await?.end => from + 1,
            None => from,
        };
        Ok(Fetched { records, next_offset: self.next_offset, log_end })
    }

    /// The error for an offset that the log does not hold.
    async fn lost(&self) -> Result<KafkaError, KafkaError> {
        let available = self.offsets().await?;
        Ok(out_of_range(&self.link, self.next_offset, available))
    }
}

/// The error for wanting `offset` of a log that holds `available`.
fn out_of_range(link: &Link, offset: i64, available: Range<i64>) -> KafkaError {
    KafkaError::OffsetOutOfRange {
        topic: link.topic().to_string(),
        partition: link.partition(),
        lost: offset..available.start.max(offset),
        available,
        brokers: link.brokers(),
    }
}
