//! Questions answered on the store as of its last commit: one after the other, and each only once.
//!
//! A kernel uses all threads, so that answering several at once would only make all of them late: whoever asks waits for a
//! turn, first come first served. Answers are kept while the store stays as it is, up to a bound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cartlog_storage::io::Directory;
use cartlog_storage::store::Snapshot;
use tokio::sync::Semaphore;

use super::error::ServeError;
use super::question::Question;
use crate::analysis::{Analysis, Input};
use crate::table::Table;

/// How old the view of the store may be before it is looked whether there is a newer one.
const FRESH: Duration = Duration::from_millis(250);
/// The most memory that kept answers take.
const KEPT_BYTES: usize = 64 << 20;

/// Answers about one store.
#[derive(Debug)]
pub struct Answers {
    store: Mutex<Held>,
    kept: Mutex<VecDeque<Kept>>,
    turn: Arc<Semaphore>,
}

/// The store as last looked at.
#[derive(Debug)]
struct Held {
    snapshot: Arc<Snapshot>,
    looked: Instant,
}

#[derive(Debug)]
struct Kept {
    generation: u64,
    analysis: &'static str,
    question: Question,
    table: Arc<Table>,
}

impl Answers {
    /// Opens a store at its last commit.
    ///
    /// # Errors
    /// Those of [`Snapshot::open`].
    pub fn open(directory: Arc<dyn Directory>) -> Result<Self, ServeError> {
        let snapshot = Arc::new(Snapshot::open(directory)?);
        Ok(Self {
            store: Mutex::new(Held { snapshot, looked: Instant::now() }),
            kept: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    /// The store as of a commit that was the last one a quarter of a second ago or later.
    ///
    /// # Errors
    /// Those of [`Snapshot::refresh`].
    pub async fn snapshot(self: &Arc<Self>) -> Result<Arc<Snapshot>, ServeError> {
        let known = {
            let held = self.held();
            if held.looked.elapsed() < FRESH {
                return Ok(Arc::clone(&held.snapshot));
            }
            Arc::clone(&held.snapshot)
        };
        let refreshed = tokio::task::spawn_blocking(move || known.refresh()).await?;
        let refreshed = Arc::new(refreshed?);
        let mut held = self.held();
        // Another request may have seen a later commit meanwhile.
        if refreshed.generation() >= held.snapshot.generation() {
            *held = Held { snapshot: refreshed, looked: Instant::now() };
        }
        Ok(Arc::clone(&held.snapshot))
    }

    /// Answers a question, now or when it is its turn.
    ///
    /// # Errors
    /// Those of the analysis, and of [`Answers::snapshot`].
    pub async fn ask(
        self: &Arc<Self>,
        analysis: &'static dyn Analysis,
        question: &Question,
    ) -> Result<Arc<Table>, ServeError> {
        let snapshot = self.snapshot().await?;
        let generation = snapshot.generation();
        if let Some(table) = self.known(generation, analysis.name(), question) {
            return Ok(table);
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await?;
        // Whoever had the turn before may have asked the same.
        if let Some(table) = self.known(generation, analysis.name(), question) {
            return Ok(table);
        }
        let asked = question.clone();
        // The turn ends with the work, also when whoever asked is gone.
        let answer = tokio::task::spawn_blocking(move || {
            let input = Input::of(&snapshot, &asked.filter)?;
            let table = analysis.answer(&input, &asked.parameters);
            drop(turn);
            table
        });
        let table = Arc::new(answer.await??);
        self.keep(Kept {
            generation,
            analysis: analysis.name(),
            question: question.clone(),
            table: Arc::clone(&table),
        });
        Ok(table)
    }

    fn known(&self, generation: u64, analysis: &str, question: &Question) -> Option<Arc<Table>> {
        let kept = self.kept();
        let mut same = kept
            .iter()
            .filter(|kept| kept.generation == generation && kept.analysis == analysis && kept.question == *question);
        same.next().map(|kept| Arc::clone(&kept.table))
    }

    /// Keeps an answer; those of earlier commits go, and then the oldest ones.
    fn keep(&self, answer: Kept) {
        let bytes = |kept: &Kept| kept.table.rows.get_array_memory_size();
        let mut kept = self.kept();
        kept.retain(|kept| kept.generation >= answer.generation);
        kept.push_back(answer);
        let mut all: usize = kept.iter().map(bytes).sum();
        while all > KEPT_BYTES {
            let Some(oldest) = kept.pop_front() else { break };
            all -= bytes(&oldest);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
