//! ORC, written by cartlog itself from the specification, version 1 (<https://orc.apache.org/specification/ORCv1/>).
//!
//! # The format on one page
//!
//! ```text
//!     "ORC"
//!     stripe 0    row indexes of all columns │ streams of all columns │ stripe footer
//!     stripe 1    …
//!     metadata    statistics of every column in every stripe
//!     footer      schema, stripes, rows, statistics of every column
//!     postscript  lengths of the two above, compression, version      (never compressed)
//!     one byte    length of the postscript
//! ```
//!
//! A reader starts at the end. Everything that describes is a Protocol Buffers message ([`protobuf`]); everything
//! that holds values is a *stream*, and a column of a stripe has one to four of them: which rows have a value
//! ([`runs`]), integers ([`integers`]), bytes as they are. All but the postscript goes through one general
//! compression ([`chunks`]). A row index entry for each 10,000 rows says where a reader finds those rows in every
//! stream, and what values to expect there ([`statistics`]).
//!
//! | Arrow                     | ORC                              | streams                                           |
//! |---------------------------|----------------------------------|---------------------------------------------------|
//! | `Int64`                   | `bigint`                         | RLEv2                                             |
//! | `Float64`                 | `double`                         | IEEE 754, little-endian                           |
//! | `Decimal128(p, s)`        | `decimal(p, s)`                  | zigzag varints of units; RLEv2 of the scale       |
//! | `Date32`                  | `date`                           | RLEv2 of days since 1970                          |
//! | `Timestamp(ms, zone)`     | `timestamp with local time zone` | RLEv2 of seconds since 2015; of nanoseconds       |
//! | `Timestamp(ms)`           | `timestamp`                      | the same, in the writer's zone, which is UTC      |
//! | `Utf8`, dictionary or not | `string`                         | codes, entries, their lengths; or bytes and lengths |
//!
//! # Instants
//!
//! An instant is written as `timestamp with local time zone`, the type that means one, so that no reader shifts it by
//! its own zone. pyarrow reads it as UTC. Spark (4.1) can't parse the type's name, but takes the type from the
//! attribute `spark.sql.catalyst.type` where there is one, and then reads the same instants in every session zone;
//! the attribute is therefore always there. ORC readers take one second off fractions before 1970, which leaves
//! fractions of the last second of 1969 without a representation; they are refused. pyarrow reads instants in nanoseconds,
//! and refuses files with one before 1677 or after 2262.
//!
//! # Why our own
//!
//! The crate there is panics on skewed 64-bit integers (product ids are just that), and writes neither dictionaries
//! nor statistics nor a row index. Writing the format is a thousand lines once a stripe's rows are in memory: every
//! decision (dictionary or not, which of four integer encodings) is made with all the values at hand, columns are
//! encoded by all threads without a shared state, and nothing is ever patched up afterwards.

mod bits;
mod chunks;
mod column;
#[cfg(test)]
mod decode;
mod integers;
mod kinds;
mod protobuf;
mod runs;
mod size;
mod statistics;
#[cfg(test)]
mod tests;
mod text;
mod varint;
mod writer;

use std::sync::Arc;

use arrow_schema::SchemaRef;

use self::writer::OrcWriter;
use super::arrow::plain_schema;
use super::{Compression, ExportError, Format, Sink, TableWriter, WriteOptions};

const FORMAT: &str = "orc";

/// Rows in memory that make a stripe: large enough for long runs and few seeks, small enough that a reader's column
/// of a stripe fits its cache.
const STRIPE_BYTES: usize = 64 << 20;

/// The `orc` format.
#[derive(Debug)]
pub(super) struct Orc;

impl Format for Orc {
    fn name(&self) -> &'static str {
        FORMAT
    }

    fn description(&self) -> &'static str {
        "Apache ORC with statistics and row index, for Spark, Hive, Trino and pandas"
    }

    fn compressions(&self) -> &'static [Compression] {
        &[Compression::Zstd, Compression::Zlib, Compression::None]
    }

    fn open<'sink>(
        &self,
        schema: SchemaRef,
        sink: Box<dyn Sink + 'sink>,
        options: WriteOptions,
    ) -> Result<Box<dyn TableWriter + 'sink>, ExportError> {
        let compression = options.compression_of(self)?;
        let schema = Arc::new(plain_schema(&schema));
        Ok(Box::new(OrcWriter::new(schema, compression, STRIPE_BYTES, sink)?))
    }
}
