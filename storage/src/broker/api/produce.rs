//! `Produce`: appends batches.
//!
//! The append happens at once, so that batches keep the order of their requests; the answer to `acks=all` then waits
//! for the disk while later requests of the same connection append, and they all share the next sync.
//!
//! A least version above 0 would make librdkafka drop compression (KAFKA-18659), so that versions are announced that
//! no living client uses and that are not answered.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, error_code, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{Appended, BatchError, LogError, Offset, Partition, Topic};

const PARTITION: &[Part] = &[shape::fixed(4), shape::bytes()];
const TOPIC: &[Part] = &[shape::text(), shape::structs(PARTITION)];

pub(super) static API: Api = Api {
    key: 0,
    name: "Produce",
    announced: (0, 11),
    least_implemented: 3,
    flexible_since: 9,
    flexible_response_header: true,
    shape: &[shape::text(), shape::fixed(2), shape::fixed(4), shape::structs(TOPIC)],
    handle,
    unknown_version: refuse,
};

const ACKS_NONE: i16 = 0;
const ACKS_LEADER: i16 = 1;
const ACKS_ALL: i16 = -1;

/// An append whose answer waits for the disk: where it stands in the response, and what to wait for.
struct Unsynced {
    topic: usize,
    partition: usize,
    log: Arc<Partition>,
    next_offset: Offset,
}

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: ProduceRequest = request.decode()?;
    let valid_acks = matches!(message.acks, ACKS_NONE | ACKS_LEADER | ACKS_ALL);
    let mut response = ProduceResponse::default();
    let mut unsynced = Vec::new();
    for (topic_at, data) in message.topic_data.iter().enumerate() {
        let topic = node.log.topic(&data.name);
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for (partition_at, partition) in data.partition_data.iter().enumerate() {
            let blank = PartitionProduceResponse::default().with_index(partition.index).with_log_append_time_ms(-1);
            let result = if !valid_acks {
                Err(Refused::new(
                    ResponseError::InvalidRequiredAcks,
                    format!("acks={}: 0, 1 or -1 are expected", message.acks),
                ))
            } else if message.transactional_id.is_some() {
                let reason = "this broker offers no transactions; leave transactional.id empty".to_owned();
                Err(Refused::new(ResponseError::TransactionalIdAuthorizationFailed, reason))
            } else {
                append(topic.as_deref(), partition)
            };
            partitions.push(match result {
                Ok((log, appended)) => {
                    let (start, next_offset) = (log.start(), appended.next_offset);
                    unsynced.push(Unsynced { topic: topic_at, partition: partition_at, log, next_offset });
                    blank
                        .with_base_offset(appended.base_offset.0)
                        .with_log_append_time_ms(appended.append_time_ms.unwrap_or(-1))
                        .with_log_start_offset(start.0)
                }
                Err(refused) if message.acks == ACKS_NONE => {
                    // There is no answer to put the error in: closing the connection is the only sign.
                    return Err(ProtocolError::UnacknowledgedAppend(format!("{}: {}", refused.error, refused.reason)));
                }
                Err(refused) => refused.told(blank),
            });
        }
        // A copy of the name: a slice of the request would keep all its bytes until the answer is sent.
        let name = TopicName(text(data.name.as_str()));
        response.responses.push(TopicProduceResponse::default().with_name(name).with_partition_responses(partitions));
    }
    match message.acks {
        ACKS_NONE => Ok(Response::Silent),
        ACKS_ALL if !unsynced.is_empty() => {
            let patience = Duration::from_millis(u64::try_from(message.timeout_ms).unwrap_or_default());
            Ok(Response::Later(Box::pin(async move {
                wait_durable(&mut response, unsynced, patience).await;
                request.respond(&response)
            })))
        }
        _ => request.respond(&response).map(Response::Ready),
    }
}

fn append(topic: Option<&Topic>, data: &PartitionProduceData) -> Result<(Arc<Partition>, Appended), Refused> {
    let partition = topic.and_then(|topic| topic.partition(data.index)).ok_or_else(|| {
        let reason = format!("there is no partition {} of that topic", data.index);
        Refused::new(ResponseError::UnknownTopicOrPartition, reason)
    })?;
    let records = data.records.as_deref().unwrap_or_default();
    if records.is_empty() {
        return Err(Refused::new(ResponseError::InvalidRecord, "the request holds no record batch".to_owned()));
    }
    match partition.append(records) {
        Ok(appended) => Ok((Arc::clone(partition), appended)),
        Err(error) => Err(Refused::from(&error)),
    }
}

async fn wait_durable(response: &mut ProduceResponse, unsynced: Vec<Unsynced>, patience: Duration) {
    let deadline = tokio::time::Instant::now() + patience;
    for wait in unsynced {
        let refused = match tokio::time::timeout_at(deadline, wait.log.wait_durable(wait.next_offset)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => Refused::from(&error),
            Err(_) => Refused::new(ResponseError::RequestTimedOut, "the batch was not on disk in time".to_owned()),
        };
        let partitions = response.responses.get_mut(wait.topic).map(|topic| &mut topic.partition_responses);
        if let Some(partition) = partitions.and_then(|partitions| partitions.get_mut(wait.partition)) {
            *partition = refused.told(std::mem::take(partition));
        }
    }
}

/// Why a batch was not taken.
struct Refused {
    error: ResponseError,
    reason: String,
    /// The numbers of the records that are at fault, if the others are not (KIP-467).
    records: Vec<i32>,
}

impl Refused {
    fn new(error: ResponseError, reason: String) -> Self {
        Self { error, reason, records: Vec::new() }
    }

    fn told(self, response: PartitionProduceResponse) -> PartitionProduceResponse {
        let at_fault = |number| {
            let message = text("a record of a compacted topic needs a key");
            BatchIndexAndErrorMessage::default().with_batch_index(number).with_batch_index_error_message(Some(message))
        };
        response
            .with_error_code(self.error.code())
            .with_error_message(Some(text(self.reason)))
            .with_record_errors(self.records.into_iter().map(at_fault).collect())
            .with_base_offset(-1)
            .with_log_start_offset(-1)
    }
}

impl From<&LogError> for Refused {
    fn from(error: &LogError) -> Self {
        let records = match error {
            LogError::Batch(BatchError::WithoutKey(records)) => records.clone(),
            _ => Vec::new(),
        };
        Self { error: error_code(error), reason: error.to_string(), records }
    }
}
