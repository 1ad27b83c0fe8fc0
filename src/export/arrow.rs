//! Arrow IPC files: columns as they lie in memory, for pandas, Polars, DuckDB and anything else that maps them.
//!
//! Uncompressed, so that a reader maps the file and reads slices of it. The schema in the file depends on the table
//! alone: dictionary columns are written as the text that they stand for.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, builder::StringBuilder};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::csv::check_printable;
use super::text::plain_type;
use super::{ExportError, Format, Sink, TableWriter, WriteOptions, check_schema};
use crate::table::Table;

/// The `arrow` format.
#[derive(Debug)]
pub(super) struct Arrow;

impl Format for Arrow {
    fn name(&self) -> &'static str {
        "arrow"
    }

    fn description(&self) -> &'static str {
        "Arrow IPC file, uncompressed and ready to be mapped, for pandas, Polars and DuckDB"
    }

    fn open<'sink>(
        &self,
        schema: SchemaRef,
        sink: Box<dyn Sink + 'sink>,
        options: WriteOptions,
    ) -> Result<Box<dyn TableWriter + 'sink>, ExportError> {
        options.compression_of(self)?;
        check_printable(self.name(), &schema)?;
        let schema = Arc::new(plain_schema(&schema));
        let writer = FileWriter::try_new(sink, &schema)?;
        Ok(Box::new(ArrowWriter { schema, writer }))
    }
}

/// A table as an Arrow IPC stream, which is read without seeking: schema and rows as in the file.
///
/// # Errors
/// [`ExportError`] for columns that can't be written.
pub fn arrow_stream(table: &Table) -> Result<Vec<u8>, ExportError> {
    let schema = Arc::new(plain_schema(&table.rows.schema()));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&plain_rows(&schema, &table.rows)?)?;
    Ok(writer.into_inner()?)
}

struct ArrowWriter<'sink> {
    schema: SchemaRef,
    writer: FileWriter<Box<dyn Sink + 'sink>>,
}

impl TableWriter for ArrowWriter<'_> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ExportError> {
        check_schema(&self.schema, rows)?;
        Ok(self.writer.write(&plain_rows(&self.schema, rows)?)?)
    }

    fn finish(self: Box<Self>) -> Result<(), ExportError> {
        // `into_inner` writes the file's footer.
        self.writer.into_inner()?.complete()
    }
}

/// The schema with text in place of dictionaries, and without metadata.
pub(super) fn plain_schema(schema: &Schema) -> Schema {
    let fields = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), plain_type(field.data_type()).clone(), field.is_nullable()));
    Schema::new(fields.collect::<Vec<_>>())
}

/// The rows with text in place of dictionary codes; `schema` is their plain one.
fn plain_rows(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, ExportError> {
    let columns = rows.columns().iter().map(plain).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The column with text in place of dictionary codes.
fn plain(column: &ArrayRef) -> ArrayRef {
    let DataType::Dictionary(..) = column.data_type() else { return Arc::clone(column) };
    let dictionary = column.as_dictionary::<UInt32Type>();
    let values: &StringArray = dictionary.values().as_string();
    let bytes = dictionary.keys().iter().flatten().map(|code| values.value_length(code as usize) as usize).sum();
    let mut text = StringBuilder::with_capacity(column.len(), bytes);
    for code in dictionary.keys() {
        text.append_option(code.map(|code| values.value(code as usize)));
    }
    Arc::new(text.finish())
}
