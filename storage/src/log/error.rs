//! What can go wrong in the log.

use std::io;
use std::sync::Arc;

use super::batch::{BatchError, Offset};
use super::producers::ProducerError;

/// An error of the log; the message alone says where and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A file operation failed.
    #[error("can't {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder, relative to the log's folder.
        path: String,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// An earlier write or sync failed, so that the state on disk is unknown; nothing is written over it.
    #[error(
        "partition {partition} takes no more writes since an earlier error ({reason}); repair the cause and restart"
    )]
    Latched {
        /// The partition's folder.
        partition: String,
        /// The first error.
        reason: Arc<str>,
    },
    /// The partition could not be opened; the rest of the log works.
    #[error("partition {partition} is offline: {reason}")]
    Offline {
        /// The partition's folder.
        partition: String,
        /// Why it could not be opened.
        reason: Arc<str>,
    },
    /// A file holds something that can't be.
    #[error("{path} is damaged at byte {position}: {detail}; restore the file from a copy or delete the topic")]
    Corrupt {
        /// The file, relative to the log's folder.
        path: String,
        /// Where in the file.
        position: u64,
        /// What was found and what was expected.
        detail: String,
    },
    /// A batch was refused.
    #[error("{0}")]
    Batch(#[from] BatchError),
    /// A batch of an idempotent producer was refused.
    #[error("{0}")]
    Producer(#[from] ProducerError),
    /// The offset lies outside what the partition holds.
    #[error("{partition} holds offsets {start} to {end}, not {offset}; start again from one of them")]
    OffsetOutOfRange {
        /// The partition's folder.
        partition: String,
        /// The offset asked for.
        offset: Offset,
        /// The first offset kept.
        start: Offset,
        /// The offset after the last.
        end: Offset,
    },
    /// A topic of this name exists.
    #[error("topic {0} exists already; choose another name or delete it first")]
    TopicExists(String),
    /// No topic of this name exists.
    #[error("there is no topic {0}; create it first or check the name")]
    UnknownTopic(String),
    /// The name can't be a topic's.
    #[error("{name:?} can't be a topic: {reason}")]
    InvalidTopicName {
        /// The name as given.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The list of topics is gone, and partitions are there.
    #[error(
        "{path} is gone, but there are partitions here ({folder}); put it back from a copy of the whole folder, or move the \
         partitions' folders away to begin anew"
    )]
    NoCatalogue {
        /// The list's file.
        path: &'static str,
        /// The folder of a partition.
        folder: String,
    },
    /// The name differs from another topic's by `.` and `_` alone.
    #[error("{name:?} can't be a topic: it differs from the topic {existing:?} by '.' and '_' alone")]
    TopicNameCollides {
        /// The name as given.
        name: String,
        /// The topic that is there.
        existing: String,
    },
    /// The partition count is out of bounds.
    #[error("a topic has 1 to {maximum} partitions, not {got}")]
    InvalidPartitionCount {
        /// The count as given.
        got: i32,
        /// The most a topic may have.
        maximum: i32,
    },
    /// The topic has as many partitions already, or more.
    #[error("topic {topic} has {present} partitions already; ask for more than that, not {got}")]
    NotMorePartitions {
        /// The topic.
        topic: String,
        /// The partitions that it has.
        present: i32,
        /// The number asked for.
        got: i32,
    },
    /// No topic setting has this name.
    #[error("{0:?} is no topic setting that is offered here; leave it out")]
    UnknownSetting(String),
    /// A topic setting can't have this value.
    #[error("{name} can't be {value:?} here; {expected} is expected")]
    InvalidSetting {
        /// The setting.
        name: &'static str,
        /// The value as given.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// Another process, or another log of this one, holds the folder.
    #[error("the log is in use by another process; stop it first or choose another folder")]
    InUse,
}

impl LogError {
    /// Makes the error of a failed file operation.
    pub(super) fn io(action: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source: Arc::new(source) }
    }

    /// Makes the error of a lock that can't be had.
    pub(super) fn of_lock(path: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::WouldBlock => Self::InUse,
            _ => Self::io("lock", path, source),
        }
    }
}

/// Gives an [`io::Error`] its place.
pub(super) trait IoContext<T> {
    /// Adds what was tried and where.
    fn at(self, action: &'static str, path: &str) -> Result<T, LogError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &str) -> Result<T, LogError> {
        self.map_err(|source| LogError::io(action, path, source))
    }
}
