//! `ListConfigResources`: what has settings (KIP-1142): topics and the broker. Version 0 asks for the subscriptions of
//! client metrics alone, of which there are none.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use kafka_protocol::messages::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, text};
use crate::broker::resource::{BROKER, GROUP, TOPIC};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 74,
    name: "ListConfigResources",
    announced: (0, 1),
    least_implemented: 0,
    flexible_since: 0,
    flexible_response_header: true,
    shape: &[shape::values(1).since(1)],
    handle,
    unknown_version: refuse,
};

/// Kinds of resources that Kafka has and that have no settings here: loggers of brokers, client metrics, groups.
const WITHOUT_SETTINGS: [i8; 3] = [8, 16, GROUP];

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: ListConfigResourcesRequest = request.decode()?;
    let kinds = match (request.version, message.resource_types.as_slice()) {
        (0, _) => &WITHOUT_SETTINGS[..],
        (_, []) => &[TOPIC, BROKER],
        (_, kinds) => kinds,
    };
    let is_known = |kind: &i8| [TOPIC, BROKER].contains(kind) || WITHOUT_SETTINGS.contains(kind);
    let response = ListConfigResourcesResponse::default();
    let response = if kinds.iter().all(is_known) {
        response.with_config_resources(resources(node, kinds))
    } else {
        response.with_error_code(ResponseError::UnsupportedVersion.code())
    };
    request.respond(&response).map(Response::Ready)
}

fn resources(node: &Node, kinds: &[i8]) -> Vec<ConfigResource> {
    let resource =
        |kind, name: String| ConfigResource::default().with_resource_type(kind).with_resource_name(text(name));
    let mut resources = Vec::new();
    if kinds.contains(&TOPIC) {
        resources.extend(node.log.topics().iter().map(|topic| resource(TOPIC, topic.name().to_owned())));
    }
    if kinds.contains(&BROKER) {
        resources.push(resource(BROKER, NODE_ID.0.to_string()));
    }
    resources
}
