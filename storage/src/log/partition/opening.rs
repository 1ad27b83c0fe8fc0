//! Opening a partition, whatever happened to its files.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Instant;

use tokio::sync::watch;

use super::durability::Durability;
use super::subscription::Waiters;
use super::traffic::Counters;
use super::{Partition, Services, Writer, partition_folder};
use crate::io::{Directory, MemoryDirectory};
use crate::log::batch::Offset;
use crate::log::error::{IoContext as _, LogError};
use crate::log::producers::{Producers, Snapshot, remove_stale};
use crate::log::recovery;
use crate::log::segment::Segment;
use crate::log::settings::PartitionLimits;
use crate::log::writer::ActiveSegment;

impl Partition {
    /// Opens the partition's folder, recovering what is in it; an empty folder becomes an empty partition.
    ///
    /// # Errors
    /// [`LogError::Io`], or [`LogError::Corrupt`] if something is missing or damaged that was on disk.
    pub(in crate::log) fn open(
        services: Services,
        topic: Arc<str>,
        index: i32,
        limits: Arc<RwLock<PartitionLimits>>,
    ) -> Result<Arc<Self>, LogError> {
        let recovery_point = services.recovery_points.point(&topic, index);
        let kept_from = services.log_starts.point(&topic, index);
        Self::open_at(services, topic, index, limits, (recovery_point, kept_from), None)
    }

    /// Stands for a partition that can't be opened: every read and write answers with the reason. It has an empty folder
    /// in memory, so that nothing can touch the files that are to be repaired.
    pub(in crate::log) fn stand_in(
        services: &Services,
        topic: Arc<str>,
        index: i32,
        limits: Arc<RwLock<PartitionLimits>>,
        reason: &LogError,
    ) -> Result<Arc<Self>, LogError> {
        let directory = Arc::new(MemoryDirectory::new());
        let folder = partition_folder(&topic, index);
        directory.create_all(&folder).at("stand in for", &folder)?;
        let services = Services { directory, ..services.clone() };
        let offline = LogError::Offline { partition: folder, reason: reason.to_string().into() };
        Self::open_at(services, topic, index, limits, (Offset(0), Offset(0)), Some(offline))
    }

    fn open_at(
        services: Services,
        topic: Arc<str>,
        index: i32,
        limits: Arc<RwLock<PartitionLimits>>,
        (recovery_point, kept_from): (Offset, Offset),
        offline: Option<LogError>,
    ) -> Result<Arc<Self>, LogError> {
        let folder = partition_folder(&topic, index);
        let directory = &*services.directory;
        let present = *limits.read().unwrap_or_else(PoisonError::into_inner);
        let interval = present.index_interval_bytes;
        let mut recovered = recovery::recover(directory, &folder, recovery_point, kept_from, interval)?;
        let created = recovered.segments.is_empty();
        let active = match recovered.segments.pop() {
            Some(last) => ActiveSegment::resume(directory, &folder, last, &present)?,
            None => ActiveSegment::create(directory, &folder, recovered.end, 0, &present)
                .map_err(|failure| failure.error)?,
        };
        let mut retired = Vec::new();
        let mut segments = Vec::new();
        for segment in recovered.segments {
            if segment.with_loaded_indexes(|_| ()).is_none() {
                segments.push(Arc::new(segment));
                continue;
            }
            // It was scanned, so that its files, and the indexes that came out of it, may not be on disk.
            let mut scanned = ActiveSegment::resume(directory, &folder, segment, &present)?;
            retired.extend(scanned.seal()?);
            segments.push(scanned.segment);
        }
        segments.push(Arc::clone(&active.segment));
        let start = segments.first().map_or(recovered.end, |segment| segment.base()).max(kept_from);
        let (producers, unkept_bytes) = recall_producers(directory, &folder, &segments, recovered.end)?;
        let counters = Counters::from(recovered.end, active.segment.preceding_bytes() + active.segment.size());
        let durable = if created { recovered.end } else { recovery_point.min(recovered.end) };
        Ok(Arc::new_cyclic(|itself| Self {
            topic,
            index,
            folder,
            services,
            limits,
            itself: Weak::clone(itself),
            writer: Mutex::new(Writer {
                active,
                retired,
                folder_changed: true,
                synced: Instant::now(),
                producers,
                unkept_bytes,
            }),
            syncing: Mutex::default(),
            starting: Mutex::default(),
            segments: RwLock::new(segments),
            start: AtomicI64::new(start.0),
            end: AtomicI64::new(recovered.end.0),
            batches: AtomicU64::new(0),
            counters,
            durable: watch::Sender::new(Durability::Until(durable)),
            waiters: Waiters::default(),
            latch: OnceLock::new(),
            offline,
            deleted: AtomicBool::new(false),
            flush_state: Mutex::default(),
            complained: Mutex::default(),
        }))
    }
}

/// The idempotent producers at the end of the log: those of the latest snapshot, and what the batches after it tell. Gives
/// also how many bytes of batches those were.
fn recall_producers(
    directory: &dyn Directory,
    folder: &str,
    segments: &[Arc<Segment>],
    end: Offset,
) -> Result<(Producers, u64), LogError> {
    // What lies beyond the end was cut off; other records will get those offsets.
    remove_stale(directory, folder, end)?;
    let start = segments.first().map_or(end, |segment| segment.base());
    let Snapshot { offset, mut producers } = Snapshot::load(directory, folder, start, end);
    let mut bytes = 0;
    let first = segments.partition_point(|segment| segment.base() <= offset).saturating_sub(1);
    for segment in &segments[first..] {
        segment.for_each_header(directory, offset, |header| {
            bytes += header.size as u64;
            producers.note(header);
        })?;
    }
    Ok((producers, bytes))
}
