//! `OffsetDelete`: a group forgets offsets of topics that it doesn't read (KIP-496).

use std::sync::Arc;

use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequest;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::{awaited, code_of, error_code};
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};

const PARTITION: &[Part] = &[shape::fixed(4)];
const TOPIC: &[Part] = &[shape::text(), shape::structs(PARTITION)];

pub(super) static API: Api = Api {
    key: 47,
    name: "OffsetDelete",
    announced: (0, 0),
    least_implemented: 0,
    flexible_since: i16::MAX,
    flexible_response_header: true,
    shape: &[shape::text(), shape::structs(TOPIC)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: OffsetDeleteRequest = request.decode()?;
    let mut wanted = Vec::new();
    for topic in &message.topics {
        let found = node.log.topic(&topic.name);
        wanted.extend(topic.partitions.iter().map(|partition| (found.clone(), partition.partition_index)));
    }
    let deletion = match node.groups.delete_offsets(&message.group_id, &wanted) {
        Ok(deletion) => deletion,
        Err(error) => {
            let refused = OffsetDeleteResponse::default().with_error_code(error_code(&error).code());
            return request.respond(&refused).map(Response::Ready);
        }
    };
    let mut results = deletion.results.into_iter();
    let topics = message.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(results.by_ref()).map(|(partition, result)| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code_of(&result))
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    let response = OffsetDeleteResponse::default().with_topics(topics.collect());
    let node = Arc::clone(node);
    Ok(Response::Later(Box::pin(async move {
        let result = awaited(&node, deletion.done).await;
        request.respond(&response.with_error_code(code_of(&result)))
    })))
}
