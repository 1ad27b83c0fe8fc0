//! `CreatePartitions`: more partitions for topics that are there.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, text};
use crate::broker::resource::{Refusal, refusal};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};

const ASSIGNMENT: &[Part] = &[shape::values(4)];
const TOPIC: &[Part] = &[shape::text(), shape::fixed(4), shape::structs(ASSIGNMENT)];

pub(super) static API: Api = Api {
    key: 37,
    name: "CreatePartitions",
    announced: (0, 3),
    least_implemented: 0,
    flexible_since: 2,
    flexible_response_header: true,
    shape: &[shape::structs(TOPIC), shape::fixed(4), shape::fixed(1)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: CreatePartitionsRequest = request.decode()?;
    let node = Arc::clone(node);
    Ok(Response::Alone(Box::pin(async move {
        let results = tokio::task::spawn_blocking(move || answer(&node, &message)).await.unwrap_or_default();
        request.respond(&CreatePartitionsResponse::default().with_results(results))
    })))
}

fn answer(node: &Node, message: &CreatePartitionsRequest) -> Vec<CreatePartitionsTopicResult> {
    let topics = &message.topics;
    topics
        .iter()
        .map(|topic| {
            let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
            let added = if topics.iter().filter(|other| other.name == topic.name).count() == 1 {
                add(node, topic, message.validate_only)
            } else {
                Err((ResponseError::InvalidRequest, "the request names this topic more than once".to_owned()))
            };
            match added {
                Ok(()) => result,
                Err((error, reason)) => result.with_error_code(error.code()).with_error_message(Some(text(reason))),
            }
        })
        .collect()
}

fn add(node: &Node, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let topic = node.log.check_more_partitions(&wanted.name, wanted.count).map_err(|error| refusal(&error))?;
    if let Some(assignments) = &wanted.assignments {
        let added = usize::try_from(wanted.count).unwrap_or_default() - topic.partitions().len();
        if assignments.len() != added || assignments.iter().any(|assignment| assignment.broker_ids != [NODE_ID]) {
            let reason = "an assignment must give each new partition to broker 1 alone".to_owned();
            return Err((ResponseError::InvalidReplicaAssignment, reason));
        }
    }
    if !validate_only {
        node.log.create_partitions(&wanted.name, wanted.count).map_err(|error| refusal(&error))?;
    }
    Ok(())
}
