//! How much memory the rows of a batch take, by which stripes are bounded.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

/// The bytes of the batch's own rows. A dictionary's texts count nothing: batches share them.
pub(super) fn memory_bytes(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(column_bytes).sum()
}

fn column_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8 => {
            let offsets = column.as_string::<i32>().value_offsets();
            let text = offsets.last().zip(offsets.first()).map_or(0, |(end, start)| end - start);
            text.unsigned_abs() as usize + 4 * column.len()
        }
        DataType::Dictionary(..) | DataType::Date32 => 4 * column.len(),
        DataType::Decimal128(..) => 16 * column.len(),
        _ => 8 * column.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_slice_counts_its_own_rows_only() {
        let ids = Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef;
        let brands = Arc::new(StringArray::from(vec!["lg", "samsung", "aqua"])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("id", ids), ("brand", brands)]).unwrap();
        assert_eq!(memory_bytes(&rows), 3 * 8 + 3 * 4 + 13);
        assert_eq!(memory_bytes(&rows.slice(1, 1)), 8 + 4 + 7);
    }
}
