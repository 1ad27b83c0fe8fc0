//! Exports: tables and events as files that other tools read.
//!
//! A [`Format`] turns Arrow record batches into bytes; a [`Sink`] is where the bytes go. Formats know no segments and
//! no analyses, sinks know no formats. [`events`] reads a snapshot's rows as record batches,
//! [`dataset`] keeps them in a folder or object store to which later exports add, and [`render`] prints a table on a terminal.
//!
//! Adding a format is one file that implements [`Format`] and one line in [`formats`].

mod arrow;
mod csv;
pub mod dataset;
mod error;
pub mod events;
mod json;
mod orc;
mod parquet;
mod sink;
mod terminal;
mod text;

pub use arrow::arrow_stream;
pub use error::ExportError;
pub use sink::{AtomicFile, Sink, Stream};
pub use terminal::{RenderOptions, render};

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::table::Table;

/// A file format that tables can be written in.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{ArrayRef, Int64Array, RecordBatch};
/// use cartlog::export::{Stream, WriteOptions, format};
///
/// let counts = Arc::new(Int64Array::from(vec![Some(7), None])) as ArrayRef;
/// let rows = RecordBatch::try_from_iter_with_nullable([("count", counts, true)])?;
/// let mut bytes = Vec::new();
/// let csv = format("csv").expect("csv is always there");
/// let mut writer = csv.open(rows.schema(), Box::new(Stream(&mut bytes)), WriteOptions::default())?;
/// writer.write(&rows)?;
/// writer.finish()?;
/// assert_eq!(bytes, b"count\n7\n\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Format: Sync {
    /// The name on the command line, which is also the files' extension.
    fn name(&self) -> &'static str;

    /// What it is and who reads it, in one line.
    fn description(&self) -> &'static str;

    /// The compressions it offers inside the file, its default first.
    fn compressions(&self) -> &'static [Compression] {
        &[Compression::None]
    }

    /// Begins a file of the given columns.
    ///
    /// # Errors
    /// [`ExportError::ColumnType`] when the format can't hold a column, [`ExportError::Compression`] when it has no
    /// such compression, [`ExportError::Write`] when the sink refuses the first bytes.
    fn open<'sink>(
        &self,
        schema: SchemaRef,
        sink: Box<dyn Sink + 'sink>,
        options: WriteOptions,
    ) -> Result<Box<dyn TableWriter + 'sink>, ExportError>;
}

/// Writes the rows of one table. A writer that is dropped before [`TableWriter::finish`] leaves no file.
pub trait TableWriter: Send {
    /// Writes a batch of rows after those before; its columns are those that the file was opened with.
    ///
    /// Text columns (`Utf8`) may also come as `Dictionary(UInt32, Utf8)`, which the file does not show.
    ///
    /// # Errors
    /// [`ExportError::Schema`] for other columns, [`ExportError::Value`] for a value that the format can't represent,
    /// [`ExportError::Write`] when the sink refuses.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ExportError>;

    /// Writes what the format ends with and completes the sink.
    ///
    /// # Errors
    /// As [`TableWriter::write`], and [`ExportError::File`] when the file can't be made durable.
    fn finish(self: Box<Self>) -> Result<(), ExportError>;
}

/// How a file is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The compression inside the file; `None` is the format's default.
    pub compression: Option<Compression>,
}

/// A compression inside a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Bytes as they are.
    None,
    /// Deflate (RFC 1951).
    Zlib,
    /// Snappy.
    Snappy,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Compression {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
        }
    }
}

/// Every format, in the order that help texts list them.
#[must_use]
pub fn formats() -> &'static [&'static dyn Format] {
    &[&csv::Csv, &orc::Orc, &parquet::Parquet, &arrow::Arrow, &json::Json]
}

/// The format of that name.
#[must_use]
pub fn format(name: &str) -> Option<&'static dyn Format> {
    formats().iter().copied().find(|format| format.name() == name)
}

/// Writes a table to any stream, such as standard output.
///
/// # Errors
/// As [`Format::open`] and [`TableWriter::write`].
pub fn write_table(
    table: &Table,
    format: &dyn Format,
    sink: Box<dyn Sink + '_>,
    options: WriteOptions,
) -> Result<(), ExportError> {
    let mut writer = format.open(table.rows.schema(), sink, options)?;
    writer.write(&table.rows)?;
    writer.finish()
}

/// Writes a table to a file that appears whole or not at all.
///
/// # Errors
/// As [`write_table`], and [`ExportError::File`] or [`ExportError::NotAFile`] naming the path.
pub fn write_table_file(
    table: &Table,
    format: &dyn Format,
    path: &Path,
    options: WriteOptions,
) -> Result<(), ExportError> {
    write_table(table, format, Box::new(AtomicFile::create(path)?), options)
}

impl WriteOptions {
    /// The compression to use: what was asked for if the format has it, else the format's default.
    fn compression_of(self, format: &dyn Format) -> Result<Compression, ExportError> {
        let offered = format.compressions();
        match self.compression {
            None => Ok(offered.first().copied().unwrap_or(Compression::None)),
            Some(asked) if offered.contains(&asked) => Ok(asked),
            Some(asked) => Err(ExportError::Compression {
                format: format.name(),
                got: asked.name(),
                expected: offered.iter().map(|offer| offer.name()).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// Checks that a batch has the columns that its file was begun with, dictionaries counting as their text.
fn check_schema(expected: &Schema, got: &RecordBatch) -> Result<(), ExportError> {
    let same = expected.fields().len() == got.num_columns()
        && expected.fields().iter().zip(got.schema_ref().fields()).all(|(expected, got)| {
            expected.name() == got.name() && text::plain_type(expected.data_type()) == text::plain_type(got.data_type())
        });
    if same {
        return Ok(());
    }
    let names = |schema: &Schema| {
        let columns = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
        columns.collect::<Vec<_>>().join(", ")
    };
    Err(ExportError::Schema { got: names(got.schema_ref()), expected: names(expected) })
}

#[cfg(test)]
mod tests;
