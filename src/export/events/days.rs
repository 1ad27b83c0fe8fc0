//! Events in a folder with one partition a day, as Hive, Spark and DuckDB read them.
//!
//! ```text
//!     FOLDER/event_date=2019-10-01/part-00000.parquet
//!     FOLDER/event_date=2019-10-02/part-00000.parquet
//! ```
//!
//! Everything is written into a hidden folder inside `FOLDER` first; the partitions are moved to their names when all
//! of them are complete. Events come mostly in order of time, so that few files are open at once; their number is
//! limited, and a day that comes back after its file was closed gets another part.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use super::EventBatches;
use crate::export::text::append_date;
use crate::export::{AtomicFile, ExportError, Format, TableWriter, WriteOptions};

/// Files open at the same time, each with its rows or pages in memory.
const OPEN_FILES: usize = 16;
const PARTITION: &str = "event_date=";

/// Writes events into a folder, partitioned by day, and gives the number of rows.
///
/// # Errors
/// [`ExportError::PartitionsExist`] if the folder holds partitions already; else as
/// [`write_events`](super::write_events).
pub fn write_days(
    batches: EventBatches<'_>,
    format: &dyn Format,
    folder: &Path,
    options: WriteOptions,
) -> Result<u64, ExportError> {
    fs::create_dir_all(folder).map_err(failure(folder, "creating the folder"))?;
    if let Some(found) = names(folder)?.into_iter().find(|name| name.starts_with(PARTITION)) {
        return Err(ExportError::PartitionsExist { path: folder.to_owned(), found });
    }
    let staging = Staging::create(folder)?;
    let schema = batches.schema();
    let mut days = Days { format, options, folder: &staging.path, open: BTreeMap::new(), parts: BTreeMap::new() };
    let mut rows = 0;
    for (clock, batch) in batches.by_day().enumerate() {
        let batch = batch?;
        rows += batch.rows.num_rows() as u64;
        days.write(clock, batch.day.unwrap_or_default(), &schema, &batch.rows)?;
    }
    days.finish()?;
    staging.publish(folder)?;
    Ok(rows)
}

/// The files under way.
struct Days<'a> {
    format: &'a dyn Format,
    options: WriteOptions,
    folder: &'a Path,
    /// By day: when it was last written, and its file.
    open: BTreeMap<i64, (usize, Box<dyn TableWriter>)>,
    /// By day: the files that were begun.
    parts: BTreeMap<i64, usize>,
}

impl Days<'_> {
    fn write(
        &mut self,
        clock: usize,
        day: i64,
        schema: &arrow_schema::SchemaRef,
        rows: &arrow_array::RecordBatch,
    ) -> Result<(), ExportError> {
        if !self.open.contains_key(&day) {
            self.make_room()?;
            let part = self.parts.entry(day).or_default();
            let name = format!("part-{part:05}.{}", self.format.name());
            *part += 1;
            let path = self.folder.join(partition(day)).join(name);
            let sink = Box::new(AtomicFile::create(&path)?);
            self.open.insert(day, (clock, self.format.open(schema.clone(), sink, self.options)?));
        }
        let Some((last, writer)) = self.open.get_mut(&day) else { return Ok(()) };
        *last = clock;
        writer.write(rows)
    }

    /// Closes the file that was not written for the longest time if all are open.
    fn make_room(&mut self) -> Result<(), ExportError> {
        if self.open.len() < OPEN_FILES {
            return Ok(());
        }
        let oldest = self.open.iter().min_by_key(|(_, (last, _))| *last).map(|(&day, _)| day);
        match oldest.and_then(|day| self.open.remove(&day)) {
            Some((_, writer)) => writer.finish(),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<(), ExportError> {
        self.open.into_values().try_for_each(|(_, writer)| writer.finish())
    }
}

fn partition(day: i64) -> String {
    let mut name = PARTITION.as_bytes().to_vec();
    append_date(day, &mut name);
    String::from_utf8_lossy(&name).into_owned()
}

/// The hidden folder; removed with what is left in it when dropped.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn create(folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join(format!(".cartlog-{}.tmp", process::id()));
        fs::create_dir(&path).map_err(failure(&path, "creating the folder"))?;
        Ok(Self { path })
    }

    /// Moves the partitions to their place.
    fn publish(self, folder: &Path) -> Result<(), ExportError> {
        for name in names(&self.path)? {
            let to = folder.join(&name);
            fs::rename(self.path.join(&name), &to).map_err(failure(&to, "moving the finished partition to it"))?;
        }
        let written = fs::File::open(folder).and_then(|folder| folder.sync_all());
        written.map_err(failure(folder, "writing the folder to disk (fsync)"))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left is a hidden folder that no reader looks at: failing to remove it loses nothing.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>, ExportError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    };
    read().map_err(failure(folder, "listing the folder"))
}

fn failure(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::File { path, action, source }
}
