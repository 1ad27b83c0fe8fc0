//! `OffsetFetch`: how far a group has read. What was never committed is -1 and no error.

use std::sync::Arc;

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::groups::{Committed, TopicOffsets};

const TOPIC: &[Part] = &[shape::text(), shape::values(4)];
const GROUP: &[Part] = &[shape::text(), shape::text().since(9), shape::fixed(4).since(9), shape::structs(TOPIC)];

pub(super) static API: Api = Api {
    key: 9,
    name: "OffsetFetch",
    announced: (1, 9),
    least_implemented: 1,
    flexible_since: 6,
    flexible_response_header: true,
    shape: &[
        shape::text().until(7),
        shape::structs(TOPIC).until(7),
        shape::structs(GROUP).since(8),
        shape::fixed(1).since(7),
    ],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: OffsetFetchRequest = request.decode()?;
    if request.version >= 8 {
        let groups = message.groups.into_iter().map(|group| {
            let topics = fetch(node, &group.group_id, group.topics.as_deref());
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics)
        });
        return request.respond(&OffsetFetchResponse::default().with_groups(groups.collect())).map(Response::Ready);
    }
    let wanted = message.topics.map(|topics| {
        let form = |topic: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics::default().with_name(topic.name).with_partition_indexes(topic.partition_indexes)
        };
        topics.into_iter().map(form).collect::<Vec<_>>()
    });
    let topics = fetch(node, &message.group_id, wanted.as_deref()).into_iter().map(in_old_form).collect();
    request.respond(&OffsetFetchResponse::default().with_topics(topics)).map(Response::Ready)
}

/// The offsets of a group: of the topics named, or of all that it committed.
fn fetch(node: &Node, group: &str, wanted: Option<&[OffsetFetchRequestTopics]>) -> Vec<OffsetFetchResponseTopics> {
    let Some(wanted) = wanted else {
        let answer = |TopicOffsets { topic, offsets }: TopicOffsets| {
            let partitions = offsets.into_iter().map(|(partition, committed)| found(partition, Some(committed)));
            OffsetFetchResponseTopics::default()
                .with_name(TopicName(text(topic.name())))
                .with_partitions(partitions.collect())
        };
        return node.groups.all_committed(group).into_iter().map(answer).collect();
    };
    let answer = |wanted: &OffsetFetchRequestTopics| {
        let topic = node.log.topic(&wanted.name);
        let partitions = wanted.partition_indexes.iter().map(|&partition| {
            let committed = topic.as_ref().and_then(|topic| node.groups.committed(group, topic.id(), partition));
            found(partition, committed)
        });
        OffsetFetchResponseTopics::default().with_name(wanted.name.clone()).with_partitions(partitions.collect())
    };
    wanted.iter().map(answer).collect()
}

fn found(partition: i32, committed: Option<Committed>) -> OffsetFetchResponsePartitions {
    let response = OffsetFetchResponsePartitions::default().with_partition_index(partition);
    match committed {
        Some(committed) => response
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(&*committed.metadata))),
        None => response.with_committed_offset(-1).with_committed_leader_epoch(-1).with_metadata(Some(text(""))),
    }
}

/// The form of versions 1 to 7.
fn in_old_form(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
    });
    OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions.collect())
}
