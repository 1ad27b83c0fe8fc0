//! `DeleteTopics`, by name or (version 6) by id.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use uuid::Uuid;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, error_code, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::TopicId;

const TOPIC: &[Part] = &[shape::text(), shape::fixed(16)];

pub(super) static API: Api = Api {
    key: 20,
    name: "DeleteTopics",
    announced: (1, 6),
    least_implemented: 1,
    flexible_since: 4,
    flexible_response_header: true,
    shape: &[shape::structs(TOPIC).since(6), shape::texts().until(5), shape::fixed(4)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: DeleteTopicsRequest = request.decode()?;
    let node = Arc::clone(node);
    Ok(Response::Alone(Box::pin(async move {
        let deleted = tokio::task::spawn_blocking(move || {
            let by_name =
                message.topic_names.iter().map(|name| DeleteTopicState::default().with_name(Some(name.clone())));
            let wanted: Vec<DeleteTopicState> = by_name.chain(message.topics.iter().cloned()).collect();
            let ids = wanted.iter().map(|topic| id_of(&node, topic));
            let ids: Vec<Option<TopicId>> = ids.collect();
            let delete = |(topic, id): (&DeleteTopicState, &Option<TopicId>)| {
                let is_twice = id.is_some() && ids.iter().filter(|other| *other == id).count() > 1;
                if is_twice {
                    refused(topic, "the request names this topic more than once")
                } else {
                    delete(&node, topic)
                }
            };
            wanted.iter().zip(&ids).map(delete).collect()
        });
        request.respond(&DeleteTopicsResponse::default().with_responses(deleted.await.unwrap_or_default()))
    })))
}

/// The topic that is meant, if it is there.
fn id_of(node: &Node, wanted: &DeleteTopicState) -> Option<TopicId> {
    match &wanted.name {
        Some(name) => node.log.topic(name).map(|topic| topic.id()),
        None => node.log.topic_by_id(TopicId(*wanted.topic_id.as_bytes())).map(|topic| topic.id()),
    }
}

fn refused(wanted: &DeleteTopicState, reason: &str) -> DeletableTopicResult {
    let result = DeletableTopicResult::default().with_name(wanted.name.clone()).with_topic_id(wanted.topic_id);
    result.with_error_code(ResponseError::InvalidRequest.code()).with_error_message(Some(text(reason)))
}

fn delete(node: &Node, wanted: &DeleteTopicState) -> DeletableTopicResult {
    let result = DeletableTopicResult::default().with_name(wanted.name.clone()).with_topic_id(wanted.topic_id);
    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => match node.log.topic_by_id(TopicId(*wanted.topic_id.as_bytes())) {
            Some(topic) => TopicName(text(topic.name())),
            None => return result.with_error_code(ResponseError::UnknownTopicId.code()),
        },
    };
    match node.log.delete_topic(&name) {
        Ok(id) => result.with_name(Some(name)).with_topic_id(Uuid::from_bytes(id.0)),
        Err(error) => {
            result.with_error_code(error_code(&error).code()).with_error_message(Some(text(error.to_string())))
        }
    }
}
