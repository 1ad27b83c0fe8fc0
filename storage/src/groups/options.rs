//! What the group coordinator may be told.

use std::time::Duration;

/// Settings of the group coordinator.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupOptions {
    /// How long the first member of an empty group waits for others before the first generation begins; Kafka's
    /// `group.initial.rebalance.delay.ms`. None by default, as in the configuration that Kafka ships: with one node a
    /// further rebalance takes milliseconds, while the wait would be added to every start of a consumer.
    pub initial_rebalance_delay: Duration,
    /// The shortest session timeout that a member may ask for; Kafka's `group.min.session.timeout.ms`.
    pub min_session_timeout: Duration,
    /// The longest session timeout that a member may ask for; Kafka's `group.max.session.timeout.ms`.
    pub max_session_timeout: Duration,
    /// How long offsets are kept after their group has lost its last member; Kafka's `offsets.retention.minutes`.
    pub offsets_retention: Duration,
    /// How often offsets are checked for that; Kafka's `offsets.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// The longest text that a client may commit with an offset, in bytes; Kafka's `offset.metadata.max.bytes`.
    pub max_offset_metadata_bytes: usize,
    /// The most groups, with or without members.
    pub max_groups: usize,
    /// The most members of a group; Kafka's `group.max.size`.
    pub max_group_members: usize,
    /// The most bytes that members of all groups may leave here: their metadata and assignments.
    pub max_member_bytes: usize,
    /// The most bytes of committed offsets, as they are on disk.
    pub max_offset_bytes: usize,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::ZERO,
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(30 * 60),
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            retention_check_interval: Duration::from_secs(600),
            max_offset_metadata_bytes: 4096,
            max_groups: 10_000,
            max_group_members: 1000,
            max_member_bytes: 128 << 20,
            max_offset_bytes: 256 << 20,
        }
    }
}

impl GroupOptions {
    /// The settings with `initial_rebalance_delay` replaced.
    #[must_use]
    pub fn with_initial_rebalance_delay(mut self, delay: Duration) -> Self {
        self.initial_rebalance_delay = delay;
        self
    }

    /// The settings with `offsets_retention` replaced.
    #[must_use]
    pub fn with_offsets_retention(mut self, retention: Duration) -> Self {
        self.offsets_retention = retention;
        self
    }
}
