//! `SyncGroup`: a member asks for its part of the work; the leader's request brings everybody's.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::sync_group_request::SyncGroupRequest;
use kafka_protocol::messages::sync_group_response::SyncGroupResponse;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::{awaited, error_code, identity, owned, shared};
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::groups::SyncRequest;

const ASSIGNMENT: &[Part] = &[shape::text(), shape::bytes()];

pub(super) static API: Api = Api {
    key: 14,
    name: "SyncGroup",
    announced: (0, 5),
    least_implemented: 0,
    flexible_since: 4,
    flexible_response_header: true,
    shape: &[
        shape::text(),
        shape::fixed(4),
        shape::text(),
        shape::text().since(3),
        shape::text().since(5),
        shape::text().since(5),
        shape::structs(ASSIGNMENT),
    ],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: SyncGroupRequest = request.decode()?;
    let assignments = message
        .assignments
        .iter()
        .map(|one| (owned(&one.member_id), Bytes::copy_from_slice(&one.assignment)))
        .collect();
    let answer = node.groups.sync(
        &message.group_id,
        SyncRequest {
            identity: identity(&message.member_id, message.group_instance_id.as_ref()),
            generation: message.generation_id,
            protocol_type: message.protocol_type.as_ref().map(owned),
            protocol: message.protocol_name.as_ref().map(owned),
            assignments,
        },
    );
    let node = Arc::clone(node);
    Ok(Response::Later(Box::pin(async move {
        let response = match awaited(&node, answer).await {
            Ok(synced) => SyncGroupResponse::default()
                .with_protocol_type(Some(shared(&synced.protocol_type)))
                .with_protocol_name(Some(shared(&synced.protocol)))
                .with_assignment(synced.assignment),
            Err(error) => SyncGroupResponse::default().with_error_code(error_code(&error).code()),
        };
        request.respond(&response)
    })))
}
