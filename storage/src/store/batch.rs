//! Rows on their way into the store.

use super::StoreError;
use super::schema::{ColumnType, Schema};

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

impl Batch {
    /// Some of the rows, in some order: row `i` is what row `rows[i]` was.
    pub(crate) fn chosen(self, rows: &[u32]) -> Self {
        let columns = self.columns.into_iter().map(|values| match values {
            ColumnValues::Integers(values) => ColumnValues::Integers(chosen(&values, rows)),
            ColumnValues::Codes(codes) => ColumnValues::Codes(chosen(&codes, rows)),
            ColumnValues::Identifiers(IdentifierValues { uuids, exceptions, text }) => {
                let mut moved = Vec::new();
                if !exceptions.is_empty() {
                    for (row, from) in (0_u32..).zip(rows) {
                        if let Ok(place) = exceptions.binary_search_by_key(from, |exception| exception.row) {
                            moved.push(IdentifierException { row, ..exceptions[place] });
                        }
                    }
                }
                ColumnValues::Identifiers(IdentifierValues { uuids: chosen(&uuids, rows), exceptions: moved, text })
            }
        });
        Self { columns: columns.collect(), rows: rows.len() }
    }

    /// Checks that the columns are the schema's, that all have the same rows, and that the identifiers' exceptions
    /// are in order and point at text. Costs nothing a row.
    ///
    /// # Errors
    /// [`StoreError::InvalidBatch`] naming the column and what is wrong with it.
    pub fn validate(&self, schema: &Schema) -> Result<(), StoreError> {
        let invalid = |reason: String| Err(StoreError::InvalidBatch { reason });
        if self.columns.len() != schema.columns.len() {
            return if self.rows == 0 && self.columns.is_empty() {
                Ok(())
            } else {
                invalid(format!("{} columns, the schema has {}", self.columns.len(), schema.columns.len()))
            };
        }
        if u32::try_from(self.rows).is_err() {
            return invalid(format!("{} rows, at most {}", self.rows, u32::MAX));
        }
        for (values, column) in self.columns.iter().zip(&schema.columns) {
            let rows = match (values, column.kind) {
                (
                    ColumnValues::Integers(values),
                    ColumnType::Timestamp | ColumnType::Integer | ColumnType::Decimal { .. },
                ) => values.len(),
                (ColumnValues::Codes(codes), ColumnType::Dictionary) => codes.len(),
                (ColumnValues::Identifiers(values), ColumnType::Identifier) => {
                    if let Err(reason) = values.validate() {
                        return invalid(format!("column {:?}: {reason}", column.name));
                    }
                    values.uuids.len()
                }
                (_, kind) => {
                    return invalid(format!("column {:?} is of kind {kind:?}, its values are not", column.name));
                }
            };
            if rows != self.rows {
                return invalid(format!("column {:?} has {rows} rows, the batch {}", column.name, self.rows));
            }
        }
        Ok(())
    }

    /// Bytes of memory that the values take.
    pub(crate) fn memory(&self) -> usize {
        self.columns
            .iter()
            .map(|values| match values {
                ColumnValues::Integers(values) => size_of_val(&values[..]),
                ColumnValues::Codes(codes) => size_of_val(&codes[..]),
                ColumnValues::Identifiers(values) => {
                    size_of_val(&values.uuids[..]) + size_of_val(&values.exceptions[..]) + values.text.len()
                }
            })
            .sum()
    }
}

impl IdentifierValues {
    fn validate(&self) -> Result<(), String> {
        let mut next = 0;
        for exception in &self.exceptions {
            let row = exception.row as usize;
            if row < next || row >= self.uuids.len() {
                return Err(format!("exception at row {row}, expected one from {next} to {}", self.uuids.len()));
            }
            next = row + 1;
            if let Some((start, length)) = exception.text {
                let text = self.text.get(start as usize..).and_then(|rest| rest.get(..length as usize));
                if text.is_none_or(|text| std::str::from_utf8(text).is_err()) {
                    return Err(format!("row {row}: {length} bytes of text at {start} are absent or not UTF-8"));
                }
            }
        }
        Ok(())
    }
}

fn chosen<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| values[*row as usize]).collect()
}
