//! The bound on a job's memory: blocks on their way, counted in bytes.
//!
//! A block takes its share of the gate before it is handed on, and gives it back when its rows are in the store (or
//! its fate is sealed otherwise). Everything behind the gate may then queue without a limit of its own: channels and
//! pools never hold more than the gate has let through.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a block costs beside its bytes: its task, its headers, its place in the queues.
const OVERHEAD_BYTES: usize = 8 * 1024;

/// Lets blocks through up to a sum of bytes. A block larger than that passes alone.
#[derive(Debug)]
pub(super) struct Gate {
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    is_closed: bool,
}

/// A block's share of the gate, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<Gate>,
    bytes: usize,
}

/// What [`Gate::enter`] came to.
#[derive(Debug)]
pub(super) enum Entry {
    /// The block may pass.
    Permit(Permit),
    /// There was no room in the time given.
    Full,
    /// The gate is closed: the job is failing.
    Closed,
}

impl Gate {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Waits up to `patience` for room for a block of so many bytes.
    pub(super) fn enter(self: &Arc<Self>, bytes: usize, patience: Duration) -> Entry {
        let bytes = bytes.saturating_add(OVERHEAD_BYTES).min(self.capacity);
        let is_full = |state: &mut State| !state.is_closed && state.taken + bytes > self.capacity;
        let waited = self.changed.wait_timeout_while(self.state(), patience, is_full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            Entry::Closed
        } else if is_full(&mut state) {
            Entry::Full
        } else {
            state.taken += bytes;
            Entry::Permit(Permit { gate: Arc::clone(self), bytes })
        }
    }

    /// Waits until every block that was let through is done with, or the gate is closed.
    pub(super) fn wait_until_empty(&self) {
        let is_busy = |state: &mut State| !state.is_closed && state.taken > 0;
        drop(self.changed.wait_while(self.state(), is_busy));
    }

    /// Lets nothing through any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.state().taken -= self.bytes;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(gate: &Arc<Gate>, bytes: usize) -> Option<Permit> {
        match gate.enter(bytes, Duration::ZERO) {
            Entry::Permit(permit) => Some(permit),
            Entry::Full | Entry::Closed => None,
        }
    }

    #[test]
    fn blocks_pass_up_to_the_capacity_and_again_when_room_is_made() {
        let gate = Gate::new(100 * 1024);
        let first = enter(&gate, 50 * 1024).unwrap();
        assert!(enter(&gate, 50 * 1024).is_none());
        let second = enter(&gate, 20 * 1024).unwrap();
        drop((first, second));
        assert!(enter(&gate, 90 * 1024).is_some());
    }

    #[test]
    fn a_block_larger_than_the_capacity_passes_alone() {
        let gate = Gate::new(1000);
        let huge = enter(&gate, usize::MAX).unwrap();
        assert!(enter(&gate, 1).is_none());
        drop(huge);
        assert!(enter(&gate, 1).is_some());
    }

    #[test]
    fn closing_wakes_who_waits() {
        let gate = Gate::new(1);
        let _held = enter(&gate, 1).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| gate.enter(1, Duration::from_secs(60)));
            gate.close();
            assert!(matches!(waiter.join().unwrap(), Entry::Closed));
        });
    }
}
