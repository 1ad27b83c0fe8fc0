//! Consumer groups: who reads what, and how far.
//!
//! ```text
//! join · sync · heartbeat · leave ─► Coordinator ─► Group (a state machine, one each)
//! commit · fetch · delete ─────────►     │ ──────► GroupStore ─► Journal (`cartlog.groups`)
//! ```
//!
//! The classic group protocol of Kafka: members join and get a generation, one of them leads and shares out the work,
//! silence and departure start the next generation. What members say of themselves is opaque here. Committed offsets
//! stand in a journal of their own in the log's folder, and are on disk before they are answered; members are not kept
//! over a restart, they join again.
//!
//! Deliberately absent: sockets and protocol messages (they are the broker's), records (they are the log's), and the
//! group protocol of KIP-848, which clients use only where it is announced.

mod coordinator;
#[cfg(test)]
mod crash_tests;
mod error;
mod format;
mod group;
#[cfg(test)]
mod group_tests;
mod join;
mod journal;
mod member;
mod offsets;
mod options;
mod store;
mod subscription;
mod table;
mod verify;

pub use coordinator::{Answer, Coordinator, GroupDescription, MemberDescription};
pub use error::{GroupError, JournalError};
pub use format::Committed;
pub use group::GroupState;
pub use member::{Identity, JoinRequest, Joined, JoinedMember, Protocol, SyncRequest, Synced};
pub use offsets::{NewOffset, OffsetDeletion, TopicOffsets};
pub use options::GroupOptions;
pub use verify::verify;
