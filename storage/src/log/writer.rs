//! The growing segment of a partition, write side.
//!
//! Batches go to the file at once, with one system call each; index entries are kept in memory and written in lots,
//! since they can be rebuilt.
//!
//! Room is reserved ahead of a file that has proven to grow: ext4 then writes half-megabyte batches at about two thirds of the
//! cost (0.17 instead of 0.24 processor seconds a GB). Ahead of small batches it is filled with zeros too, in pieces of
//! 256 KiB: the page cache then takes large pages in one go instead of a few small ones for each batch, and only the sync after
//! such a piece has a new length to write down.
//!
//! What was reserved or filled in vain is cut off when the segment or the log is closed, and after a crash when the file is
//! opened again: no batch begins with zeros, so that they end a file as well as its length does.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use super::batch::{BatchHeader, HEADER_LENGTH, Offset};
use super::error::{IoContext as _, LogError};
use super::recovery;
use super::segment::{Indexes, Segment, segment_path};
use super::settings::PartitionLimits;
use crate::io::{Directory, WriteFile};

/// Encoded index entries that may wait in memory.
const INDEX_LOT: usize = 512;
/// The size from which on room is reserved ahead: as much as the file has already, within these bounds.
const RESERVE_FROM: u64 = 1 << 20;
/// The most room reserved ahead.
const RESERVE_MOST: u64 = 32 << 20;
/// Zeros are written ahead of batches of which as many fit into them: for larger ones they are not worth their bytes.
const FILLS_FOR: u64 = 4;

/// The segment that takes appends.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    /// As readers see it.
    pub(super) segment: Arc<Segment>,
    /// Its `.log` file.
    pub(super) log: Arc<dyn WriteFile>,
    /// The time of its first batch.
    pub(super) first_time_ms: Option<i64>,
    /// When it began to take appends.
    pub(super) since: Instant,
    /// Up to which size room has been asked for.
    reserved: u64,
    /// Up to which size the file holds zeros.
    filled: u64,
    fill_ahead: u64,
    offset_index: IndexFile,
    time_index: IndexFile,
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct WriteFailure {
    /// Why.
    pub(super) error: LogError,
    /// Whether the files are as they were before.
    pub(super) is_undone: bool,
}

#[derive(Debug)]
struct IndexFile {
    file: Arc<dyn WriteFile>,
    path: String,
    written: usize,
}

impl ActiveSegment {
    /// Creates the files of an empty segment.
    ///
    /// # Errors
    /// [`WriteFailure`]; it is undone if the files that had been created are gone.
    pub(super) fn create(
        directory: &dyn Directory,
        folder: &str,
        base: Offset,
        preceding_bytes: u64,
        limits: &PartitionLimits,
    ) -> Result<Self, WriteFailure> {
        let path = segment_path(folder, base, "log");
        let created = directory.create(&path).at("create", &path);
        // A file that was there before is nobody's to remove.
        let log = created.map_err(|error| WriteFailure { error, is_undone: true })?;
        let complete = || {
            // Index files without a log file are left from a deletion that was cut short.
            let offset_index = IndexFile::reset(directory, segment_path(folder, base, "index"))?;
            let time_index = IndexFile::reset(directory, segment_path(folder, base, "timeindex"))?;
            let indexes = Some(Indexes::new());
            let segment =
                Segment::open(directory, folder, base, 0, preceding_bytes, limits.index_interval_bytes, indexes)?;
            Ok((segment, offset_index, time_index))
        };
        match complete() {
            Ok((segment, offset_index, time_index)) => {
                let (segment, log) = (Arc::new(segment), Arc::from(log));
                Ok(Self {
                    segment,
                    log,
                    first_time_ms: None,
                    since: Instant::now(),
                    reserved: 0,
                    filled: 0,
                    fill_ahead: u64::from(limits.fill_ahead_bytes),
                    offset_index,
                    time_index,
                })
            }
            Err(error) => {
                Err(WriteFailure { error, is_undone: recovery::remove_segment(directory, folder, base).is_ok() })
            }
        }
    }

    /// Goes on with a recovered segment, whose `.log` file is cut to the segment's size.
    pub(super) fn resume(
        directory: &dyn Directory,
        folder: &str,
        segment: Segment,
        limits: &PartitionLimits,
    ) -> Result<Self, LogError> {
        let base = segment.base();
        let log = directory.open_append(segment.path(), segment.size()).at("open", segment.path())?;
        let mut active = Self {
            first_time_ms: segment.first_time_ms()?,
            since: Instant::now(),
            segment: Arc::new(segment),
            log: Arc::from(log),
            reserved: 0,
            filled: 0,
            fill_ahead: u64::from(limits.fill_ahead_bytes),
            offset_index: IndexFile::reset(directory, segment_path(folder, base, "index"))?,
            time_index: IndexFile::reset(directory, segment_path(folder, base, "timeindex"))?,
        };
        active.write_indexes(0)?;
        Ok(active)
    }

    /// Writes a checked batch at the end, with `header` in place of the one it came with, and shows it to readers.
    ///
    /// # Errors
    /// [`WriteFailure`]; it is undone if the file could be cut back to its length before.
    pub(super) fn append(&mut self, batch: &[u8], header: &BatchHeader) -> Result<(), WriteFailure> {
        self.reserve(header.size as u64);
        self.fill(header.size as u64);
        let head = header.encode();
        let written = self.log.append_vectored(&[IoSlice::new(&head), IoSlice::new(&batch[HEADER_LENGTH..])]);
        if let Err(error) = written.at("append to", self.segment.path()) {
            (self.reserved, self.filled) = (0, 0);
            return Err(WriteFailure { error, is_undone: self.log.truncate(self.segment.size()).is_ok() });
        }
        self.segment.publish(header);
        self.first_time_ms.get_or_insert(header.max_timestamp_ms);
        if let Err(error) = self.write_indexes(INDEX_LOT) {
            // The entries wait in memory for the next lot, and can be rebuilt.
            tracing::warn!("{error}");
        }
        Ok(())
    }

    fn reserve(&mut self, next: u64) {
        let size = self.segment.size();
        if size >= RESERVE_FROM && size + next > self.reserved {
            let ahead = size.min(RESERVE_MOST).max(next);
            self.log.reserve(ahead);
            self.reserved = size + ahead;
        }
    }

    /// Fills the file with zeros ahead of a small batch that goes beyond those that are there.
    fn fill(&mut self, next: u64) {
        let size = self.segment.size();
        let is_small = next <= self.fill_ahead / FILLS_FOR;
        if !is_small || size < self.fill_ahead || size + next <= self.filled {
            return;
        }
        let until = (size + next).next_multiple_of(self.fill_ahead);
        // Where it fails, the append finds its own room, or none.
        let _ = usize::try_from(until - size).map(|zeros| self.log.fill(zeros));
        self.filled = until;
    }

    /// Gives back the room that was reserved or filled ahead.
    pub(super) fn release(&mut self) -> Result<(), LogError> {
        if self.reserved.max(self.filled) > self.segment.size() {
            self.log.truncate(self.segment.size()).at("cut the unused end of", self.segment.path())?;
        }
        (self.reserved, self.filled) = (0, 0);
        Ok(())
    }

    /// Writes index entries if at least `lot` bytes of them wait.
    pub(super) fn write_indexes(&mut self, lot: usize) -> Result<(), LogError> {
        let Self { segment, offset_index, time_index, .. } = self;
        segment
            .with_loaded_indexes(|indexes| {
                offset_index.catch_up(indexes.offsets.as_bytes(), lot)?;
                time_index.catch_up(indexes.times.as_bytes(), lot)
            })
            .unwrap_or(Ok(()))
    }

    /// Completes the indexes, as the segment takes no more appends, and gives the files that want a sync: from then on
    /// the segment is opened without looking into it, so that its indexes must be on disk too.
    pub(super) fn seal(&mut self) -> Result<[Arc<dyn WriteFile>; 3], LogError> {
        self.release()?;
        self.segment.with_loaded_indexes(Indexes::finish);
        self.write_indexes(0)?;
        Ok([&self.log, &self.offset_index.file, &self.time_index.file].map(Arc::clone))
    }
}

impl IndexFile {
    fn reset(directory: &dyn Directory, path: String) -> Result<Self, LogError> {
        let file = if directory.exists(&path).at("look for", &path)? {
            // A new file rather than a shorter one: readers may hold a map of the old.
            directory.remove(&path).at("remove", &path)?;
            directory.create(&path).at("create", &path)?
        } else {
            directory.create(&path).at("create", &path)?
        };
        Ok(Self { file: Arc::from(file), path, written: 0 })
    }

    fn catch_up(&mut self, entries: &[u8], lot: usize) -> Result<(), LogError> {
        // A rebuilt index may be shorter than what was written; what is there is then wrong and is found out on use.
        let waiting = entries.get(self.written..).unwrap_or_default();
        if waiting.is_empty() || waiting.len() < lot {
            return Ok(());
        }
        if let Err(error) = self.file.append(waiting).at("append to", &self.path) {
            // A part of an entry would make what follows unreadable; should the cut fail too, the index is found to be
            // wrong when it is loaded.
            let _ = self.file.truncate(self.written as u64);
            return Err(error);
        }
        self.written = entries.len();
        Ok(())
    }
}
