//! The events themselves, out of a snapshot, as record batches of the nine columns.
//!
//! [`EventBatches`] reads segments in place and hands out batches in the order of the rows; [`write_events`] puts
//! them in one file, [`export_data_set`](super::dataset::export_data_set) in a data set with one partition a day. What is
//! exported is chosen by a [`RowSelector`], so that exports know no filters.

mod batches;
mod columns;
mod mapping;
#[cfg(test)]
mod tests;
mod text;

pub use batches::{EventBatch, EventBatches, RowSelector};
pub use mapping::Mapping;

use super::{ExportError, Format, Sink, WriteOptions};

/// Writes events to one file or stream and gives the number of rows.
///
/// # Errors
/// As [`EventBatches`], [`Format::open`] and [`TableWriter::write`](super::TableWriter::write).
pub fn write_events(
    batches: EventBatches<'_>,
    format: &dyn Format,
    sink: Box<dyn Sink + '_>,
    options: WriteOptions,
) -> Result<u64, ExportError> {
    let mut writer = format.open(batches.schema(), sink, options)?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch?.rows;
        writer.write(&batch)?;
        rows += batch.num_rows() as u64;
    }
    writer.finish()?;
    Ok(rows)
}
