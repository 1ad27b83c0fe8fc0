//! Producing blocks to one partition.

use std::sync::Arc;

use bytes::Bytes;
use rskafka::chrono::Utc;
use rskafka::client::error::ProtocolError;
use rskafka::client::partition::{Compression as WireCompression, PartitionClient};
use rskafka::record::Record;
use tokio::sync::Semaphore;

use super::error::KafkaError;
use super::header::BlockHeaders;
use super::link::Link;
use super::options::Compression;

/// Requests on their way to one partition at once.
///
/// A broker handles them one after the other; the others hide the time of the network and of this side's compression.
/// Beyond six nothing gets faster, and each holds some copies of its block.
pub const IN_FLIGHT_PER_PARTITION: usize = 6;

/// A producer of blocks for one partition: each block is one record in a batch of its own. Cloning shares the
/// connection and the limit of [`IN_FLIGHT_PER_PARTITION`].
#[derive(Debug, Clone)]
pub struct Producer {
    link: Link,
    compression: WireCompression,
    in_flight: Arc<Semaphore>,
}

impl Producer {
    pub(super) fn new(link: Link, compression: Compression) -> Self {
        let compression = match compression {
            Compression::None => WireCompression::NoCompression,
            Compression::Lz4 => WireCompression::Lz4,
            Compression::Zstd => WireCompression::Zstd,
        };
        Self { link, compression, in_flight: Arc::new(Semaphore::new(IN_FLIGHT_PER_PARTITION)) }
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.link.partition()
    }

    /// Writes a block and gives its offset once all in-sync replicas have it (`acks=all`: with cartlog's own log,
    /// once it is on disk). Waits while [`IN_FLIGHT_PER_PARTITION`] others are on their way.
    ///
    /// The log may hold the block twice after a retry, at a lower offset than the one returned as well; the headers
    /// make the copy known as such.
    ///
    /// # Errors
    ///
    /// [`KafkaError::TooLarge`] if the topic does not take a record of this size, [`KafkaError::UnknownPartition`],
    /// and [`KafkaError::Request`] once the retries are used up; the block may be in the log even then.
    pub async fn produce(&self, headers: &BlockHeaders, value: Bytes) -> Result<i64, KafkaError> {
        let _permit = self.in_flight.acquire().await;
        let request = |leader: Arc<PartitionClient>| {
            let record =
                Record { key: None, value: Some(value.to_vec()), headers: headers.encode(), timestamp: Utc::now() };
            async move { leader.produce(vec![record], self.compression).await }
        };
        let offsets = self.link.request("producing to", request).await.map_err(|failure| match failure.code() {
            Some(ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge) => KafkaError::TooLarge {
                topic: self.link.topic().to_string(),
                partition: self.partition(),
                bytes: value.len(),
            },
            _ => self.link.error(failure),
        })?;
        offsets.first().copied().ok_or_else(|| KafkaError::Protocol {
            what: format!("producing to {}/{}", self.link.topic(), self.partition()),
            brokers: self.link.brokers(),
            reason: "no offset for the record".to_owned(),
        })
    }
}
