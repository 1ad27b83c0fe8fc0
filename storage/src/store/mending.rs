//! Rejects into rows: lines that were none, and are now that somebody has mended them or the parser has learnt.
//!
//! A [`Mending`] gives the rejects out in their order and takes back rows for those that have become some; the others
//! stay. One commit at the end makes the new segments, a new reject file with the rest, and the totals durable
//! together: a mended line was read once, and moves from rejected to stored. So it is stored exactly once, whatever
//! cuts the mending off, and a second one doesn't find it any more.
//!
//! Invariants:
//! - each reject that was given out either comes back or stands for one row;
//! - nothing that the manifest names is written to before the commit, but for texts behind the dictionaries' ends.

use std::sync::Arc;

use crate::io::{Directory, LockGuard};

use super::framed::FramedFile;
use super::manifest::{FileKind, Manifest};
use super::origin::Origin;
use super::rejects::{self, Rejects};
use super::sealer::Sealer;
use super::{Batch, CommitSummary, Reject, Schema, SharedDictionary, StoreError, WriterOptions, recovery, writer};

/// The rejects of a store on their way to become rows. Dropping it without [`Mending::commit`] changes nothing.
///
/// ```
/// use std::sync::Arc;
/// use cartlog_storage::io::MemoryDirectory;
/// use cartlog_storage::store::*;
///
/// let schema = Schema { columns: vec![ColumnSchema { name: "id".into(), kind: ColumnType::Integer }] };
/// let directory = Arc::new(MemoryDirectory::new());
/// let writer = StoreWriter::open(directory.clone(), schema.clone(), WriterOptions::default())?;
/// let reject = |raw: &'static str| Reject {
///     source: "a.csv".to_owned(), line: 1, byte_offset: 0, reason: "not a number".to_owned(), raw: raw.into(),
/// };
/// writer.append(Delivery { rejects: vec![reject("0x2a"), reject("?")], ..Delivery::default() })?;
/// writer.close()?;
///
/// let mut mending = Mending::open(directory, &schema, WriterOptions::default())?;
/// assert_eq!(mending.next_rejects()?.len(), 2);
/// let batch = Batch { rows: 1, columns: vec![ColumnValues::Integers(vec![42])] };
/// mending.put(vec![batch], &[reject("?")])?;
/// let totals = mending.commit()?.totals;
/// assert_eq!((totals.rows_read, totals.rows_stored, totals.rows_rejected), (2, 1, 1));
/// # Ok::<(), StoreError>(())
/// ```
#[derive(Debug)]
pub struct Mending {
    sealer: Sealer,
    rejects: Rejects,
    /// The new reject file.
    left: FramedFile,
    /// What will be committed.
    next: Manifest,
    /// Rows that wait for a full segment.
    batches: Vec<Batch>,
    rows: u64,
    memory: usize,
    segment_memory: usize,
    /// Rejects given out that have not come back.
    given_out: usize,
    mended: u64,
    /// Dropped last.
    _lock: Box<dyn LockGuard>,
}

impl Mending {
    /// Opens the store of a directory, as its writer does.
    ///
    /// # Errors
    /// [`StoreError::NoStore`], [`StoreError::Locked`], [`StoreError::SchemaMismatch`]; what recovery finds wrong; I/O
    /// errors.
    pub fn open(directory: Arc<dyn Directory>, schema: &Schema, options: WriterOptions) -> Result<Self, StoreError> {
        let lock = writer::lock(&*directory)?;
        Manifest::read(&*directory)?.ok_or_else(|| recovery::no_store(&*directory))?;
        let sealer = recovery::recover(directory, schema, &options)?;
        let rejects = Rejects::open(&*sealer.directory, sealer.manifest.rejects)?;
        let mut next = sealer.manifest.clone();
        next.generation += 1;
        let number = next.next_file;
        next.next_file += 1;
        let left = FramedFile::create(&*sealer.directory, FileKind::Rejects.name(number), rejects::MAGIC, number)?;
        Ok(Self {
            sealer,
            rejects,
            left,
            next,
            batches: Vec::new(),
            rows: 0,
            memory: 0,
            segment_memory: options.segment_memory,
            given_out: 0,
            mended: 0,
            _lock: lock,
        })
    }

    /// The growing dictionary of a column; one that is not used if the column has none.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn dictionary(&self, column: usize) -> Arc<SharedDictionary> {
        Arc::clone(&self.sealer.encoder.dictionaries[column])
    }

    /// The next rejects, some megabytes at most; none at the end. Those before must have come back by now.
    ///
    /// # Errors
    /// [`StoreError::InvalidDelivery`] if not; [`StoreError::Corrupt`] for a damaged reject file; I/O errors.
    pub fn next_rejects(&mut self) -> Result<Vec<Reject>, StoreError> {
        self.check_all_are_back()?;
        let rejects = self.rejects.next_some()?;
        self.given_out = rejects.len();
        Ok(rejects)
    }

    /// Takes back the rejects that were given out last: in any batch a row for each that has become one, and the others.
    ///
    /// # Errors
    /// [`StoreError::InvalidBatch`] or [`StoreError::InvalidDelivery`] if rows and rejects are not as many as were given
    /// out, or don't fit the schema or the limits; I/O errors.
    pub fn put(&mut self, batches: Vec<Batch>, unmended: &[Reject]) -> Result<(), StoreError> {
        batches.iter().try_for_each(|batch| batch.validate(&self.next.schema))?;
        unmended.iter().try_for_each(Reject::validate)?;
        let rows = batches.iter().map(|batch| batch.rows).sum::<usize>();
        if rows + unmended.len() != self.given_out {
            let (left, given_out) = (unmended.len(), self.given_out);
            let reason = format!("{rows} rows and {left} rejects for {given_out} rejects");
            return Err(StoreError::InvalidDelivery { reason });
        }
        self.given_out = 0;
        self.left.write(unmended.iter().map(Reject::encode))?;
        self.mended += rows as u64;
        self.rows += rows as u64;
        self.memory += batches.iter().map(Batch::memory).sum::<usize>();
        self.batches.extend(batches.into_iter().filter(|batch| batch.rows > 0));
        if self.rows >= self.sealer.segment_rows || self.memory >= self.segment_memory {
            self.write_segment()?;
        }
        Ok(())
    }

    /// Commits what has been mended. If nothing was, the store stays as it is.
    ///
    /// # Errors
    /// [`StoreError::InvalidDelivery`] if rejects have not come back or were never asked for; I/O errors.
    pub fn commit(mut self) -> Result<CommitSummary, StoreError> {
        self.check_all_are_back()?;
        let old = FileKind::Rejects.name(self.sealer.manifest.rejects.file);
        let new = FileKind::Rejects.name(self.left.record().file);
        if self.mended == 0 {
            self.sealer.directory.remove(&new).map_err(StoreError::io(&new, "removing"))?;
            return Ok(self.sealer.summary());
        }
        let entries = self.left.record().entries;
        if entries + self.mended != self.sealer.manifest.rejects.entries {
            let (mended, all) = (self.mended, self.sealer.manifest.rejects.entries);
            let reason = format!("{mended} rejects are mended and {entries} are left of {all}");
            return Err(StoreError::InvalidDelivery { reason });
        }
        self.write_segment()?;
        self.left.sync()?;
        self.next.dictionaries = self.sealer.append_dictionaries()?;
        self.next.rejects = self.left.record();
        self.next.totals.rows_stored += self.mended;
        self.next.totals.rows_rejected -= self.mended;
        let Self { mut sealer, left, next, _lock: lock, .. } = self;
        next.replace(&*sealer.directory)?;
        sealer.manifest = next;
        sealer.rejects_file = left;
        sealer.directory.remove(&old).map_err(StoreError::io(&old, "removing"))?;
        sealer.merge_due()?;
        drop(lock);
        Ok(sealer.summary())
    }

    fn check_all_are_back(&self) -> Result<(), StoreError> {
        match self.given_out {
            0 => Ok(()),
            left => Err(StoreError::InvalidDelivery { reason: format!("{left} rejects have not come back") }),
        }
    }

    /// Makes a segment of the rows that wait, if any do.
    fn write_segment(&mut self) -> Result<(), StoreError> {
        if self.rows > 0 {
            let batches = std::mem::take(&mut self.batches);
            let origins = vec![Origin::unknown(self.rows)];
            let record = self.sealer.write_batches(batches, self.next.next_file, origins)?;
            self.next.next_file += 1;
            self.next.segments.push(record);
            (self.rows, self.memory) = (0, 0);
        }
        Ok(())
    }
}
