//! From a segment back to the batch that it could have been made of: what merging starts from.

use crate::store::batch::{Batch, ColumnValues, IdentifierException, IdentifierValues};
use crate::store::column::{ColumnView, Identifier, Identifiers, Packed};

use super::Segment;

impl Segment {
    /// The rows as a batch, in the same order. Takes about 60 bytes of memory a row of the public data.
    pub(crate) fn to_batch(&self) -> Batch {
        let columns = (0..self.front.entries.len()).map(|column| match self.column(column) {
            ColumnView::Integers(integers) => {
                ColumnValues::Integers((0..integers.len()).map(|row| integers.get(row)).collect())
            }
            ColumnView::Codes(codes) => ColumnValues::Codes(numbers(codes).map(|code| code as u32).collect()),
            ColumnView::Identifiers(identifiers) => ColumnValues::Identifiers(values(&identifiers)),
        });
        Batch { columns: columns.collect(), rows: self.rows() }
    }
}

fn numbers(packed: Packed<'_>) -> impl Iterator<Item = u64> {
    (0..packed.len()).map(move |row| packed.get(row))
}

fn values(identifiers: &Identifiers<'_>) -> IdentifierValues {
    let mut values = IdentifierValues::default();
    for (row, code) in numbers(identifiers.codes).enumerate() {
        let (uuid, exception) = match identifiers.get(code) {
            Some(Identifier::Uuid(uuid)) => (uuid, None),
            Some(Identifier::Text(text)) => {
                let start = values.text.len() as u32;
                values.text.extend_from_slice(text.as_bytes());
                (0, Some(Some((start, text.len() as u32))))
            }
            None => (0, Some(None)),
        };
        values.uuids.push(uuid);
        values.exceptions.extend(exception.map(|text| IdentifierException { row: row as u32, text }));
    }
    values
}
