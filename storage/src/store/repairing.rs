//! Damaged files of a store made anew, by rows that are read again from where they came from.
//!
//! A [`Repair`] says which segments are lost and where their rows came from; whoever can read a log brings the rows back,
//! and what they make is compared with what the manifest knows: as many rows from each origin, from the same ranges of the
//! same sources with the same checksums. One commit at the end puts the new files in the place of the damaged ones. Until
//! then nothing is changed, so that what is readable of the store stays readable.
//!
//! A damaged dictionary takes the meaning of all codes with it: then every segment is lost, and all of them are made anew or
//! none. A manifest can't be made anew: it is what says what belongs to the store.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::io::{Directory, LockGuard};

use super::dropping::{filtered, kept_rows};
use super::framed::FramedFile;
use super::manifest::{FileKind, Manifest};
use super::origin::Origin;
use super::sealer::Sealer;
use super::sources::KnownSources;
use super::{
    Batch, Delivery, Reject, Schema, SharedDictionary, StoreError, VerifyReport, WriterOptions, dictionary, recovery,
    rejects, verify, writer,
};

/// A store whose damaged files are being made anew. Dropping it without [`Repair::commit`] changes nothing.
#[derive(Debug)]
pub struct Repair {
    sealer: Sealer,
    /// What will be committed.
    next: Manifest,
    report: VerifyReport,
    lost: Vec<LostSegment>,
    has_new_dictionary: bool,
    /// The damaged reject file's name.
    lost_rejects: Option<String>,
    has_new_rejects: bool,
    /// Dropped last.
    _lock: Box<dyn LockGuard>,
}

/// A segment that is damaged, or whose codes have lost their texts.
#[derive(Debug, Clone)]
pub struct LostSegment {
    /// The file, relative to the store's folder.
    pub file: String,
    /// Its rows, counted through all segments from 0.
    pub rows: Range<u64>,
    /// Where the rows came from, in their order.
    pub origins: Vec<Origin>,
    /// Whether it has been made anew.
    pub is_rebuilt: bool,
    /// Its place among the segments.
    index: usize,
}

/// What [`Repair::commit`] has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairSummary {
    /// The damaged files that new ones have replaced.
    pub replaced: Vec<String>,
    /// Rows in the new segments.
    pub rows: u64,
}

impl Repair {
    /// Looks at every byte of a store, as [`verify`](verify()) does, holding the writer's lock.
    ///
    /// # Errors
    /// [`StoreError::NoStore`], [`StoreError::Locked`], [`StoreError::SchemaMismatch`]; whatever is wrong with the manifest;
    /// I/O errors. Other damage is no error but in [`Repair::report`].
    pub fn open(directory: Arc<dyn Directory>, schema: &Schema, options: WriterOptions) -> Result<Self, StoreError> {
        let lock = writer::lock(&*directory)?;
        let manifest = Manifest::read(&*directory)?.ok_or_else(|| recovery::no_store(&*directory))?;
        let report = verify(&*directory)?;
        let damaged: BTreeSet<&str> = report.damage.iter().map(|damage| damage.file.as_str()).collect();
        let mut next = Manifest { generation: manifest.generation + 1, ..manifest.clone() };
        let (mut dictionaries, mut dictionary_files): (Vec<Arc<SharedDictionary>>, _) = (Vec::new(), Vec::new());
        dictionaries.resize_with(schema.columns.len(), Arc::default);
        recovery::check_schema(&manifest, schema)?;
        recovery::remove_leftovers(&*directory, Some(&manifest))?;
        let mut has_new_dictionary = false;
        for (column, &record) in schema.dictionary_columns().zip(&manifest.dictionaries) {
            let name = FileKind::Dictionary.name(record.file);
            dictionary_files.push(if damaged.contains(&name[..]) {
                has_new_dictionary = true;
                create(&*directory, FileKind::Dictionary, &mut next)?
            } else {
                dictionaries[column] = Arc::new(dictionary::read(&*directory, record)?.into());
                FramedFile::open(&*directory, name, record)?
            });
        }
        let name = FileKind::Rejects.name(manifest.rejects.file);
        let lost_rejects = damaged.contains(&name[..]).then(|| name.clone());
        let rejects_file = match lost_rejects {
            Some(_) => create(&*directory, FileKind::Rejects, &mut next)?,
            None => FramedFile::open(&*directory, name, manifest.rejects)?,
        };
        let mut first = 0;
        let mut lost = Vec::new();
        for (index, record) in manifest.segments.iter().enumerate() {
            let (file, rows) = (FileKind::Segment.name(record.file), first..first + record.rows);
            first = rows.end;
            if has_new_dictionary || damaged.contains(&file[..]) {
                let origins = record.origins.clone();
                lost.push(LostSegment { file, rows, origins, is_rebuilt: false, index });
            }
        }
        let sealer = recovery::sealer(directory, manifest, dictionaries, dictionary_files, rejects_file, &options);
        Ok(Self { sealer, next, report, lost, has_new_dictionary, lost_rejects, has_new_rejects: false, _lock: lock })
    }

    /// What is damaged.
    #[must_use]
    pub fn report(&self) -> &VerifyReport {
        &self.report
    }

    /// The segments that are lost, in their order.
    #[must_use]
    pub fn lost(&self) -> &[LostSegment] {
        &self.lost
    }

    /// The name of the reject file, if it is damaged and has not been made anew.
    #[must_use]
    pub fn lost_rejects(&self) -> Option<&str> {
        self.lost_rejects.as_deref().filter(|_| !self.has_new_rejects)
    }

    /// The next offset of each partition, and the ranges of the sources, that the store knows.
    #[must_use]
    pub fn known(&self) -> (&[super::LogPosition], Vec<super::KnownSource>) {
        (&self.next.positions, self.next.sources.iter().cloned().collect())
    }

    /// The growing dictionary of a column; one that is not used if the column has none.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn dictionary(&self, column: usize) -> Arc<SharedDictionary> {
        Arc::clone(&self.sealer.encoder.dictionaries[column])
    }

    /// Makes a lost segment anew of what was read again, one list of deliveries an origin; their rejects are passed over.
    ///
    /// # Errors
    /// [`StoreError::NotTheRows`] if they are not what the segment was made of; [`StoreError::InvalidBatch`]; I/O errors.
    ///
    /// # Panics
    /// If there is no such lost segment.
    pub fn rebuild(&mut self, lost: usize, origins: Vec<Vec<Delivery>>) -> Result<(), StoreError> {
        let LostSegment { file, origins: expected, index, .. } = &self.lost[lost];
        let not_the_rows = |what: String| StoreError::NotTheRows { file: file.clone(), what };
        if origins.len() != expected.len() {
            return Err(not_the_rows(format!("{} origins, expected {}", origins.len(), expected.len())));
        }
        let mut batches = Vec::new();
        for (deliveries, origin) in origins.into_iter().zip(expected) {
            batches.extend(self.checked(deliveries, origin).map_err(not_the_rows)?);
        }
        let record = self.sealer.write_batches(batches, self.next.next_file, expected.clone())?;
        self.next.next_file += 1;
        self.next.segments[*index] = record;
        self.lost[lost].is_rebuilt = true;
        Ok(())
    }

    /// Makes the reject file anew.
    ///
    /// # Errors
    /// [`StoreError::NotTheRows`] if they are not as many as the store has; I/O errors.
    pub fn rebuild_rejects(&mut self, rejects: &[Reject]) -> Result<(), StoreError> {
        let Some(file) = self.lost_rejects().map(str::to_owned) else { return Ok(()) };
        let expected = self.next.totals.rows_rejected;
        if rejects.len() as u64 != expected {
            let what = format!("{} rejected lines were found, the store has {expected}", rejects.len());
            return Err(StoreError::NotTheRows { file, what });
        }
        self.sealer.rejects_file.write(rejects.iter().map(Reject::encode))?;
        self.sealer.rejects_file.sync()?;
        self.next.rejects = self.sealer.rejects_file.record();
        self.has_new_rejects = true;
        Ok(())
    }

    /// Commits what has been made anew. Where a dictionary is damaged, segments count only if all of them are there.
    ///
    /// # Errors
    /// I/O errors.
    pub fn commit(mut self) -> Result<RepairSummary, StoreError> {
        if self.has_new_dictionary && !self.lost.iter().all(|lost| lost.is_rebuilt) {
            self.next.segments.clone_from(&self.sealer.manifest.segments);
        } else {
            self.next.dictionaries = self.sealer.append_dictionaries()?;
        }
        let (old, new) = (self.sealer.manifest.files(), self.next.files());
        let replaced: Vec<String> = old.difference(&new).cloned().collect();
        let directory = &*self.sealer.directory;
        let mut rows = 0;
        if !replaced.is_empty() {
            self.next.replace(directory)?;
            let is_new = |(before, after): &(&super::manifest::SegmentRecord, _)| before.file != *after;
            let files = self.next.segments.iter().map(|record| record.file);
            rows = self.sealer.manifest.segments.iter().zip(files).filter(is_new).map(|(record, _)| record.rows).sum();
        }
        // The damaged files, and new ones that came to nothing.
        recovery::remove_leftovers(
            directory,
            Some(if replaced.is_empty() { &self.sealer.manifest } else { &self.next }),
        )?;
        Ok(RepairSummary { replaced, rows })
    }

    /// The rows of an origin, if they are what it was.
    fn checked(&self, deliveries: Vec<Delivery>, origin: &Origin) -> Result<Vec<Batch>, String> {
        let mut sources = KnownSources::default();
        for delivery in deliveries.iter().filter(|delivery| delivery.batch.rows > 0) {
            if let Some(range) = &delivery.range {
                sources.add(range).map_err(|error| error.to_string())?;
            }
        }
        for source in origin.sources() {
            if let Some(absent) = source.ranges.iter().find(|range| !sources.get(&source.id).contains(range)) {
                let Range { start, end } = absent.range;
                return Err(format!("bytes {start} to {end} of {} were not found, or are others", source.name));
            }
        }
        if sources.iter().map(|source| source.ranges.len()).sum::<usize>()
            != origin.sources().map(|source| source.ranges.len()).sum::<usize>()
        {
            return Err("more was found than what the rows came from".to_owned());
        }
        let batches: Vec<Batch> = match (origin.kept_from, self.next.schema.time_column()) {
            (Some(limit), Some(time)) => deliveries
                .into_iter()
                .map(|delivery| {
                    let is_kept = kept_rows(&delivery.batch, time, limit);
                    filtered(delivery.batch, &is_kept)
                })
                .collect(),
            _ => deliveries.into_iter().map(|delivery| delivery.batch).collect(),
        };
        let rows = batches.iter().map(|batch| batch.rows as u64).sum::<u64>();
        if rows == origin.rows {
            Ok(batches.into_iter().filter(|batch| batch.rows > 0).collect())
        } else {
            Err(format!("{rows} rows were found of {}", origin.rows))
        }
    }
}

/// Creates a new file in the place of a damaged one.
fn create(directory: &dyn Directory, kind: FileKind, next: &mut Manifest) -> Result<FramedFile, StoreError> {
    let magic = if kind == FileKind::Rejects { rejects::MAGIC } else { dictionary::MAGIC };
    let number = next.next_file;
    next.next_file += 1;
    FramedFile::create(directory, kind.name(number), magic, number)
}
