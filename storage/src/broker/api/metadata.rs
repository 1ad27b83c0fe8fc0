//! `Metadata`: which topics there are and where their partitions are led (always here).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use uuid::Uuid;

use super::describe_cluster::OF_CLUSTER;
use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, error_code, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{LogError, Partition, Topic, TopicConfig, TopicId};

const TOPIC: &[Part] = &[shape::fixed(16).since(10), shape::text()];

pub(super) static API: Api = Api {
    key: 3,
    name: "Metadata",
    announced: (0, 12),
    least_implemented: 0,
    flexible_since: 9,
    flexible_response_header: true,
    shape: &[
        shape::structs(TOPIC),
        shape::fixed(1).since(4),
        shape::fixed(1).since(8).until(10),
        shape::fixed(1).since(8),
    ],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: MetadataRequest = request.decode()?;
    let creates =
        node.options.auto_create
            && (request.version < 4 || message.allow_auto_topic_creation)
            && message.topics.iter().flatten().any(|topic| {
                topic.name.as_ref().is_some_and(|name| !name.is_empty() && node.log.topic(name).is_none())
            });
    if !creates {
        return request.respond(&answer(node, &message, request.version, false)).map(Response::Ready);
    }
    let node = Arc::clone(node);
    Ok(Response::Alone(Box::pin(async move {
        let version = request.version;
        let response = tokio::task::spawn_blocking(move || answer(&node, &message, version, true)).await;
        let response = response.unwrap_or_else(|_| MetadataResponse::default());
        request.respond(&response)
    })))
}

/// What may be done with a topic, as bits: read (3), write, create, delete, alter, describe (8), describe and alter its settings
/// (10, 11). Who is connected may do everything.
pub(super) const OF_TOPIC: i32 = 0b1101_1111_1000;

fn answer(node: &Node, message: &MetadataRequest, version: i16, create: bool) -> MetadataResponse {
    let topics = match &message.topics {
        Some(topics) if version > 0 || !topics.is_empty() => {
            topics.iter().map(|wanted| named(node, wanted, create)).collect()
        }
        _ => node.log.topics().iter().map(|topic| described(topic)).collect(),
    };
    let mut topics: Vec<MetadataResponseTopic> = topics;
    for topic in topics.iter_mut().filter(|topic| message.include_topic_authorized_operations && topic.error_code == 0)
    {
        topic.topic_authorized_operations = OF_TOPIC;
    }
    let broker =
        MetadataResponseBroker::default().with_node_id(NODE_ID).with_host(node.host.clone()).with_port(node.port);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(node.log.cluster_id())))
        .with_controller_id(NODE_ID)
        .with_cluster_authorized_operations(if message.include_cluster_authorized_operations {
            OF_CLUSTER
        } else {
            i32::MIN
        })
        .with_topics(topics)
}

fn named(node: &Node, wanted: &MetadataRequestTopic, create: bool) -> MetadataResponseTopic {
    let failed = |error: ResponseError| {
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(wanted.name.clone())
            .with_topic_id(wanted.topic_id)
    };
    let Some(name) = &wanted.name else {
        let found = node.log.topic_by_id(TopicId(*wanted.topic_id.as_bytes()));
        return found.map_or_else(|| failed(ResponseError::UnknownTopicId), |topic| described(&topic));
    };
    if let Some(topic) = node.log.topic(name) {
        return described(&topic);
    }
    if !create {
        return failed(ResponseError::UnknownTopicOrPartition);
    }
    match node.log.create_topic(name, node.options.default_partitions, TopicConfig::default()) {
        Ok(topic) => described(&topic),
        // Another connection was faster.
        Err(LogError::TopicExists(_)) => {
            node.log.topic(name).map_or_else(|| failed(ResponseError::LeaderNotAvailable), |topic| described(&topic))
        }
        Err(error) => failed(error_code(&error)),
    }
}

/// Who leads a partition, as answers tell it.
pub(super) struct Leadership {
    pub(super) error_code: i16,
    pub(super) leader: BrokerId,
    pub(super) epoch: i32,
    /// The replicas that are there and can't be read.
    pub(super) offline: Vec<BrokerId>,
}

impl Leadership {
    pub(super) fn of(partition: &Partition) -> Self {
        if partition.offline().is_none() {
            return Self { error_code: 0, leader: NODE_ID, epoch: partition.leader_epoch(), offline: Vec::new() };
        }
        // As Kafka tells of a partition whose only replica's disk has failed.
        let error_code = ResponseError::LeaderNotAvailable.code();
        Self { error_code, leader: BrokerId(-1), epoch: -1, offline: vec![NODE_ID] }
    }
}

fn described(topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic
        .partitions()
        .iter()
        .map(|partition| {
            let led = Leadership::of(partition);
            MetadataResponsePartition::default()
                .with_partition_index(partition.index())
                .with_error_code(led.error_code)
                .with_leader_id(led.leader)
                .with_leader_epoch(led.epoch)
                .with_replica_nodes(vec![NODE_ID])
                .with_isr_nodes(vec![NODE_ID])
                .with_offline_replicas(led.offline)
        })
        .collect();
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(topic.name()))))
        .with_topic_id(Uuid::from_bytes(topic.id().0))
        .with_partitions(partitions)
}
