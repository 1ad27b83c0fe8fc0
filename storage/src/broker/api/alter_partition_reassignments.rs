//! `AlterPartitionReassignments`: every partition is where it can be, on the one broker (KIP-455).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition,
};
use kafka_protocol::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, text};
use crate::broker::resource::Refusal;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::Topic;

const PARTITION: &[Part] = &[shape::fixed(4), shape::values(4)];
const TOPIC: &[Part] = &[shape::text(), shape::structs(PARTITION)];

pub(super) static API: Api = Api {
    key: 45,
    name: "AlterPartitionReassignments",
    announced: (0, 1),
    least_implemented: 0,
    flexible_since: 0,
    flexible_response_header: true,
    shape: &[shape::fixed(4), shape::fixed(1).since(1), shape::structs(TOPIC)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: AlterPartitionReassignmentsRequest = request.decode()?;
    let responses = message.topics.iter().map(|wanted| {
        let topic = node.log.topic(&wanted.name);
        let partitions = wanted.partitions.iter().map(|partition| answer(topic.as_deref(), partition));
        ReassignableTopicResponse::default().with_name(wanted.name.clone()).with_partitions(partitions.collect())
    });
    let response = AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(message.allow_replication_factor_change)
        .with_responses(responses.collect());
    request.respond(&response).map(Response::Ready)
}

fn answer(topic: Option<&Topic>, wanted: &ReassignablePartition) -> ReassignablePartitionResponse {
    let response = ReassignablePartitionResponse::default().with_partition_index(wanted.partition_index);
    match reassign(topic, wanted) {
        Ok(()) => response,
        Err((error, reason)) => response.with_error_code(error.code()).with_error_message(Some(text(reason))),
    }
}

fn reassign(topic: Option<&Topic>, wanted: &ReassignablePartition) -> Result<(), Refusal> {
    if topic.and_then(|topic| topic.partition(wanted.partition_index)).is_none() {
        return Err((ResponseError::UnknownTopicOrPartition, "there is no such partition".to_owned()));
    }
    match &wanted.replicas {
        None => Err((ResponseError::NoReassignmentInProgress, "nothing is being moved".to_owned())),
        Some(replicas) if *replicas == [NODE_ID] => Ok(()),
        Some(_) => {
            let reason = format!("a partition can be on broker {} alone", NODE_ID.0);
            Err((ResponseError::InvalidReplicaAssignment, reason))
        }
    }
}
