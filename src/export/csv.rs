//! Comma-separated values (RFC 4180): what spreadsheets, Tableau and shell tools read.
//!
//! UTF-8, a header, a line feed at the end of each line, `.` decimals, ISO dates. A missing value is an empty field,
//! an empty text is `""`; other text is quoted only when it holds a comma, a quote or a line break, so that rows of
//! the public files come out byte for byte as they went in. Large batches are printed by all threads, in order.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use memchr::memchr3;
use rayon::prelude::*;

use super::text::{Cells, is_printable};
use super::{ExportError, Format, Sink, TableWriter, WriteOptions, check_schema};

/// The `csv` format.
#[derive(Debug)]
pub(super) struct Csv;

/// Rows that one thread prints at a time.
const CHUNK_ROWS: usize = 8192;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn description(&self) -> &'static str {
        "comma-separated values with a header (RFC 4180), for spreadsheets, Tableau and shell tools"
    }

    fn open<'sink>(
        &self,
        schema: SchemaRef,
        mut sink: Box<dyn Sink + 'sink>,
        options: WriteOptions,
    ) -> Result<Box<dyn TableWriter + 'sink>, ExportError> {
        options.compression_of(self)?;
        check_printable(self.name(), &schema)?;
        let mut header = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                header.push(b',');
            }
            append_text(field.name(), &mut header);
        }
        header.push(b'\n');
        sink.write_all(&header)?;
        Ok(Box::new(CsvWriter { schema, sink }))
    }
}

/// Checks that every column can be printed as text.
pub(super) fn check_printable(format: &'static str, schema: &Schema) -> Result<(), ExportError> {
    match schema.fields().iter().find(|field| !is_printable(field.data_type())) {
        None => Ok(()),
        Some(field) => {
            Err(ExportError::ColumnType { format, column: field.name().clone(), got: field.data_type().clone() })
        }
    }
}

struct CsvWriter<'sink> {
    schema: SchemaRef,
    sink: Box<dyn Sink + 'sink>,
}

impl TableWriter for CsvWriter<'_> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ExportError> {
        check_schema(&self.schema, rows)?;
        print_in_parallel(rows, &mut *self.sink, |columns, range, out| {
            for row in range {
                append_row(columns, row, out);
            }
        })
    }

    fn finish(self: Box<Self>) -> Result<(), ExportError> {
        self.sink.complete()
    }
}

/// Prints the rows of a batch in chunks by all threads of the current pool and writes the chunks in order. At most
/// two chunks a thread are in memory.
pub(super) fn print_in_parallel(
    rows: &RecordBatch,
    sink: &mut dyn Sink,
    print: impl Fn(&[Cells<'_>], std::ops::Range<usize>, &mut Vec<u8>) + Sync,
) -> Result<(), ExportError> {
    let columns: Arc<[Cells<'_>]> = rows.columns().iter().filter_map(Cells::of).collect();
    let starts: Vec<usize> = (0..rows.num_rows()).step_by(CHUNK_ROWS).collect();
    for group in starts.chunks(2 * rayon::current_num_threads()) {
        let chunks: Vec<Vec<u8>> = group
            .par_iter()
            .map(|&start| {
                let end = rows.num_rows().min(start + CHUNK_ROWS);
                let mut out = Vec::with_capacity((end - start) * columns.len() * 16);
                print(&columns, start..end, &mut out);
                out
            })
            .collect();
        for chunk in chunks {
            sink.write_all(&chunk)?;
        }
    }
    Ok(())
}

fn append_row(columns: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
    for (index, &column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if column.is_missing(row) {
            continue;
        }
        match column.text(row) {
            Some(text) => append_text(text, out),
            None => column.append(row, out),
        }
    }
    out.push(b'\n');
}

fn append_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    if !bytes.is_empty() && memchr3(b',', b'"', b'\n', bytes).is_none() && !bytes.contains(&b'\r') {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for piece in text.split_inclusive('"') {
        out.extend_from_slice(piece.as_bytes());
        if piece.ends_with('"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
