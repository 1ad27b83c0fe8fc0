//! Events into files, each of one day.
//!
//! Events come mostly in order of time, so that few files are open at once; their number is limited, and a day that comes
//! back after its file was closed gets another part. So does a day with very many rows, so that several readers can share
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{CommittedFile, DataSetPlan, PARTITION, Place};
use crate::export::events::EventBatches;
use crate::export::text::append_date;
use crate::export::{ExportError, TableWriter};

/// Files open at the same time, each with its rows or pages in memory.
const OPEN_FILES: usize = 16;

/// Rows at which a file is full: eight row groups, some 250 MB of Parquet.
const FILE_ROWS: u64 = 8 << 20;

/// Writes the batches into files of a folder, named by their place in the list that it gives: 00000, 00001, ….
pub(super) fn write_days(
    batches: EventBatches<'_>,
    plan: &DataSetPlan<'_>,
    place: &Arc<dyn Place>,
    folder: &str,
    number: u64,
) -> Result<Vec<CommittedFile>, ExportError> {
    let schema = batches.schema();
    let mut days = Days { plan, place, folder, number, open: BTreeMap::new(), files: Vec::new() };
    for (clock, batch) in batches.by_day().enumerate() {
        let batch = batch?;
        days.write(clock, batch.day.unwrap_or_default(), &schema, &batch.rows)?;
    }
    days.finish()
}

/// The files under way.
struct Days<'a> {
    plan: &'a DataSetPlan<'a>,
    place: &'a Arc<dyn Place>,
    folder: &'a str,
    /// The commit that the files are for.
    number: u64,
    open: BTreeMap<i64, Open>,
    files: Vec<CommittedFile>,
}

/// A file that is being written.
struct Open {
    /// When it was last written.
    clock: usize,
    /// Its place in the list.
    index: usize,
    writer: Box<dyn TableWriter>,
}

impl Days<'_> {
    fn write(&mut self, clock: usize, day: i64, schema: &SchemaRef, rows: &RecordBatch) -> Result<(), ExportError> {
        if !self.open.contains_key(&day) {
            self.make_room()?;
            let index = self.files.len();
            let format = self.plan.format;
            let path = format!("{}/part-{:010}-{index:05}.{}", partition(day), self.number, format.name());
            let sink = self.place.create(&format!("{}/{index:05}", self.folder))?;
            let writer = format.open(Arc::clone(schema), sink, self.plan.options)?;
            self.files.push(CommittedFile { path, rows: 0 });
            self.open.insert(day, Open { clock, index, writer });
        }
        let Some(open) = self.open.get_mut(&day) else { return Ok(()) };
        open.clock = clock;
        open.writer.write(rows)?;
        let file = &mut self.files[open.index];
        file.rows += rows.num_rows() as u64;
        if file.rows >= FILE_ROWS { self.close(day) } else { Ok(()) }
    }

    /// Closes the file that was not written for the longest time if all are open.
    fn make_room(&mut self) -> Result<(), ExportError> {
        if self.open.len() < OPEN_FILES {
            return Ok(());
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.clock).map(|(&day, _)| day);
        oldest.map_or(Ok(()), |day| self.close(day))
    }

    fn close(&mut self, day: i64) -> Result<(), ExportError> {
        self.open.remove(&day).map_or(Ok(()), |open| open.writer.finish())
    }

    fn finish(self) -> Result<Vec<CommittedFile>, ExportError> {
        self.open.into_values().try_for_each(|open| open.writer.finish())?;
        Ok(self.files)
    }
}

/// The folder of a day.
fn partition(day: i64) -> String {
    let mut name = PARTITION.as_bytes().to_vec();
    append_date(day, &mut name);
    String::from_utf8_lossy(&name).into_owned()
}
