//! What requests about settings name, and the settings of each: shared by the APIs that describe and alter them.

use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::node::{NODE_ID, Node, error_code};
use crate::log::{LogError, LogOptions, Setting, SettingKind, Topic, TopicConfig};

/// The number of topics among the resources that have settings.
pub(super) const TOPIC: i8 = 2;
/// The number of brokers.
pub(super) const BROKER: i8 = 4;
/// The number of consumer groups.
pub(super) const GROUP: i8 = 32;

/// The source of a value as the protocol tells it: the topic's own settings.
pub(super) const TOPIC_SOURCE: i8 = 1;
/// The broker's settings, given when it starts.
pub(super) const STATIC_BROKER_SOURCE: i8 = 4;
/// Nobody has set it.
const DEFAULT_SOURCE: i8 = 5;

/// An error code and what to tell about it.
pub(super) type Refusal = (ResponseError, String);

/// Something that has settings.
#[derive(Debug)]
pub(super) enum Resource {
    /// A topic.
    Topic(Arc<Topic>),
    /// The broker.
    Broker,
    /// A consumer group, which has no settings of its own here: its members bring theirs.
    Group,
}

impl Resource {
    /// Finds what a request names.
    pub(super) fn find(node: &Node, kind: i8, name: &str) -> Result<Self, Refusal> {
        match kind {
            TOPIC => {
                node.log.topic(name).map(Self::Topic).ok_or_else(|| refusal(&LogError::UnknownTopic(name.to_owned())))
            }
            BROKER if name.is_empty() || name == NODE_ID.0.to_string() => Ok(Self::Broker),
            BROKER => Err((ResponseError::InvalidRequest, format!("there is no broker {name:?}, only {}", NODE_ID.0))),
            GROUP if !name.is_empty() => Ok(Self::Group),
            _ => Err((ResponseError::InvalidRequest, format!("resources of type {kind} have no settings here"))),
        }
    }

    /// The topic whose settings are to be altered; those of the broker are given when it starts.
    pub(super) fn alterable(self) -> Result<Arc<Topic>, Refusal> {
        match self {
            Self::Topic(topic) => Ok(topic),
            Self::Broker => {
                let reason = "settings of the broker are given when it starts; only topics' can be altered".to_owned();
                Err((ResponseError::InvalidRequest, reason))
            }
            Self::Group => Err((ResponseError::InvalidRequest, "groups have no settings here".to_owned())),
        }
    }
}

/// Alters a topic's settings, or only checks that this could be done.
pub(super) fn alter(
    node: &Node,
    topic: &Topic,
    validate_only: bool,
    change: impl FnOnce(&mut TopicConfig) -> Result<(), LogError>,
) -> Result<(), Refusal> {
    let altered = if validate_only {
        change(&mut topic.config().clone())
    } else {
        node.log.alter_topic(topic.name(), change).map(|_| ())
    };
    altered.map_err(|error| refusal(&error))
}

/// Refuses a request that names a setting twice.
pub(super) fn check_unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err((ResponseError::InvalidRequest, format!("the request names {} more than once", pair[0]))),
        None => Ok(()),
    }
}

/// The protocol's code for an error of the log, and its text.
pub(super) fn refusal(error: &LogError) -> Refusal {
    (error_code(error), error.to_string())
}

/// Where the value of a setting that a topic doesn't set comes from.
pub(super) fn default_source(setting: &Setting, options: &LogOptions) -> i8 {
    let is_default = setting.default(options) == setting.default(&LogOptions::default());
    if is_default { DEFAULT_SOURCE } else { STATIC_BROKER_SOURCE }
}

/// The protocol's number of a setting's type.
pub(super) fn type_number(kind: SettingKind) -> i8 {
    match kind {
        SettingKind::Boolean => 1,
        SettingKind::Text => 2,
        SettingKind::Int => 3,
        SettingKind::Long => 5,
        SettingKind::List => 7,
    }
}
