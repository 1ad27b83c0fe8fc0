//! `DescribeTopicPartitions`: topics page by page (KIP-966), the way Kafka's own tools describe them.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use uuid::Uuid;

use super::metadata::{Leadership, OF_TOPIC};
use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{Partition, Topic};

const TOPIC: &[Part] = &[shape::text()];
const CURSOR: &[Part] = &[shape::text(), shape::fixed(4)];

pub(super) static API: Api = Api {
    key: 75,
    name: "DescribeTopicPartitions",
    announced: (0, 0),
    least_implemented: 0,
    flexible_since: 0,
    flexible_response_header: true,
    shape: &[shape::structs(TOPIC), shape::fixed(4), shape::optional(CURSOR)],
    handle,
    unknown_version: refuse,
};

/// The most partitions of one page, as in Kafka.
const MOST_PARTITIONS: i32 = 2000;

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: DescribeTopicPartitionsRequest = request.decode()?;
    let mut names: Vec<String> = if message.topics.is_empty() {
        node.log.topics().iter().map(|topic| topic.name().to_owned()).collect()
    } else {
        message.topics.iter().map(|topic| topic.name.to_string()).collect()
    };
    names.sort_unstable();
    names.dedup();
    let start = message.cursor.map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index.max(0)));
    let limit = usize::try_from(message.response_partition_limit.clamp(1, MOST_PARTITIONS)).unwrap_or(1);
    request.respond(&page(node, &names, start.as_ref(), limit)).map(Response::Ready)
}

/// So many partitions from `start` on, and where the next page starts if there is more.
fn page(node: &Node, names: &[String], start: Option<&(String, i32)>, limit: usize) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut left = limit;
    for name in names.iter().filter(|name| start.is_none_or(|(topic, _)| *name >= topic)) {
        let first = start.filter(|(topic, _)| topic == name).map_or(0, |&(_, partition)| partition);
        let next_at = |partition| {
            Cursor::default().with_topic_name(TopicName(text(name.as_str()))).with_partition_index(partition)
        };
        if left == 0 {
            return response.with_next_cursor(Some(next_at(first)));
        }
        let Some(topic) = node.log.topic(name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let partitions = topic.partitions();
        let rest = partitions.get(usize::try_from(first).unwrap_or_default()..).unwrap_or_default();
        let shown = &rest[..rest.len().min(left)];
        left -= shown.len();
        response.topics.push(described(&topic, shown));
        if let Some(next) = rest.get(shown.len()) {
            return response.with_next_cursor(Some(next_at(next.index())));
        }
    }
    response
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(ResponseError::UnknownTopicOrPartition.code())
        .with_name(Some(TopicName(text(name))))
}

fn described(topic: &Topic, partitions: &[Arc<Partition>]) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(text(topic.name()))))
        .with_topic_id(Uuid::from_bytes(topic.id().0))
        .with_topic_authorized_operations(OF_TOPIC)
        .with_partitions(partitions.iter().map(|partition| one(partition)).collect())
}

fn one(partition: &Partition) -> DescribeTopicPartitionsResponsePartition {
    let led = Leadership::of(partition);
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(partition.index())
        .with_error_code(led.error_code)
        .with_leader_id(led.leader)
        .with_leader_epoch(led.epoch)
        .with_replica_nodes(vec![NODE_ID])
        .with_isr_nodes(vec![NODE_ID])
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
        .with_offline_replicas(led.offline)
}
