//! What a store's columns hold.

use std::fmt;

use super::StoreError;

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

/// The most columns of a schema.
const MAX_COLUMNS: usize = 1000;
/// The longest column name, in bytes.
const MAX_NAME: usize = 256;
/// The most decimal digits after the point.
const MAX_SCALE: u8 = 18;

impl Schema {
    /// Checks that a store can hold these columns.
    ///
    /// # Errors
    /// [`StoreError::InvalidSchema`] for no or too many columns, empty, long or repeated names, or a scale beyond 18.
    pub fn validate(&self) -> Result<(), StoreError> {
        let invalid = |reason: String| Err(StoreError::InvalidSchema { reason });
        if self.columns.is_empty() || self.columns.len() > MAX_COLUMNS {
            return invalid(format!("{} columns, expected 1 to {MAX_COLUMNS}", self.columns.len()));
        }
        for (index, column) in self.columns.iter().enumerate() {
            if column.name.is_empty() || column.name.len() > MAX_NAME {
                return invalid(format!(
                    "column {index} has a name of {} bytes, expected 1 to {MAX_NAME}",
                    column.name.len()
                ));
            }
            if self.columns[..index].iter().any(|before| before.name == column.name) {
                return invalid(format!("two columns are named {:?}", column.name));
            }
            if let ColumnType::Decimal { scale } = column.kind
                && scale > MAX_SCALE
            {
                return invalid(format!("column {:?} has scale {scale}, at most {MAX_SCALE}", column.name));
            }
        }
        Ok(())
    }

    /// The first timestamp, by which rows are older than others.
    pub(crate) fn time_column(&self) -> Option<usize> {
        self.columns.iter().position(|column| column.kind == ColumnType::Timestamp)
    }

    /// The columns kept as codes into a dictionary.
    pub(crate) fn dictionary_columns(&self) -> impl Iterator<Item = usize> {
        self.columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.kind == ColumnType::Dictionary)
            .map(|(index, _)| index)
    }
}

impl ColumnType {
    /// The kind and the scale as the store's files hold them.
    pub(crate) fn to_bytes(self) -> (u8, u8) {
        match self {
            Self::Timestamp => (1, 0),
            Self::Integer => (2, 0),
            Self::Decimal { scale } => (3, scale),
            Self::Dictionary => (4, 0),
            Self::Identifier => (5, 0),
        }
    }

    /// Reads what [`Self::to_bytes`] made.
    pub(crate) fn from_bytes(kind: u8, scale: u8) -> Option<Self> {
        match (kind, scale) {
            (1, 0) => Some(Self::Timestamp),
            (2, 0) => Some(Self::Integer),
            (3, 0..=MAX_SCALE) => Some(Self::Decimal { scale }),
            (4, 0) => Some(Self::Dictionary),
            (5, 0) => Some(Self::Identifier),
            _ => None,
        }
    }
}

/// The columns with their kinds, for messages.
impl fmt::Display for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, column) in self.columns.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{} {:?}", column.name, column.kind)?;
        }
        Ok(())
    }
}
