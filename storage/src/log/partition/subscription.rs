//! Waiting for the next append.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Partition;

/// Those who wait for the next append.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_id: u64,
    waiters: Vec<(u64, Arc<Notify>)>,
}

/// Wakes a [`Notify`] at each append until dropped.
#[derive(Debug)]
pub struct Subscription {
    partition: Arc<Partition>,
    id: u64,
}

impl Partition {
    /// Wakes `waiter` at every append until the result is dropped. Look at the end again after subscribing: an append
    /// may have come before.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, waiter: &Arc<Notify>) -> Subscription {
        let mut waiting = self.waiters.lock();
        let id = waiting.next_id;
        waiting.next_id += 1;
        waiting.waiters.push((id, Arc::clone(waiter)));
        Subscription { partition: Arc::clone(self), id }
    }
}

impl Waiters {
    /// Wakes all.
    pub(super) fn wake(&self) {
        for (_, waiter) in &self.lock().waiters {
            waiter.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.partition.waiters.lock().waiters.retain(|(id, _)| *id != self.id);
    }
}
