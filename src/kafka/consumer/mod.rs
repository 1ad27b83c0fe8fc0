//! Consuming the records of one partition, each with its offset.
//!
//! Read is what stands before the first transaction that is still open, without what was aborted (`read_committed`): no
//! row is stored that its producer has taken back. Where nothing but such, marks of transactions or compacted offsets are
//! left, the next offset still moves on.

mod batches;
mod records;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};
use rskafka::client::error::ProtocolError;

use self::batches::Aborted;
use super::error::KafkaError;
use super::header::BlockHeaders;
use super::leader::{Leader, READ_COMMITTED, Unusable};

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
    /// The offset behind the last record that can be read.
    pub log_end: i64,
    /// The offset behind the last record; beyond `log_end` while somebody's transaction is open between them.
    pub high_watermark: i64,
}

/// A reader of one partition.
#[derive(Debug)]
pub struct Consumer {
    leader: Leader,
    next_offset: i64,
}

impl Consumer {
    pub(super) fn new(leader: Leader, offset: i64) -> Self {
        Self { leader, next_offset: offset }
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.leader.partition()
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

    /// The offsets that the partition holds now and that can be read: up to the first transaction still open.
    ///
    /// # Errors
    ///
    /// [`KafkaError::UnknownPartition`], [`KafkaError::Request`].
    pub async fn offsets(&self) -> Result<Range<i64>, KafkaError> {
        self.leader.offsets().await
    }

    /// Fetches the next records, waiting up to half a second for the first one at the end of the log.
    ///
    /// # Errors
    ///
    /// [`KafkaError::OffsetOutOfRange`] if the log no longer, or not yet, holds the next offset, naming what is lost;
    /// [`KafkaError::UnknownPartition`]; [`KafkaError::Request`] once the retries are used up.
    pub async fn fetch(&mut self) -> Result<Fetched, KafkaError> {
        let from = self.next_offset;
        let request = self.request();
        let fetched = match self.leader.ask("fetching from", &request, |answer| take(answer, from)).await {
            Ok(fetched) => fetched,
            Err(failure) if failure.code() == Some(ProtocolError::OffsetOutOfRange) => return Err(self.lost().await?),
            Err(failure) => return Err(self.leader.error(failure)),
        };
        self.next_offset = fetched.next_offset;
        Ok(fetched)
    }

    fn request(&self) -> FetchRequest {
        let partition = FetchPartition::default()
            .with_partition(self.partition())
            .with_fetch_offset(self.next_offset)
            .with_partition_max_bytes(FETCH_BYTES);
        let topic = FetchTopic::default().with_topic(self.leader.topic_name()).with_partitions(vec![partition]);
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(LONG_POLL_MS)
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES)
            .with_isolation_level(READ_COMMITTED)
            .with_topics(vec![topic])
    }

    /// The error for an offset that the log does not hold.
    async fn lost(&self) -> Result<KafkaError, KafkaError> {
        let available = self.offsets().await?;
        Ok(KafkaError::OffsetOutOfRange {
            topic: self.leader.topic().to_string(),
            partition: self.partition(),
            lost: self.next_offset..available.start.max(self.next_offset),
            available,
            brokers: self.leader.brokers(),
        })
    }
}

/// What an answer for one partition holds from an offset on.
fn take(answer: FetchResponse, from: i64) -> Result<Fetched, Unusable> {
    Unusable::check(answer.error_code)?;
    let mut partitions = answer.responses.into_iter().flat_map(|topic| topic.partitions);
    let partition = partitions.next().ok_or_else(|| Unusable::Nonsense("it names no partition".to_owned()))?;
    Unusable::check(partition.error_code)?;
    let aborted = partition.aborted_transactions.unwrap_or_default();
    let aborted = aborted
        .into_iter()
        .map(|transaction| Aborted { producer_id: transaction.producer_id.0, first_offset: transaction.first_offset });
    let batches = batches::decode(&partition.records.unwrap_or_default(), from, aborted.collect());
    let batches = batches.map_err(Unusable::Nonsense)?;
    Ok(Fetched {
        records: batches.records,
        next_offset: batches.next_offset.unwrap_or(from),
        log_end: partition.last_stable_offset,
        high_watermark: partition.high_watermark,
    })
}
