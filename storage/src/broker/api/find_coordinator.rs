//! `FindCoordinator`: this node, for groups. Transactions have none: the refusal is one that producers take as final,
//! so that they fail at once with its text.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 10,
    name: "FindCoordinator",
    announced: (0, 4),
    least_implemented: 0,
    flexible_since: 3,
    flexible_response_header: true,
    shape: &[shape::text().until(3), shape::fixed(1).since(1), shape::texts().since(4)],
    handle,
    unknown_version: refuse,
};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: FindCoordinatorRequest = request.decode()?;
    if request.version >= 4 {
        let coordinators =
            message.coordinator_keys.into_iter().map(|key| coordinator(node, message.key_type, key)).collect();
        return request
            .respond(&FindCoordinatorResponse::default().with_coordinators(coordinators))
            .map(Response::Ready);
    }
    let found = coordinator(node, message.key_type, message.key);
    let response = FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port);
    request.respond(&response).map(Response::Ready)
}

fn coordinator(node: &Node, key_type: i8, key: StrBytes) -> Coordinator {
    let refused = |error: ResponseError, reason: &str| {
        Coordinator::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(reason)))
            .with_node_id(BrokerId(-1))
            .with_port(-1)
    };
    let found = match key_type {
        GROUP => Coordinator::default().with_node_id(NODE_ID).with_host(node.host.clone()).with_port(node.port),
        TRANSACTION => refused(ResponseError::TransactionalIdAuthorizationFailed, "this broker offers no transactions"),
        _ => refused(ResponseError::InvalidRequest, "a coordinator of this kind is not offered"),
    };
    found.with_key(key)
}
