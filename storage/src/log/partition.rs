//! One partition: an ordered sequence of segments with one writer and any number of readers.
//!
//! Invariants:
//! - offsets rise by the number of records and leave no gap: a batch's base offset is the end before it;
//! - `durable <= end`, and everything below `durable` is on disk;
//! - after the first failed write or sync the partition takes no more appends, since what is on disk is unknown.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use tokio::sync::{Notify, watch};

use super::batch::{BatchHeader, Offset};
use super::error::{IoContext as _, LogError};
use super::flush::{FlushQueue, FlushState};
use super::records;
use super::recovery;
use super::segment::{Location, Segment};
use super::slice::LogSlice;
use super::writer::ActiveSegment;
use crate::io::{Directory, WriteFile};

/// The epoch stamped on every batch: a single node never changes its leader.
const LEADER_EPOCH: i32 = 0;
/// The farthest an offset may lie from its segment's base, as Kafka's readers take it.
const MAXIMUM_RELATIVE_OFFSET: i64 = i32::MAX as i64;

/// One partition of a topic.
#[derive(Debug)]
pub struct Partition {
    topic: Arc<str>,
    index: i32,
    folder: String,
    directory: Arc<dyn Directory>,
    limits: PartitionLimits,
    writer: Mutex<Writer>,
    syncing: Mutex<()>,
    segments: RwLock<Vec<Arc<Segment>>>,
    start: AtomicI64,
    end: AtomicI64,
    durable: watch::Sender<Durability>,
    waiters: Mutex<Waiters>,
    latch: OnceLock<Arc<str>>,
    deleted: AtomicBool,
    queue: Arc<FlushQueue>,
    /// Whether a sync is asked for or running.
    pub(super) flush_state: Mutex<FlushState>,
}

/// What a partition takes from the settings of its log and topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartitionLimits {
    pub(super) index_interval_bytes: u32,
    pub(super) segment_bytes: u32,
    pub(super) max_batch_bytes: u32,
}

#[derive(Debug)]
struct Writer {
    active: ActiveSegment,
    /// Files of closed segments that still want their sync.
    retired: Vec<Arc<dyn WriteFile>>,
    /// Whether files were created since the folder was synced.
    folder_changed: bool,
}

#[derive(Debug, Clone)]
enum Durability {
    Until(Offset),
    Failed(LogError),
}

/// Those who wait for the next append.
#[derive(Debug, Default)]
struct Waiters {
    next_id: u64,
    waiting: Vec<(u64, Arc<Notify>)>,
}

/// The place an append got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the batch's first record.
    pub base_offset: Offset,
    /// The offset after its last record.
    pub next_offset: Offset,
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

/// Wakes a [`Notify`] at each append until dropped.
#[derive(Debug)]
pub struct Subscription {
    partition: Arc<Partition>,
    id: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.partition.lock_waiters().waiting.retain(|(id, _)| *id != self.id);
    }
}

impl Partition {
    /// Opens the partition's folder, recovering what is in it; an empty folder becomes an empty partition.
    pub(super) fn open(
        directory: Arc<dyn Directory>,
        topic: Arc<str>,
        index: i32,
        limits: PartitionLimits,
        recovery_point: Offset,
        queue: Arc<FlushQueue>,
    ) -> Result<Self, LogError> {
        let folder = partition_folder(&topic, index);
        let mut recovered = recovery::recover(&*directory, &folder, recovery_point, limits.index_interval_bytes)?;
        let created = recovered.segments.is_empty();
        let active = match recovered.segments.pop() {
            Some(last) => ActiveSegment::resume(&*directory, &folder, last)?,
            None => ActiveSegment::create(&*directory, &folder, recovered.end, 0, limits.index_interval_bytes)?,
        };
        let mut retired = Vec::new();
        let mut segments = Vec::new();
        for segment in recovered.segments {
            if segment.with_loaded_indexes(|_| ()).is_none() {
                segments.push(Arc::new(segment));
                continue;
            }
            // It was scanned, so that its files, and the indexes that came out of it, may not be on disk.
            let mut scanned = ActiveSegment::resume(&*directory, &folder, segment)?;
            retired.extend(scanned.seal()?);
            segments.push(scanned.segment);
        }
        segments.push(Arc::clone(&active.segment));
        let start = segments.first().map_or(recovered.end, |segment| segment.base());
        let durable = if created { recovered.end } else { recovery_point.min(recovered.end) };
        Ok(Self {
            topic,
            index,
            folder,
            directory,
            limits,
            writer: Mutex::new(Writer { active, retired, folder_changed: true }),
            syncing: Mutex::new(()),
            segments: RwLock::new(segments),
            start: AtomicI64::new(start.0),
            end: AtomicI64::new(recovered.end.0),
            durable: watch::Sender::new(Durability::Until(durable)),
            waiters: Mutex::default(),
            latch: OnceLock::new(),
            deleted: AtomicBool::new(false),
            queue,
            flush_state: Mutex::default(),
        })
    }

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

    /// Bytes in `.log` files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments().last().map_or(0, |segment| segment.preceding_bytes() + segment.size())
    }

    /// Checks a batch as a producer sent it and writes it at the end. When this returns it is in the page cache and
    /// visible to readers; [`Partition::wait_durable`] waits for the disk.
    ///
    /// Costs one pass over the bytes for the checksum and one system call; records are never decoded.
    ///
    /// # Errors
    /// [`LogError::Batch`] if the batch is refused, [`LogError::Io`] if writing fails, [`LogError::Latched`] after
    /// that.
    pub fn append(&self, batch: &[u8]) -> Result<Appended, LogError> {
        let mut header = BatchHeader::of_produced(batch, self.limits.max_batch_bytes as usize)?;
        let mut writer = self.lock_writer();
        self.check_writable()?;
        let base_offset = self.end();
        header.base_offset = base_offset;
        let appended = Appended { base_offset, next_offset: header.next_offset() };
        let written =
            self.roll_if_full(&mut writer, &header).and_then(|()| writer.active.append(batch, &header, LEADER_EPOCH));
        if let Err(error) = written {
            drop(writer);
            self.latch(&error);
            return Err(error);
        }
        self.end.store(appended.next_offset.0, Ordering::Release);
        drop(writer);
        self.wake();
        Ok(appended)
    }

    /// Waits until everything below `offset` is on disk, asking for a sync if need be. All who wait at the same time
    /// share one sync.
    ///
    /// # Errors
    /// The [`LogError`] of the write or sync that failed, now or earlier.
    pub async fn wait_durable(self: &Arc<Self>, offset: Offset) -> Result<(), LogError> {
        let mut durable = self.durable.subscribe();
        loop {
            match &*durable.borrow_and_update() {
                Durability::Until(until) if *until >= offset => return Ok(()),
                Durability::Failed(error) => return Err(error.clone()),
                Durability::Until(_) => {}
            }
            self.queue.request(self);
            if durable.changed().await.is_err() {
                return Err(self.latched("the log was closed"));
            }
        }
    }

    /// Reads whole batches from the one that holds `offset`: at most `max_bytes` in all, but at least that one if
    /// `at_least_one`. At the end of the log the answer is empty.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`], or [`LogError::Io`] and [`LogError::Corrupt`] of the files.
    pub fn read(&self, offset: Offset, max_bytes: usize, at_least_one: bool) -> Result<Read, LogError> {
        let found = self.locate(offset)?;
        let batches = match found {
            Some((segment, location)) => segment.slice(&*self.directory, &location, max_bytes, at_least_one)?,
            None => LogSlice::default(),
        };
        Ok(Read { batches, start: self.start(), end: self.end() })
    }

    /// How many bytes of `.log` files precede the batch that holds `offset`: the distance of two of these, or from
    /// [`Partition::bytes`], is what a read could give.
    ///
    /// # Errors
    /// As [`Partition::read`].
    pub fn bytes_before(&self, offset: Offset) -> Result<u64, LogError> {
        let found = self.locate(offset)?;
        Ok(found.map_or(self.bytes(), |(segment, location)| segment.preceding_bytes() + location.position))
    }

    /// The first record whose time is at or after `timestamp_ms`; `None` if there is none.
    ///
    /// # Errors
    /// [`LogError::Io`] and [`LogError::Corrupt`] of the files.
    pub fn offset_for_time(&self, timestamp_ms: i64) -> Result<Option<TimedOffset>, LogError> {
        for segment in self.segments() {
            if segment.latest(&*self.directory)?.is_none_or(|(latest, _)| latest < timestamp_ms) {
                continue;
            }
            let mut from = self.start();
            // A batch that claims a late time needn't hold a record of that time.
            while let Some(location) = segment.locate_time(&*self.directory, timestamp_ms, from)? {
                let batch = segment.read_batch(&location)?;
                let found = records::find_time(&batch, timestamp_ms, from).map_err(|error| LogError::Corrupt {
                    path: segment.path().to_owned(),
                    position: location.position,
                    detail: error.to_string(),
                })?;
                if found.is_some() {
                    return Ok(found);
                }
                from = location.header.next_offset();
            }
        }
        Ok(None)
    }

    /// The record with the latest time; `None` if no record has one.
    ///
    /// # Errors
    /// As [`Partition::offset_for_time`].
    pub fn latest_time(&self) -> Result<Option<TimedOffset>, LogError> {
        let mut latest = None;
        for segment in self.segments() {
            let time = segment.latest(&*self.directory)?.map(|(time, _)| time);
            if time > latest {
                latest = time;
            }
        }
        latest.map_or(Ok(None), |latest| self.offset_for_time(latest))
    }

    /// Wakes `waiter` at every append until the result is dropped. Look at the end again after subscribing: an append
    /// may have come before.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, waiter: &Arc<Notify>) -> Subscription {
        let mut waiters = self.lock_waiters();
        let id = waiters.next_id;
        waiters.next_id += 1;
        waiters.waiting.push((id, Arc::clone(waiter)));
        Subscription { partition: Arc::clone(self), id }
    }

    /// Writes everything appended so far to disk and returns the offset up to which that holds.
    ///
    /// # Errors
    /// [`LogError::Io`], after which the partition takes no more appends.
    pub fn sync(&self) -> Result<Offset, LogError> {
        let _one_at_a_time = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, folder_changed, end) = {
            let mut writer = self.lock_writer();
            self.check_writable()?;
            let mut files = writer.retired.clone();
            files.push(Arc::clone(&writer.active.log));
            (files, std::mem::take(&mut writer.folder_changed), self.end())
        };
        let synced = files.iter().try_for_each(|file| file.sync().at("sync a file of", &self.folder)).and_then(|()| {
            if folder_changed {
                self.directory.sync_directory(&self.folder).at("sync", &self.folder)?;
            }
            Ok(())
        });
        if let Err(error) = synced {
            self.latch(&error);
            return Err(error);
        }
        let mut writer = self.lock_writer();
        writer.retired.drain(..files.len() - 1);
        drop(writer);
        self.durable.send_if_modified(|durable| match durable {
            Durability::Until(until) if *until < end => {
                *until = end;
                true
            }
            _ => false,
        });
        Ok(end)
    }

    /// Writes the index entries that wait in memory.
    pub(super) fn write_indexes(&self) -> Result<(), LogError> {
        self.lock_writer().active.write_indexes(0)
    }

    /// Refuses appends from now on and wakes all who wait.
    pub(super) fn retire(&self) {
        self.deleted.store(true, Ordering::Release);
        self.durable.send_replace(Durability::Failed(LogError::UnknownTopic(self.topic.to_string())));
        self.wake();
    }

    /// Whether the topic was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    fn roll_if_full(&self, writer: &mut Writer, next: &BatchHeader) -> Result<(), LogError> {
        let active = Arc::clone(&writer.active.segment);
        let size = active.size();
        let fits = size + next.size as u64 <= u64::from(self.limits.segment_bytes)
            && next.last_offset().0 - active.base().0 <= MAXIMUM_RELATIVE_OFFSET;
        if size == 0 || fits {
            return Ok(());
        }
        let closed = writer.active.seal()?;
        let created = ActiveSegment::create(
            &*self.directory,
            &self.folder,
            next.base_offset,
            active.preceding_bytes() + size,
            self.limits.index_interval_bytes,
        )?;
        let segment = Arc::clone(&created.segment);
        writer.active = created;
        writer.retired.extend(closed);
        writer.folder_changed = true;
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
        Ok(())
    }

    fn locate(&self, offset: Offset) -> Result<Option<(Arc<Segment>, Location)>, LogError> {
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
            if let Some(location) = segment.locate(&*self.directory, offset)? {
                return Ok(Some((Arc::clone(segment), location)));
            }
        }
        Ok(None)
    }

    fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check_writable(&self) -> Result<(), LogError> {
        if self.is_deleted() {
            return Err(LogError::UnknownTopic(self.topic.to_string()));
        }
        self.latch.get().map_or(Ok(()), |reason| Err(self.latched(reason)))
    }

    fn latch(&self, error: &LogError) {
        let reason = self.latch.get_or_init(|| error.to_string().into());
        tracing::error!(partition = self.folder, "no more appends: {reason}");
        self.durable.send_replace(Durability::Failed(self.latched(reason)));
    }

    fn latched(&self, reason: &str) -> LogError {
        LogError::Latched { partition: self.folder.clone(), reason: reason.into() }
    }

    fn wake(&self) {
        for (_, waiter) in &self.lock_waiters().waiting {
            waiter.notify_one();
        }
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The folder of a partition, as Kafka names it.
pub(super) fn partition_folder(topic: &str, index: i32) -> String {
    format!("{topic}-{index}")
}
