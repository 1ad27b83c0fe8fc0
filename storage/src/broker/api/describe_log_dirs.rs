//! `DescribeLogDirs`: how many bytes each partition takes on disk.
//!
//! There is one folder, and its path is nobody's business: clients are told a name that stands for it. Its total and free
//! space (version 4, KIP-827) are left open, which the protocol allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{Partition, Topic};

const TOPIC: &[Part] = &[shape::text(), shape::values(4)];

pub(super) static API: Api = Api {
    key: 35,
    name: "DescribeLogDirs",
    announced: (1, 4),
    least_implemented: 1,
    flexible_since: 2,
    flexible_response_header: true,
    shape: &[shape::structs(TOPIC)],
    handle,
    unknown_version: refuse,
};

/// What clients are told instead of the folder's path.
const FOLDER: &str = "log";

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: DescribeLogDirsRequest = request.decode()?;
    let topics = match &message.topics {
        None => node.log.topics().iter().map(|topic| describe(topic, |_| true)).collect(),
        Some(wanted) => asked_for(node, wanted),
    };
    let folder = DescribeLogDirsResult::default().with_log_dir(text(FOLDER)).with_topics(topics);
    request.respond(&DescribeLogDirsResponse::default().with_results(vec![folder])).map(Response::Ready)
}

/// Those that were named and exist: the protocol has no error for a single partition.
fn asked_for(node: &Node, wanted: &[DescribableLogDirTopic]) -> Vec<DescribeLogDirsTopic> {
    let mut partitions: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for topic in wanted {
        partitions.entry(topic.topic.as_str()).or_default().extend(&topic.partitions);
    }
    let known = partitions.into_iter().filter_map(|(name, mut partitions)| {
        partitions.sort_unstable();
        node.log.topic(name).map(|topic| describe(&topic, |index| partitions.binary_search(&index).is_ok()))
    });
    known.collect()
}

fn describe(topic: &Topic, wants: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let held = |partition: &&Arc<Partition>| partition.offline().is_none() && wants(partition.index());
    let partitions = topic.partitions().iter().filter(held).map(|partition| {
        DescribeLogDirsPartition::default()
            .with_partition_index(partition.index())
            .with_partition_size(i64::try_from(partition.bytes()).unwrap_or(i64::MAX))
    });
    let partitions = partitions.collect();
    DescribeLogDirsTopic::default().with_name(TopicName(text(topic.name()))).with_partitions(partitions)
}
