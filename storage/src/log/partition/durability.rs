//! Getting a partition to disk, waiting for that, and what happens when it fails.
//!
//! A write that fails is cut back, and the partition goes on. A sync that fails, or a write that can't be cut back,
//! leaves what is on disk unknown: the partition is latched and takes no more appends until it is opened again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Partition;
use crate::log::batch::Offset;
use crate::log::error::{IoContext as _, LogError};
use crate::log::producers::Snapshot;
use crate::log::writer::WriteFailure;

/// How much of a partition is on disk.
#[derive(Debug, Clone)]
pub(super) enum Durability {
    /// Everything below this offset.
    Until(Offset),
    /// That is unknown, or the topic is gone.
    Failed(LogError),
}

/// Bytes appended until the idempotent producers are written down again: what a start has to walk over at most.
const KEEP_PRODUCERS_BYTES: u64 = 64 << 20;

/// How long nothing more is said of writes that fail.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// The longest a sync waits for batches that are likely to come.
const LONGEST_GATHERING: Duration = Duration::from_micros(500);
/// The pause between two looks at what has come.
const GATHERING_STEP: Duration = Duration::from_micros(30);
/// Bytes from which on a sync waits for no more: the disk has enough to do.
const MUCH: u64 = 256 << 10;

/// What the last sync covered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastSync {
    /// Batches ever appended when it began.
    batches: u64,
    /// Bytes ever appended when it began.
    bytes: u64,
    /// How many of the batches came after the sync before.
    group: u64,
    /// How long it took.
    took: Duration,
}

impl Partition {
    /// Waits a little if as many small batches as the last sync covered are likely to come: producers send the next ones
    /// as soon as they have their answers, and without this the first of them would get a sync of its own and the others
    /// wait for the next. A partition whose producer waits for each answer never waits here.
    pub(in crate::log) fn gather(&self) {
        let last = *self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = LONGEST_GATHERING.min(last.took / 2);
        let start = Instant::now();
        while last.group > 1
            && self.batches.load(Ordering::Relaxed) - last.batches < last.group
            && self.bytes_before_end() - last.bytes < MUCH
            && start.elapsed() < patience
        {
            std::thread::sleep(GATHERING_STEP);
        }
    }

    /// Writes down the idempotent producers if at least so many bytes were appended since the last time.
    ///
    /// # Errors
    /// [`LogError::Io`]; nothing is lost, since they can be found in the log.
    pub(super) fn keep_producers(&self, least_bytes: u64) -> Result<(), LogError> {
        let mut writer = self.lock_writer();
        if writer.unkept_bytes < least_bytes {
            return Ok(());
        }
        let snapshot = Snapshot { offset: self.end(), producers: writer.producers.clone() };
        writer.unkept_bytes = 0;
        drop(writer);
        snapshot.write(&*self.services.directory, &self.folder)
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
            self.services.queue.request(self);
            if durable.changed().await.is_err() {
                return Err(self.latched("the log was closed"));
            }
        }
    }

    /// Writes everything appended so far to disk and returns the offset up to which that holds.
    ///
    /// # Errors
    /// [`LogError::Io`], after which the partition takes no more appends.
    pub fn sync(&self) -> Result<Offset, LogError> {
        let mut last = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let start = Instant::now();
        let (files, folder_changed, end, batches) = {
            let mut writer = self.lock_writer();
            self.check_writable()?;
            let mut files = writer.retired.clone();
            files.push(Arc::clone(&writer.active.log));
            let batches = self.batches.load(Ordering::Relaxed);
            (files, std::mem::take(&mut writer.folder_changed), self.end(), batches)
        };
        let bytes = self.bytes_before_end();
        let synced = files.iter().try_for_each(|file| file.sync().at("sync a file of", &self.folder)).and_then(|()| {
            if folder_changed {
                self.services.directory.sync_directory(&self.folder).at("sync", &self.folder)?;
            }
            Ok(())
        });
        if let Err(error) = synced {
            self.latch(&error);
            return Err(error);
        }
        let mut writer = self.lock_writer();
        writer.retired.drain(..files.len() - 1);
        writer.synced = Instant::now();
        drop(writer);
        let took = start.elapsed();
        self.services.syncs.observe(took);
        *last = LastSync { batches, bytes, group: batches - last.batches, took };
        if let Err(error) = self.keep_producers(KEEP_PRODUCERS_BYTES) {
            tracing::warn!("the next start will take longer: {error}");
        }
        self.durable.send_if_modified(|durable| match durable {
            Durability::Until(until) if *until < end => {
                *until = end;
                true
            }
            _ => false,
        });
        Ok(end)
    }

    /// Asks for a sync if the last one is longer ago than `flush.ms` and there is something to write.
    pub(in crate::log) fn flush_if_due(&self) {
        let longest = Duration::from_millis(u64::try_from(self.limits().flush_ms).unwrap_or_default());
        if self.unsynced_records() > 0 && self.lock_writer().synced.elapsed() >= longest {
            self.request_sync();
        }
    }

    /// Asks for a sync if `flush.messages` records wait for one.
    pub(super) fn flush_if_many(&self, flush_messages: i64) {
        if flush_messages < i64::MAX && self.unsynced_records() >= flush_messages {
            self.request_sync();
        }
    }

    /// Asks for a sync without waiting for it.
    pub(super) fn request_sync(&self) {
        if let Some(shared) = self.itself.upgrade() {
            self.services.queue.request(&shared);
        }
    }

    /// Records that aren't known to be on disk; none if a sync has failed.
    fn unsynced_records(&self) -> i64 {
        match &*self.durable.borrow() {
            Durability::Until(until) => self.end().0 - until.0,
            Durability::Failed(_) => 0,
        }
    }

    /// Latches the partition if a failed write left something behind; gives the error of the write.
    pub(super) fn failed(&self, failure: WriteFailure) -> LogError {
        if failure.is_undone {
            // A producer tries again and again, and one line tells as much as a thousand.
            let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
            if complained.is_none_or(|last| last.elapsed() >= COMPLAINT_PAUSE) {
                *complained = Some(Instant::now());
                tracing::error!(partition = self.folder, "nothing was written: {}", failure.error);
            }
        } else {
            self.latch(&failure.error);
        }
        failure.error
    }

    fn latch(&self, error: &LogError) {
        let reason = self.latch.get_or_init(|| error.to_string().into());
        tracing::error!(partition = self.folder, "no more appends: {reason}");
        self.durable.send_replace(Durability::Failed(self.latched(reason)));
    }

    pub(super) fn latched(&self, reason: &str) -> LogError {
        LogError::Latched { partition: self.folder.clone(), reason: reason.into() }
    }
}
