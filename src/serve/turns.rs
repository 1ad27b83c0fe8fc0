//! Whose turn it is: questions wait by what they are about, and all about the same events are answered together.
//!
//! Invariants:
//! - Views are in the order in which the first of their waiting questions came; the first of them has the turn.
//! - While questions wait, one thread answers; it leaves when none is left.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cartlog_storage::store::Snapshot;
use tokio::sync::oneshot;

use super::error::ServeError;
use crate::analysis::{Analysis, Filter, Parameters};
use crate::table::Table;

/// How long the turn waits for another question about the same events: a browser sends the next one when it has an answer.
const LINGER: Duration = Duration::from_millis(5);

/// The most questions that a turn answers while others wait.
const LONGEST_TURN: usize = 64;

/// Events that questions are about.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) filter: Filter,
}

impl View {
    fn is_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.snapshot, &other.snapshot) && self.filter == other.filter
    }
}

/// A question about a view's events, and who waits for the answer.
pub(super) struct Asked {
    pub(super) analysis: &'static dyn Analysis,
    pub(super) parameters: Parameters,
    pub(super) answer: oneshot::Sender<Result<Arc<Table>, ServeError>>,
}

/// All questions that wait.
#[derive(Default)]
pub(super) struct Turns {
    waiting: Mutex<Waiting>,
    /// A question has come.
    came: Condvar,
}

#[derive(Default)]
struct Waiting {
    views: VecDeque<(View, Vec<Asked>)>,
    is_answered: bool,
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Turns").field("views", &self.lock().views.len()).finish_non_exhaustive()
    }
}

/// That somebody answers, which ends with whoever does.
struct Answering<'a>(&'a Turns);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Whoever waits is told that there is no answer, and whoever asks next is answered.
            *self.0.lock() = Waiting::default();
        }
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a question wait; whether somebody has to begin to answer.
    pub(super) fn wait(&self, view: View, asked: Asked) -> bool {
        let mut waiting = self.lock();
        match waiting.views.iter_mut().find(|(known, _)| known.is_of(&view)) {
            Some((_, questions)) => questions.push(asked),
            None => waiting.views.push_back((view, vec![asked])),
        }
        self.came.notify_all();
        !std::mem::replace(&mut waiting.is_answered, true)
    }

    /// Has `answer` answer every view in turn until nobody waits. It is given the view and what hands out its questions, of those that
    /// wait the one that `cost` says least of.
    pub(super) fn answer(
        &self,
        cost: impl Fn(&Asked) -> Duration + Sync,
        mut answer: impl FnMut(&View, &mut (dyn Iterator<Item = Asked> + Send)),
    ) {
        let _answering = Answering(self);
        while let Some(view) = self.next_view() {
            let mut left = LONGEST_TURN;
            let mut questions = std::iter::from_fn(|| self.next_question(&mut left, &cost));
            answer(&view, &mut questions);
            self.end_turn();
        }
    }

    /// The view whose turn it is; without one, nobody answers any longer.
    fn next_view(&self) -> Option<View> {
        let mut waiting = self.lock();
        for (_, questions) in &mut waiting.views {
            questions.retain(|asked| !asked.answer.is_closed());
        }
        waiting.views.retain(|(_, questions)| !questions.is_empty());
        let view = waiting.views.front().map(|(view, _)| view.clone());
        waiting.is_answered = view.is_some();
        view
    }

    /// A question of the view that has the turn; of those whose asker has gone, none.
    fn next_question(&self, left: &mut usize, cost: impl Fn(&Asked) -> Duration) -> Option<Asked> {
        let mut waiting = self.lock();
        if *left == 0 && waiting.views.len() > 1 {
            return None;
        }
        *left = left.saturating_sub(1);
        let mut has_lingered = false;
        loop {
            let (_, questions) = waiting.views.front_mut()?;
            questions.retain(|asked| !asked.answer.is_closed());
            if let Some(place) = (0..questions.len()).min_by_key(|place| cost(&questions[*place])) {
                return Some(questions.remove(place));
            }
            if has_lingered {
                return None;
            }
            let deadline =
                |waiting: &mut Waiting| waiting.views.front().is_some_and(|(_, questions)| questions.is_empty());
            let (woken, timeout) =
                self.came.wait_timeout_while(waiting, LINGER, deadline).unwrap_or_else(PoisonError::into_inner);
            (waiting, has_lingered) = (woken, timeout.timed_out());
        }
    }

    /// Whoever still waits for the first view waits behind the others from now on.
    fn end_turn(&self) {
        let mut waiting = self.lock();
        if let Some(view) = waiting.views.pop_front() {
            waiting.views.push_back(view);
        }
    }
}
