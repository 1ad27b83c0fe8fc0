//! Producing blocks to one partition.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use rskafka::client::error::ProtocolError;
use tokio::sync::Semaphore;

use super::batch;
use super::error::KafkaError;
use super::header::BlockHeaders;
use super::leader::{Leader, Unusable};
use super::options::Compression;

/// Requests on their way to one partition at once.
///
/// A broker handles them one after the other; the others hide the time of the network and of this side's compression.
/// Beyond six nothing gets faster, and each holds some copies of its block.
pub const IN_FLIGHT_PER_PARTITION: usize = 6;
/// What a broker answers after: all replicas that are in sync have the records.
const ALL_REPLICAS: i16 = -1;
/// How long a broker may wait for its replicas, in milliseconds: as long as Kafka's own producer lets it.
const REPLICAS_TIMEOUT_MS: i32 = 30_000;
/// What is done to a partition, for messages.
const VERB: &str = "producing to";

/// A producer of blocks for one partition: each block is one record in a batch of its own. Cloning shares the
/// connection and the limit of [`IN_FLIGHT_PER_PARTITION`].
#[derive(Debug, Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    compression: Compression,
}

#[derive(Debug)]
struct Shared {
    leader: Leader,
    /// Closed by the first failure.
    in_flight: Semaphore,
    failure: OnceLock<KafkaError>,
}

impl Producer {
    pub(super) fn new(leader: Leader, compression: Compression) -> Self {
        let in_flight = Semaphore::new(IN_FLIGHT_PER_PARTITION);
        Self { shared: Arc::new(Shared { leader, in_flight, failure: OnceLock::new() }), compression }
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.shared.leader.partition()
    }

    /// Writes a block and gives its offset once all in-sync replicas have it (`acks=all`: with cartlog's own log,
    /// once it is on disk). Waits while [`IN_FLIGHT_PER_PARTITION`] others are on their way.
    ///
    /// The log may hold the block twice after a retry, at a lower offset than the one returned as well; the headers
    /// make the copy known as such.
    ///
    /// After an error no block is sent any more: those that waited, and all that come, have the same error at once.
    ///
    /// # Errors
    ///
    /// [`KafkaError::TooLarge`] if the topic does not take a record of this size, [`KafkaError::UnknownPartition`],
    /// and [`KafkaError::Request`] once the retries are used up; the block may be in the log even then.
    pub async fn produce(&self, headers: &BlockHeaders, value: Bytes) -> Result<i64, KafkaError> {
        let shared = &*self.shared;
        let _permit = shared.in_flight.acquire().await;
        if let Some(failure) = shared.failure.get() {
            return Err(failure.clone());
        }
        let produced = shared.produce(headers, value, self.compression).await;
        produced.inspect_err(|error| {
            // The first one is what the others wait for.
            let _ = shared.failure.set(error.clone());
            shared.in_flight.close();
        })
    }
}

impl Shared {
    async fn produce(&self, headers: &BlockHeaders, value: Bytes, compression: Compression) -> Result<i64, KafkaError> {
        let leader = &self.leader;
        let bytes = value.len();
        let batch = batch::encode(headers, &value, now(), compression).map_err(|error| KafkaError::Protocol {
            what: leader.named(VERB),
            brokers: leader.brokers(),
            reason: error.to_string(),
        })?;
        // The block's memory is for the blocks behind it.
        drop(value);
        let partition = PartitionProduceData::default().with_index(leader.partition()).with_records(Some(batch));
        let topic = TopicProduceData::default().with_name(leader.topic_name());
        let request = ProduceRequest::default()
            .with_acks(ALL_REPLICAS)
            .with_timeout_ms(REPLICAS_TIMEOUT_MS)
            .with_topic_data(vec![topic.with_partition_data(vec![partition])]);
        leader.ask(VERB, &request, offset).await.map_err(|failure| match failure.code() {
            Some(ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge) => {
                KafkaError::TooLarge { topic: leader.topic().to_string(), partition: leader.partition(), bytes }
            }
            _ => leader.error(failure),
        })
    }
}

/// The offset that an answer gives the one batch of its request.
fn offset(answer: ProduceResponse) -> Result<i64, Unusable> {
    let mut partitions = answer.responses.into_iter().flat_map(|topic| topic.partition_responses);
    let partition = partitions.next().ok_or_else(|| Unusable::Nonsense("it names no partition".to_owned()))?;
    Unusable::check(partition.error_code)?;
    if partition.base_offset < 0 {
        return Err(Unusable::Nonsense(format!("it gives the offset {}", partition.base_offset)));
    }
    Ok(partition.base_offset)
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
