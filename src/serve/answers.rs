//! Questions answered on the store as of its last commit: two at a time, and each only once.
//!
//! A kernel uses all threads, but not all the time: two at once fill each other's pauses, and more would only make all of them late. Whoever
//! asks waits for a turn, first come first served. A turn is for all questions about the same events (see [`turns`](super::turns)): the rows that the
//! filter covers are taken out once, and the kernels read those; they stay for a while (see [`rows`](super::rows)). The quickest answer
//! comes first. Answers are kept while the store stays as it is, up to a bound.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cartlog_storage::io::Directory;
use cartlog_storage::store::Snapshot;
use tokio::sync::oneshot;

use super::error::ServeError;
use super::growth::{Growth, LogEnd};
use super::outgoing::Outgoing;
use super::question::Question;
use super::rows::Rows;
use super::turns::{Asked, Turns, View};
use crate::analysis::{Analysis, Filter, Input, Shared};
use crate::table::Table;

/// How old the view of the store may be before it is looked whether there is a newer one.
const FRESH: Duration = Duration::from_millis(250);
/// How long the rows that a view covers are kept: as long as somebody looks at one page.
const KEPT_ROWS: Duration = Duration::from_secs(15);
/// Questions that are answered at the same time, each with its share of the memory.
const ABREAST: u64 = 2;
/// The most memory that kept answers take.
const KEPT_BYTES: usize = 64 << 20;

/// Answers about one store.
#[derive(Debug)]
pub struct Answers {
    /// Bytes that a question may take for the rows it groups; `None` for what an input has by itself.
    memory: Option<u64>,
    store: Mutex<Held>,
    kept: Mutex<VecDeque<Kept>>,
    growth: Mutex<Growth>,
    turns: Turns,
    /// What the last views cover.
    rows: Rows,
    /// What is being computed.
    running: Mutex<Vec<(&'static str, Question)>>,
    /// Something isn't any longer.
    ended: Condvar,
    /// How long each analysis took last.
    took: Mutex<HashMap<&'static str, Duration>>,
    computed: AtomicU64,
    pub(super) outgoing: Outgoing,
}

/// The store as last looked at.
#[derive(Debug)]
struct Held {
    snapshot: Arc<Snapshot>,
    /// What is the same for all questions about the snapshot.
    shared: Shared,
    looked: Instant,
}

#[derive(Debug)]
struct Kept {
    snapshot: Arc<Snapshot>,
    analysis: &'static str,
    question: Question,
    table: Arc<Table>,
}

/// That a question is being computed, which ends with whoever does.
struct Running<'a> {
    answers: &'a Answers,
    this: (&'static str, Question),
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.answers.running).retain(|running| *running != self.this);
        self.answers.ended.notify_all();
    }
}

impl Answers {
    /// Opens a store at its last commit.
    ///
    /// # Errors
    /// Those of [`Snapshot::open`].
    pub fn open(directory: Arc<dyn Directory>) -> Result<Self, ServeError> {
        let snapshot = Arc::new(Snapshot::open(directory)?);
        Ok(Self {
            memory: None,
            store: Mutex::new(Held { snapshot, shared: Shared::default(), looked: Instant::now() }),
            kept: Mutex::default(),
            growth: Mutex::default(),
            turns: Turns::default(),
            rows: Rows::default(),
            running: Mutex::default(),
            ended: Condvar::new(),
            took: Mutex::default(),
            computed: AtomicU64::new(0),
            outgoing: Outgoing::default(),
        })
    }

    /// The same, with a bound on the memory that a question takes for the rows it groups.
    #[must_use]
    pub fn within(self, memory: u64) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// The store as of a commit that was the last one a quarter of a second ago or later.
    ///
    /// # Errors
    /// Those of [`Snapshot::refresh`].
    pub async fn snapshot(self: &Arc<Self>) -> Result<Arc<Snapshot>, ServeError> {
        let asked = Instant::now();
        let known = {
            let held = lock(&self.store);
            if held.looked.elapsed() < FRESH {
                return Ok(Arc::clone(&held.snapshot));
            }
            Arc::clone(&held.snapshot)
        };
        let refreshed = tokio::task::spawn_blocking(move || known.refresh()).await?;
        let refreshed = Arc::new(refreshed?);
        lock(&self.growth).note(Instant::now(), refreshed.rows());
        let mut held = lock(&self.store);
        // Another request may have looked later, and seen a later commit. (It may have a lower number: of a store in this one's place.)
        if refreshed.is_same(&held.snapshot) {
            held.looked = Instant::now();
        } else if asked >= held.looked {
            *held = Held { snapshot: refreshed, shared: Shared::default(), looked: Instant::now() };
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
        if let Some(table) = self.known(&snapshot, analysis.name(), question) {
            return Ok(table);
        }
        let view = View { snapshot, filter: question.filter.clone() };
        let (answer, answered) = oneshot::channel();
        // Whoever goes away while waiting for a turn gives it up with that. What has been begun is finished and kept: others may
        // ask the same.
        if self.turns.wait(view, Asked { analysis, parameters: question.parameters.clone(), answer }) {
            let answers = Arc::clone(self);
            tokio::task::spawn_blocking(move || {
                let took = |asked: &Asked| lock(&answers.took).get(asked.analysis.name()).copied().unwrap_or_default();
                answers.turns.answer(took, |view, questions| answers.answer(view, questions));
                answers.forget_rows_later();
            });
        }
        answered.await.map_err(|_| ServeError::Stopping)?
    }

    /// Answers the questions about a view's events.
    fn answer(&self, view: &View, questions: &mut (dyn Iterator<Item = Asked> + Send)) {
        let Some(first) = questions.next() else { return };
        let second = questions.next();
        let prepared = self.input(view).and_then(|mut input| {
            // For one question alone, taking its rows out costs more than it gains. (The second was waited for, a moment at most.)
            let rows = if second.is_some() { self.rows.of(view, &mut input)? } else { self.rows.kept(view, &input) };
            Ok((rows, input))
        });
        let (rows, input) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                // Whoever has gone needs no answer. The other one gets its own.
                let _ = first.answer.send(Err(error));
                return self.answer(view, &mut second.into_iter());
            }
        };
        // Where nothing is left out, the answers are those without a filter.
        let filter = if input.selection().covers_all() { Filter::default() } else { view.filter.clone() };
        let input = rows.input(&input);
        let answer = |asked: Asked, input: &Input<'_>| {
            let question = Question { filter: filter.clone(), parameters: asked.parameters };
            let answer = self.answered(&view.snapshot, input, asked.analysis, question);
            let _ = asked.answer.send(answer);
        };
        let Some(second) = second else { return answer(first, &input) };
        let memory = input.memory() / ABREAST;
        let input = input.within(memory);
        let questions = Mutex::new([first, second].into_iter().chain(questions));
        let next = || lock(&questions).next();
        std::thread::scope(|scope| {
            for _ in 0..ABREAST {
                scope.spawn(|| {
                    while let Some(asked) = next() {
                        answer(asked, &input);
                    }
                });
            }
        });
    }

    /// Has the rows of the last views forgotten, unless somebody asks about them in time.
    fn forget_rows_later(self: &Arc<Self>) {
        let answers = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_ROWS + Duration::from_millis(1)).await;
            if let Some(answers) = answers.upgrade() {
                answers.rows.forget(KEPT_ROWS);
            }
        });
    }

    /// The covered events of a view.
    fn input<'a>(&self, view: &'a View) -> Result<Input<'a>, ServeError> {
        let shared = {
            let held = lock(&self.store);
            if Arc::ptr_eq(&held.snapshot, &view.snapshot) { held.shared.clone() } else { Shared::default() }
        };
        let input = Input::sharing(&view.snapshot, &view.filter, &shared)?;
        Ok(match self.memory {
            Some(memory) => input.within(memory),
            None => input,
        })
    }

    /// The answer to a question, computed unless somebody asked the same before.
    fn answered(
        &self,
        snapshot: &Arc<Snapshot>,
        input: &Input<'_>,
        analysis: &'static dyn Analysis,
        question: Question,
    ) -> Result<Arc<Table>, ServeError> {
        if let Some(table) = self.known(snapshot, analysis.name(), &question) {
            return Ok(table);
        }
        let _running = self.begin(analysis.name(), &question);
        // The other one that is computed at a time may have been the same.
        if let Some(table) = self.known(snapshot, analysis.name(), &question) {
            return Ok(table);
        }
        self.computed.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let table = Arc::new(analysis.answer(input, &question.parameters)?);
        lock(&self.took).insert(analysis.name(), start.elapsed());
        let snapshot = Arc::clone(snapshot);
        self.keep(Kept { snapshot, analysis: analysis.name(), question, table: Arc::clone(&table) });
        Ok(table)
    }

    /// Waits until nobody computes this, and is the one who does.
    fn begin(&self, analysis: &'static str, question: &Question) -> Running<'_> {
        let this = (analysis, question.clone());
        let running = lock(&self.running);
        let mut running =
            self.ended.wait_while(running, |running| running.contains(&this)).unwrap_or_else(PoisonError::into_inner);
        running.push(this.clone());
        Running { answers: self, this }
    }

    /// How many questions were computed, not answered from what was kept.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Takes in where the log ends that the store is filled from; `None` when that can't be told.
    pub fn log_ends(&self, ends: Option<Vec<LogEnd>>) {
        lock(&self.growth).log_ends(ends);
    }

    /// Rows a second that came of late, as far as somebody looked.
    #[must_use]
    pub fn rate(&self) -> f64 {
        lock(&self.growth).rate(Instant::now())
    }

    /// Records in the log that a snapshot lacks; `None` if the log isn't known.
    #[must_use]
    pub fn behind(&self, snapshot: &Snapshot) -> Option<u64> {
        lock(&self.growth).behind(snapshot.positions())
    }

    fn known(&self, snapshot: &Arc<Snapshot>, analysis: &str, question: &Question) -> Option<Arc<Table>> {
        let mut kept = lock(&self.kept);
        let is_same = |kept: &Kept| {
            Arc::ptr_eq(&kept.snapshot, snapshot) && kept.analysis == analysis && kept.question == *question
        };
        let place = kept.iter().position(is_same)?;
        let found = kept.remove(place)?;
        let table = Arc::clone(&found.table);
        kept.push_back(found);
        Some(table)
    }

    /// Keeps an answer; those of earlier commits go, and then those that nobody asked for the longest.
    fn keep(&self, answer: Kept) {
        let bytes = |kept: &Kept| kept.table.rows.get_array_memory_size();
        let present = Arc::clone(&lock(&self.store).snapshot);
        let mut kept = lock(&self.kept);
        kept.push_back(answer);
        kept.retain(|kept| Arc::ptr_eq(&kept.snapshot, &present));
        let mut all: usize = kept.iter().map(bytes).sum();
        while all > KEPT_BYTES {
            let Some(oldest) = kept.pop_front() else { break };
            all -= bytes(&oldest);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use cartlog_storage::store::Dictionary;

    use super::*;
    use crate::analysis::{Parameters, find};
    use crate::event;

    fn of_nothing() -> Arc<Answers> {
        let dictionaries = vec![Dictionary::default(); event::schema().columns.len()];
        let snapshot = Arc::new(Snapshot::in_memory(event::schema(), Vec::new(), dictionaries));
        // Looked at in the future, it is fresh all through the test.
        let looked = Instant::now() + Duration::from_secs(3600);
        Arc::new(Answers {
            memory: None,
            store: Mutex::new(Held { snapshot, shared: Shared::default(), looked }),
            kept: Mutex::default(),
            growth: Mutex::default(),
            turns: Turns::default(),
            rows: Rows::default(),
            running: Mutex::default(),
            ended: Condvar::new(),
            took: Mutex::default(),
            computed: AtomicU64::new(0),
            outgoing: Outgoing::default(),
        })
    }

    fn asked(answers: &Arc<Answers>, limit: &str) -> tokio::task::JoinHandle<Result<Arc<Table>, ServeError>> {
        let analysis = find("top_categories").unwrap();
        let mut question = Question::default();
        question.parameters.set(analysis, "limit", limit).unwrap();
        let answers = Arc::clone(answers);
        tokio::spawn(async move { answers.ask(analysis, &question).await })
    }

    #[tokio::test]
    async fn the_same_question_is_computed_once() {
        let answers = of_nothing();
        let asked: Vec<_> = (0..50).map(|_| asked(&answers, "7")).collect();
        let mut tables = Vec::new();
        for each in asked {
            tables.push(each.await.unwrap().unwrap());
        }
        assert!(tables.iter().all(|table| Arc::ptr_eq(table, &tables[0])));
        assert_eq!(answers.computed(), 1);
    }

    #[tokio::test]
    async fn who_leaves_before_its_turn_costs_nothing() {
        let answers = of_nothing();
        // Somebody else's question is being answered, it seems.
        let view = View { snapshot: answers.snapshot().await.unwrap(), filter: Filter::default() };
        let (answer, other) = oneshot::channel();
        let other_question =
            Asked { analysis: find("key_figures").unwrap(), parameters: Parameters::default(), answer };
        assert!(answers.turns.wait(view, other_question));
        let waiting: Vec<_> = ["3", "4", "5"].into_iter().map(|limit| asked(&answers, limit)).collect();
        tokio::task::yield_now().await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        for each in waiting {
            assert!(each.await.unwrap_err().is_cancelled());
        }
        answers.turns.answer(|_| Duration::ZERO, |view, questions| answers.answer(view, questions));
        other.await.unwrap().unwrap();
        assert_eq!(answers.computed(), 1);
        asked(&answers, "6").await.unwrap().unwrap();
        assert_eq!(answers.computed(), 2);
    }
}
