//! `ListGroups`, by state (version 4) and type (version 5) if the client wants so.

use std::sync::Arc;

use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use kafka_protocol::protocol::StrBytes;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::shared;
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

/// The type of every group here; `consumer` would be KIP-848's.
const CLASSIC: &str = "classic";

pub(super) static API: Api = Api {
    key: 16,
    name: "ListGroups",
    announced: (0, 5),
    least_implemented: 0,
    flexible_since: 3,
    flexible_response_header: true,
    shape: &[shape::texts().since(4), shape::texts().since(5)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: ListGroupsRequest = request.decode()?;
    let wants = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let groups = node
        .groups
        .list()
        .into_iter()
        .filter(|group| wants(&message.states_filter, group.state.name()) && wants(&message.types_filter, CLASSIC))
        .map(|group| {
            ListedGroup::default()
                .with_group_id(GroupId(shared(&group.id)))
                .with_protocol_type(shared(&group.protocol_type))
                .with_group_state(shared(group.state.name()))
                .with_group_type(shared(CLASSIC))
        });
    request.respond(&ListGroupsResponse::default().with_groups(groups.collect())).map(Response::Ready)
}
