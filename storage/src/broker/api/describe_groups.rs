//! `DescribeGroups`: state and members.

use std::sync::Arc;

use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::{error_code, shared};
use crate::broker::node::{Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 15,
    name: "DescribeGroups",
    announced: (0, 6),
    least_implemented: 0,
    flexible_since: 5,
    flexible_response_header: true,
    shape: &[shape::texts(), shape::fixed(1).since(3)],
    handle,
    unknown_version: refuse,
};

/// What may be done with a group, as bits: read (3), delete (6), describe (8).
const OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: DescribeGroupsRequest = request.decode()?;
    let groups = message.groups.into_iter().map(|id| {
        let described = describe(node, id, request.version);
        if message.include_authorized_operations { described.with_authorized_operations(OPERATIONS) } else { described }
    });
    request.respond(&DescribeGroupsResponse::default().with_groups(groups.collect())).map(Response::Ready)
}

fn describe(node: &Node, id: GroupId, version: i16) -> DescribedGroup {
    let group = match node.groups.describe(&id) {
        Ok(group) => group,
        Err(error) => {
            let dead = DescribedGroup::default().with_group_id(id).with_group_state(text("Dead"));
            // Older clients take a group that isn't there for a dead one (KIP-1043).
            return if version >= 6 {
                dead.with_error_code(error_code(&error).code()).with_error_message(Some(text(error.to_string())))
            } else {
                dead
            };
        }
    };
    let members = group.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(shared(&member.member_id))
            .with_group_instance_id(member.instance_id.filter(|_| version >= 4).map(|id| shared(&id)))
            .with_client_id(shared(&member.client_id))
            .with_client_host(shared(&member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    DescribedGroup::default()
        .with_group_id(id)
        .with_group_state(text(group.state.name()))
        .with_protocol_type(shared(&group.protocol_type))
        .with_protocol_data(shared(&group.protocol))
        .with_members(members.collect())
}
