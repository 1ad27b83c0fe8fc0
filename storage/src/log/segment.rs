//! One segment: a `.log` file of batches and its two indexes, read side.
//!
//! Invariants:
//! - the first `size` bytes of the `.log` file are whole, sound batches with rising offsets, and never change;
//! - a batch's offsets lie at or above the segment's base and below the next segment's.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};

use super::batch::{BatchError, BatchHeader, HEADER_LENGTH, Offset};
use super::error::{IoContext as _, LogError};
use super::index::{Index, OffsetEntry, TimeEntry};
use super::slice::LogSlice;
use crate::io::{Directory, ReadFile};

/// Bytes read at a time when batches are walked from header to header.
const HOP_CHUNK: usize = 4096;
/// Bytes read at a time when every byte is looked at.
const SCAN_CHUNK: usize = 1 << 20;

/// The path of one of a segment's files, as Kafka names it: the base offset in 20 digits.
pub(super) fn segment_path(folder: &str, base: Offset, extension: &str) -> String {
    format!("{folder}/{:020}.{extension}", base.0)
}

/// A segment as readers see it.
#[derive(Debug)]
pub(super) struct Segment {
    base: Offset,
    path: String,
    folder: String,
    reader: Box<dyn ReadFile>,
    size: AtomicU64,
    preceding_bytes: u64,
    index_interval: u64,
    indexes: RwLock<Option<Indexes>>,
}

/// Where a batch stands in its segment.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// Position of its first byte.
    pub(super) position: u64,
    /// Its header.
    pub(super) header: BatchHeader,
}

impl Segment {
    /// Opens the files of a segment whose first `size` bytes are known to be sound. `indexes` are loaded when needed
    /// if `None`; `preceding_bytes` is the size of all segments before it.
    pub(super) fn open(
        directory: &dyn Directory,
        folder: &str,
        base: Offset,
        size: u64,
        preceding_bytes: u64,
        index_interval: u32,
        indexes: Option<Indexes>,
    ) -> Result<Self, LogError> {
        let path = segment_path(folder, base, "log");
        let reader = directory.open_read(&path).at("open", &path)?;
        Ok(Self {
            base,
            path,
            folder: folder.to_owned(),
            reader,
            size: AtomicU64::new(size),
            preceding_bytes,
            index_interval: u64::from(index_interval),
            indexes: RwLock::new(indexes),
        })
    }

    /// The offset that names the segment: no record lies below it.
    pub(super) fn base(&self) -> Offset {
        self.base
    }

    /// Bytes of sound batches.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Bytes of all segments before it.
    pub(super) fn preceding_bytes(&self) -> u64 {
        self.preceding_bytes
    }

    /// The path of its `.log` file.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The latest time of its first batch; `None` if it is empty.
    ///
    /// # Errors
    /// [`LogError`] if the file can't be read or is damaged there.
    pub(super) fn first_time_ms(&self) -> Result<Option<i64>, LogError> {
        if self.size() == 0 { Ok(None) } else { Ok(Some(self.header_at(0)?.max_timestamp_ms)) }
    }

    /// Shows a batch that has been written at the end to readers.
    pub(super) fn publish(&self, header: &BatchHeader) {
        let position = self.size();
        let mut indexes = self.indexes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(indexes) = indexes.as_mut() {
            indexes.observe(self.base, header, position, self.index_interval);
        }
        self.size.store(position + header.size as u64, Ordering::Release);
    }

    /// Finds the batch that holds `offset`, or the first after it; `None` if all batches lie below.
    ///
    /// # Errors
    /// [`LogError`] if the files can't be read or are damaged there.
    pub(super) fn locate(&self, directory: &dyn Directory, offset: Offset) -> Result<Option<Location>, LogError> {
        let relative = u32::try_from(offset.0.saturating_sub(self.base.0).max(0)).unwrap_or(u32::MAX);
        let entry =
            self.with_indexes(directory, |indexes| indexes.offsets.last_where(|entry| entry.relative <= relative))?;
        if let Some(entry) = entry {
            // An index is a cache: the batch it points to must be the one it names.
            let wanted = self.base.0 + i64::from(entry.relative);
            if let Ok(Some(location)) = self.walk(u64::from(entry.position), offset)
                && self.header_at(u64::from(entry.position)).is_ok_and(|header| header.last_offset().0 == wanted)
            {
                return Ok(Some(location));
            }
            tracing::warn!(segment = self.path, "the offset index is wrong and is rebuilt");
            self.rebuild_indexes()?;
        }
        self.walk(0, offset)
    }

    /// Runs `visit` on the header of each batch from the one that holds `offset` on, in their order.
    ///
    /// # Errors
    /// [`LogError`] if the file can't be read or is damaged there.
    pub(super) fn for_each_header(
        &self,
        directory: &dyn Directory,
        offset: Offset,
        mut visit: impl FnMut(&BatchHeader),
    ) -> Result<(), LogError> {
        let Some(first) = self.locate(directory, offset)? else {
            return Ok(());
        };
        let mut scanner = Scanner::new(&*self.reader, first.position, self.size(), HOP_CHUNK);
        while let Some(location) = self.expect(scanner.next(false))? {
            visit(&location.header);
        }
        Ok(())
    }

    /// Walks from the batch at `position` to the first whose last offset is at or after `offset`.
    fn walk(&self, position: u64, offset: Offset) -> Result<Option<Location>, LogError> {
        let mut scanner = Scanner::new(&*self.reader, position, self.size(), HOP_CHUNK);
        while let Some(location) = self.expect(scanner.next(false))? {
            if location.header.last_offset() >= offset {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }

    fn header_at(&self, position: u64) -> Result<BatchHeader, LogError> {
        let mut bytes = [0; HEADER_LENGTH];
        self.reader.read_exact_at(&mut bytes, position).at("read", &self.path)?;
        BatchHeader::decode(&bytes).map_err(|error| self.corrupt(position, &error))
    }

    /// The file, for reading.
    pub(super) fn reader(&self) -> &dyn ReadFile {
        &*self.reader
    }

    /// Reads the batch at `location`.
    ///
    /// # Errors
    /// [`LogError::Io`] if the file can't be read.
    pub(super) fn read_batch(&self, location: &Location) -> Result<Bytes, LogError> {
        let mut bytes = BytesMut::zeroed(location.header.size);
        self.reader.read_exact_at(&mut bytes, location.position).at("read", &self.path)?;
        Ok(bytes.freeze())
    }

    /// The whole batches from `location` on, at most `max_bytes`, but at least the first one if `at_least_one`.
    ///
    /// # Errors
    /// [`LogError`] if the file can't be read or is damaged there.
    pub(super) fn slice(
        self: &Arc<Self>,
        directory: &dyn Directory,
        location: &Location,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<LogSlice, LogError> {
        let first = location.header.size;
        if first > max_bytes && !at_least_one {
            return Ok(LogSlice::default());
        }
        let limit = location.position + max_bytes.max(first) as u64;
        let size = self.size();
        let end = if size <= limit { size } else { self.last_boundary(directory, location, limit)? };
        // The distance is at most `max_bytes` or a batch's size, both of which fit.
        let length = usize::try_from(end - location.position).unwrap_or(first);
        Ok(LogSlice::new(Arc::clone(self), location.position, length))
    }

    /// The last position at or before `limit` where a batch ends that starts at or after `first`.
    fn last_boundary(&self, directory: &dyn Directory, first: &Location, limit: u64) -> Result<u64, LogError> {
        let mut end = first.position + first.header.size as u64;
        let entry = self.with_indexes(directory, |indexes| {
            indexes.offsets.last_where(|entry| u64::from(entry.position) <= limit)
        })?;
        if let Some(entry) = entry.filter(|entry| u64::from(entry.position) > end) {
            // An index is a cache: the batch it points to must be the one it names. One that isn't costs a longer walk.
            let wanted = self.base.0 + i64::from(entry.relative);
            if self.header_at(u64::from(entry.position)).is_ok_and(|header| header.last_offset().0 == wanted) {
                end = u64::from(entry.position);
            }
        }
        let mut scanner = Scanner::new(&*self.reader, end, self.size(), HOP_CHUNK);
        while let Some(location) = self.expect(scanner.next(false))? {
            let next = location.position + location.header.size as u64;
            if next > limit {
                break;
            }
            end = next;
        }
        Ok(end)
    }

    /// The latest time in the segment and the offset of the batch that holds it; `None` if no batch has a time.
    ///
    /// # Errors
    /// [`LogError`] if missing indexes can't be rebuilt.
    pub(super) fn latest(&self, directory: &dyn Directory) -> Result<Option<(i64, Offset)>, LogError> {
        let latest = self.with_indexes(directory, |indexes| indexes.latest)?;
        Ok(latest.map(|entry| (entry.timestamp_ms, Offset(self.base.0 + i64::from(entry.relative)))))
    }

    /// The batches that may hold the latest record at or after `from`: the one that `from` lies within, if it begins before
    /// it, and of those behind it the first with the latest time.
    ///
    /// # Errors
    /// [`LogError`] if the files can't be read or are damaged there.
    pub(super) fn latest_batches(
        &self,
        directory: &dyn Directory,
        from: Offset,
    ) -> Result<[Option<Location>; 2], LogError> {
        if let Some((time, offset)) = self.latest(directory)?
            && let Some(location) = self.locate(directory, offset)?
            // An index is a cache, and the latest batch may lie below `from`.
            && location.header.max_timestamp_ms == time
            && location.header.base_offset >= from
        {
            return Ok([None, Some(location)]);
        }
        let Some(first) = self.locate(directory, from)? else {
            return Ok([None, None]);
        };
        let mut found: [Option<Location>; 2] = [None, None];
        let mut scanner = Scanner::new(&*self.reader, first.position, self.size(), HOP_CHUNK);
        while let Some(location) = self.expect(scanner.next(false))? {
            let place = usize::from(location.header.base_offset >= from);
            let latest_ms = |location: &Location| location.header.max_timestamp_ms;
            if found[place].as_ref().is_none_or(|before| latest_ms(before) < latest_ms(&location)) {
                found[place] = Some(location);
            }
        }
        Ok(found)
    }

    /// Finds the first batch that holds a time at or after `timestamp_ms`.
    ///
    /// # Errors
    /// [`LogError`] if the files can't be read or are damaged there.
    pub(super) fn locate_time(
        &self,
        directory: &dyn Directory,
        timestamp_ms: i64,
        from: Offset,
    ) -> Result<Option<Location>, LogError> {
        let before = self
            .with_indexes(directory, |indexes| indexes.times.last_where(|entry| entry.timestamp_ms < timestamp_ms))?;
        // Everything up to the entry's offset is older than the time sought.
        let offset = before.map_or(self.base, |entry| Offset(self.base.0 + i64::from(entry.relative))).max(from);
        let Some(start) = self.locate(directory, offset)? else {
            return Ok(None);
        };
        let mut scanner = Scanner::new(&*self.reader, start.position, self.size(), HOP_CHUNK);
        while let Some(location) = self.expect(scanner.next(false))? {
            if location.header.max_timestamp_ms >= timestamp_ms {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }

    /// Runs `read` on the indexes, loading or rebuilding them first if need be.
    fn with_indexes<T>(&self, directory: &dyn Directory, read: impl FnOnce(&Indexes) -> T) -> Result<T, LogError> {
        if let Some(indexes) = self.indexes.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Ok(read(indexes));
        }
        let loaded = match Indexes::load(directory, &self.folder, self.base, self.size()) {
            Some(indexes) if self.size() == 0 || indexes.latest.is_some() => indexes,
            _ => self.scan_indexes()?,
        };
        let result = read(&loaded);
        *self.indexes.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
        Ok(result)
    }

    /// Runs `read` on the indexes of a segment that has them in memory.
    pub(super) fn with_loaded_indexes<T>(&self, read: impl FnOnce(&mut Indexes) -> T) -> Option<T> {
        self.indexes.write().unwrap_or_else(PoisonError::into_inner).as_mut().map(read)
    }

    fn rebuild_indexes(&self) -> Result<(), LogError> {
        // Appends wait meanwhile, so that no batch is missed.
        let mut guard = self.indexes.write().unwrap_or_else(PoisonError::into_inner);
        *guard = Some(self.scan_indexes()?);
        Ok(())
    }

    fn scan_indexes(&self) -> Result<Indexes, LogError> {
        let mut indexes = Indexes::new();
        let mut scanner = Scanner::new(&*self.reader, 0, self.size(), HOP_CHUNK);
        while let Some(location) = self.expect(scanner.next(false))? {
            indexes.observe(self.base, &location.header, location.position, self.index_interval);
        }
        Ok(indexes)
    }

    /// Turns a step of a scan over bytes that are known to be sound into a location.
    fn expect(&self, step: io::Result<Step>) -> Result<Option<Location>, LogError> {
        match step.at("read", &self.path)? {
            Step::Batch(location) => Ok(Some(location)),
            Step::End => Ok(None),
            Step::Torn { position, error } => Err(self.corrupt(position, &error)),
        }
    }

    fn corrupt(&self, position: u64, error: &BatchError) -> LogError {
        LogError::Corrupt { path: self.path.clone(), position, detail: error.to_string() }
    }
}

/// Both indexes of a segment, and what is needed to go on with them.
#[derive(Debug)]
pub(super) struct Indexes {
    pub(super) offsets: Index<OffsetEntry>,
    pub(super) times: Index<TimeEntry>,
    /// The latest time so far.
    pub(super) latest: Option<TimeEntry>,
    bytes_since_entry: u64,
}

impl Indexes {
    /// The indexes of an empty segment.
    pub(super) fn new() -> Self {
        Self { offsets: Index::new(), times: Index::new(), latest: None, bytes_since_entry: 0 }
    }

    /// Loads the index files; `None` if one is missing, unreadable or can't belong to a log of `size` bytes.
    pub(super) fn load(directory: &dyn Directory, folder: &str, base: Offset, size: u64) -> Option<Self> {
        let offsets = Index::open(directory.map(&segment_path(folder, base, "index")).ok()?)?;
        let times = Index::open(directory.map(&segment_path(folder, base, "timeindex")).ok()?)?;
        if offsets.last().is_some_and(|entry: OffsetEntry| u64::from(entry.position) >= size) {
            return None;
        }
        let latest = times.last();
        Some(Self { offsets, times, latest, bytes_since_entry: 0 })
    }

    /// Keeps only what the indexes say of the batches up to and including the last one that ends before `offset`.
    pub(super) fn keep_before(&mut self, base: Offset, offset: Offset, size: u64) {
        let keeps = |relative: u32| base.0 + i64::from(relative) < offset.0;
        self.offsets.keep_while(|entry| keeps(entry.relative) && u64::from(entry.position) < size);
        let last = self.offsets.last().map_or(0, |entry| entry.relative);
        let any = self.offsets.last().is_some();
        self.times.keep_while(|entry| any && entry.relative <= last);
        self.latest = self.times.last();
        self.bytes_since_entry = 0;
    }

    /// Takes note of a batch, in the way of Kafka: an entry for the first batch that starts more than `interval` bytes
    /// after the start of the last one that got an entry.
    pub(super) fn observe(&mut self, base: Offset, header: &BatchHeader, position: u64, interval: u64) {
        let relative = u32::try_from(header.last_offset().0 - base.0).unwrap_or(u32::MAX);
        if header.max_timestamp_ms > self.latest.map_or(-1, |latest| latest.timestamp_ms) {
            self.latest = Some(TimeEntry { timestamp_ms: header.max_timestamp_ms, relative });
        }
        if self.bytes_since_entry > interval
            && let Ok(position) = u32::try_from(position)
        {
            self.offsets.push(OffsetEntry { relative, position });
            self.finish();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += header.size as u64;
    }

    /// Enters the latest time, as is done when the segment is closed.
    pub(super) fn finish(&mut self) {
        if let Some(latest) = self.latest {
            self.times.push(latest);
        }
    }
}

/// One step of a [`Scanner`].
#[derive(Debug)]
pub(super) enum Step {
    /// A sound batch.
    Batch(Location),
    /// The end, directly after the last batch.
    End,
    /// No sound batch stands at `position`.
    Torn {
        /// Where.
        position: u64,
        /// Why not.
        error: BatchError,
    },
}

/// Walks a `.log` file from batch to batch in bounded memory.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    reader: &'a dyn ReadFile,
    position: u64,
    end: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
    chunk_length: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the batch at `position`; bytes from `end` on are not looked at.
    pub(super) fn new(reader: &'a dyn ReadFile, position: u64, end: u64, chunk_length: usize) -> Self {
        Self { reader, position, end, chunk: Vec::new(), chunk_at: position, chunk_length }
    }

    /// As [`Scanner::new`], in chunks fit for reading every byte.
    pub(super) fn verifying(reader: &'a dyn ReadFile, position: u64, end: u64) -> Self {
        Self::new(reader, position, end, SCAN_CHUNK)
    }

    /// The next batch; with `verify` its checksum is computed too.
    pub(super) fn next(&mut self, verify: bool) -> io::Result<Step> {
        let position = self.position;
        let there = self.end.saturating_sub(position);
        if there == 0 {
            return Ok(Step::End);
        }
        let torn = |error| Ok(Step::Torn { position, error });
        let header = match BatchHeader::decode(self.at(position, HEADER_LENGTH)?) {
            Ok(header) => header,
            Err(error) => return torn(error),
        };
        if header.size as u64 > there {
            let got = usize::try_from(there).unwrap_or(usize::MAX);
            return torn(BatchError::Truncated { expected: header.size, got });
        }
        if verify {
            // From the attributes on; a batch may be larger than a chunk.
            let (mut at, stop) = (position + 21, position + header.size as u64);
            let mut computed = 0;
            while at < stop {
                let rest = usize::try_from(stop - at).unwrap_or(usize::MAX);
                let piece = self.at(at, 1)?;
                let piece = &piece[..piece.len().min(rest)];
                computed = crc32c::crc32c_append(computed, piece);
                at += piece.len() as u64;
            }
            if computed != header.checksum {
                return torn(BatchError::Checksum { got: header.checksum, computed });
            }
        }
        self.position += header.size as u64;
        Ok(Step::Batch(Location { position, header }))
    }

    /// Whether only zeros are left: what the writer had filled ahead and no batch came to.
    pub(super) fn ends_in_zeros(&mut self) -> io::Result<bool> {
        let (mut at, end) = (self.position, self.end);
        while at < end {
            let piece = self.at(at, 1)?;
            if piece.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += piece.len() as u64;
        }
        Ok(true)
    }

    /// Goes on behind a batch whose checksum is wrong, if another follows where it says that it ends, or nothing.
    pub(super) fn skip(&mut self) -> io::Result<bool> {
        let Ok(header) = BatchHeader::decode(self.at(self.position, HEADER_LENGTH)?) else {
            return Ok(false);
        };
        let next = self.position + header.size as u64;
        let follows = next == self.end || BatchHeader::decode(self.at(next, HEADER_LENGTH)?).is_ok();
        if follows {
            self.position = next;
        }
        Ok(follows)
    }

    /// The bytes from `at` on that are in memory: at least `wanted`, unless the end comes before.
    fn at(&mut self, at: u64, wanted: usize) -> io::Result<&[u8]> {
        let held = self.chunk_at..self.chunk_at + self.chunk.len() as u64;
        if !(held.contains(&at) && (at + wanted as u64 <= held.end || held.end == self.end)) {
            let there = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
            self.chunk.resize(self.chunk_length.max(wanted).min(there), 0);
            self.chunk_at = at;
            self.reader.read_exact_at(&mut self.chunk, at)?;
        }
        let start = usize::try_from(at - self.chunk_at).unwrap_or(usize::MAX);
        Ok(self.chunk.get(start..).unwrap_or_default())
    }
}
