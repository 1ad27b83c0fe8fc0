//! `OffsetCommit`: a group notes how far it has read. The answer waits for the disk.

use std::sync::Arc;

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::{awaited, code_of, error_code, identity};
use crate::broker::node::{Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::groups::{GroupError, NewOffset};

const PARTITION: &[Part] = &[shape::fixed(4), shape::fixed(8), shape::fixed(4).since(6), shape::text()];
const TOPIC: &[Part] = &[shape::text(), shape::structs(PARTITION)];

pub(super) static API: Api = Api {
    key: 8,
    name: "OffsetCommit",
    announced: (2, 9),
    least_implemented: 2,
    flexible_since: 8,
    flexible_response_header: true,
    shape: &[
        shape::text(),
        shape::fixed(4),
        shape::text(),
        shape::text().since(7),
        // How long to keep the offsets, which the broker's own setting decides (KIP-211).
        shape::fixed(8).until(4),
        shape::structs(TOPIC),
    ],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: OffsetCommitRequest = request.decode()?;
    let mut accepted = Vec::new();
    let topics: Vec<_> = message.topics.iter().map(|topic| answer_topic(node, topic, &mut accepted)).collect();
    let response = OffsetCommitResponse::default().with_topics(topics);
    let identity = identity(&message.member_id, message.group_instance_id.as_ref());
    let answer = node.groups.commit(&message.group_id, &identity, message.generation_id_or_member_epoch, accepted);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return request.respond(&refused(response, &error)).map(Response::Ready),
    };
    let node = Arc::clone(node);
    Ok(Response::Later(Box::pin(async move {
        let response = match awaited(&node, answer).await {
            Ok(()) => response,
            Err(error) => refused(response, &error),
        };
        request.respond(&response)
    })))
}

/// Answers a topic's partitions as if the commit succeeded, and adds to `accepted` what is to be committed.
fn answer_topic(
    node: &Node,
    topic: &kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic,
    accepted: &mut Vec<NewOffset>,
) -> OffsetCommitResponseTopic {
    let found = node.log.topic(&topic.name);
    let partitions = topic.partitions.iter().map(|partition| {
        let metadata = partition.committed_metadata.as_ref().map_or("", |metadata| metadata.as_str());
        let checked = node.groups.check_offset(found.as_deref(), partition.partition_index, metadata);
        if let Ok(id) = &checked {
            accepted.push(NewOffset {
                topic: *id,
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: metadata.into(),
            });
        }
        OffsetCommitResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(code_of(&checked))
    });
    let partitions = partitions.collect();
    OffsetCommitResponseTopic::default().with_name(TopicName(text(topic.name.as_str()))).with_partitions(partitions)
}

/// Puts the error wherever there is none of the partition's own.
fn refused(mut response: OffsetCommitResponse, error: &GroupError) -> OffsetCommitResponse {
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|partition| partition.error_code == 0) {
        partition.error_code = error_code(error).code();
    }
    response
}
