//! `ApiVersions`: what is offered, and in which versions.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};

use super::{Api, REGISTRY};
use crate::broker::error::ProtocolError;
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 18,
    name: "ApiVersions",
    announced: (0, 4),
    least_implemented: 0,
    flexible_since: 3,
    // A client that doesn't know our versions yet must be able to read the header.
    flexible_response_header: false,
    shape: &[shape::text().since(3), shape::text().since(3)],
    handle,
    unknown_version,
};

#[expect(clippy::needless_pass_by_value, reason = "every handler owns its request")]
fn handle(_: &Arc<Node>, request: Request) -> Result<Response<Body>, ProtocolError> {
    request.respond(&response()).map(Response::Ready)
}

/// A client newer than this broker learns from the version-0 form which version to ask again in.
fn unknown_version(api: &'static Api, _: i16) -> Result<Body, ProtocolError> {
    Body::of(&response().with_error_code(ResponseError::UnsupportedVersion.code()), api, 0)
}

fn response() -> ApiVersionsResponse {
    let versions = REGISTRY
        .iter()
        .map(|api| {
            ApiVersion::default()
                .with_api_key(api.key)
                .with_min_version(api.announced.0)
                .with_max_version(api.announced.1)
        })
        .collect();
    ApiVersionsResponse::default().with_api_keys(versions)
}
