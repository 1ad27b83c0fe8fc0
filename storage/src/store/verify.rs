//! Checking every byte of a store.

use std::ops::Range;

use crate::io::Directory;

use super::manifest::{self, FileKind, FramedRecord, Manifest};
use super::snapshot::open_segment;
use super::{Dictionary, SortedReport, StoreError, SummariesReport, dictionary, recovery, rejects, sorted, summaries};

/// What a check of a whole store found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Files looked at.
    pub files: u64,
    /// Bytes looked at.
    pub bytes: u64,
    /// Rows in the segments.
    pub rows: u64,
    /// What is wrong; empty if the store is sound.
    pub damage: Vec<Damage>,
    /// The sorted copy, if there is one. Its damage is no damage of the store, which doesn't need it.
    pub sorted: Option<SortedReport>,
    /// The summaries of its segments, if there are some, which are not needed either.
    pub summaries: Option<SummariesReport>,
}

/// A place where a store is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the store's folder.
    pub file: String,
    /// Where the damaged part starts in the file, in bytes.
    pub offset: u64,
    /// The damaged part's length in bytes, where it is known.
    pub length: Option<u64>,
    /// The rows that may be wrong, counted through all segments from 0; `None` where it touches no rows.
    pub rows: Option<Range<u64>>,
    /// What is wrong, naming the column where there is one.
    pub what: String,
}

/// Reads every committed byte of a store and reports each place that is not as it was written.
///
/// Takes no lock; like a snapshot, it sees the last commit. A store that a writer merges meanwhile may be reported as
/// missing files: check again then.
///
/// # Errors
/// [`StoreError::NoStore`] if there is none; I/O errors. Damage is not an error but in the report.
pub fn verify(directory: &dyn Directory) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport::default();
    let manifest = match Manifest::read(directory) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => {
            report.add(manifest::NAME, None, recovery::no_store(directory))?;
            return Ok(report);
        }
        Err(error) => {
            report.files = 1;
            report.add(manifest::NAME, None, error)?;
            return Ok(report);
        }
    };
    report.files = 1;
    report.bytes = directory.length(manifest::NAME).map_err(StoreError::io(manifest::NAME, "measuring"))?;
    let mut lengths = vec![usize::MAX; manifest.schema.columns.len()];
    for (column, &record) in manifest.schema.dictionary_columns().zip(&manifest.dictionaries) {
        match dictionary::read(directory, record) {
            Ok(dictionary) => lengths[column] = Dictionary::len(&dictionary),
            Err(error) => report.add(&FileKind::Dictionary.name(record.file), None, error)?,
        }
        report.count(record);
    }
    if let Err(error) = check_rejects(directory, manifest.rejects) {
        report.add(&FileKind::Rejects.name(manifest.rejects.file), None, error)?;
    }
    report.count(manifest.rejects);
    for record in &manifest.segments {
        let name = FileKind::Segment.name(record.file);
        let rows = report.rows..report.rows + record.rows;
        report.files += 1;
        report.bytes += record.length;
        report.rows = rows.end;
        let segment = match open_segment(directory, record, &manifest.schema) {
            Ok(segment) => segment,
            Err(error) => {
                report.add(&name, Some(rows), error)?;
                continue;
            }
        };
        let column_name = |column: usize| &manifest.schema.columns[column].name;
        let pages = segment.damaged_pages();
        if pages.is_empty()
            && let Some((column, what)) = segment.inconsistency(&lengths)
        {
            let what = format!("column {:?}: {what}", column_name(column));
            report.damage.push(Damage { file: name, offset: 0, length: None, rows: Some(rows), what });
            continue;
        }
        report.damage.extend(pages.into_iter().map(|page| Damage {
            file: name.clone(),
            offset: page.offset,
            length: Some(page.length),
            rows: Some(rows.start + page.rows.start..rows.start + page.rows.end),
            what: format!("column {:?}: the page's CRC32C is wrong", column_name(page.column)),
        }));
    }
    report.sorted = sorted::verify_copy(directory, &manifest, &lengths);
    report.summaries = summaries::verify_summaries(directory, &manifest)?;
    Ok(report)
}

fn check_rejects(directory: &dyn Directory, record: FramedRecord) -> Result<(), StoreError> {
    rejects::Rejects::open(directory, record)?.try_for_each(|reject| reject.map(|_| ()))
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    fn count(&mut self, record: FramedRecord) {
        self.files += 1;
        self.bytes += record.length;
    }

    /// Notes an error that is damage; passes on one that is not.
    fn add(&mut self, file: &str, rows: Option<Range<u64>>, error: StoreError) -> Result<(), StoreError> {
        let offset = match &error {
            StoreError::Corrupt { offset, .. } => *offset,
            StoreError::UnknownVersion { .. }
            | StoreError::MissingFile { .. }
            | StoreError::MissingManifest { .. }
            | StoreError::SchemaMismatch { .. } => 0,
            _ => return Err(error),
        };
        let what = match error {
            StoreError::Corrupt { what, .. } => what,
            other => other.to_string(),
        };
        self.damage.push(Damage { file: file.to_owned(), offset, length: None, rows, what });
        Ok(())
    }
}
