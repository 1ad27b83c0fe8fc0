//! What can go wrong with groups: what is answered to a member, and what keeps the journal from opening.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why a request of a member, or about a group, is refused. The names follow Kafka's error codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The group's name can't be one.
    #[error("a group is named by 1 to {maximum} bytes, not {got}")]
    InvalidGroupId {
        /// The length of the name.
        got: usize,
        /// The longest name taken.
        maximum: usize,
    },
    /// No member of this id is in the group.
    #[error("the group has no such member; it must join again")]
    UnknownMember,
    /// A new member must join again with the id that it is given here (KIP-394), so that a lost answer leaves no member
    /// behind that nobody knows of.
    #[error("the new member must join again with the id {0}")]
    MemberIdRequired(Arc<str>),
    /// Another member has taken the place of this instance (KIP-345).
    #[error("another member with the same group.instance.id has taken this one's place")]
    FencedInstance,
    /// The group has gone on to another generation.
    #[error("the group is in generation {expected}, not {got}; the member must join again")]
    IllegalGeneration {
        /// The member's generation.
        got: i32,
        /// The group's.
        expected: i32,
    },
    /// The group is rebalancing.
    #[error("the group is rebalancing; the member must join again")]
    RebalanceInProgress,
    /// The member speaks no protocol that all others speak, or of another type.
    #[error("the member's protocols are not those of the group")]
    InconsistentProtocol,
    /// The session timeout is out of bounds.
    #[error("a session timeout of {got:?} was asked for, {least:?} to {most:?} are taken")]
    InvalidSessionTimeout {
        /// What was asked for.
        got: Duration,
        /// The shortest taken.
        least: Duration,
        /// The longest taken.
        most: Duration,
    },
    /// The group has as many members as it may have.
    #[error("the group has {0} members and takes no more")]
    GroupFull(usize),
    /// There is no such group.
    #[error("group {0} not found.")]
    GroupNotFound(String),
    /// The group still has members.
    #[error("the group has members; stop them first")]
    NotEmpty,
    /// A member of the group is subscribed to the topic.
    #[error("the group is subscribed to the topic; stop its members first")]
    SubscribedToTopic,
    /// The text that came with an offset is too long.
    #[error("{got} bytes of metadata came with an offset, {maximum} are taken")]
    OffsetMetadataTooLarge {
        /// The length of the text.
        got: usize,
        /// The longest taken.
        maximum: usize,
    },
    /// There is no such partition.
    #[error("there is no such partition")]
    UnknownPartition,
    /// A limit that keeps memory bounded is reached.
    #[error("{what} would exceed {limit}; remove what isn't needed any more")]
    Limit {
        /// What would grow too large.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The coordinator can't answer now; the client asks again.
    #[error("the group coordinator is not available; ask again")]
    NotAvailable,
    /// The change could not be written to disk.
    #[error("the change could not be written: {0}; make room or repair the disk, then try again")]
    Storage(Arc<str>),
}

/// Why the journal of groups can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file operation failed.
    #[error("can't {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file, relative to the log's folder.
        path: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The file was written by a later version.
    #[error("{path} has format version {got}, expected {expected}; open it with the cartlog that wrote it")]
    UnknownVersion {
        /// The file, relative to the log's folder.
        path: &'static str,
        /// The version found.
        got: u32,
        /// The version known here.
        expected: u32,
    },
    /// The file holds something that can't be.
    #[error(
        "{path} is damaged at byte {position}: {detail}; restore it from a copy, or remove it to lose all committed \
         offsets"
    )]
    Corrupt {
        /// The file, relative to the log's folder.
        path: &'static str,
        /// Where in the file.
        position: u64,
        /// What was found and what was expected.
        detail: String,
    },
    /// Another coordinator holds the journal.
    #[error("the groups of this log are served by another broker; stop it first")]
    InUse,
}

impl JournalError {
    /// Makes the error of a lock that can't be had.
    pub(super) fn of_lock(path: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::WouldBlock => Self::InUse,
            _ => Self::Io { action: "lock", path, source },
        }
    }
}

/// Gives an [`io::Error`] its place.
pub(super) trait IoContext<T> {
    /// Adds what was tried and where.
    fn at(self, action: &'static str, path: &'static str) -> Result<T, JournalError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &'static str) -> Result<T, JournalError> {
        self.map_err(|source| JournalError::Io { action, path, source })
    }
}
