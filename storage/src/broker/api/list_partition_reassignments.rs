//! `ListPartitionReassignments`: nothing is ever being moved (KIP-455).

use std::sync::Arc;

use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use kafka_protocol::messages::list_partition_reassignments_response::ListPartitionReassignmentsResponse;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};

const TOPIC: &[Part] = &[shape::text(), shape::values(4)];

pub(super) static API: Api = Api {
    key: 46,
    name: "ListPartitionReassignments",
    announced: (0, 0),
    least_implemented: 0,
    flexible_since: 0,
    flexible_response_header: true,
    shape: &[shape::fixed(4), shape::structs(TOPIC)],
    handle,
    unknown_version: refuse,
};

fn handle(_node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let _: ListPartitionReassignmentsRequest = request.decode()?;
    request.respond(&ListPartitionReassignmentsResponse::default()).map(Response::Ready)
}
