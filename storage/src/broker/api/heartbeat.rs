//! `Heartbeat`: a member is alive, and learns whether it must join again.

use std::sync::Arc;

use kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use kafka_protocol::messages::heartbeat_response::HeartbeatResponse;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::{code_of, identity};
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 12,
    name: "Heartbeat",
    announced: (0, 4),
    least_implemented: 0,
    flexible_since: 4,
    flexible_response_header: true,
    shape: &[shape::text(), shape::fixed(4), shape::text(), shape::text().since(3)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: HeartbeatRequest = request.decode()?;
    let identity = identity(&message.member_id, message.group_instance_id.as_ref());
    let result = node.groups.heartbeat(&message.group_id, &identity, message.generation_id);
    request.respond(&HeartbeatResponse::default().with_error_code(code_of(&result))).map(Response::Ready)
}
