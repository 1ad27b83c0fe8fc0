//! Group commit: few threads that sync many partitions.
//!
//! Who wants a partition on disk asks here and waits. A partition stands in the queue at most once and is synced by one
//! thread at a time, so that everything appended while one sync runs is covered by the next: the busier the partition,
//! the more appends share a sync. Small batches are gathered for a moment before a sync begins.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::checkpoint::Checkpoint;
use super::error::{IoContext as _, LogError};
use super::partition::Partition;

/// What a partition knows of its own syncs.
#[derive(Debug, Default)]
pub(super) struct FlushState {
    /// Someone wants one more sync than has begun.
    requested: bool,
    /// The partition is in the queue or in a thread's hands.
    active: bool,
}

/// The partitions that wait for a sync.
#[derive(Debug, Default)]
pub(super) struct FlushQueue {
    state: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Partition>>,
    closed: bool,
}

impl FlushQueue {
    /// Asks for a sync of `partition` that begins after this call.
    pub(super) fn request(&self, partition: &Arc<Partition>) {
        let mut flush = lock(&partition.flush_state);
        flush.requested = true;
        if !std::mem::replace(&mut flush.active, true) {
            drop(flush);
            self.push(Arc::clone(partition));
        }
    }

    fn push(&self, partition: Arc<Partition>) {
        lock(&self.state).waiting.push_back(partition);
        self.wake.notify_one();
    }

    fn next(&self) -> Option<Arc<Partition>> {
        let mut queue = lock(&self.state);
        loop {
            if let Some(partition) = queue.waiting.pop_front() {
                return Some(partition);
            }
            if queue.closed {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, checkpoint: &Checkpoint) {
        while let Some(partition) = self.next() {
            partition.gather();
            lock(&partition.flush_state).requested = false;
            sync(&partition, checkpoint);
            let mut flush = lock(&partition.flush_state);
            if flush.requested {
                drop(flush);
                self.push(partition);
            } else {
                flush.active = false;
            }
        }
    }
}

fn sync(partition: &Partition, checkpoint: &Checkpoint) {
    // Those who wait learn of a failure from the partition itself.
    if let Ok(offset) = partition.sync() {
        checkpoint.note(partition, offset);
        if let Err(error) = checkpoint.write_if_due() {
            tracing::warn!("the next start will take longer: {error}");
        }
    }
}

/// The threads that run the queue, until dropped.
#[derive(Debug)]
pub(super) struct Flusher {
    queue: Arc<FlushQueue>,
    threads: Vec<JoinHandle<()>>,
}

impl Flusher {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`LogError::Io`] if the system gives no threads.
    pub(super) fn start(
        queue: &Arc<FlushQueue>,
        checkpoint: &Arc<Checkpoint>,
        threads: usize,
    ) -> Result<Self, LogError> {
        let mut flusher = Self { queue: Arc::clone(queue), threads: Vec::new() };
        for number in 0..threads.max(1) {
            let (queue, checkpoint) = (Arc::clone(queue), Arc::clone(checkpoint));
            let thread = std::thread::Builder::new()
                .name(format!("log-sync-{number}"))
                .spawn(move || queue.run(&checkpoint))
                .at("start the sync threads of", "the log")?;
            flusher.threads.push(thread);
        }
        Ok(flusher)
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        lock(&self.queue.state).closed = true;
        self.queue.wake.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a sync thread panicked");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
