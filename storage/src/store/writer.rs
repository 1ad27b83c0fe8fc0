//! The store's one writer.
//!
//! Callers append from any number of threads; a cut of the append stream is handed over each time a segment is full, and
//! the callers go on with the next one. Two threads take a cut to the disk: the first encodes it, the second writes,
//! syncs and commits it while the first is at the next. Memory is bounded by blocking: one cut being filled,
//! [`WriterOptions::waiting_cuts`] waiting, one being encoded, and one encoded and being committed.
//!
//! Invariants:
//! - cuts are committed whole, in the order of the appends: a position is durable only with all rows before it;
//! - the first error of the sealer latches the store: every later call says so and nothing more is written;
//! - a range is claimed by one caller only, and a position never goes backwards.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::num::NonZero;
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::io::{Directory, LockGuard};

use super::origin::LogSpan;
use super::recovery;
use super::sealer::{Cut, CutRange, EncodedCut, Encoder, Sealer, set_position};
use super::sources::{Claims, KnownSources};
use super::{
    CommitSummary, Delivery, KnownRange, LogPosition, Schema, SharedDictionary, Snapshot, SourceId, StoreError,
};

/// The file that a writer locks.
const LOCK: &str = "lock";
/// The longest topic name, source identity or source name, in bytes.
const MAX_NAME: usize = 4096;

/// How a [`StoreWriter`] works.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// Rows that make a segment full. A delivery is never split, so a segment may hold up to one delivery more. Smaller
    /// ones are merged up to this (see [`compact`](super::compact())).
    pub segment_rows: usize,
    /// Bytes in memory, rejects included, that make a cut full before its rows do.
    pub segment_memory: usize,
    /// Full cuts that may wait for the sealer before appends block, at least 1.
    pub waiting_cuts: usize,
    /// Threads that encode the columns of a segment.
    pub encode_threads: usize,
}

impl Default for WriterOptions {
    /// A million rows (2^20) a segment, at most 256 MiB in memory, one waiting cut, two encoding threads where there
    /// are two processors.
    fn default() -> Self {
        Self {
            segment_rows: 1 << 20,
            segment_memory: 256 << 20,
            waiting_cuts: 1,
            encode_threads: thread::available_parallelism().map_or(1, NonZero::get).min(2),
        }
    }
}

/// The one writer of a store. Shared by reference between threads.
///
/// Dropping it without [`StoreWriter::close`] is like a crash: what was not committed is given up.
///
/// ```
/// use std::sync::Arc;
/// use cartlog_storage::io::MemoryDirectory;
/// use cartlog_storage::store::*;
///
/// let schema = Schema { columns: vec![ColumnSchema { name: "brand".into(), kind: ColumnType::Dictionary }] };
/// let writer = StoreWriter::open(Arc::new(MemoryDirectory::new()), schema, WriterOptions::default())?;
/// let apple = writer.dictionary(0).code_for("apple")?;
/// let batch = Batch { rows: 2, columns: vec![ColumnValues::Codes(vec![apple, 0])] };
/// writer.append(Delivery { batch, ..Delivery::default() })?;
/// assert_eq!(writer.commit()?.totals.rows_stored, 2);
/// assert_eq!(writer.snapshot()?.dictionary(0).get(apple), Some("apple"));
/// writer.close()?;
/// # Ok::<(), StoreError>(())
/// ```
#[derive(Debug)]
pub struct StoreWriter {
    shared: Arc<Shared>,
    directory: Arc<dyn Directory>,
    schema: Schema,
    dictionaries: Vec<Arc<SharedDictionary>>,
    options: WriterOptions,
    /// The encoder's and the sealer's.
    threads: Vec<JoinHandle<()>>,
    /// Dropped last, when both have ended.
    _lock: Box<dyn LockGuard>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Anything in the state has changed that somebody may wait for.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// The cut being filled.
    open: Cut,
    /// Cuts for the sealer, oldest first.
    waiting: VecDeque<Cut>,
    /// Cuts handed to the sealer, and those it has committed.
    handed_over: u64,
    committed: u64,
    summary: CommitSummary,
    /// As of the last commit.
    committed_positions: Vec<LogPosition>,
    failed: Option<Arc<StoreError>>,
    is_closing: bool,
    /// As of the last append.
    positions: Vec<LogPosition>,
    known: KnownSources,
    claims: Claims,
}

impl StoreWriter {
    /// Opens the store of a directory for writing, or creates it; brings it back to its last commit first.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if there is another writer; [`StoreError::SchemaMismatch`] if the store holds other
    /// columns; what recovery finds wrong, in which case nothing was changed; I/O errors.
    pub fn open(directory: Arc<dyn Directory>, schema: Schema, options: WriterOptions) -> Result<Self, StoreError> {
        schema.validate()?;
        let options = WriterOptions { waiting_cuts: options.waiting_cuts.max(1), ..options };
        let lock = lock(&*directory)?;
        let sealer = recovery::recover(Arc::clone(&directory), &schema, &options)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                open: Cut::default(),
                waiting: VecDeque::new(),
                handed_over: 0,
                committed: 0,
                summary: sealer.summary(),
                committed_positions: sealer.manifest.positions.clone(),
                failed: None,
                is_closing: false,
                positions: sealer.manifest.positions.clone(),
                claims: Claims::new(&sealer.manifest.sources),
                known: sealer.manifest.sources.clone(),
            }),
            changed: Condvar::new(),
        });
        let (encoder, dictionaries) = (sealer.encoder.clone(), sealer.encoder.dictionaries.clone());
        // No cut waits between the two: the encoder goes on to the next when the sealer has taken one.
        let (encoded, received) = mpsc::sync_channel(0);
        let mut writer = Self { shared, directory, schema, dictionaries, options, threads: Vec::new(), _lock: lock };
        writer.start("store encoder", move |shared| shared.encode_all(&encoder, &encoded))?;
        writer.start("store sealer", move |shared| shared.seal_all(sealer, &received))?;
        Ok(writer)
    }

    fn start(&mut self, name: &str, work: impl FnOnce(&Shared) + Send + 'static) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&shared))
            .map_err(StoreError::io("", "starting a thread of the store"))?;
        self.threads.push(thread);
        Ok(())
    }

    /// What the columns hold.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The growing dictionary of a column; one that is not used if the column has none.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn dictionary(&self, column: usize) -> Arc<SharedDictionary> {
        Arc::clone(&self.dictionaries[column])
    }

    /// The next offset to read from a partition, appended rows included.
    #[must_use]
    pub fn position(&self, topic: &str, partition: i32) -> Option<LogPosition> {
        let state = self.shared.lock();
        state.positions.iter().find(|known| known.topic == topic && known.partition == partition).cloned()
    }

    /// The next offset of every partition, as of the last commit: all before it is durable.
    #[must_use]
    pub fn committed_positions(&self) -> Vec<LogPosition> {
        self.shared.lock().committed_positions.clone()
    }

    /// Takes a byte range of a source: gives the parts that neither the store has nor anybody claimed before, and
    /// which the caller now has to deliver. Empty if all of it is known.
    ///
    /// A claim lasts as long as the writer; it becomes durable with the commit that holds its rows.
    #[must_use]
    pub fn claim(&self, source: &SourceId, range: Range<u64>) -> Vec<Range<u64>> {
        self.shared.lock().claims.claim(source, range)
    }

    /// What the store has of a source, appended ranges included.
    #[must_use]
    pub fn known(&self, source: &SourceId) -> Vec<KnownRange> {
        self.shared.lock().known.get(source).to_vec()
    }

    /// Takes rows; they are durable after a commit. Blocks while the sealer is behind.
    ///
    /// Deliveries of one partition must be appended in the order of their offsets; those of different partitions and
    /// sources may come from different threads.
    ///
    /// # Errors
    /// [`StoreError::InvalidBatch`] or [`StoreError::InvalidDelivery`] if it doesn't fit the schema or the limits;
    /// [`StoreError::PositionBackwards`] and [`StoreError::RangeOverlap`] if it was stored before;
    /// [`StoreError::Latched`] after an error of the sealer. Nothing of the delivery is taken then.
    pub fn append(&self, delivery: Delivery) -> Result<(), StoreError> {
        self.append_together(vec![delivery])
    }

    /// Takes deliveries as one: a commit holds all of them or none. Blocks while the sealer is behind.
    ///
    /// A block of which only some pieces are new comes like this, one delivery a piece: were it committed in parts, a
    /// load that is cut off between them would count the first pieces twice. Their ranges must ascend.
    ///
    /// # Errors
    /// As [`StoreWriter::append`]. Nothing of any of them is taken then.
    pub fn append_together(&self, deliveries: Vec<Delivery>) -> Result<(), StoreError> {
        for delivery in &deliveries {
            delivery.batch.validate(&self.schema)?;
            delivery.rejects.iter().try_for_each(super::Reject::validate)?;
            validate_names(delivery)?;
        }
        let mut state = self.wait_for_room(self.shared.lock())?;
        for position in deliveries.iter().filter_map(|delivery| delivery.position.as_ref()) {
            check_position(&state.positions, position)?;
        }
        state.known.add_all(deliveries.iter().filter_map(|delivery| delivery.range.as_ref()))?;
        let has_rows = deliveries.iter().any(|delivery| delivery.batch.rows > 0);
        for delivery in deliveries {
            if let Some(position) = &delivery.position {
                if has_rows {
                    let known = known_position(&state.positions, position);
                    let span = LogSpan::between(known, delivery.first_offset, position);
                    state.open.origin.add_span(span);
                }
                set_position(&mut state.positions, position.clone());
            }
            state.open.take(delivery);
        }
        if self.is_full(&state.open) && state.waiting.len() < self.options.waiting_cuts {
            state.hand_over();
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// Commits everything appended so far; it is durable when this returns. Without anything new it does nothing.
    ///
    /// # Errors
    /// [`StoreError::Latched`] with the error at which the sealer stopped.
    pub fn commit(&self) -> Result<CommitSummary, StoreError> {
        let mut state = self.shared.lock();
        while state.failed.is_none() && state.waiting.len() >= self.options.waiting_cuts {
            state = self.shared.wait(state);
        }
        if !state.open.is_empty() {
            state.hand_over();
            self.shared.changed.notify_all();
        }
        let target = state.handed_over;
        while state.committed < target && state.failed.is_none() {
            state = self.shared.wait(state);
        }
        state.check_sound()?;
        Ok(state.summary)
    }

    /// The store as of the last commit.
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::open(Arc::clone(&self.directory))
    }

    /// Commits the rest and ends the writer.
    ///
    /// # Errors
    /// As [`StoreWriter::commit`]; the writer is ended all the same.
    pub fn close(self) -> Result<CommitSummary, StoreError> {
        self.commit()
    }

    fn is_full(&self, cut: &Cut) -> bool {
        cut.totals.rows_stored >= self.options.segment_rows as u64 || cut.memory >= self.options.segment_memory
    }

    /// Waits until the open cut may take more, handing it over if it is full.
    fn wait_for_room<'a>(&self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, StoreError> {
        loop {
            state.check_sound()?;
            if !self.is_full(&state.open) {
                return Ok(state);
            }
            if state.waiting.len() < self.options.waiting_cuts {
                state.hand_over();
                self.shared.changed.notify_all();
            } else {
                state = self.shared.wait(state);
            }
        }
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closing = true;
        state.waiting.clear();
        drop(state);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic of one has latched the store and been told to whoever waited for it.
            let _ = thread.join();
        }
    }
}

impl State {
    fn hand_over(&mut self) {
        self.waiting.push_back(std::mem::take(&mut self.open));
        self.handed_over += 1;
    }

    fn check_sound(&self) -> Result<(), StoreError> {
        self.failed.as_ref().map_or(Ok(()), |first| Err(StoreError::Latched { first: Arc::clone(first) }))
    }
}

impl Cut {
    fn take(&mut self, delivery: Delivery) {
        self.totals.add(&delivery);
        self.memory += delivery.batch.memory();
        self.memory += delivery.rejects.iter().map(|reject| reject.memory() + size_of_val(reject)).sum::<usize>();
        let has_rows = delivery.batch.rows > 0;
        if has_rows {
            self.batches.push(delivery.batch);
        }
        self.rejects.extend(delivery.rejects);
        if let Some(position) = delivery.position {
            set_position(&mut self.positions, position);
        }
        self.ranges.extend(delivery.range.map(|range| CutRange { range, has_rows }));
    }
}

impl Shared {
    /// Locks the state, which is whole between any two steps, whoever panics.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The encoder's thread: encodes cut after cut until the writer closes or the sealer has stopped.
    fn encode_all(&self, encoder: &Encoder, encoded: &SyncSender<Result<EncodedCut, StoreError>>) {
        let latch = LatchOnPanic { shared: self };
        while let Some(cut) = self.next_cut() {
            if encoded.send(encoder.encode_cut(cut)).is_err() {
                break;
            }
        }
        drop(latch);
    }

    /// The sealer's thread: commits cut after cut until the writer closes or an error comes.
    fn seal_all(&self, mut sealer: Sealer, encoded: &Receiver<Result<EncodedCut, StoreError>>) {
        let latch = LatchOnPanic { shared: self };
        for cut in encoded {
            if self.lock().is_closing {
                break;
            }
            match cut.and_then(|cut| sealer.seal(cut)) {
                Ok(summary) => {
                    let mut state = self.lock();
                    state.committed += 1;
                    state.summary = summary;
                    state.committed_positions.clone_from(&sealer.manifest.positions);
                }
                Err(error) => {
                    tracing::error!(%error, "the store stopped");
                    self.lock().failed = Some(Arc::new(error));
                }
            }
            self.changed.notify_all();
            if self.lock().failed.is_some() {
                break;
            }
        }
        drop(latch);
    }

    fn next_cut(&self) -> Option<Cut> {
        let mut state = self.lock();
        loop {
            if state.is_closing || state.failed.is_some() {
                return None;
            }
            if let Some(cut) = state.waiting.pop_front() {
                self.changed.notify_all();
                return Some(cut);
            }
            state = self.wait(state);
        }
    }
}

/// Latches the store if a thread of its own panics, so that nobody waits for it forever.
struct LatchOnPanic<'a> {
    shared: &'a Shared,
}

impl Drop for LatchOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let what = "a thread of the store panicked".to_owned();
            self.shared.lock().failed = Some(Arc::new(StoreError::Invariant { what }));
            self.shared.changed.notify_all();
        }
    }
}

/// Takes the lock that only one writer has.
pub(crate) fn lock(directory: &dyn Directory) -> Result<Box<dyn LockGuard>, StoreError> {
    lock_file(directory, LOCK)
}

/// Takes the lock of a file that only one process has at a time.
pub(super) fn lock_file(directory: &dyn Directory, name: &str) -> Result<Box<dyn LockGuard>, StoreError> {
    directory.lock(name).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => StoreError::Locked,
        _ => StoreError::io(name, "locking")(error),
    })
}

fn validate_names(delivery: &Delivery) -> Result<(), StoreError> {
    let topic = delivery.position.iter().map(|position| ("topic name", &position.topic[..]));
    let source =
        delivery.range.iter().flat_map(|range| [("source id", range.source.as_str()), ("source name", &range.name)]);
    for (what, name) in topic.chain(source) {
        if name.len() > MAX_NAME {
            let reason = format!("a {what} of {} bytes, at most {MAX_NAME}", name.len());
            return Err(StoreError::InvalidDelivery { reason });
        }
    }
    if let Some(range) = delivery.range.as_ref().filter(|range| range.range.start > range.range.end) {
        return Err(StoreError::InvalidDelivery { reason: format!("a range that ends before it starts: {range:?}") });
    }
    Ok(())
}

/// A position may go backwards only where the topic is known to be another one of the same name.
fn check_position(positions: &[LogPosition], position: &LogPosition) -> Result<(), StoreError> {
    let Some(known) = known_position(positions, position) else { return Ok(()) };
    let is_another_topic = known.topic_id.zip(position.topic_id).is_some_and(|(known, new)| known != new);
    if position.next_offset < known.next_offset && !is_another_topic {
        return Err(StoreError::PositionBackwards {
            topic: position.topic.clone(),
            partition: position.partition,
            got: position.next_offset,
            known: known.next_offset,
        });
    }
    Ok(())
}

/// What is known of the same partition.
fn known_position<'p>(positions: &'p [LogPosition], position: &LogPosition) -> Option<&'p LogPosition> {
    positions.iter().find(|known| known.topic == position.topic && known.partition == position.partition)
}
