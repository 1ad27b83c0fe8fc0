//! Group commit of the journal: one thread makes durable whatever waits, and who waits is told.
//!
//! While one sync runs, further changes gather and share the next one. They are written in the order in which they were
//! given here, so that what was decided first happens first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use super::error::{GroupError, IoContext as _, JournalError};
use super::format::{FRAME_HEADER_LENGTH, PATH, Record};
use super::journal::{Journal, payloads};
use super::table::Table;
use crate::histogram::Histogram;
use crate::io::{Directory, LockGuard};

pub(super) const LOCK_PATH: &str = ".groups.lock";
/// The most bytes of changes that may wait for the disk.
const MAX_WAITING: usize = 64 << 20;
/// Below this length the file is never rewritten.
const MIN_REWRITE: u64 = 1 << 20;

/// The place of a change in the order of all changes since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Ticket(u64);

/// A change that may not be durable yet.
pub(super) type Durable = oneshot::Receiver<Result<(), GroupError>>;

/// The durable part of all groups and the thread that writes it.
#[derive(Debug)]
pub(super) struct GroupStore {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    _lock: Box<dyn LockGuard>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    table: RwLock<Table>,
    /// The last change that was written or has failed.
    settled: AtomicU64,
    /// How long the writes of changes took, until they were on disk.
    commits: Histogram,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Change>,
    bytes: usize,
    last: Ticket,
    closed: bool,
}

#[derive(Debug)]
struct Change {
    ticket: Ticket,
    records: Vec<Record>,
    done: oneshot::Sender<Result<(), GroupError>>,
}

/// Takes the right to the journal.
///
/// # Errors
/// [`JournalError::InUse`] if another holds it, [`JournalError::Io`].
pub(super) fn lock(directory: &dyn Directory) -> Result<Box<dyn LockGuard>, JournalError> {
    directory.lock(LOCK_PATH).map_err(|error| JournalError::of_lock(LOCK_PATH, error))
}

impl GroupStore {
    /// Opens the journal of the log in `directory` and starts its thread.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(super) fn open(directory: Arc<dyn Directory>) -> Result<Self, JournalError> {
        let lock = lock(&*directory)?;
        let mut table = Table::default();
        let journal = Journal::open(directory, |record| table.apply(record))?;
        let shared = Arc::new(Shared { table: RwLock::new(table), ..Shared::default() });
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("groups-journal".to_owned())
            .spawn(move || worker.run(journal))
            .at("start the thread of", PATH)?;
        Ok(Self { shared, thread: Some(thread), _lock: lock })
    }

    /// The table, which holds what is durable.
    pub(super) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.shared.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues changes that become durable together, and gives their place and what tells when they are.
    ///
    /// # Errors
    /// [`GroupError::NotAvailable`] if more changes wait for the disk than memory is set aside for.
    pub(super) fn write(&self, records: Vec<Record>) -> Result<(Ticket, Durable), GroupError> {
        let bytes: usize = records.iter().map(Record::encoded_length).sum();
        let mut queue = self.shared.lock_queue();
        if queue.closed || queue.bytes + bytes > MAX_WAITING {
            return Err(GroupError::NotAvailable);
        }
        let (done, durable) = oneshot::channel();
        queue.last.0 += 1;
        queue.bytes += bytes;
        let ticket = queue.last;
        queue.waiting.push(Change { ticket, records, done });
        self.shared.wake.notify_one();
        Ok((ticket, durable))
    }

    /// How long the writes of changes took, until they were on disk.
    pub(super) fn commits(&self) -> &Histogram {
        &self.shared.commits
    }

    /// Bytes of changes that wait for the disk.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.shared.lock_queue().bytes
    }

    /// Whether a change, and all before it, has been written or has failed.
    pub(super) fn is_settled(&self, ticket: Ticket) -> bool {
        self.shared.settled.load(Ordering::Acquire) >= ticket.0
    }
}

impl Drop for GroupStore {
    fn drop(&mut self) {
        self.shared.lock_queue().closed = true;
        self.shared.wake.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the groups' journal panicked");
        }
    }
}

impl Shared {
    fn lock_queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that waits; `None` once the queue is closed and empty.
    fn next(&self) -> Option<Vec<Change>> {
        let mut queue = self.lock_queue();
        loop {
            if !queue.waiting.is_empty() {
                return Some(std::mem::take(&mut queue.waiting));
            }
            if queue.closed {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, mut journal: Journal) {
        let mut rewrite_at = self.rewrite_threshold();
        while let Some(mut changes) = self.next() {
            let records: Vec<_> = changes.iter_mut().flat_map(|change| std::mem::take(&mut change.records)).collect();
            let bytes: usize = records.iter().map(Record::encoded_length).sum();
            let result = self.write(&mut journal, &records).map_err(|error| {
                tracing::error!(file = PATH, "a change of groups could not be written: {error}");
                GroupError::Storage(error.to_string().into())
            });
            self.lock_queue().bytes -= bytes;
            for change in changes {
                self.settled.store(change.ticket.0, Ordering::Release);
                // Whoever waited may have gone.
                let _ = change.done.send(result.clone());
            }
            if journal.is_sound() && journal.length() > rewrite_at {
                if let Err(error) = journal.rewrite(self.read_table().records()) {
                    tracing::warn!(file = PATH, "it could not be made smaller: {error}");
                }
                rewrite_at = self.rewrite_threshold().max(journal.length() * 2);
            }
        }
    }

    /// Writes frame by frame; each is in the table as soon as it is on disk.
    fn write(&self, journal: &mut Journal, records: &[Record]) -> std::io::Result<()> {
        if !journal.is_sound() {
            journal.rewrite(self.read_table().records())?;
        }
        for payload in payloads(records.iter().cloned()) {
            let start = Instant::now();
            journal.append(&payload)?;
            self.commits.observe(start.elapsed());
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            let durable = Record::decode_all(&payload).map_err(|error| std::io::Error::other(error.what))?;
            durable.into_iter().for_each(|record| table.apply(record));
        }
        Ok(())
    }

    fn read_table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rewrite_threshold(&self) -> u64 {
        MIN_REWRITE.max(2 * (self.read_table().bytes() + FRAME_HEADER_LENGTH) as u64)
    }
}
