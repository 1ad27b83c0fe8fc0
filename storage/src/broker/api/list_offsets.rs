//! `ListOffsets`: the first and last offset, and the offset of a time.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, check_epoch, error_code};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{Offset, TimedOffset, Topic};

/// The offset after the last record.
const LATEST: i64 = -1;
/// The first offset kept.
const EARLIEST: i64 = -2;
/// The record with the latest time.
const MAX_TIMESTAMP: i64 = -3;
/// The first offset kept here, and not in other storage (KIP-405): the first.
const EARLIEST_LOCAL: i64 = -4;
/// The last offset kept in other storage (KIP-1005): there is none.
const LATEST_TIERED: i64 = -5;

const PARTITION: &[Part] = &[shape::fixed(4), shape::fixed(4).since(4), shape::fixed(8)];
const TOPIC: &[Part] = &[shape::text(), shape::structs(PARTITION)];

pub(super) static API: Api = Api {
    key: 2,
    name: "ListOffsets",
    announced: (1, 10),
    least_implemented: 1,
    flexible_since: 6,
    flexible_response_header: true,
    shape: &[shape::fixed(4), shape::fixed(1).since(2), shape::structs(TOPIC), shape::fixed(4).since(10)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: ListOffsetsRequest = request.decode()?;
    let topics = message
        .topics
        .iter()
        .map(|wanted| {
            let topic = node.log.topic(&wanted.name);
            let partitions = wanted
                .partitions
                .iter()
                .map(|partition| answer(topic.as_deref(), partition, request.version))
                .collect();
            ListOffsetsTopicResponse::default().with_name(wanted.name.clone()).with_partitions(partitions)
        })
        .collect();
    request.respond(&ListOffsetsResponse::default().with_topics(topics)).map(Response::Ready)
}

fn answer(topic: Option<&Topic>, wanted: &ListOffsetsPartition, version: i16) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
    match find(topic, wanted) {
        Ok((found, epoch)) => response
            .with_timestamp(found.timestamp_ms)
            .with_offset(found.offset.0)
            .with_leader_epoch(if version >= 4 { epoch } else { -1 }),
        Err(error) => response.with_error_code(error.code()).with_timestamp(-1).with_offset(-1),
    }
}

fn find(topic: Option<&Topic>, wanted: &ListOffsetsPartition) -> Result<(TimedOffset, i32), ResponseError> {
    let partition = topic
        .and_then(|topic| topic.partition(wanted.partition_index))
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    check_epoch(wanted.current_leader_epoch)?;
    if let Some(offline) = partition.offline() {
        return Err(error_code(offline));
    }
    let untimed = |offset: Offset| Some(TimedOffset { timestamp_ms: -1, offset });
    let found = match wanted.timestamp {
        LATEST => untimed(partition.end()),
        LATEST_TIERED => None,
        EARLIEST | EARLIEST_LOCAL => untimed(partition.start()),
        MAX_TIMESTAMP => partition.latest_time().map_err(|error| error_code(&error))?,
        time if time >= 0 => partition.offset_for_time(time).map_err(|error| error_code(&error))?,
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    Ok(found
        .map_or((TimedOffset { timestamp_ms: -1, offset: Offset(-1) }, -1), |found| (found, partition.leader_epoch())))
}
