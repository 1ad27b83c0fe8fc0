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

    /// Appends some of the rows to a batch of the same columns, which has none at first and is to have `expected` in the end.
    pub(crate) fn append_rows(&self, rows: &[u32], expected: usize, into: &mut Batch) {
        if into.columns.is_empty() {
            let empty = |column| match self.column(column) {
                ColumnView::Integers(_) => ColumnValues::Integers(Vec::with_capacity(expected)),
                ColumnView::Codes(_) => ColumnValues::Codes(Vec::with_capacity(expected)),
                ColumnView::Identifiers(_) => ColumnValues::Identifiers(IdentifierValues {
                    uuids: Vec::with_capacity(expected),
                    ..IdentifierValues::default()
                }),
            };
            into.columns = (0..self.front.entries.len()).map(empty).collect();
        }
        for (column, values) in into.columns.iter_mut().enumerate() {
            match (self.column(column), values) {
                (ColumnView::Integers(integers), ColumnValues::Integers(values)) => {
                    integers.gather(rows, values);
                }
                (ColumnView::Codes(codes), ColumnValues::Codes(values)) => {
                    codes.gather(rows, values, |code| code as u32);
                }
                (ColumnView::Identifiers(identifiers), ColumnValues::Identifiers(values)) => {
                    let mut codes = Vec::new();
                    identifiers.codes.gather(rows, &mut codes, |code| code);
                    append(&identifiers, codes.into_iter(), values);
                }
                // The columns were made by this schema's segments.
                _ => {}
            }
        }
        into.rows += rows.len();
    }
}

fn numbers(packed: Packed<'_>) -> impl Iterator<Item = u64> {
    (0..packed.len()).map(move |row| packed.get(row))
}

fn values(identifiers: &Identifiers<'_>) -> IdentifierValues {
    let mut values = IdentifierValues::default();
    append(identifiers, numbers(identifiers.codes), &mut values);
    values
}

fn append(identifiers: &Identifiers<'_>, codes: impl Iterator<Item = u64>, values: &mut IdentifierValues) {
    let first = values.uuids.len();
    for (row, code) in (first..).zip(codes) {
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
}
