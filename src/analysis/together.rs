//! Analyses that are asked of the same input one after the other.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Analysis;
use crate::table::Table;

/// Which analyses are asked together, those that take no parameters; one that finds out on its way what another asks for leaves that
/// answer here, so that the other need not look at the events again.
#[derive(Debug, Default)]
pub struct Together(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those that are still to come.
    asked: Vec<&'static str>,
    left: HashMap<&'static str, Table>,
}

impl Together {
    /// These analyses.
    #[must_use]
    pub fn of(analyses: &[&'static dyn Analysis]) -> Self {
        let asked = analyses.iter().filter(|analysis| analysis.parameters().is_empty());
        Self(Mutex::new(State { asked: asked.map(|analysis| analysis.name()).collect(), left: HashMap::new() }))
    }

    /// Notes that it is this one's turn; its answer, if that was left.
    pub(super) fn turn_of(&self, name: &str) -> Option<Table> {
        let State { asked, left } = &mut *self.state();
        if let Some(place) = asked.iter().position(|known| *known == name) {
            asked.remove(place);
        }
        left.remove(name)
    }

    /// Whether this one is still to come, and its answer isn't there.
    pub(super) fn wants(&self, name: &str) -> bool {
        let state = self.state();
        state.asked.contains(&name) && !state.left.contains_key(name)
    }

    /// Leaves the answer of another.
    pub(super) fn leave(&self, name: &'static str, table: Table) {
        self.state().left.insert(name, table);
    }

    /// Forgets what was left: it was made of something damaged.
    pub(super) fn forget(&self) {
        self.state().left.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Events, Filter, Input, Parameters, find, registry};

    #[test]
    fn an_answer_is_left_for_one_that_is_still_to_come() {
        let together = Together::of(registry());
        let [first, other] = ["user_top_category_brand", "most_engaged_users"].map(|name| find(name).unwrap());
        let input = Input::new(Events::new(vec![], vec![], vec![], vec![]), &Filter::default()).for_all(&together);
        let table = first.answer(&input, &Parameters::default()).unwrap();
        assert!(!together.wants(other.name()) && !together.wants(first.name()));
        // Once what was left is forgotten, it is to be found out again.
        together.forget();
        assert!(together.wants(other.name()));
        together.leave(other.name(), table);
        assert!(!together.wants(other.name()) && together.turn_of(other.name()).is_some());
        assert!(!together.wants(other.name()) && together.turn_of(other.name()).is_none());
    }

    #[test]
    fn an_answer_that_depends_on_parameters_is_left_for_nobody() {
        assert!(!Together::of(registry()).wants("top_categories"));
    }
}
