//! A data set: events in a folder or object store with one partition a day, as Hive, Spark and DuckDB read them, to which
//! later exports add what is new.
//!
//! ```text
//!     day=2019-10-01/part-0000000001-00000.parquet      what readers see
//!     day=2019-10-02/part-0000000001-00001.parquet
//!     _cartlog/commit-0000000001.json                   what was exported, one a commit
//!     _cartlog/staged/0000000002-1f0c…/00000            files of an export that isn't committed
//! ```
//!
//! An export writes its files where no reader looks (names with an underscore in front, and none ends in `.parquet`),
//! then its commit, then moves the files to their names. The commit is the one moment that counts:
//! - cut off before it, the files stay out of sight, and are removed later;
//! - cut off after it, the next export finishes the moves before it does anything else, so that a row is seen late, but
//!   never twice and never without its commit.
//!
//! A commit takes the next number, which only one export can have: of two that cross each other one fails, with nothing
//! to be seen of it.
//!
//! Invariants:
//! - the files under day partitions are files of commits, and each of them is of one commit;
//! - a commit starts at the row of the store at which the one before it ended.

mod commit;
mod days;
mod http;
mod local;
mod object;
mod place;
#[cfg(test)]
mod tests;
mod watermark;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use commit::{Commit, CommittedFile};
pub use local::LocalPlace;
pub use object::{ObjectPlace, ObjectUrl};
pub use place::Place;
pub use watermark::Watermark;

use super::events::{EventBatches, Mapping, RowSelector};
use super::{ExportError, Format, WriteOptions};
use cartlog_storage::store::{Snapshot, StoreIdentity};

/// The folder of what is not for readers.
const FOLDER: &str = "_cartlog";
/// The folder of what isn't committed.
const STAGED: &str = "_cartlog/staged";
/// What the name of a partition starts with.
const PARTITION: &str = "day=";

/// What is exported into a data set, and how.
pub struct DataSetPlan<'a> {
    /// The store as it is read.
    pub snapshot: &'a Snapshot,
    /// Which store that is.
    pub store: StoreIdentity,
    /// Which rows, if not all.
    pub selector: Option<&'a RowSelector<'a>>,
    /// The same in words (empty for all): exports that follow each other must have the same.
    pub filter: String,
    /// The files' format.
    pub format: &'static dyn Format,
    /// What the columns are in the files.
    pub mapping: Mapping,
    /// How the files are written.
    pub options: WriteOptions,
    /// Whether to go on where the last export into the data set ended; without, there must be none yet.
    pub since_last: bool,
}

impl<'a> DataSetPlan<'a> {
    /// All rows of a store into a new data set, written as the format's defaults have it.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, store: StoreIdentity, format: &'static dyn Format) -> Self {
        Self {
            snapshot,
            store,
            selector: None,
            filter: String::new(),
            format,
            mapping: Mapping::of_format(format.name(), false),
            options: WriteOptions::default(),
            since_last: false,
        }
    }

    /// The format, and what else decides the columns' types.
    fn format_name(&self) -> String {
        match self.mapping {
            Mapping::Seed { typed_time: true } => format!("{} with typed times", self.format.name()),
            _ => self.format.name().to_owned(),
        }
    }
}

/// What an export has added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// The commit that holds it; `None` if there was nothing new.
    pub commit: Option<Commit>,
    /// Files of an earlier export, one cut off right after its commit, that were moved to their names first.
    pub files_recovered: usize,
    /// Whether the data set is older than this export.
    pub is_continued: bool,
}

/// Exports into a data set, and commits it.
///
/// # Errors
/// [`ExportError::PartitionsExist`] without [`DataSetPlan::since_last`] if there is something already;
/// [`ExportError::DataSet`] if what is there doesn't fit: another store, format or filter, rows before its end that are not
/// those that it holds, a damaged commit; [`ExportError::Crossed`] if another export was faster; what files, object
/// stores and formats may fail with.
pub fn export_data_set(place: &Arc<dyn Place>, plan: &DataSetPlan<'_>) -> Result<Exported, ExportError> {
    let _guard = place.lock(&format!("{FOLDER}/lock"))?;
    let last = last_commit(&**place)?;
    let mut exported = Exported { is_continued: last.is_some(), ..Exported::default() };
    exported.files_recovered = tidy(&**place, last.as_ref())?;
    if !plan.since_last && last.is_some() {
        return Err(ExportError::DataSetExists { path: place.describe("") });
    }
    if last.is_none()
        && let Some(found) = place.list("")?.into_iter().find(|name| name.starts_with(PARTITION))
    {
        return Err(ExportError::PartitionsExist { path: place.describe(""), found });
    }
    let start = match &last {
        Some(last) => watermark::start(plan, last).map_err(|what| wrong(&**place, last.number, what))?,
        None => 0,
    };
    let end = plan.snapshot.rows();
    if start == end && last.is_some() {
        return Ok(exported);
    }
    let number = last.as_ref().map_or(1, |last| last.number + 1);
    let attempt = format!("{:016x}", attempt_number());
    let staged = staged_folder(number, &attempt);
    let mut batches = EventBatches::new(plan.snapshot, plan.mapping)?.rows(start..end);
    if let Some(selector) = plan.selector {
        batches = batches.select(selector);
    }
    let files = days::write_days(batches, plan, place, &staged, number)?;
    let commit = Commit {
        version: Commit::VERSION,
        number,
        attempt,
        watermark: Watermark::of(plan.snapshot, &plan.store)?,
        rows_before: start,
        rows: files.iter().map(|file| file.rows).sum(),
        format: plan.format_name(),
        filter: plan.filter.clone(),
        files,
    };
    // The names of all that the commit speaks of are durable before it.
    place.settle(&BTreeSet::from([&*staged, STAGED, FOLDER]))?;
    if !place.create_new(&Commit::name(number), &commit.encode())?
        // An answer that got lost is asked for again, and then the commit that is there is this one.
        && read_commit(&**place, number)?.attempt != commit.attempt
    {
        // The files are removed when the next export finds them.
        return Err(ExportError::Crossed { path: place.describe(&Commit::name(number)) });
    }
    publish(&**place, &commit)?;
    tidy(&**place, Some(&commit))?;
    exported.commit = Some(commit);
    Ok(exported)
}

/// The last commit of a data set, if it has one.
fn last_commit(place: &dyn Place) -> Result<Option<Commit>, ExportError> {
    let numbers = place.list(FOLDER)?.iter().filter_map(|name| Commit::number_of(name)).max();
    numbers.map(|number| read_commit(place, number)).transpose()
}

fn read_commit(place: &dyn Place, number: u64) -> Result<Commit, ExportError> {
    let name = Commit::name(number);
    let bytes = place
        .read(&name, Commit::LONGEST + 1)?
        .ok_or_else(|| wrong(place, number, "its commit is missing".to_owned()))?;
    Commit::decode(&bytes, number).map_err(|what| wrong(place, number, what))
}

/// Finishes what was committed and not moved, and removes what can't be committed any more; gives the files moved.
fn tidy(place: &dyn Place, last: Option<&Commit>) -> Result<usize, ExportError> {
    let last_number = last.map_or(0, |last| last.number);
    let mut moved = 0;
    for folder in place.list(STAGED)? {
        let Some((number, attempt)) = folder.split_once('-') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        if number > last_number {
            // It may be of an export at work, unless the lock says that there is none.
            if place.is_exclusive() {
                place.remove_folder(&staged_folder(number, attempt))?;
            }
            continue;
        }
        let commit = match last {
            Some(last) if last.number == number => last.clone(),
            _ => read_commit(place, number)?,
        };
        if commit.attempt == attempt {
            moved += publish(place, &commit)?;
        } else {
            place.remove_folder(&staged_folder(number, attempt))?;
        }
    }
    Ok(moved)
}

/// Moves the files of a commit to their names, as far as they aren't there; gives how many it moved.
fn publish(place: &dyn Place, commit: &Commit) -> Result<usize, ExportError> {
    let staged = staged_folder(commit.number, &commit.attempt);
    let mut moved = 0;
    for (index, file) in commit.files.iter().enumerate() {
        if place.rename(&format!("{staged}/{index:05}"), &file.path)? {
            moved += 1;
        } else if !place.exists(&file.path)? {
            return Err(wrong(place, commit.number, format!("its file {} is missing", file.path)));
        }
    }
    let folders: BTreeSet<&str> = commit.files.iter().filter_map(|file| file.path.split('/').next()).collect();
    place.settle(&folders)?;
    place.remove_folder(&staged)?;
    Ok(moved)
}

fn staged_folder(number: u64, attempt: &str) -> String {
    format!("{STAGED}/{number:010}-{attempt}")
}

fn wrong(place: &dyn Place, commit: u64, what: String) -> ExportError {
    ExportError::DataSet { path: place.describe(""), commit, what }
}

/// A number that no other attempt has: from the time and the process.
fn attempt_number() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    // Each state is seeded with random bits of the system.
    RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()))
}
