//! Loads: sources, log and store tied together, exactly once.
//!
//! Three jobs, each a plan that is plain data, a function that runs it, and a summary whose rows add up:
//!
//! - [`load`]: sources → log → tee → store (or without a log: sources → store);
//! - [`produce`]: sources → log;
//! - [`ingest`]: log → store, to the present end or following.
//!
//! Beside them, [`mend`] makes rows of rejects that somebody has put right, and [`repair`] makes damaged files of a store anew
//! from the log.
//!
//! **The log is the truth, and the store follows it in offset order.** A block goes to the log first. Only when it is
//! acknowledged with its offset do its rows go to the store, and always behind the rows of every lower offset of its
//! partition, so that one number per partition says what a commit holds. What a crash leaves between log and store is
//! read again from the log by the next job, before anything else happens.
//!
//! **A row is known by where it stands in its source.** Each block names its source and byte range, in the log as in
//! the store, and the store gives each range out once. A retry that wrote a block twice, a file loaded again, two
//! loads that overlap, a replay: each turns up as a range that is known, and its rows count as duplicates.

mod book;
mod counters;
mod deliver;
mod error;
mod gate;
mod ingest;
mod intake;
mod lane;
mod load;
mod mend;
mod plan;
mod produce;
mod progress;
mod reading;
mod repair;
mod replay;
mod session;
mod share;
mod stall;
mod summary;
mod tee;
mod unit;
mod watch;
mod workers;

pub use error::PipelineError;
pub use ingest::ingest;
pub use load::load;
pub use mend::{MendSummary, Refusal, export_rejects, mend};
pub use plan::{
    DEFAULT_GROUP, DEFAULT_PARTITIONS, DEFAULT_ROWS_PER_RECORD, DEFAULT_TOPIC, Follow, IngestPlan, LoadPlan, LogPlan,
    LogTarget, ProducePlan, RejectLimit, log_directory, store_directory,
};
pub use produce::produce;
pub use progress::{Interrupt, NoProgress, Progress, ProgressUpdate, Stage};
pub use repair::{NotRepaired, RepairPlan, RepairReport, repair};
pub(crate) use session::ReachedLog;
pub use share::Share;
pub use summary::{IngestSummary, LoadSummary, ProduceSummary, RowCounts, StageSummary};

/// Bytes of blocks that a job has on their way at once, from the reader to the store.
///
/// Each costs its bytes once or twice more while it is compressed and sent, and about half of them as columns. A
/// hundred blocks of the usual size keep every partition's requests and every core busy; more would only wait.
const GATE_BYTES: usize = 64 << 20;
