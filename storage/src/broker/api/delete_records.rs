//! `DeleteRecords`: removes the records of partitions below an offset.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, error_code};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{Offset, Topic};

const PARTITION: &[Part] = &[shape::fixed(4), shape::fixed(8)];
const TOPIC: &[Part] = &[shape::text(), shape::structs(PARTITION)];

pub(super) static API: Api = Api {
    key: 21,
    name: "DeleteRecords",
    announced: (0, 2),
    least_implemented: 0,
    flexible_since: 2,
    flexible_response_header: true,
    shape: &[shape::structs(TOPIC), shape::fixed(4)],
    handle,
    unknown_version: refuse,
};

/// The offset that means the high watermark.
const HIGH_WATERMARK: i64 = -1;

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: DeleteRecordsRequest = request.decode()?;
    let node = Arc::clone(node);
    Ok(Response::Alone(Box::pin(async move {
        let topics = tokio::task::spawn_blocking(move || answer(&node, &message)).await.unwrap_or_default();
        request.respond(&DeleteRecordsResponse::default().with_topics(topics))
    })))
}

fn answer(node: &Node, message: &DeleteRecordsRequest) -> Vec<DeleteRecordsTopicResult> {
    let topics = message.topics.iter().map(|wanted| {
        let topic = node.log.topic(&wanted.name);
        let partitions = wanted.partitions.iter().map(|partition| {
            let result = DeleteRecordsPartitionResult::default().with_partition_index(partition.partition_index);
            match delete(topic.as_deref(), partition) {
                Ok(start) => result.with_low_watermark(start.0),
                Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
            }
        });
        DeleteRecordsTopicResult::default().with_name(wanted.name.clone()).with_partitions(partitions.collect())
    });
    topics.collect()
}

fn delete(topic: Option<&Topic>, wanted: &DeleteRecordsPartition) -> Result<Offset, ResponseError> {
    let partition = topic
        .and_then(|topic| topic.partition(wanted.partition_index))
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    let offset = (wanted.offset != HIGH_WATERMARK).then_some(Offset(wanted.offset));
    partition.delete_records(offset).map_err(|error| error_code(&error))
}
