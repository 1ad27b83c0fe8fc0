//! Summaries: what a segment's rows come to, kept beside it.
//!
//! A segment never changes, and neither does what its rows come to. Whoever has found that out may keep it in a file of its own in the
//! folder `summaries`, in the format of every segment: some of the store's columns, and how many rows each of its own rows stands for.
//! Whoever asks next reads that in place of the rows, and the rows of newer segments alone.
//!
//! Invariants:
//! - summaries are derived: whoever deletes the folder loses no row, and the store's manifest knows nothing of it;
//! - a summary's name says which segment it stands for, by number and checksum, so that it can't be taken for another's; merged,
//!   dropped or repaired, and the segment's summaries are passed over until somebody removes them;
//! - it is small, and every byte of it is checked when it is opened: one that isn't sound is an error to whoever opens it, who can read
//!   the segment instead;
//! - it has its name once it is written whole; it isn't synced, since nothing is lost with it: what a crash left of it isn't sound.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use bytes::Bytes;

use crate::io::{Directory, LockGuard, WriteFile};

use super::manifest::{FileKind, Manifest, SegmentRecord};
use super::snapshot::Snapshot;
use super::writer::lock_file;
use super::{Batch, ColumnSchema, ColumnType, Schema, Segment, StoreError};

/// Where summaries are, relative to the store's folder.
const FOLDER: &str = "summaries";
/// Whoever writes or removes summaries holds this; the store's own lock is not needed.
const LOCK: &str = "lock";
/// What a file's name ends with until it is whole.
const NEW: &str = ".new";

/// What stands in place of a summary that isn't worth its room.
const DECLINED: &[u8] = b"declined\n";

/// What a summary keeps of rows. Another meaning needs another name: files outlive the program that wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryKind {
    /// The name: lower-case letters, digits and underscores.
    pub name: &'static str,
    /// Columns of the store.
    pub columns: &'static [usize],
}

/// What is kept of a segment.
#[derive(Debug)]
pub enum Summary {
    /// Rows, each with the number of the segment's rows that it stands for in the last column.
    Rows(Segment),
    /// Nothing, since it would have taken hardly less room than the rows.
    Declined,
}

/// What a look at a store's summaries found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SummariesReport {
    /// Summaries of segments that the store has.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong with them, as a message each.
    pub damage: Vec<String>,
}

/// Who may write summaries of a snapshot's segments.
#[derive(Debug)]
pub struct SummaryWriter<'a> {
    snapshot: &'a Snapshot,
    directory: &'a dyn Directory,
    _lock: Box<dyn LockGuard>,
}

impl SummaryKind {
    /// A summary's columns in a store of this schema: those that it keeps, and the number of rows.
    #[must_use]
    pub fn schema(&self, store: &Schema) -> Schema {
        let rows = ColumnSchema { name: "rows".to_owned(), kind: ColumnType::Integer };
        Schema { columns: self.columns.iter().map(|column| store.columns[*column].clone()).chain([rows]).collect() }
    }

    fn file(&self, record: &SegmentRecord) -> String {
        format!("{FOLDER}/{}-{}", stem(record), self.name)
    }
}

/// What the names of a segment's summaries begin with.
fn stem(record: &SegmentRecord) -> String {
    format!("{}-{:08x}", FileKind::Segment.name(record.file), record.checksum)
}

impl Snapshot {
    /// What is kept of a segment, by its place; `None` if nothing is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::UnknownVersion`] and [`StoreError::SchemaMismatch`] for a file that isn't what it should
    /// be; I/O errors. The segment itself can be read then as ever.
    pub fn summary(&self, segment: usize, kind: &SummaryKind) -> Result<Option<Summary>, StoreError> {
        let Some((directory, record)) = self.stored(segment) else { return Ok(None) };
        let name = kind.file(record);
        let data = match directory.map(&name) {
            Ok(data) => data,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&name, "mapping")(error)),
        };
        if &data[..] == DECLINED {
            return Ok(Some(Summary::Declined));
        }
        self.sound_summary(&name, data, kind).map(|segment| Some(Summary::Rows(segment)))
    }

    fn sound_summary(&self, name: &str, data: Bytes, kind: &SummaryKind) -> Result<Segment, StoreError> {
        let schema = kind.schema(self.schema());
        let segment = Segment::open(name, data, &schema)?;
        let lengths: Vec<usize> = kind.columns.iter().map(|column| self.dictionary(*column).len()).chain([0]).collect();
        segment.check_sound(&schema, &lengths)?;
        Ok(segment)
    }

    /// Begins to keep summaries; `None` for a snapshot of segments in memory. Those of segments that the store no longer has, and
    /// what is left of a writer that was stopped, are removed.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while somebody else does; I/O errors, as in a folder that can't be written to.
    pub fn keep_summaries(&self) -> Result<Option<SummaryWriter<'_>>, StoreError> {
        let Some(directory) = self.directory() else { return Ok(None) };
        directory.create_all(FOLDER).map_err(StoreError::io(FOLDER, "creating the folder"))?;
        let lock = lock(directory)?;
        remove_leftovers(directory)?;
        Ok(Some(SummaryWriter { snapshot: self, directory, _lock: lock }))
    }
}

impl SummaryWriter<'_> {
    /// Keeps a summary: `rows` has the kind's columns, and the number of rows that each stands for. Returns the bytes that it takes.
    ///
    /// # Errors
    /// [`StoreError::InvalidBatch`] for other columns; I/O errors. Nothing is kept then.
    pub fn keep(&self, segment: usize, kind: &SummaryKind, rows: &Batch) -> Result<u64, StoreError> {
        let schema = kind.schema(self.snapshot.schema());
        let encoded = Segment::encode(&schema, std::slice::from_ref(rows), 1)?;
        self.write(segment, kind, |file| encoded.write_to(file))?;
        Ok(encoded.length())
    }

    /// Notes that a summary isn't worth its room, so that nobody tries again.
    ///
    /// # Errors
    /// I/O errors.
    pub fn decline(&self, segment: usize, kind: &SummaryKind) -> Result<(), StoreError> {
        self.write(segment, kind, |file| file.append(DECLINED))
    }

    fn write(
        &self,
        segment: usize,
        kind: &SummaryKind,
        fill: impl FnOnce(&dyn WriteFile) -> std::io::Result<()>,
    ) -> Result<(), StoreError> {
        let Some((directory, record)) = self.snapshot.stored(segment) else { return Ok(()) };
        let name = kind.file(record);
        let new = format!("{name}{NEW}");
        let file = directory.create(&new).map_err(StoreError::io(&new, "creating"))?;
        let written = fill(&*file).and_then(|()| directory.rename(&new, &name));
        written.map_err(|error| {
            // What is left is removed by the next writer, if it can't be now.
            let _ = self.directory.remove(&new);
            StoreError::io(&new, "writing")(error)
        })
    }
}

/// Removes summaries of segments that a store no longer has; the bytes that this frees. Somebody who is writing some is left alone.
///
/// # Errors
/// [`StoreError::NoStore`] if there is no store; I/O errors.
pub fn remove_stale_summaries(directory: &dyn Directory) -> Result<u64, StoreError> {
    if !directory.exists(FOLDER).map_err(StoreError::io(FOLDER, "looking for it"))? {
        return Ok(0);
    }
    match lock(directory) {
        Err(StoreError::Locked) => Ok(0),
        locked => locked.and_then(|_lock| remove_leftovers(directory)),
    }
}

/// Removes all summaries; the bytes that this frees.
///
/// # Errors
/// [`StoreError::Locked`] while somebody is writing some; I/O errors.
pub fn remove_summaries(directory: &dyn Directory) -> Result<u64, StoreError> {
    if !directory.exists(FOLDER).map_err(StoreError::io(FOLDER, "looking for it"))? {
        return Ok(0);
    }
    let _lock = lock(directory)?;
    remove_but(directory, |_| false)
}

/// Reads every byte of the summaries of a store's segments; `None` if there are none.
pub(crate) fn verify_summaries(
    directory: &dyn Directory,
    store: &Manifest,
) -> Result<Option<SummariesReport>, StoreError> {
    if !directory.exists(FOLDER).map_err(StoreError::io(FOLDER, "looking for it"))? {
        return Ok(None);
    }
    let mut report = SummariesReport::default();
    let stems = stems(store);
    for name in names(directory)?.iter().filter(|name| is_of(&stems, name)) {
        let path = format!("{FOLDER}/{name}");
        let data = directory.map(&path).map_err(StoreError::io(&path, "mapping"))?;
        report.files += 1;
        report.bytes += data.len() as u64;
        if &data[..] != DECLINED {
            report.damage.extend(Segment::check_bytes(&path, data).err().map(|error| error.to_string()));
        }
    }
    Ok((report.files > 0).then_some(report))
}

fn lock(directory: &dyn Directory) -> Result<Box<dyn LockGuard>, StoreError> {
    lock_file(directory, &format!("{FOLDER}/{LOCK}"))
}

fn remove_leftovers(directory: &dyn Directory) -> Result<u64, StoreError> {
    let store = Manifest::read(directory)?.ok_or(StoreError::NoStore)?;
    let stems = stems(&store);
    remove_but(directory, |name| is_of(&stems, name))
}

/// What the names of all summaries begin with that count for a store.
fn stems(store: &Manifest) -> BTreeSet<String> {
    store.segments.iter().map(stem).collect()
}

/// Whether a file is a summary of one of these segments, and whole.
fn is_of(stems: &BTreeSet<String>, name: &str) -> bool {
    !name.ends_with(NEW) && name.rsplit_once('-').is_some_and(|(of, _)| stems.contains(of))
}

fn names(directory: &dyn Directory) -> Result<Vec<String>, StoreError> {
    directory.list(FOLDER).map_err(StoreError::folder(directory, FOLDER, "listed"))
}

fn remove_but(directory: &dyn Directory, is_needed: impl Fn(&str) -> bool) -> Result<u64, StoreError> {
    let mut freed = 0;
    for name in names(directory)?.iter().filter(|name| *name != LOCK && !is_needed(name)) {
        let path = format!("{FOLDER}/{name}");
        freed += directory.length(&path).map_err(StoreError::io(&path, "measuring"))?;
        directory.remove(&path).map_err(StoreError::io(&path, "removing"))?;
    }
    Ok(freed)
}
