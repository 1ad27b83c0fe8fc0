//! `AlterConfigs`: replaces all settings of topics; those that aren't named follow the broker again.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, text};
use crate::broker::resource::{Refusal, Resource, alter, check_unique};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::TopicConfig;

const CONFIG: &[Part] = &[shape::text(), shape::text()];
const RESOURCE: &[Part] = &[shape::fixed(1), shape::text(), shape::structs(CONFIG)];

pub(super) static API: Api = Api {
    key: 33,
    name: "AlterConfigs",
    announced: (0, 2),
    least_implemented: 0,
    flexible_since: 2,
    flexible_response_header: true,
    shape: &[shape::structs(RESOURCE), shape::fixed(1)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: AlterConfigsRequest = request.decode()?;
    let node = Arc::clone(node);
    Ok(Response::Alone(Box::pin(async move {
        let altered = tokio::task::spawn_blocking(move || {
            let resources = message.resources.iter();
            resources.map(|resource| answer(&node, resource, message.validate_only)).collect()
        });
        request.respond(&AlterConfigsResponse::default().with_responses(altered.await.unwrap_or_default()))
    })))
}

fn answer(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> AlterConfigsResourceResponse {
    let response = AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone());
    match change(node, resource, validate_only) {
        Ok(()) => response,
        Err((error, reason)) => response.with_error_code(error.code()).with_error_message(Some(text(reason))),
    }
}

fn change(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let topic = Resource::find(node, resource.resource_type, &resource.resource_name)?.alterable()?;
    check_unique(resource.configs.iter().map(|config| config.name.as_str()))?;
    if let Some(config) = resource.configs.iter().find(|config| config.value.is_none()) {
        return Err((ResponseError::InvalidRequest, format!("{} has no value", config.name.as_str())));
    }
    let text = |config: &AlterableConfig| config.value.as_ref().map_or_else(String::new, ToString::to_string);
    alter(node, &topic, validate_only, |settings| {
        *settings = TopicConfig::default();
        resource.configs.iter().try_for_each(|config| settings.set(&config.name, &text(config)))
    })
}
