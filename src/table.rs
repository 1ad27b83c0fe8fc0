//! Result tables: what an analysis makes and an export writes.

use arrow_array::RecordBatch;

/// A named result: rows in their final order, as Arrow columns.
///
/// Column types used: `Utf8` (nullable where a value may be missing), `Int64`, `Float64` (averages),
/// `Decimal128(precision, scale)` (money), `Date32`, `Timestamp(Millisecond, UTC)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The name, which is also the stem of its file.
    pub name: String,
    /// The rows.
    pub rows: RecordBatch,
}
