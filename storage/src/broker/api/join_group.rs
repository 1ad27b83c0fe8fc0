//! `JoinGroup`: becomes a member, or takes part in the next generation. The answer waits for the other members.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::{awaited, error_code, owned, shared};
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::groups::{GroupError, JoinRequest, Joined, Protocol};

const PROTOCOL: &[Part] = &[shape::text(), shape::bytes()];

pub(super) static API: Api = Api {
    key: 11,
    name: "JoinGroup",
    announced: (0, 9),
    least_implemented: 0,
    flexible_since: 6,
    flexible_response_header: true,
    shape: &[
        shape::text(),
        shape::fixed(4),
        shape::fixed(4).since(1),
        shape::text(),
        shape::text().since(5),
        shape::text(),
        shape::structs(PROTOCOL),
        shape::text().since(8),
    ],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: JoinGroupRequest = request.decode()?;
    let version = request.version;
    let millis = |value: i32| Duration::from_millis(u64::try_from(value).unwrap_or_default());
    let session_timeout = millis(message.session_timeout_ms);
    let protocols = message
        .protocols
        .iter()
        .map(|protocol| Protocol { name: owned(&protocol.name), metadata: Bytes::copy_from_slice(&protocol.metadata) });
    let member_id = owned(&message.member_id);
    let answer = node.groups.join(
        &message.group_id,
        JoinRequest {
            member_id: Arc::clone(&member_id),
            instance_id: message.group_instance_id.as_ref().map(owned),
            client_id: request.client_id.as_ref().into(),
            client_host: format!("/{}", request.peer).into(),
            session_timeout,
            rebalance_timeout: if version == 0 { session_timeout } else { millis(message.rebalance_timeout_ms) },
            protocol_type: owned(&message.protocol_type),
            protocols: protocols.collect(),
            requires_member_id: version >= 4,
            can_skip_assignment: version >= 9,
        },
    );
    let node = Arc::clone(node);
    Ok(Response::Later(Box::pin(async move {
        let response = match awaited(&node, answer).await {
            Ok(joined) => accepted(joined, version),
            Err(error) => refused(&error, &member_id, version),
        };
        request.respond(&response)
    })))
}

fn accepted(joined: Joined, version: i16) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(shared(&member.member_id))
            .with_group_instance_id(member.instance_id.filter(|_| version >= 5).map(|id| shared(&id)))
            .with_metadata(member.metadata)
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(Some(shared(&joined.protocol_type)).filter(|_| version >= 7))
        .with_protocol_name(Some(shared(&joined.protocol)))
        .with_leader(shared(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(shared(&joined.member_id))
        .with_members(members.collect())
}

fn refused(error: &GroupError, member_id: &str, version: i16) -> JoinGroupResponse {
    let member_id = if let GroupError::MemberIdRequired(given) = error { given } else { member_id };
    JoinGroupResponse::default()
        .with_error_code(error_code(error).code())
        .with_generation_id(-1)
        .with_protocol_type(None)
        // Before version 7 it can't be absent.
        .with_protocol_name((version < 7).then(|| shared("")))
        .with_member_id(shared(member_id))
}
