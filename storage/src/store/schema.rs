//! What a store's columns hold.

/// What the values of a column are, which decides how they are kept and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnType {
    /// An instant in milliseconds since 1970-01-01T00:00:00Z, as a 64-bit integer; never missing.
    Timestamp,
    /// A 64-bit integer; never missing.
    Integer,
    /// A decimal number: a 64-bit integer counting units of `10^-scale`; never missing.
    Decimal {
        /// Digits after the decimal point, at most 18.
        scale: u8,
    },
    /// Text of few distinct values, kept as codes into a dictionary of the whole store; may be missing.
    Dictionary,
    /// Text that is nearly always a UUID in canonical lower-case form and repeats within a segment; may be missing.
    Identifier,
}

/// One column's name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSchema {
    /// The column's name, unique in its schema.
    pub name: String,
    /// What its values are.
    pub kind: ColumnType,
}

/// The columns of a store, in order. Fixed when the store is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The columns, at most 1000.
    pub columns: Vec<ColumnSchema>,
}
