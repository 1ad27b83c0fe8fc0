//! `DeleteGroups`: groups without members go, with their offsets.

use std::sync::Arc;

use kafka_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use kafka_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::groups::{awaited, code_of};
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 42,
    name: "DeleteGroups",
    announced: (0, 2),
    least_implemented: 0,
    flexible_since: 2,
    flexible_response_header: true,
    shape: &[shape::texts()],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: DeleteGroupsRequest = request.decode()?;
    let begun: Vec<_> = message.groups_names.into_iter().map(|id| (node.groups.delete(&id), id)).collect();
    let node = Arc::clone(node);
    Ok(Response::Later(Box::pin(async move {
        let mut results = Vec::with_capacity(begun.len());
        for (answer, id) in begun {
            let result = match answer {
                Ok(answer) => awaited(&node, answer).await,
                Err(error) => Err(error),
            };
            results.push(DeletableGroupResult::default().with_group_id(id).with_error_code(code_of(&result)));
        }
        request.respond(&DeleteGroupsResponse::default().with_results(results))
    })))
}
