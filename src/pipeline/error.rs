//! What ends a job early.

use std::ops::Range;

use super::plan::RejectLimit;
use super::summary::RowCounts;
use crate::kafka::KafkaError;

/// An error of a load, produce or ingest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The log.
    #[error(transparent)]
    Kafka(#[from] KafkaError),

    /// More rows were rejected than allowed; what was read before is committed.
    #[error(
        "{} of {} rows read are no events, more than the {limit} allowed; `cartlog rejects` shows them, \
         --max-rejected N or N% allows more", rows.rows_rejected, rows.rows_read
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
    #[error("the job counts {job:?}, the store {store:?} in the same time; please report this with the command")]
    StoreDisagrees {
        /// What the job counted.
        job: RowCounts,
        /// What the store's totals grew by.
        store: RowCounts,
    },

    /// A source changed while it was read.
    #[error("{source_name}: bytes {}..{} were read twice and differ; do not change a file while it is loaded", range.start, range.end)]
    SourceChanged {
        /// The source.
        source_name: String,
        /// Where.
        range: Range<u64>,
    },

    /// A thread of the job could not be started or has died.
    #[error("a worker of the job is gone: {0}")]
    Worker(String),
}
