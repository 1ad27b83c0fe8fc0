//! `DescribeConfigs`: the settings of topics and of the broker, and where each value comes from.

use std::sync::Arc;

use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, text};
use crate::broker::resource::{Refusal, Resource, STATIC_BROKER_SOURCE, TOPIC_SOURCE, default_source, type_number};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{SETTINGS, Setting, SettingKind, TopicConfig};

const RESOURCE: &[Part] = &[shape::fixed(1), shape::text(), shape::texts()];

pub(super) static API: Api = Api {
    key: 32,
    name: "DescribeConfigs",
    announced: (1, 4),
    least_implemented: 1,
    flexible_since: 4,
    flexible_response_header: true,
    shape: &[shape::structs(RESOURCE), shape::fixed(1), shape::fixed(1).since(3)],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: DescribeConfigsRequest = request.decode()?;
    let results = message.resources.iter().map(|wanted| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(wanted.resource_type)
            .with_resource_name(wanted.resource_name.clone());
        match describe(node, wanted, &message) {
            Ok(configs) => result.with_configs(configs),
            Err((error, reason)) => result.with_error_code(error.code()).with_error_message(Some(text(reason))),
        }
    });
    request.respond(&DescribeConfigsResponse::default().with_results(results.collect())).map(Response::Ready)
}

fn describe(
    node: &Node,
    wanted: &DescribeConfigsResource,
    message: &DescribeConfigsRequest,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let mut described: Vec<_> = match Resource::find(node, wanted.resource_type, &wanted.resource_name)? {
        Resource::Topic(topic) => {
            SETTINGS.iter().map(|setting| of_topic(node, topic.config(), setting, message)).collect()
        }
        Resource::Broker => of_broker(node, message),
        Resource::Group => Vec::new(),
    };
    if let Some(keys) = &wanted.configuration_keys {
        // Some clients send an empty list when they want everything.
        described.retain(|one| keys.is_empty() || keys.contains(&one.name));
    }
    Ok(described)
}

fn of_topic(
    node: &Node,
    config: &TopicConfig,
    setting: &Setting,
    message: &DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let options = node.log.options();
    let (default, from) = (setting.default(options), default_source(setting, options));
    let own = config.get(setting);
    let mut synonyms = Vec::new();
    if message.include_synonyms {
        let synonym = |name: &str, value: String, source| {
            DescribeConfigsSynonym::default().with_name(text(name)).with_value(Some(text(value))).with_source(source)
        };
        synonyms.extend(own.map(|value| synonym(setting.name, value.to_string(), TOPIC_SOURCE)));
        synonyms.push(synonym(setting.broker_name, default.to_string(), from));
    }
    DescribeConfigsResourceResult::default()
        .with_name(text(setting.name))
        .with_value(Some(text(own.unwrap_or(default).to_string())))
        .with_config_source(own.map_or(from, |_| TOPIC_SOURCE))
        .with_synonyms(synonyms)
        .with_config_type(type_number(setting.kind))
        .with_documentation(message.include_documentation.then(|| text(setting.documentation)))
}

/// The broker's own settings, and what holds for topics that set nothing. None of them can be altered while it runs.
fn of_broker(node: &Node, message: &DescribeConfigsRequest) -> Vec<DescribeConfigsResourceResult> {
    let options = &node.options;
    let kind = match (&options.tls, &options.users) {
        (None, None) => "PLAINTEXT",
        (Some(_), None) => "SSL",
        (None, Some(_)) => "SASL_PLAINTEXT",
        (Some(_), Some(_)) => "SASL_SSL",
    };
    let own = [
        ("advertised.listeners", SettingKind::List, format!("{kind}://{}:{}", node.host, node.port)),
        ("auto.create.topics.enable", SettingKind::Boolean, options.auto_create.to_string()),
        ("broker.id", SettingKind::Int, NODE_ID.0.to_string()),
        ("default.replication.factor", SettingKind::Int, "1".to_owned()),
        ("listeners", SettingKind::List, format!("{kind}://{}", options.listen)),
        ("max.connections", SettingKind::Int, options.max_connections.to_string()),
        ("node.id", SettingKind::Int, NODE_ID.0.to_string()),
        ("num.partitions", SettingKind::Int, options.default_partitions.to_string()),
        ("socket.request.max.bytes", SettingKind::Int, options.max_request_bytes.to_string()),
    ];
    let from_start = own.map(|(name, kind, value)| {
        DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_config_source(STATIC_BROKER_SOURCE)
            .with_config_type(type_number(kind))
    });
    let for_topics = SETTINGS
        .iter()
        .map(|setting| of_topic(node, &TopicConfig::default(), setting, message).with_name(text(setting.broker_name)));
    from_start.into_iter().chain(for_topics).map(|described| described.with_read_only(true)).collect()
}
