//! Parquet, read by the Arrow project's library.
//!
//! Only the wanted columns are read, in batches of a row group, by what the Parquet types say; the Arrow schema that
//! some writers embed is passed over, so that a file reads the same whoever wrote it. The library is careful with
//! damaged bytes; where it stops with a panic after all, that is caught and told as the damage it is.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::column::{Column, ColumnKind, Texts, Values};
use super::{BATCH_ROWS, Batch, Batches, COLUMNS, FileColumn, Opened, ReadError, thrift};

/// The magic at both ends of a file, and that of a file whose footer is encrypted.
const MAGIC: &[u8; 4] = b"PAR1";
const ENCRYPTED: &[u8; 4] = b"PARE";

/// The longest footer that is read: thousands of row groups with all their statistics.
const MAX_FOOTER: u64 = 256 << 20;

/// A file of which the footer has been read.
pub(super) struct ParquetFile {
    builder: ParquetRecordBatchReaderBuilder<File>,
    opened: Opened,
}

impl ParquetFile {
    pub(super) fn open(file: File) -> Result<Self, ReadError> {
        check_footer(&file)?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new_with_options(file, options))?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows())
            .map_err(|_| ReadError::damaged("its footer says that it has less than no rows"))?;
        let columns = builder.schema().fields().iter().map(|field| FileColumn {
            name: field.name().clone(),
            kind: kind_of(field.data_type()),
            type_name: field.data_type().to_string(),
        });
        let opened = Opened { rows, columns: columns.collect() };
        Ok(Self { builder, opened })
    }

    pub(super) const fn opened(&self) -> &Opened {
        &self.opened
    }

    pub(super) fn read(self, wanted: [Option<usize>; COLUMNS]) -> Result<ParquetBatches, ReadError> {
        // The batches hold the wanted columns alone, in the order of the file.
        let mut kept: Vec<usize> = wanted.iter().copied().flatten().collect();
        kept.sort_unstable();
        let places = wanted.map(|column| column.and_then(|column| kept.binary_search(&column).ok()));
        let mask = ProjectionMask::roots(self.builder.parquet_schema(), kept);
        let builder = self.builder.with_batch_size(BATCH_ROWS).with_projection(mask);
        Ok(ParquetBatches { reader: guarded(|| builder.build())?, places })
    }
}

/// Looks at the footer's frame and outline before the library does.
fn check_footer(file: &File) -> Result<(), ReadError> {
    let length = file.metadata().map_err(ReadError::Io)?.len();
    if length < 12 {
        return Err(ReadError::damaged(format!("{length} bytes are too short for a file")));
    }
    let mut tail = [0; 8];
    file.read_exact_at(&mut tail, length - 8).map_err(ReadError::Io)?;
    let [a, b, c, d, magic @ ..] = tail;
    if &magic == ENCRYPTED {
        return Err(ReadError::Unsupported("its footer is encrypted; decrypt it first".to_owned()));
    }
    if &magic != MAGIC {
        return Err(ReadError::damaged("it doesn't end with PAR1: it is cut off, or still being written"));
    }
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if footer > length - 12 || footer > MAX_FOOTER {
        return Err(ReadError::damaged(format!("a footer of {footer} bytes in a file of {length} bytes")));
    }
    let start = length - 8 - footer;
    let mut bytes = vec![0; footer as usize];
    file.read_exact_at(&mut bytes, start).map_err(ReadError::Io)?;
    thrift::check_structure(&bytes).map_err(|at| {
        ReadError::damaged(format!("its footer is no metadata, as byte {} of the file shows", start + at as u64))
    })
}

/// Calls the library; a panic is damage that it didn't foresee.
fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ReadError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(parquet_error),
        Err(_) => Err(ReadError::damaged("its pages don't fit together")),
    }
}

fn parquet_error(error: ParquetError) -> ReadError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => ReadError::Io(*source),
            Err(source) => ReadError::Damaged(source.to_string()),
        },
        ParquetError::NYI(what) => ReadError::Unsupported(what),
        ParquetError::General(what) if what.contains("codec") || what.contains("Disabled feature") => {
            ReadError::Unsupported(format!("{what}; write it with zstd, snappy, gzip, lz4 or no compression"))
        }
        other => ReadError::Damaged(other.to_string()),
    }
}

/// The wanted columns, batch by batch.
pub(super) struct ParquetBatches {
    reader: ParquetRecordBatchReader,
    /// Where the nine columns are in a batch.
    places: [Option<usize>; COLUMNS],
}

impl Batches for ParquetBatches {
    fn next(&mut self) -> Result<Option<Batch>, ReadError> {
        let read = || {
            self.reader.next().transpose().map_err(|error| match error {
                ArrowError::ParquetError(what) => ParquetError::General(what),
                other => ParquetError::External(Box::new(other)),
            })
        };
        guarded(read)?.map(|rows| columns(&rows, &self.places)).transpose()
    }
}

fn columns(rows: &RecordBatch, places: &[Option<usize>; COLUMNS]) -> Result<Batch, ReadError> {
    let mut batch = Batch::default();
    for (column, place) in batch.iter_mut().zip(places) {
        let array = place.map(|place| rows.column(place));
        *column = array.map(column_of).transpose()?;
    }
    Ok(batch)
}

fn kind_of(data_type: &DataType) -> ColumnKind {
    match data_type {
        DataType::Utf8 | DataType::Binary => ColumnKind::Text,
        data_type if data_type.is_integer() => ColumnKind::Integer,
        DataType::Float32 | DataType::Float64 => ColumnKind::Float,
        DataType::Decimal128(_, 0..) => ColumnKind::Decimal,
        DataType::Timestamp(..) => ColumnKind::Instant,
        DataType::FixedSizeBinary(16) => ColumnKind::Uuid,
        DataType::Null => ColumnKind::Nothing,
        _ => ColumnKind::Other,
    }
}

fn column_of(array: &ArrayRef) -> Result<Column, ReadError> {
    let values = match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Values::Text(Texts { offsets: array.offsets().clone(), bytes: array.values().clone() })
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            Values::Text(Texts { offsets: array.offsets().clone(), bytes: array.values().clone() })
        }
        DataType::Int8 => Values::Integers(converted::<Int8Type, _>(array, i64::from)),
        DataType::Int16 => Values::Integers(converted::<Int16Type, _>(array, i64::from)),
        DataType::Int32 => Values::Integers(converted::<Int32Type, _>(array, i64::from)),
        DataType::Int64 => Values::Integers(converted::<Int64Type, _>(array, |value| value)),
        DataType::UInt8 => Values::Integers(converted::<UInt8Type, _>(array, i64::from)),
        DataType::UInt16 => Values::Integers(converted::<UInt16Type, _>(array, i64::from)),
        DataType::UInt32 => Values::Integers(converted::<UInt32Type, _>(array, i64::from)),
        DataType::UInt64 => Values::Unsigned(converted::<UInt64Type, _>(array, |value| value)),
        DataType::Float32 => Values::Singles(converted::<Float32Type, _>(array, |value| value)),
        DataType::Float64 => Values::Doubles(converted::<Float64Type, _>(array, |value| value)),
        DataType::Decimal128(_, scale @ 0..) => Values::Decimals {
            units: converted::<Decimal128Type, _>(array, |value| value),
            scale: scale.unsigned_abs(),
        },
        DataType::Timestamp(unit, _) => Values::Instants(instants(array, *unit)),
        DataType::FixedSizeBinary(16) => {
            let array = array.as_fixed_size_binary();
            let uuid = |row| array.value(row).try_into().map_or(0, u128::from_be_bytes);
            Values::Uuids((0..array.len()).map(uuid).collect())
        }
        other => return Err(ReadError::Damaged(format!("a column has turned into {other}"))),
    };
    Ok(Column { values, nulls: array.nulls().cloned() })
}

fn converted<T: ArrowPrimitiveType, U>(array: &ArrayRef, convert: impl Fn(T::Native) -> U) -> Vec<U> {
    array.as_primitive::<T>().values().iter().map(|value| convert(*value)).collect()
}

/// Instants in milliseconds; what is finer is cut, as it is in text. Out of range is far outside the calendar.
fn instants(array: &ArrayRef, unit: TimeUnit) -> Vec<i64> {
    match unit {
        TimeUnit::Second => converted::<TimestampSecondType, _>(array, |value| value.saturating_mul(1000)),
        TimeUnit::Millisecond => converted::<TimestampMillisecondType, _>(array, |value| value),
        TimeUnit::Microsecond => converted::<TimestampMicrosecondType, _>(array, |value| value.div_euclid(1000)),
        TimeUnit::Nanosecond => converted::<TimestampNanosecondType, _>(array, |value| value.div_euclid(1_000_000)),
    }
}
