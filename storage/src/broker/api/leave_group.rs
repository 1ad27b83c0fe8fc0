//! `LeaveGroup`: members go, so that the others need not wait for their silence. From version 3 on several at once.

use std::sync::Arc;

use kafka_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::{code_of, error_code, identity};
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};

const MEMBER: &[Part] = &[shape::text(), shape::text(), shape::text().since(5)];

pub(super) static API: Api = Api {
    key: 13,
    name: "LeaveGroup",
    announced: (0, 5),
    least_implemented: 0,
    flexible_since: 4,
    flexible_response_header: true,
    shape: &[shape::text(), shape::text().until(2), shape::structs(MEMBER).since(3)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: LeaveGroupRequest = request.decode()?;
    let is_single = request.version < 3;
    let members =
        if is_single { vec![MemberIdentity::default().with_member_id(message.member_id)] } else { message.members };
    let identities: Vec<_> =
        members.iter().map(|member| identity(&member.member_id, member.group_instance_id.as_ref())).collect();
    let response = match node.groups.leave(&message.group_id, &identities) {
        Err(error) => LeaveGroupResponse::default().with_error_code(error_code(&error).code()),
        Ok(results) if is_single => LeaveGroupResponse::default().with_error_code(results.first().map_or(0, code_of)),
        Ok(results) => {
            let left = members.into_iter().zip(&results).map(|(member, result)| {
                MemberResponse::default()
                    .with_member_id(member.member_id)
                    .with_group_instance_id(member.group_instance_id)
                    .with_error_code(code_of(result))
            });
            LeaveGroupResponse::default().with_members(left.collect())
        }
    };
    request.respond(&response).map(Response::Ready)
}
