//! How a running job tells how far it is, and is told to stop.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::summary::RowCounts;

/// What a job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Starting the embedded log, connecting, opening the store.
    Connect,
    /// Reading into the store what the log holds beyond it, or learning what a topic holds.
    CatchUp,
    /// Sources into log and store, all at once.
    Load,
    /// The log into the store.
    Ingest,
    /// Making the last rows durable.
    Commit,
}

impl Stage {
    /// The stage's name, as a summary prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::CatchUp => "catch_up",
            Self::Load => "load",
            Self::Ingest => "ingest",
            Self::Commit => "commit",
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgressUpdate<'a> {
    /// Bytes of the sources read so far: as they stand on disk, so compressed ones for a compressed file.
    pub bytes_done: u64,
    /// Bytes of all sources, if known.
    pub bytes_total: Option<u64>,
    /// Rows whose fate is known: stored, rejected or duplicate.
    pub rows: u64,
    /// Of them, the rejected ones.
    pub rows_rejected: u64,
    /// Of them, the duplicates.
    pub rows_duplicate: u64,
    /// Records still to be read, per partition (a job that reads a log).
    pub lag: &'a [(i32, u64)],
}

impl ProgressUpdate<'_> {
    /// An update that knows only rows.
    pub(super) fn of_rows(rows: RowCounts) -> Self {
        Self {
            rows: rows.rows_read,
            rows_rejected: rows.rows_rejected,
            rows_duplicate: rows.rows_duplicate,
            ..Self::default()
        }
    }
}

/// Hears how far a job is; called some ten times a second from one thread at a time.
pub trait Progress: Send + Sync {
    /// A stage begins.
    fn stage(&self, stage: Stage) {
        let _ = stage;
    }

    /// Something that the user may want to know while the job goes on, such as what it waits for.
    fn notice(&self, notice: &str) {
        let _ = notice;
    }

    /// The present stage has come this far.
    fn update(&self, update: &ProgressUpdate<'_>) {
        let _ = update;
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

/// A request to stop, shared between a job and whoever may ask: the job stops reading, waits for what is on its way,
/// commits it and returns its summary, marked as interrupted.
///
/// ```
/// use cartlog::pipeline::Interrupt;
///
/// let interrupt = Interrupt::default();
/// let handler = interrupt.clone();
/// handler.request();
/// assert!(interrupt.is_requested());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<OnceLock<Instant>>);

impl Interrupt {
    /// Asks the job to stop. May be called from a signal handler's thread, and more than once.
    pub fn request(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// When somebody has asked.
    pub(super) fn time(&self) -> Arc<OnceLock<Instant>> {
        Arc::clone(&self.0)
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.get().is_some()
    }
}
