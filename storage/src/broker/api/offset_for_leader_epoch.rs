//! `OffsetForLeaderEpoch`: where an epoch of a leader ended. There is one epoch, and it goes on.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, check_epoch, error_code};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{Offset, Topic};

const PARTITION: &[Part] = &[shape::fixed(4), shape::fixed(4), shape::fixed(4)];
const TOPIC: &[Part] = &[shape::text(), shape::structs(PARTITION)];

pub(super) static API: Api = Api {
    key: 23,
    name: "OffsetForLeaderEpoch",
    announced: (2, 4),
    least_implemented: 2,
    flexible_since: 4,
    flexible_response_header: true,
    shape: &[shape::fixed(4).since(3), shape::structs(TOPIC)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: OffsetForLeaderEpochRequest = request.decode()?;
    let topics = message.topics.iter().map(|wanted| {
        let topic = node.log.topic(&wanted.topic);
        let partitions = wanted.partitions.iter().map(|partition| {
            let result =
                EpochEndOffset::default().with_partition(partition.partition).with_leader_epoch(-1).with_end_offset(-1);
            match find(topic.as_deref(), partition) {
                Ok(Some((epoch, end))) => result.with_leader_epoch(epoch).with_end_offset(end.0),
                // An epoch that never was has no end.
                Ok(None) => result,
                Err(error) => result.with_error_code(error.code()),
            }
        });
        OffsetForLeaderTopicResult::default().with_topic(wanted.topic.clone()).with_partitions(partitions.collect())
    });
    request.respond(&OffsetForLeaderEpochResponse::default().with_topics(topics.collect())).map(Response::Ready)
}

fn find(topic: Option<&Topic>, wanted: &OffsetForLeaderPartition) -> Result<Option<(i32, Offset)>, ResponseError> {
    let partition =
        topic.and_then(|topic| topic.partition(wanted.partition)).ok_or(ResponseError::UnknownTopicOrPartition)?;
    check_epoch(wanted.current_leader_epoch)?;
    if let Some(offline) = partition.offline() {
        return Err(error_code(offline));
    }
    let epoch = partition.leader_epoch();
    Ok((wanted.leader_epoch == epoch).then(|| (epoch, partition.end())))
}
