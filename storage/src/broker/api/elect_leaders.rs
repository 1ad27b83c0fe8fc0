//! `ElectLeaders`: there is one candidate, and it leads (KIP-460).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use kafka_protocol::messages::elect_leaders_response::{ElectLeadersResponse, PartitionResult, ReplicaElectionResult};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, text};
use crate::broker::resource::Refusal;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};

const TOPIC: &[Part] = &[shape::text(), shape::values(4)];

pub(super) static API: Api = Api {
    key: 43,
    name: "ElectLeaders",
    announced: (0, 2),
    least_implemented: 0,
    flexible_since: 2,
    flexible_response_header: true,
    shape: &[shape::fixed(1).since(1), shape::structs(TOPIC), shape::fixed(4)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: ElectLeadersRequest = request.decode()?;
    // Who names no partitions is told of those that had to be elected: none.
    let results = message.topic_partitions.iter().flatten().map(|wanted| of_topic(node, wanted)).collect();
    request.respond(&ElectLeadersResponse::default().with_replica_election_results(results)).map(Response::Ready)
}

fn of_topic(node: &Node, wanted: &TopicPartitions) -> ReplicaElectionResult {
    let results = wanted.partitions.iter().map(|&partition| {
        let (error, reason) = outcome(node, &wanted.topic, partition);
        PartitionResult::default()
            .with_partition_id(partition)
            .with_error_code(error.code())
            .with_error_message(Some(text(reason)))
    });
    ReplicaElectionResult::default().with_topic(wanted.topic.clone()).with_partition_result(results.collect())
}

fn outcome(node: &Node, topic: &str, partition: i32) -> Refusal {
    match node.log.topic(topic).as_ref().and_then(|topic| topic.partition(partition)) {
        None => (ResponseError::UnknownTopicOrPartition, "there is no such partition".to_owned()),
        Some(partition) => match partition.offline() {
            Some(reason) => (ResponseError::EligibleLeadersNotAvailable, reason.to_string()),
            None => (ResponseError::ElectionNotNeeded, "this broker leads the partition".to_owned()),
        },
    }
}
