//! What ends a job early.

use cartlog_storage::store::StoreError;

use super::plan::RejectLimit;
use super::progress::Interrupt;
use super::summary::RowCounts;
use crate::kafka::KafkaError;
use crate::source::SourceError;

/// An error of a load, produce or ingest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The log.
    #[error(transparent)]
    Kafka(#[from] KafkaError),

    /// The log did not answer, and is not asked again because the job was told to stop. Nothing was read or written yet.
    #[error("stopped while waiting for the log: {0}")]
    Interrupted(#[source] KafkaError),

    /// A share of the partitions that the topic doesn't have.
    #[error("topic `{topic}` can't be read in part: {reason}")]
    Share {
        /// The topic.
        topic: String,
        /// What is missing.
        reason: String,
    },

    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),

    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// The directory of a store or log cannot be made.
    #[error("{directory}: can't be created: {reason}; name a folder that can be written to with --store")]
    Directory {
        /// The directory.
        directory: String,
        /// The error of the system.
        reason: std::io::Error,
    },

    /// More rows were rejected than allowed; what was read before is committed.
    #[error(
        "{} of {} rows read are no events, more than the {limit} allowed; `cartlog rejects` shows them, \
         --max-rejected N or N% allows more; what was read is stored, and the same command goes on behind it", rows.rows_rejected, rows.rows_read
    )]
    TooManyRejected {
        /// The limit.
        limit: RejectLimit,
        /// The rows up to there.
        rows: RowCounts,
    },

    /// The rows do not add up: a defect of this program, noticed by itself.
    #[error(
        "rows do not add up: {} read, but {} stored + {} rejected + {} duplicate; please report this with the command",
        _0.rows_read, _0.rows_stored, _0.rows_rejected, _0.rows_duplicate
    )]
    RowsDoNotAddUp(RowCounts),

    /// The store counts other rows than the job: a defect of this program, noticed by itself.
    #[error(
        "the store counted {before:?} before the job and {after:?} after it, but the job counts {job:?}; please report \
         this with the command"
    )]
    StoreDisagrees {
        /// What the store had counted before.
        before: RowCounts,
        /// What the job counted.
        job: RowCounts,
        /// What the store has counted now.
        after: RowCounts,
    },

    /// The log gave a block an offset that is behind what the store has read.
    #[error(
        "{topic}/{partition}: the log gave a new record the offset {offset}, but the store has everything below {next}; \
         the topic was deleted and created anew during the job: start it again"
    )]
    OffsetReused {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset given.
        offset: i64,
        /// The offset that should have been the lowest.
        next: i64,
    },

    /// A line that no log takes.
    #[error(
        "{source_name}, line {line}: {bytes} bytes without a line end are no event and no message of a log; \
         load the file with `cartlog run`, which keeps such a line as a reject, or mend it"
    )]
    LineTooLong {
        /// The source.
        source_name: String,
        /// The line's number.
        line: u64,
        /// Its length.
        bytes: u64,
    },

    /// A file of rejects that can't be written.
    #[error("the rejects can't be written: {0}")]
    RejectsUnwritable(#[source] std::io::Error),

    /// A file of mended lines that can't be read.
    #[error("{file}: can't be read: {reason}")]
    MendedUnreadable {
        /// The file.
        file: String,
        /// The error of the system.
        reason: std::io::Error,
    },

    /// A file of mended lines that is not as it was exported.
    #[error("{file}:{line}: {what}; leave the lines that begin with `#@` as `cartlog rejects --export` wrote them")]
    MendedFile {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// What is wrong there.
        what: String,
    },

    /// A thread of the job could not be started or has died.
    #[error("a worker of the job is gone: {0}")]
    Worker(String),
}

impl PipelineError {
    /// The error of a log that a job needs before it can begin. One that is told to stop meanwhile is interrupted, and has
    /// not failed: what it asked was not tried again.
    pub(super) fn before_start(error: KafkaError, interrupt: &Interrupt) -> Self {
        if interrupt.is_requested() { Self::Interrupted(error) } else { Self::Kafka(error) }
    }
}

/// What was to be had before a job could begin: nothing if the job was told to stop.
pub(super) fn unless_interrupted<T>(outcome: Result<T, PipelineError>) -> Result<Option<T>, PipelineError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(PipelineError::Interrupted(error)) => {
            tracing::debug!(%error, "stopped before it began");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
