//! `CreateTopics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use uuid::Uuid;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, text};
use crate::broker::resource::{Refusal, TOPIC_SOURCE, default_source, refusal};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{SETTINGS, TopicConfig, TopicId};

const ASSIGNMENT: &[Part] = &[shape::fixed(4), shape::values(4)];
const CONFIG: &[Part] = &[shape::text(), shape::text()];
const TOPIC: &[Part] =
    &[shape::text(), shape::fixed(4), shape::fixed(2), shape::structs(ASSIGNMENT), shape::structs(CONFIG)];

pub(super) static API: Api = Api {
    key: 19,
    name: "CreateTopics",
    announced: (2, 7),
    least_implemented: 2,
    flexible_since: 5,
    flexible_response_header: true,
    shape: &[shape::structs(TOPIC), shape::fixed(4), shape::fixed(1)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: CreateTopicsRequest = request.decode()?;
    let node = Arc::clone(node);
    Ok(Response::Alone(Box::pin(async move {
        let results = tokio::task::spawn_blocking(move || create_all(&node, &message)).await.unwrap_or_default();
        request.respond(&CreateTopicsResponse::default().with_topics(results))
    })))
}

fn create_all(node: &Node, message: &CreateTopicsRequest) -> Vec<CreatableTopicResult> {
    let mut times = BTreeMap::new();
    for topic in &message.topics {
        *times.entry(topic.name.as_str()).or_insert(0) += 1;
    }
    message
        .topics
        .iter()
        .map(|topic| {
            let result = if times.get(topic.name.as_str()) == Some(&1) {
                create(node, topic, message.validate_only)
            } else {
                Err((ResponseError::InvalidRequest, "the request names this topic more than once".to_owned()))
            };
            // From version 5 on an absent array makes Java's client fail.
            let response = CreatableTopicResult::default().with_name(topic.name.clone()).with_configs(Some(Vec::new()));
            match result {
                Ok((id, partitions, config)) => response
                    .with_error_message(None)
                    .with_configs(Some(described(node, &config)))
                    .with_topic_id(Uuid::from_bytes(id.0))
                    .with_num_partitions(partitions)
                    .with_replication_factor(1),
                Err((error, reason)) => response.with_error_code(error.code()).with_error_message(Some(text(reason))),
            }
        })
        .collect()
}

fn create(node: &Node, topic: &CreatableTopic, validate_only: bool) -> Result<(TopicId, i32, TopicConfig), Refusal> {
    let partitions = partition_count(node, topic)?;
    let config = config(topic)?;
    let refused = |error| refusal(&error);
    if validate_only {
        node.log.check_new_topic(&topic.name, partitions).map_err(refused)?;
        return Ok((TopicId([0; 16]), partitions, config));
    }
    let created = node.log.create_topic(&topic.name, partitions, config).map_err(refused)?;
    Ok((created.id(), partitions, created.config().clone()))
}

fn partition_count(node: &Node, topic: &CreatableTopic) -> Result<i32, Refusal> {
    if !topic.assignments.is_empty() {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            let reason = "with an assignment, the numbers of partitions and replicas must be -1".to_owned();
            return Err((ResponseError::InvalidRequest, reason));
        }
        let mut indexes: Vec<i32> = topic.assignments.iter().map(|assignment| assignment.partition_index).collect();
        indexes.sort_unstable();
        let complete = indexes.iter().zip(0..).all(|(&index, expected)| index == expected)
            && topic.assignments.iter().all(|assignment| assignment.broker_ids == [NODE_ID]);
        let count = i32::try_from(indexes.len()).unwrap_or(i32::MAX);
        let reason = "an assignment must give each partition from 0 on to broker 1 alone".to_owned();
        return if complete { Ok(count) } else { Err((ResponseError::InvalidReplicaAssignment, reason)) };
    }
    if !matches!(topic.replication_factor, -1 | 1) {
        let reason = format!("{} replicas were asked for, this cluster has one broker", topic.replication_factor);
        return Err((ResponseError::InvalidReplicationFactor, reason));
    }
    Ok(if topic.num_partitions == -1 { node.options.default_partitions } else { topic.num_partitions })
}

fn config(topic: &CreatableTopic) -> Result<TopicConfig, Refusal> {
    let mut config = TopicConfig::default();
    for entry in &topic.configs {
        let Some(value) = &entry.value else {
            return Err((ResponseError::InvalidConfig, format!("{} has no value", entry.name.as_str())));
        };
        config.set(&entry.name, value).map_err(|error| refusal(&error))?;
    }
    Ok(config)
}

/// All settings of a new topic, as version 5 and later tell them.
fn described(node: &Node, config: &TopicConfig) -> Vec<CreatableTopicConfigs> {
    let options = node.log.options();
    let settings = SETTINGS.iter().map(|setting| {
        let source = config.get(setting).map_or_else(|| default_source(setting, options), |_| TOPIC_SOURCE);
        CreatableTopicConfigs::default()
            .with_name(text(setting.name))
            .with_value(Some(text(config.effective(setting, options).to_string())))
            .with_config_source(source)
    });
    settings.collect()
}
