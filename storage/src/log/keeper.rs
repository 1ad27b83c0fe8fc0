//! What happens to partitions without anybody asking: writing to disk what has waited for long, closing and removing old
//! segments, and keeping the recovery points' file young, so that a start after a crash has little to read.

use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::checkpoint::Checkpoint;
use super::error::{IoContext as _, LogError};
use super::partition::Partition;
use super::root::Topics;

/// How often partitions are looked at.
const TICK: Duration = Duration::from_secs(1);

/// The thread that does it, until dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    closing: Arc<Closing>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Closing {
    closed: Mutex<bool>,
    wake: Condvar,
}

impl Keeper {
    /// Starts the thread; segments are looked at every `retention_check`, or at every tick if that is longer.
    ///
    /// # Errors
    /// [`LogError::Io`] if the system gives no thread.
    pub(super) fn start(
        topics: &Arc<RwLock<Topics>>,
        recovery_points: &Arc<Checkpoint>,
        retention_check: Duration,
    ) -> Result<Self, LogError> {
        let (topics, recovery_points) = (Arc::clone(topics), Arc::clone(recovery_points));
        let closing = Arc::new(Closing::default());
        let closed = Arc::clone(&closing);
        let thread = std::thread::Builder::new()
            .name("log-keeper".to_owned())
            .spawn(move || keep(&topics, &recovery_points, retention_check, &closed))
            .at("start the keeper thread of", "the log")?;
        Ok(Self { closing, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        *self.closing.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.closing.wake.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the keeper thread panicked");
        }
    }
}

impl Closing {
    /// Waits for the next tick; false if there is none.
    fn next_tick(&self) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(closed, TICK, |closed| !*closed);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn keep(topics: &RwLock<Topics>, recovery_points: &Checkpoint, retention_check: Duration, closing: &Closing) {
    let mut checked = Instant::now();
    while closing.next_tick() {
        let partitions: Vec<Arc<Partition>> = {
            let topics = topics.read().unwrap_or_else(PoisonError::into_inner);
            topics.values().flat_map(|topic| topic.partitions()).cloned().collect()
        };
        let checks = checked.elapsed() >= retention_check;
        for partition in partitions {
            partition.flush_if_due();
            if checks {
                tidy(&partition);
            }
        }
        if checks {
            checked = Instant::now();
        }
        if let Err(error) = recovery_points.write_if_due() {
            tracing::warn!("the next start will take longer: {error}");
        }
    }
}

fn tidy(partition: &Partition) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    if let Err(error) = partition.roll_if_old().and_then(|()| partition.retain(now_ms)) {
        tracing::warn!(topic = partition.topic(), partition = partition.index(), "old segments stay: {error}");
    }
}
