//! Result tables: what an analysis makes and an export writes.
//!
//! A table is one Arrow record batch with a name. It sits below both the analyses and the exports, so that neither
//! has to know the other: a kernel builds columns, a format or the terminal prints them.

use arrow_array::RecordBatch;

/// A named result: rows in their final order, as Arrow columns.
///
/// Column types used: `Utf8` (nullable where a value may be missing), `Int64`, `Float64` (averages),
/// `Decimal128(precision, scale)` (money), `Date32`, `Timestamp(Millisecond, UTC)`.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{ArrayRef, Int64Array, RecordBatch};
/// use cartlog::table::Table;
///
/// let users = Arc::new(Int64Array::from(vec![541_312_140, 554_748_717])) as ArrayRef;
/// let rows = RecordBatch::try_from_iter([("user_id", users)])?;
/// let table = Table { name: "most_engaged_users".to_owned(), rows };
/// assert_eq!(table.rows.num_rows(), 2);
/// # Ok::<(), arrow_schema::ArrowError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The name, which is also the stem of its file.
    pub name: String,
    /// The rows.
    pub rows: RecordBatch,
}
