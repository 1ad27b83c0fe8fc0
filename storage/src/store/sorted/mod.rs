//! The sorted copy: the rows a second time, in order of one column, beside the segments that they came from.
//!
//! Segments hold rows as they arrived. Whoever asks about each user has to bring the user's rows together first, which is most
//! of the cost of such a question. [`sort_copy`] does it once, for all questions to come: it writes the same rows again, sorted,
//! into segments of their own in the folder `sorted`. A reader may take them in place of those that they stand for: the
//! rows are the same ones, so everything that doesn't depend on their order comes out the same.
//!
//! Invariants:
//! - the copy is derived: whoever deletes the folder loses no row, and the store's own manifest knows nothing of it;
//! - it counts only while every segment that it stands for is in the store, the same file with the same checksum; merged,
//!   dropped or repaired, and the copy is passed over until it is built again, without an error;
//! - so it is if any of its own files is absent or isn't the one that its manifest names;
//! - what is damaged is not copied: a copy would cover it up with new checksums.
//!
//! The last segments are left out while they are small, because a writer may merge them away at any commit; readers take
//! them as they are.

mod build;
mod manifest;

use std::sync::Arc;

pub use build::{SortOptions, SortSummary, sort_copy};

use crate::io::{Directory, LockGuard};

use super::manifest::{FileKind, Manifest};
use super::snapshot::open_named;
use super::writer::lock_file;
use super::{ColumnType, Schema, Segment, StoreError};
use manifest::{FileRecord, SortedManifest};

/// Where the copy's files are, relative to the store's folder.
pub(crate) const FOLDER: &str = "sorted";
/// Whoever writes or removes a copy holds this; the store's own lock is not needed.
const LOCK: &str = "lock";

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortOrder {
    /// A column of integers, ascending.
    pub column: usize,
    /// A column of identifiers, which are brought together within one value of the first.
    pub within: usize,
}

/// An open sorted copy.
#[derive(Debug, Clone)]
pub struct SortedCopy {
    order: SortOrder,
    segments: Vec<Arc<Segment>>,
    replaced: Vec<usize>,
    records: Vec<FileRecord>,
}

/// What a look at a store's sorted copy found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SortedReport {
    /// Rows of the copy.
    pub rows: u64,
    /// Its segments.
    pub segments: usize,
    /// Bytes of its segments.
    pub bytes: u64,
    /// Whether the segments that it stands for are all in the store still, so that readers use it.
    pub is_current: bool,
    /// What is wrong with its files, as a message each.
    pub damage: Vec<String>,
}

impl SortOrder {
    fn check(self, schema: &Schema) -> Result<(), StoreError> {
        let kind = |column: usize| schema.columns.get(column).map(|column| column.kind);
        let is_integer =
            matches!(kind(self.column), Some(ColumnType::Integer | ColumnType::Timestamp | ColumnType::Decimal { .. }));
        if is_integer && kind(self.within) == Some(ColumnType::Identifier) {
            return Ok(());
        }
        let reason = format!(
            "rows are sorted by a column of integers and one of identifiers; columns {} and {} of {schema} are others",
            self.column, self.within
        );
        Err(StoreError::InvalidSchema { reason })
    }
}

impl SortedCopy {
    /// What the rows are sorted by.
    #[must_use]
    pub fn order(&self) -> SortOrder {
        self.order
    }

    /// The copy's segments, in the order of their rows: the last row of each is at most the first of the next.
    #[must_use]
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The places of the snapshot's segments whose rows these are.
    #[must_use]
    pub fn replaced(&self) -> &[usize] {
        &self.replaced
    }

    /// Its files.
    pub(crate) fn records(&self) -> &[FileRecord] {
        &self.records
    }

    /// The copy that counts for a store of this manifest, if there is one; segments of `before` are shared with it.
    pub(crate) fn open(directory: &dyn Directory, store: &Manifest, before: Option<&Self>) -> Option<Self> {
        match Self::try_open(directory, store, before) {
            // A newer copy may have taken its place in between.
            Err(StoreError::MissingFile { .. }) => Self::try_open(directory, store, before),
            opened => opened,
        }
        .inspect_err(|error| tracing::warn!(%error, "the sorted copy is passed over"))
        .ok()?
    }

    fn try_open(
        directory: &dyn Directory,
        store: &Manifest,
        before: Option<&Self>,
    ) -> Result<Option<Self>, StoreError> {
        let Some(manifest) = SortedManifest::read(directory)? else { return Ok(None) };
        let Some(replaced) = manifest.places(&store.segments) else { return Ok(None) };
        manifest.order.check(&store.schema)?;
        let segment = |record: &FileRecord| {
            let known = before.and_then(|before| before.segment(record));
            known.map_or_else(|| record.open(directory, &store.schema).map(Arc::new), Ok)
        };
        let segments = manifest.segments.iter().map(segment).collect::<Result<_, _>>()?;
        Ok(Some(Self { order: manifest.order, segments, replaced, records: manifest.segments }))
    }

    fn segment(&self, record: &FileRecord) -> Option<Arc<Segment>> {
        let index = self.records.iter().position(|known| known == record)?;
        self.segments.get(index).cloned()
    }
}

impl FileRecord {
    fn open(&self, directory: &dyn Directory, schema: &Schema) -> Result<Segment, StoreError> {
        open_named(directory, &in_folder(&file_name(self.file)), (self.rows, self.length, self.checksum), schema)
    }
}

/// Removes what is left of a sorted copy that no longer counts, or of one that was never finished; the bytes that this frees.
/// Somebody who is building one at the moment is left alone.
///
/// # Errors
/// [`StoreError::NoStore`] if there is no store; I/O errors.
pub fn remove_stale_copy(directory: &dyn Directory) -> Result<u64, StoreError> {
    let store = Manifest::read(directory)?.ok_or(StoreError::NoStore)?;
    if !directory.exists(FOLDER).map_err(StoreError::io(FOLDER, "looking for it"))? {
        return Ok(0);
    }
    let _lock = match lock(directory) {
        Err(StoreError::Locked) => return Ok(0),
        locked => locked?,
    };
    let current = match SortedManifest::read(directory) {
        Ok(found) => found.filter(|manifest| manifest.places(&store.segments).is_some()),
        Err(StoreError::Corrupt { .. } | StoreError::UnknownVersion { .. }) => None,
        Err(error) => return Err(error),
    };
    remove_leftovers(directory, current.as_ref())
}

/// Removes a sorted copy, whether it counts or not; the bytes that this frees.
///
/// # Errors
/// [`StoreError::Locked`] while one is being built; I/O errors.
pub fn remove_copy(directory: &dyn Directory) -> Result<u64, StoreError> {
    if !directory.exists(FOLDER).map_err(StoreError::io(FOLDER, "looking for it"))? {
        return Ok(0);
    }
    let _lock = lock(directory)?;
    remove_leftovers(directory, None)
}

/// Reads every byte of a sorted copy; `None` if there is none.
pub(crate) fn verify_copy(directory: &dyn Directory, store: &Manifest, dictionaries: &[usize]) -> Option<SortedReport> {
    let mut report = SortedReport::default();
    let manifest = match SortedManifest::read(directory) {
        Ok(manifest) => manifest?,
        Err(error) => {
            report.damage.push(error.to_string());
            return Some(report);
        }
    };
    report.rows = manifest.segments.iter().map(|record| record.rows).sum();
    report.segments = manifest.segments.len();
    report.bytes = manifest.segments.iter().map(|record| record.length).sum();
    report.is_current = manifest.places(&store.segments).is_some();
    for record in &manifest.segments {
        let opened = record.open(directory, &store.schema);
        let sound = opened.and_then(|segment| segment.check_sound(&store.schema, dictionaries));
        report.damage.extend(sound.err().map(|error| error.to_string()));
    }
    Some(report)
}

fn lock(directory: &dyn Directory) -> Result<Box<dyn LockGuard>, StoreError> {
    lock_file(directory, &in_folder(LOCK))
}

/// Removes the copy's files that a manifest doesn't name, the manifest first: a copy is there whole or not at all.
fn remove_leftovers(directory: &dyn Directory, needed: Option<&SortedManifest>) -> Result<u64, StoreError> {
    let needed = needed.map(SortedManifest::files).unwrap_or_default();
    let names = directory.list(FOLDER).map_err(StoreError::folder(directory, FOLDER, "listed"))?;
    let is_manifest = |name: &str| name == manifest::NAME || name == manifest::NEW_NAME;
    let is_ours = |name: &str| is_manifest(name) || number(name).is_some();
    let mut leftovers: Vec<&String> = names.iter().filter(|name| is_ours(name) && !needed.contains(*name)).collect();
    leftovers.sort_by_key(|name| !is_manifest(name));
    let mut freed = 0;
    for name in leftovers {
        let path = in_folder(name);
        freed += directory.length(&path).map_err(StoreError::io(&path, "measuring"))?;
        directory.remove(&path).map_err(StoreError::io(&path, "removing"))?;
        if is_manifest(name) {
            directory.sync_directory(FOLDER).map_err(StoreError::folder(directory, FOLDER, "synced"))?;
        }
    }
    Ok(freed)
}

fn file_name(number: u64) -> String {
    FileKind::Segment.name(number)
}

/// The number of a segment of the copy; `None` for other names.
fn number(name: &str) -> Option<u64> {
    FileKind::of_name(name).filter(|(kind, _)| *kind == FileKind::Segment).map(|(_, number)| number)
}

fn in_folder(name: &str) -> String {
    format!("{FOLDER}/{name}")
}
