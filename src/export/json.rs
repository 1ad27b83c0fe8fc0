//! JSON: one array of objects, one object a line.
//!
//! `--format json` gives a single valid document, because that is what `JSON.parse`, `jq '.[]'` and DuckDB's
//! `read_json` take without being told more; one object a line keeps it readable by line as well. A missing value is
//! `null`, decimals are numbers with every digit, instants are RFC 3339. `category_id` exceeds 2^53, where JavaScript
//! would change it silently: it is a string, always.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::csv::{check_printable, print_in_parallel};
use super::text::{Cells, TimestampStyle, append_timestamp};
use super::{ExportError, Format, Sink, TableWriter, WriteOptions, check_schema};

/// The `json` format.
#[derive(Debug)]
pub(super) struct Json;

/// The column whose numbers JavaScript can't hold.
const ALWAYS_TEXT: &str = "category_id";

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn description(&self) -> &'static str {
        "an array of objects, one a line, for browsers, jq and scripts; category_id is a string"
    }

    fn open<'sink>(
        &self,
        schema: SchemaRef,
        mut sink: Box<dyn Sink + 'sink>,
        options: WriteOptions,
    ) -> Result<Box<dyn TableWriter + 'sink>, ExportError> {
        options.compression_of(self)?;
        check_printable(self.name(), &schema)?;
        let keys = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let mut start = if index == 0 { vec![b'{'] } else { vec![b','] };
                append_text(field.name(), &mut start);
                start.push(b':');
                Key { start, quoted: field.name() == ALWAYS_TEXT }
            })
            .collect();
        sink.write_all(b"[")?;
        Ok(Box::new(JsonWriter { schema, keys, sink, is_empty: true }))
    }
}

/// What stands in front of a column's value in every row.
struct Key {
    start: Vec<u8>,
    quoted: bool,
}

struct JsonWriter<'sink> {
    schema: SchemaRef,
    keys: Vec<Key>,
    sink: Box<dyn Sink + 'sink>,
    is_empty: bool,
}

impl TableWriter for JsonWriter<'_> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ExportError> {
        check_schema(&self.schema, rows)?;
        let (keys, is_empty) = (&self.keys, self.is_empty);
        print_in_parallel(rows, &mut *self.sink, |columns, range, out| {
            for row in range {
                out.extend_from_slice(if is_empty && row == 0 { b"\n" } else { b",\n" });
                append_object(keys, columns, row, out);
            }
        })?;
        self.is_empty &= rows.num_rows() == 0;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        self.sink.write_all(if self.is_empty { b"]\n" } else { b"\n]\n" })?;
        self.sink.complete()
    }
}

fn append_object(keys: &[Key], columns: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
    for (key, &column) in keys.iter().zip(columns) {
        out.extend_from_slice(&key.start);
        append_value(key.quoted, column, row, out);
    }
    out.extend_from_slice(if keys.is_empty() { b"{}" } else { b"}" });
}

fn append_value(quoted: bool, column: Cells<'_>, row: usize, out: &mut Vec<u8>) {
    if column.is_missing(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match column {
        Cells::Text(_) | Cells::Dictionary(..) => append_text(column.text(row).unwrap_or_default(), out),
        Cells::Double(values) if !values.value(row).is_finite() => out.extend_from_slice(b"null"),
        Cells::Timestamp(values) => {
            out.push(b'"');
            append_timestamp(values.value(row), TimestampStyle::Rfc3339, out);
            out.push(b'"');
        }
        Cells::Integer(_) | Cells::Double(_) | Cells::Decimal(..) if !quoted => column.append(row, out),
        _ => {
            out.push(b'"');
            column.append(row, out);
            out.push(b'"');
        }
    }
}

/// Appends a JSON string: quotes, backslashes and control characters escaped, all else as it is.
fn append_text(text: &str, out: &mut Vec<u8>) {
    // Serialising a string to a vector can't fail.
    let _ = serde_json::to_writer(out, text);
}
