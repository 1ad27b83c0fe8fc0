//! Columnar files (Parquet, ORC) as the lines of text that they stand for.
//!
//! A columnar file has no lines and no byte ranges, by which sources, records of the log, duplicates and rejects are
//! known. So its rows are rendered as lines, each saying exactly what the row holds, and from then on the file is a
//! source like any other whose content is that text: row `n` is line `n`, there is no header, and one parser judges what
//! is an event and why not. The rendering ([`render`]) is frozen: known ranges are compared with it.
//!
//! Columns are found by their names, whatever their order and their letter case; others are passed over. The three
//! columns that an event may miss may be missing from the file.

mod column;
mod orc;
mod parquet;
mod render;
#[cfg(test)]
mod tests;
mod thrift;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::column::{Column, ColumnKind};
use super::SourceError;
use crate::event::{BRAND, CATEGORY_CODE, EVENT_TIME, EVENT_TYPE, HEADER, PRICE, USER_SESSION};

/// Columns of an event.
const COLUMNS: usize = 9;

/// Rows that are in memory at once, as values and as text.
const BATCH_ROWS: usize = 8192;

/// A columnar file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnarFormat {
    Parquet,
    Orc,
}

impl ColumnarFormat {
    /// The format whose magic a file begins with.
    pub(super) fn of_head(head: &[u8]) -> Option<Self> {
        match head {
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            [b'O', b'R', b'C', ..] => Some(Self::Orc),
            _ => None,
        }
    }

    /// The name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Orc => "ORC",
        }
    }
}

/// The nine columns of some rows; `None` for a column that the file hasn't.
type Batch = [Option<Column>; COLUMNS];

/// Reads the rows of a file batch by batch; `Ok(None)` is the end.
trait Batches: Send {
    fn next(&mut self) -> Result<Option<Batch>, ReadError>;
}

/// A file that is open, with what its footer says.
struct Opened {
    rows: u64,
    columns: Vec<FileColumn>,
}

/// A column of a file.
struct FileColumn {
    name: String,
    kind: ColumnKind,
    /// Its type in the words of the format.
    type_name: String,
}

/// Why a file can't be read any further.
#[derive(Debug)]
enum ReadError {
    /// The system refused.
    Io(io::Error),
    /// The bytes are not what the format says.
    Damaged(String),
    /// It is something that is not read here, with advice.
    Unsupported(String),
}

impl ReadError {
    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

/// The text of a columnar file, as a stream of bytes.
pub(super) struct ColumnarText {
    name: Arc<str>,
    format: ColumnarFormat,
    batches: Box<dyn Batches>,
    rows: u64,
    rows_read: u64,
    text: Vec<u8>,
    /// How much of the text has been handed out.
    taken: usize,
    file_bytes: u64,
    bytes_read: Arc<AtomicU64>,
}

impl ColumnarText {
    /// Opens a file of a format that its head has told. `bytes_read` follows the share of rows that have been read.
    pub(super) fn open(
        format: ColumnarFormat,
        file: File,
        name: &Arc<str>,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let tell = |error| source_error(name, format, 0, error);
        let file_bytes = file.metadata().map_err(|error| tell(ReadError::Io(error)))?.len();
        let (rows, batches): (u64, Box<dyn Batches>) = match format {
            ColumnarFormat::Parquet => {
                let file = parquet::ParquetFile::open(file).map_err(tell)?;
                let wanted = wanted(file.opened(), format, name)?;
                (file.opened().rows, Box::new(file.read(wanted).map_err(tell)?))
            }
            ColumnarFormat::Orc => {
                let file = orc::OrcFile::open(file).map_err(tell)?;
                let wanted = wanted(file.opened(), format, name)?;
                (file.opened().rows, Box::new(file.read(wanted)))
            }
        };
        let (name, text) = (Arc::clone(name), Vec::new());
        Ok(Self { name, format, batches, rows, rows_read: 0, text, taken: 0, file_bytes, bytes_read })
    }

    /// Reads some bytes of the text; 0 is the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        while self.taken == self.text.len() {
            let tell = |error| source_error(&self.name, self.format, self.rows_read, error);
            let Some(batch) = self.batches.next().map_err(tell)? else {
                if self.rows_read < self.rows {
                    let what = format!("it ends after {} of {} rows", self.rows_read, self.rows);
                    return Err(tell(ReadError::Damaged(what)));
                }
                return Ok(0);
            };
            self.text.clear();
            self.taken = 0;
            self.rows_read += render::append_rows(&batch, &mut self.text) as u64;
            let share = self.rows_read as f64 / self.rows.max(1) as f64;
            self.bytes_read.store((self.file_bytes as f64 * share.min(1.0)) as u64, Ordering::Relaxed);
        }
        let bytes = buffer.len().min(self.text.len() - self.taken);
        buffer[..bytes].copy_from_slice(&self.text[self.taken..self.taken + bytes]);
        self.taken += bytes;
        Ok(bytes)
    }
}

/// Where the nine columns are among those of the file.
fn wanted(opened: &Opened, format: ColumnarFormat, name: &Arc<str>) -> Result<[Option<usize>; COLUMNS], SourceError> {
    let wrong = |what| SourceError::Columns { name: name.to_string(), format: format.name(), what };
    let mut wanted = [None; COLUMNS];
    let mut missing = Vec::new();
    for (column, expected) in HEADER.split(',').enumerate() {
        let mut found = opened.columns.iter().enumerate().filter(|(_, file)| file.name.eq_ignore_ascii_case(expected));
        let may_be_absent = matches!(column, CATEGORY_CODE | BRAND | USER_SESSION);
        let Some((index, file)) = found.next() else {
            if !may_be_absent {
                missing.push(expected);
            }
            continue;
        };
        if found.next().is_some() {
            return Err(wrong(format!("two columns are named {expected}")));
        }
        if may_be_absent && file.kind == ColumnKind::Nothing {
            continue;
        }
        if !accepts(column, file.kind) {
            let what = format!("column {expected} is of type {}, expected {}", file.type_name, expectation(column));
            return Err(wrong(what));
        }
        wanted[column] = Some(index);
    }
    if missing.is_empty() {
        return Ok(wanted);
    }
    let found: Vec<&str> = opened.columns.iter().map(|column| &*column.name).take(20).collect();
    Err(wrong(format!("no column named {}; it has {}", missing.join(", "), found.join(", "))))
}

/// Whether values of a kind can be those of a column at all; whether each one is, the parser of lines decides.
fn accepts(column: usize, kind: ColumnKind) -> bool {
    match column {
        EVENT_TIME => matches!(kind, ColumnKind::Text | ColumnKind::Instant),
        EVENT_TYPE | CATEGORY_CODE | BRAND => matches!(kind, ColumnKind::Text | ColumnKind::Integer),
        USER_SESSION => matches!(kind, ColumnKind::Text | ColumnKind::Integer | ColumnKind::Uuid),
        _ => matches!(kind, ColumnKind::Text | ColumnKind::Integer | ColumnKind::Float | ColumnKind::Decimal),
    }
}

fn expectation(column: usize) -> &'static str {
    match column {
        EVENT_TIME => "a timestamp or text",
        EVENT_TYPE | CATEGORY_CODE | BRAND => "text or an integer",
        USER_SESSION => "text, a UUID or an integer",
        PRICE => "a decimal, an integer, a float or text",
        _ => "an integer, a decimal or text",
    }
}

fn source_error(name: &Arc<str>, format: ColumnarFormat, rows: u64, error: ReadError) -> SourceError {
    let (name, format) = (name.to_string(), format.name());
    match error {
        ReadError::Io(source) => SourceError::ReadRows { name, rows, source },
        ReadError::Damaged(what) => SourceError::Damaged { name, format, rows, what },
        ReadError::Unsupported(what) => SourceError::Unsupported { name, format, what },
    }
}
