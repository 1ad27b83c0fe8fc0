//! One partition: an ordered sequence of segments with one writer and any number of readers.
//!
//! Invariants:
//! - offsets rise by the number of records and leave no gap: a batch's base offset is the end before it;
//! - `start <= end`, and no reader gets anything below `start`;
//! - `durable <= end`, and everything below `durable` is on disk;
//! - a write that fails leaves nothing behind; after one that can't be cut back, and after a failed sync, the partition
//!   takes no more appends, since what is on disk is unknown.

mod durability;
mod opening;
mod retention;
mod roll;
mod start;
mod subscription;
mod times;
mod traffic;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use self::durability::{Durability, LastSync};
pub use self::subscription::Subscription;
use self::subscription::Waiters;
use self::traffic::Counters;
pub use self::traffic::Traffic;
use super::batch::{BatchError, BatchHeader, Offset};
use super::checkpoint::Checkpoint;
use super::compress::compressed_anew;
use super::error::LogError;
use super::flush::{FlushQueue, FlushState};
use super::options::TimestampType;
use super::producers::{Producers, Verdict};
use super::records::without_key;
use super::segment::{Location, Segment};
use super::settings::PartitionLimits;
use super::slice::LogSlice;
use super::writer::ActiveSegment;
use crate::histogram::Histogram;
use crate::io::{Directory, WriteFile};

/// The epoch stamped on every batch: a single node never changes its leader.
pub(super) const LEADER_EPOCH: i32 = 0;

/// One partition of a topic.
#[derive(Debug)]
pub struct Partition {
    topic: Arc<str>,
    index: i32,
    folder: String,
    services: Services,
    limits: Arc<RwLock<PartitionLimits>>,
    /// For the queue of syncs, which shares partitions.
    itself: Weak<Partition>,
    writer: Mutex<Writer>,
    /// Held by the one that syncs.
    syncing: Mutex<LastSync>,
    /// Held by the one that moves the start.
    starting: Mutex<()>,
    segments: RwLock<Vec<Arc<Segment>>>,
    start: AtomicI64,
    end: AtomicI64,
    /// Batches ever appended since the partition was opened.
    batches: AtomicU64,
    counters: Counters,
    durable: watch::Sender<Durability>,
    waiters: Waiters,
    latch: OnceLock<Arc<str>>,
    /// Why it could not be opened.
    offline: Option<LogError>,
    deleted: AtomicBool,
    /// Whether a sync is asked for or running.
    pub(super) flush_state: Mutex<FlushState>,
    /// When a write that failed was last told of.
    complained: Mutex<Option<Instant>>,
}

/// What all partitions of a log share.
#[derive(Debug, Clone)]
pub(super) struct Services {
    pub(super) directory: Arc<dyn Directory>,
    pub(super) recovery_points: Arc<Checkpoint>,
    pub(super) log_starts: Arc<Checkpoint>,
    pub(super) queue: Arc<FlushQueue>,
    pub(super) syncs: Arc<Histogram>,
}

#[derive(Debug)]
struct Writer {
    active: ActiveSegment,
    /// Files of closed segments that still want their sync.
    retired: Vec<Arc<dyn WriteFile>>,
    /// Whether files were created since the folder was synced.
    folder_changed: bool,
    /// When the last sync ended.
    synced: Instant,
    /// The idempotent producers, as of the end.
    producers: Producers,
    /// Bytes appended since they were written down.
    unkept_bytes: u64,
}

/// The place an append got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the batch's first record.
    pub base_offset: Offset,
    /// The offset after its last record.
    pub next_offset: Offset,
    /// The time that its records were given, in milliseconds since 1970; `None` if they keep their own.
    pub append_time_ms: Option<i64>,
}

/// What a read found.
#[derive(Debug, Clone)]
pub struct Read {
    /// Whole batches, the first of which holds the offset asked for; empty at the end of the log.
    pub batches: LogSlice,
    /// The first offset kept.
    pub start: Offset,
    /// The offset after the last record. On a single node this is the high watermark and the last stable offset too.
    pub end: Offset,
}

/// A record's place and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOffset {
    /// Its time in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its offset.
    pub offset: Offset,
}

impl Partition {
    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The topic's name, shared.
    pub(super) fn shared_topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The partition's number in its topic, from 0.
    #[must_use]
    pub fn index(&self) -> i32 {
        self.index
    }

    /// The first offset kept.
    #[must_use]
    pub fn start(&self) -> Offset {
        Offset(self.start.load(Ordering::Acquire))
    }

    /// The offset after the last record: where the next append goes, and the high watermark.
    #[must_use]
    pub fn end(&self) -> Offset {
        Offset(self.end.load(Ordering::Acquire))
    }

    /// The epoch of the leader, stamped on every batch.
    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        LEADER_EPOCH
    }

    /// Whose clock the times of its batches come from.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.limits().timestamp_type
    }

    /// Why it is offline: it could not be opened, and every read and write fails until that is repaired.
    #[must_use]
    pub fn offline(&self) -> Option<&LogError> {
        self.offline.as_ref()
    }

    /// Why it takes no more appends until it is opened again, if a write or sync has failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.latch.get().map(|reason| &**reason)
    }

    /// Bytes in `.log` files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let removed = segments.first().map_or(0, |segment| segment.preceding_bytes());
        segments.last().map_or(0, |segment| segment.preceding_bytes() + segment.size() - removed)
    }

    /// Where the log ends on the scale of [`Partition::bytes_before`].
    #[must_use]
    pub fn bytes_before_end(&self) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.last().map_or(0, |segment| segment.preceding_bytes() + segment.size())
    }

    /// Checks a batch as a producer sent it and writes it at the end. When this returns it is in the page cache and
    /// visible to readers; [`Partition::wait_durable`] waits for the disk.
    ///
    /// Costs one pass over the bytes for the checksum and one system call; records are never decoded. A batch that an
    /// idempotent producer sends again is not written again: the answer is the place it has.
    ///
    /// # Errors
    /// [`LogError::Batch`] and [`LogError::Producer`] if the batch is refused, [`LogError::Io`] if writing fails, which leaves the partition as it
    /// was, [`LogError::Latched`] and [`LogError::Offline`] if it takes no appends.
    pub fn append(&self, batch: &[u8]) -> Result<Appended, LogError> {
        let appended = self.try_append(batch);
        if appended.is_err() {
            self.counters.refused_batches.fetch_add(1, Ordering::Relaxed);
        }
        appended
    }

    fn try_append(&self, batch: &[u8]) -> Result<Appended, LogError> {
        let limits = self.limits();
        let maximum = limits.max_batch_bytes as usize;
        let mut header = BatchHeader::of_produced(batch, maximum)?;
        if limits.needs_keys {
            check_keys(&header, batch)?;
        }
        let batch = &*match limits.compression {
            Some(wanted) => compressed_anew(&mut header, batch, wanted, maximum)?,
            None => Cow::Borrowed(batch),
        };
        header.leader_epoch = LEADER_EPOCH;
        let append_time_ms = (limits.timestamp_type == TimestampType::LogAppendTime).then(now_ms);
        if let Some(time_ms) = append_time_ms {
            header.set_append_time(time_ms, batch);
        }
        let mut writer = self.lock_writer();
        self.check_writable()?;
        let verdict = writer.producers.judge(&header)?;
        header.base_offset = match verdict {
            Verdict::Append => self.end(),
            Verdict::Repeated(offset) => offset,
        };
        let appended = Appended { base_offset: header.base_offset, next_offset: header.next_offset(), append_time_ms };
        if verdict != Verdict::Append {
            return Ok(appended);
        }
        self.roll_if_full(&mut writer, &header, &limits)?;
        writer.active.append(batch, &header).map_err(|failure| self.failed(failure))?;
        writer.producers.note(&header);
        writer.unkept_bytes += header.size as u64;
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.end.store(appended.next_offset.0, Ordering::Release);
        drop(writer);
        self.waiters.wake();
        self.flush_if_many(limits.flush_messages);
        Ok(appended)
    }

    /// Reads whole batches from the one that holds `offset`: at most `max_bytes` in all, but at least that one if
    /// `at_least_one`. At the end of the log the answer is empty.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`], or [`LogError::Io`] and [`LogError::Corrupt`] of the files.
    pub fn read(&self, offset: Offset, max_bytes: usize, at_least_one: bool) -> Result<Read, LogError> {
        let found = self.locate(offset)?;
        let batches = match found {
            Some((segment, location)) => {
                segment.slice(&*self.services.directory, &location, max_bytes, at_least_one)?
            }
            None => LogSlice::default(),
        };
        self.counters.bytes_out.fetch_add(batches.len() as u64, Ordering::Relaxed);
        Ok(Read { batches, start: self.start(), end: self.end() })
    }

    /// How many bytes were ever written before the batch that holds `offset`: the distance of two of these, or from
    /// [`Partition::bytes_before_end`], is what a read could give.
    ///
    /// # Errors
    /// As [`Partition::read`].
    pub fn bytes_before(&self, offset: Offset) -> Result<u64, LogError> {
        let found = self.locate(offset)?;
        Ok(found.map_or_else(
            || self.bytes_before_end(),
            |(segment, location)| segment.preceding_bytes() + location.position,
        ))
    }

    /// Whether nothing was appended since it was opened, and it ends where everything was on disk already.
    pub(super) fn is_unchanged_since(&self, on_disk: Offset) -> bool {
        self.batches.load(Ordering::Relaxed) == 0 && self.end() == on_disk
    }

    /// Leaves the files as small as they can be and the indexes complete, as for a log that is closed.
    pub(super) fn settle(&self) -> Result<(), LogError> {
        let mut writer = self.lock_writer();
        writer.active.release()?;
        writer.active.write_indexes(0)?;
        drop(writer);
        self.keep_producers(1)
    }

    /// Refuses appends from now on and wakes all who wait.
    pub(super) fn retire(&self) {
        self.deleted.store(true, Ordering::Release);
        self.durable.send_replace(Durability::Failed(LogError::UnknownTopic(self.topic.to_string())));
        self.waiters.wake();
    }

    /// Whether the topic was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    fn locate(&self, offset: Offset) -> Result<Option<(Arc<Segment>, Location)>, LogError> {
        self.check_online()?;
        let (start, end) = (self.start(), self.end());
        if offset < start || offset > end {
            return Err(LogError::OffsetOutOfRange { partition: self.folder.clone(), offset, start, end });
        }
        if offset == end {
            return Ok(None);
        }
        let segments = self.segments();
        let from = segments.partition_point(|segment| segment.base() <= offset).saturating_sub(1);
        for segment in &segments[from..] {
            if let Some(location) = segment.locate(&*self.services.directory, offset)? {
                return Ok(Some((Arc::clone(segment), location)));
            }
        }
        Ok(None)
    }

    fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check_online(&self) -> Result<(), LogError> {
        self.offline.clone().map_or(Ok(()), Err)
    }

    pub(super) fn check_writable(&self) -> Result<(), LogError> {
        if self.is_deleted() {
            return Err(LogError::UnknownTopic(self.topic.to_string()));
        }
        self.check_online()?;
        self.latch.get().map_or(Ok(()), |reason| Err(self.latched(reason)))
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> PartitionLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// The folder of a partition, as Kafka names it.
pub(super) fn partition_folder(topic: &str, index: i32) -> String {
    format!("{topic}-{index}")
}
/// Checks that each record has a key.
fn check_keys(header: &BatchHeader, batch: &[u8]) -> Result<(), BatchError> {
    let missing = without_key(header, batch).map_err(|error| BatchError::Records(error.to_string()))?;
    if missing.is_empty() { Ok(()) } else { Err(BatchError::WithoutKey(missing)) }
}
