//! Snapshots: the store as of one commit, for reading.
//!
//! A reader takes no lock. It reads the manifest, then maps what the manifest names; segments never change, and of the
//! append-only files only the committed length is read. If a writer merges segments away in between, the manifest has
//! changed too and is read again.

use std::io::ErrorKind;
use std::sync::Arc;

use crate::io::Directory;

use super::manifest::{FileKind, Manifest, SegmentRecord};
use super::{
    Dictionary, KnownSource, LogPosition, Rejects, Schema, Segment, SortedCopy, StoreError, Totals, dictionary,
    recovery,
};

/// The store as of one commit. Cheap to clone; stays readable whatever is written or merged later.
#[derive(Debug, Clone)]
pub struct Snapshot {
    schema: Arc<Schema>,
    segments: Vec<Arc<Segment>>,
    sorted: Option<Arc<SortedCopy>>,
    /// One a column; empty for columns that have none.
    dictionaries: Vec<Arc<Dictionary>>,
    sources: Vec<KnownSource>,
    positions: Vec<LogPosition>,
    totals: Totals,
    generation: u64,
    /// What it was read from; a snapshot of segments in memory has none.
    origin: Option<Origin>,
}

#[derive(Debug, Clone)]
struct Origin {
    directory: Arc<dyn Directory>,
    manifest: Arc<Manifest>,
}

impl Snapshot {
    /// Opens the store of a directory at its last commit: maps the segments and reads the dictionaries.
    ///
    /// # Errors
    /// [`StoreError::NoStore`] if there is none; [`StoreError::MissingFile`], [`StoreError::Corrupt`] and
    /// [`StoreError::UnknownVersion`] for files that are not as the manifest says; I/O errors.
    #[expect(clippy::needless_pass_by_value, reason = "a snapshot keeps its directory")]
    pub fn open(directory: Arc<dyn Directory>) -> Result<Self, StoreError> {
        Self::open_beside(&directory, None)
    }

    /// The store as of its last commit now; what has not changed is shared with this snapshot.
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub fn refresh(&self) -> Result<Self, StoreError> {
        match &self.origin {
            Some(origin) => Self::open_beside(&origin.directory, Some(self)),
            None => Ok(self.clone()),
        }
    }

    /// A snapshot of segments in memory; `dictionaries` has one entry a column (empty for columns that need none).
    #[must_use]
    pub fn in_memory(schema: Schema, segments: Vec<Segment>, dictionaries: Vec<Dictionary>) -> Self {
        let mut dictionaries: Vec<Arc<Dictionary>> = dictionaries.into_iter().map(Arc::new).collect();
        dictionaries.resize_with(schema.columns.len(), Arc::default);
        let rows = segments.iter().map(|segment| segment.rows() as u64).sum();
        Self {
            schema: Arc::new(schema),
            segments: segments.into_iter().map(Arc::new).collect(),
            sorted: None,
            dictionaries,
            sources: Vec::new(),
            positions: Vec::new(),
            totals: Totals { rows_read: rows, rows_stored: rows, ..Totals::default() },
            generation: 0,
            origin: None,
        }
    }

    /// What the columns hold.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The segments, in the order of their commits.
    #[must_use]
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The rows of some of the segments in another order, if the store has such a copy (see
    /// [`sort_copy`](super::sort_copy)) and it still stands for segments of this snapshot.
    #[must_use]
    pub fn sorted(&self) -> Option<&SortedCopy> {
        self.sorted.as_deref()
    }

    /// A column's dictionary; an empty one if the column has none.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn dictionary(&self, column: usize) -> &Arc<Dictionary> {
        &self.dictionaries[column]
    }

    /// Rows in all segments.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.totals.rows_stored
    }

    /// How many rows are before the one with a number among all that were ever stored, dropped ones included, counted
    /// from 0. `None` where too many rows were dropped here and there to tell.
    #[must_use]
    pub fn place_of(&self, number: u64) -> Option<u64> {
        self.origin.as_ref().map_or(Some(number), |origin| origin.manifest.gaps.place(number))
    }

    /// What the store has counted.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The next offset to read of each partition that rows came from.
    #[must_use]
    pub fn positions(&self) -> &[LogPosition] {
        &self.positions
    }

    /// The sources that rows came from, and which bytes of them the store has; ordered by identity.
    #[must_use]
    pub fn sources(&self) -> &[KnownSource] {
        &self.sources
    }

    /// Whether this is the same commit as another snapshot's, with the same sorted copy beside it.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let copy = |snapshot| Self::sorted(snapshot).map(SortedCopy::records);
        let manifest = |snapshot: &Self| snapshot.origin.as_ref().map(|origin| Arc::clone(&origin.manifest));
        self.generation == other.generation && manifest(self) == manifest(other) && copy(self) == copy(other)
    }

    /// The number of the commit; another number is another state of the store.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The lines that were not rows, in the order of their commits. If some of them were mended since the snapshot was
    /// taken, those that are left.
    ///
    /// # Errors
    /// As [`Snapshot::open`], for the reject file.
    pub fn rejects(&self) -> Result<Rejects, StoreError> {
        let Some(Origin { directory, manifest }) = &self.origin else { return Ok(Rejects::none()) };
        let mut record = manifest.rejects;
        loop {
            match Rejects::open(&**directory, record) {
                Err(error @ StoreError::MissingFile { .. }) => {
                    let present = Manifest::read(&**directory)?.ok_or(StoreError::NoStore)?.rejects;
                    if present.file == record.file {
                        return Err(error);
                    }
                    record = present;
                }
                opened => return opened,
            }
        }
    }

    /// The directory that it was read from; none for segments in memory.
    pub(crate) fn directory(&self) -> Option<&dyn Directory> {
        self.origin.as_ref().map(|origin| &*origin.directory)
    }

    /// Where a segment is stored, and as what.
    pub(crate) fn stored(&self, segment: usize) -> Option<(&dyn Directory, &SegmentRecord)> {
        let origin = self.origin.as_ref()?;
        Some((&*origin.directory, origin.manifest.segments.get(segment)?))
    }

    fn open_beside(directory: &Arc<dyn Directory>, before: Option<&Self>) -> Result<Self, StoreError> {
        let mut manifest = Manifest::read(&**directory)?.ok_or_else(|| recovery::no_store(&**directory))?;
        loop {
            let generation = manifest.generation;
            match Self::of_manifest(directory, manifest, before) {
                Err(error @ StoreError::MissingFile { .. }) => {
                    manifest = Manifest::read(&**directory)?.ok_or_else(|| recovery::no_store(&**directory))?;
                    if manifest.generation == generation {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }

    fn of_manifest(
        directory: &Arc<dyn Directory>,
        manifest: Manifest,
        before: Option<&Self>,
    ) -> Result<Self, StoreError> {
        let segments = manifest
            .segments
            .iter()
            .map(|record| match before.and_then(|before| before.open_segment(record)) {
                Some(segment) => Ok(segment),
                None => open_segment(&**directory, record, &manifest.schema).map(Arc::new),
            })
            .collect::<Result<_, _>>()?;
        let mut dictionaries = Vec::new();
        dictionaries.resize_with(manifest.schema.columns.len(), Arc::default);
        for (index, column) in manifest.schema.dictionary_columns().enumerate() {
            let record = manifest.dictionaries[index];
            let same = before.filter(|before| {
                before.origin.as_ref().is_some_and(|origin| origin.manifest.dictionaries.get(index) == Some(&record))
            });
            dictionaries[column] = match same {
                Some(before) => Arc::clone(&before.dictionaries[column]),
                None => Arc::new(dictionary::read(&**directory, record)?),
            };
        }
        let sorted = SortedCopy::open(&**directory, &manifest, before.and_then(Self::sorted)).map(Arc::new);
        Ok(Self {
            schema: Arc::new(manifest.schema.clone()),
            segments,
            sorted,
            dictionaries,
            sources: manifest.sources.iter().cloned().collect(),
            positions: manifest.positions.clone(),
            totals: manifest.totals,
            generation: manifest.generation,
            origin: Some(Origin { directory: Arc::clone(directory), manifest: Arc::new(manifest) }),
        })
    }

    fn open_segment(&self, record: &SegmentRecord) -> Option<Arc<Segment>> {
        let records = &self.origin.as_ref()?.manifest.segments;
        let index = records.iter().position(|known| known == record)?;
        self.segments.get(index).cloned()
    }
}

/// Maps a segment and checks that it is the one that was committed.
pub(crate) fn open_segment(
    directory: &dyn Directory,
    record: &SegmentRecord,
    schema: &Schema,
) -> Result<Segment, StoreError> {
    let name = FileKind::Segment.name(record.file);
    open_named(directory, &name, (record.rows, record.length, record.checksum), schema)
}

/// Maps a segment by its name and checks that it has the rows, the length and the checksum that a manifest says.
pub(crate) fn open_named(
    directory: &dyn Directory,
    name: &str,
    expected: (u64, u64, u32),
    schema: &Schema,
) -> Result<Segment, StoreError> {
    let data = directory.map(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => StoreError::MissingFile { file: name.to_owned() },
        ErrorKind::OutOfMemory => StoreError::NoMap { file: name.to_owned(), source: error },
        _ => StoreError::io(name, "mapping")(error),
    })?;
    let segment = Segment::open(name, data, schema)?;
    let (rows, length, checksum) = (segment.rows() as u64, segment.length(), segment.checksum());
    if (rows, length, checksum) != expected {
        let (expected_rows, expected_length, expected_checksum) = expected;
        let what = format!(
            "{rows} rows, {length} bytes, checksum {checksum:08x}; the manifest says {expected_rows}, {expected_length}, \
             {expected_checksum:08x}"
        );
        return Err(StoreError::corrupt(name, 0, what));
    }
    Ok(segment)
}
