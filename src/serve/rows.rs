//! The rows that the last views cover, kept for whoever asks the next question about the same events.
//!
//! Taking them out of the store reads a column of it for each condition, and they take up to a quarter of the memory that a question may
//! take. A page's questions share them within a turn; but a turn ends when its asker takes a moment longer for the next question, and another
//! viewer's turn may come between. So those of two views are kept, until other views come or nobody has asked for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::turns::View;
use crate::analysis::{AnalysisError, Chosen, Input};

/// Views whose rows are kept.
const VIEWS: usize = 2;

/// The rows of the last views.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The one that was asked about last is the last.
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    view: View,
    rows: Arc<Chosen>,
    asked: Instant,
}

impl Rows {
    /// The covered rows of a view, of which `input` are the events.
    ///
    /// # Errors
    /// Those of [`Chosen::of`].
    pub(super) fn of(&self, view: &View, input: &mut Input<'_>) -> Result<Arc<Chosen>, AnalysisError> {
        if let Some(rows) = self.known(view, input) {
            return Ok(rows);
        }
        let rows = Arc::new(Chosen::in_place_of(self.make_room(), input)?);
        let mut kept = self.lock();
        kept.retain(|kept| kept.view.filter != view.filter);
        kept.push_back(Kept { view: view.clone(), rows: Arc::clone(&rows), asked: Instant::now() });
        Ok(rows)
    }

    /// Forgets rows so that others fit beside the rest. Those that nobody reads any longer are returned, if there are.
    fn make_room(&self) -> Chosen {
        let mut kept = self.lock();
        let surplus = (kept.len() + 1).saturating_sub(VIEWS);
        kept.drain(..surplus).find_map(|kept| Arc::into_inner(kept.rows)).unwrap_or_default()
    }

    /// The covered rows of a view if they are kept; else none are taken out.
    pub(super) fn kept(&self, view: &View, input: &Input<'_>) -> Arc<Chosen> {
        self.known(view, input).unwrap_or_default()
    }

    /// Those of them that are kept.
    fn known(&self, view: &View, input: &Input<'_>) -> Option<Arc<Chosen>> {
        let mut kept = self.lock();
        kept.retain(|kept| Arc::ptr_eq(&kept.view.snapshot, &view.snapshot));
        let place = kept.iter().position(|kept| kept.view.filter == view.filter && kept.rows.is_of(input));
        let mut known = kept.remove(place?)?;
        known.asked = Instant::now();
        let rows = Arc::clone(&known.rows);
        kept.push_back(known);
        Some(rows)
    }

    /// Forgets those that nobody has asked about for so long.
    pub(super) fn forget(&self, unasked: Duration) {
        self.lock().retain(|kept| kept.asked.elapsed() < unasked);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use cartlog_storage::store::{Dictionary, Snapshot};

    use super::*;
    use crate::analysis::Filter;
    use crate::event;

    #[test]
    fn the_rows_of_two_views_are_kept_until_nobody_has_asked_for_a_while() {
        let dictionaries = vec![Dictionary::default(); event::schema().columns.len()];
        let snapshot = Arc::new(Snapshot::in_memory(event::schema(), Vec::new(), dictionaries));
        let view =
            |user| View { snapshot: Arc::clone(&snapshot), filter: Filter { users: vec![user], ..Filter::default() } };
        let rows = Rows::default();
        let of = |user| {
            let view = view(user);
            rows.of(&view, &mut Input::of(&view.snapshot, &view.filter).unwrap()).unwrap()
        };
        let (first, second) = (of(1), of(2));
        assert!(Arc::ptr_eq(&of(1), &first) && Arc::ptr_eq(&of(2), &second));
        let (known, unknown) = (view(2), view(3));
        let kept = |view: &View| rows.kept(view, &Input::of(&view.snapshot, &view.filter).unwrap());
        assert!(Arc::ptr_eq(&kept(&known), &second) && !Arc::ptr_eq(&kept(&unknown), &second));
        of(3);
        assert!(Arc::ptr_eq(&of(2), &second));
        assert!(!Arc::ptr_eq(&of(1), &first), "two others came since");
        let known = of(1);
        rows.forget(Duration::from_secs(3600));
        assert!(Arc::ptr_eq(&of(1), &known));
        rows.forget(Duration::ZERO);
        assert!(!Arc::ptr_eq(&of(1), &known));
    }
}
