//! Rows on their way into the store.

/// A block of rows, column by column, as a parser makes it and a segment is built from.
///
/// Every column holds the same number of rows, in the schema's order and of the schema's type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// One entry a column of the schema.
    pub columns: Vec<ColumnValues>,
    /// Rows in every column.
    pub rows: usize,
}

/// The values of one column of a [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnValues {
    /// Timestamps (milliseconds), integers or decimals (units of `10^-scale`).
    Integers(Vec<i64>),
    /// Dictionary codes: 0 is missing, code `n` is the dictionary's entry `n - 1`.
    Codes(Vec<u32>),
    /// Identifiers.
    Identifiers(IdentifierValues),
}

/// Identifiers: 128-bit UUIDs, with the rare row that holds none or another text listed apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentifierValues {
    /// One a row; the UUID's 128 bits (its hexadecimal digits read as one big-endian number). Meaningless in a row
    /// that has an exception.
    pub uuids: Vec<u128>,
    /// Rows that are missing or hold other text, by ascending row.
    pub exceptions: Vec<IdentifierException>,
    /// The exceptions' texts, one after the other.
    pub text: Vec<u8>,
}

/// A row of an identifier column that is not a canonical UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentifierException {
    /// The row in its batch.
    pub row: u32,
    /// Where its text stands in [`IdentifierValues::text`] (start and length); `None` is a missing value.
    pub text: Option<(u32, u32)>,
}
