//! The registry of Kafka APIs: each is one file, and one line here.

mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_topic_partitions;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::error::ProtocolError;
use super::node::Node;
use super::session::{Body, Request, Response};
use super::shape::Part;

/// What is offered, by key. Everything announced to clients follows from this.
pub(super) static REGISTRY: &[&Api] = &[
    &produce::API,
    &fetch::API,
    &list_offsets::API,
    &metadata::API,
    &offset_commit::API,
    &offset_fetch::API,
    &find_coordinator::API,
    &join_group::API,
    &heartbeat::API,
    &leave_group::API,
    &sync_group::API,
    &describe_groups::API,
    &list_groups::API,
    &api_versions::API,
    &create_topics::API,
    &delete_topics::API,
    &delete_records::API,
    &offset_for_leader_epoch::API,
    &describe_configs::API,
    &describe_log_dirs::API,
    &alter_configs::API,
    &create_partitions::API,
    &incremental_alter_configs::API,
    &describe_cluster::API,
    &describe_topic_partitions::API,
    &list_config_resources::API,
    &elect_leaders::API,
    &alter_partition_reassignments::API,
    &list_partition_reassignments::API,
    &delete_groups::API,
    &offset_delete::API,
    &init_producer_id::API,
    &sasl_handshake::API,
    &sasl_authenticate::API,
];

/// One API.
#[derive(Debug)]
pub(super) struct Api {
    /// Its number in request headers.
    pub(super) key: i16,
    /// Its name in Kafka's documentation.
    pub(super) name: &'static str,
    /// The versions announced.
    pub(super) announced: (i16, i16),
    /// The least version that is answered, if not the least announced.
    pub(super) least_implemented: i16,
    /// The first version with compact encodings and tagged fields.
    pub(super) flexible_since: i16,
    /// Whether the response header has tagged fields too when the request's has (all but `ApiVersions`).
    pub(super) flexible_response_header: bool,
    /// The outline of its requests.
    pub(super) shape: &'static [Part],
    /// Answers a request of an implemented version.
    pub(super) handle: fn(&Arc<Node>, Request) -> Result<Response<Body>, ProtocolError>,
    /// Answers a request of any other version; the default gives up the connection.
    pub(super) unknown_version: fn(&'static Api, i16) -> Result<Body, ProtocolError>,
}

impl Api {
    /// The versions that are answered.
    pub(super) fn implemented(&self) -> RangeInclusive<i16> {
        self.least_implemented..=self.announced.1
    }
}

/// The API of this key, if it is offered.
pub(super) fn find(key: i16) -> Option<&'static Api> {
    REGISTRY.iter().find(|api| api.key == key).copied()
}

/// Gives up the connection, as Kafka does.
fn refuse(api: &'static Api, version: i16) -> Result<Body, ProtocolError> {
    Err(ProtocolError::UnknownVersion { api: api.name, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_consistent() {
        for (at, api) in REGISTRY.iter().enumerate() {
            assert!(!api.name.is_empty() && api.announced.0 <= api.announced.1, "{}", api.name);
            assert!(api.least_implemented >= api.announced.0, "{}", api.name);
            assert!(REGISTRY[..at].iter().all(|other| other.key != api.key && other.name != api.name), "{}", api.name);
        }
    }
}
