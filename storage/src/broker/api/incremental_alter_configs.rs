//! `IncrementalAlterConfigs`: changes single settings of topics (KIP-339).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, text};
use crate::broker::resource::{Refusal, Resource, alter, check_unique};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{LogError, Setting, SettingKind, TopicConfig};

const CONFIG: &[Part] = &[shape::text(), shape::fixed(1), shape::text()];
const RESOURCE: &[Part] = &[shape::fixed(1), shape::text(), shape::structs(CONFIG)];

pub(super) static API: Api = Api {
    key: 44,
    name: "IncrementalAlterConfigs",
    announced: (0, 1),
    least_implemented: 0,
    flexible_since: 1,
    flexible_response_header: true,
    shape: &[shape::structs(RESOURCE), shape::fixed(1)],
    handle,
    unknown_version: refuse,
};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: IncrementalAlterConfigsRequest = request.decode()?;
    let node = Arc::clone(node);
    Ok(Response::Alone(Box::pin(async move {
        let altered = tokio::task::spawn_blocking(move || {
            let resources = message.resources.iter();
            resources.map(|resource| answer(&node, resource, message.validate_only)).collect()
        });
        request.respond(&IncrementalAlterConfigsResponse::default().with_responses(altered.await.unwrap_or_default()))
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
    let without_value = |config: &&AlterableConfig| config.value.is_none() && config.config_operation != DELETE;
    if let Some(config) = resource.configs.iter().find(without_value) {
        return Err((ResponseError::InvalidRequest, format!("{} has no value", config.name.as_str())));
    }
    if let Some(config) = resource.configs.iter().find(|config| !(SET..=SUBTRACT).contains(&config.config_operation)) {
        return Err((ResponseError::InvalidRequest, format!("there is no operation {}", config.config_operation)));
    }
    alter(node, &topic, validate_only, |settings| resource.configs.iter().try_for_each(|one| apply(settings, one)))
}

fn apply(settings: &mut TopicConfig, config: &AlterableConfig) -> Result<(), LogError> {
    let value = config.value.as_ref().map_or("", |value| value.as_str());
    match config.config_operation {
        SET => settings.set(&config.name, value),
        DELETE => settings.reset(&config.name),
        operation => {
            let setting = Setting::find(&config.name)?;
            if setting.kind != SettingKind::List {
                let expected = "a list is what can be added to or taken from; set it instead: a value".to_owned();
                return Err(LogError::InvalidSetting { name: setting.name, value: value.to_owned(), expected });
            }
            // The one list there is holds one word, which can neither be joined by another nor be left out.
            let mut words = value.split(',').map(str::trim);
            match operation {
                APPEND => words.try_for_each(|word| settings.set(&config.name, word)),
                _ if words.any(|word| settings.clone().set(&config.name, word).is_ok()) => {
                    settings.set(&config.name, "")
                }
                _ => Ok(()),
            }
        }
    }
}
