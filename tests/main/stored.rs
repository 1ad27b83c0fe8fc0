//! What a store holds, as text that can be compared.

use std::path::Path;
use std::sync::Arc;

use cartlog::pipeline::store_directory;
use cartlog_storage::io::OsDirectory;
use cartlog_storage::store::{ColumnView, Identifier, Snapshot};

/// The files of the store in a `--store` directory.
pub(crate) fn directory(store: &Path) -> Arc<OsDirectory> {
    Arc::new(OsDirectory::open(store_directory(store)).unwrap())
}

/// Opens the store in a `--store` directory for reading.
pub(crate) fn snapshot(store: &Path) -> Snapshot {
    Snapshot::open(directory(store)).unwrap()
}

/// All rows of a store, each as one text, in the store's order.
pub(crate) fn rows(directory: &Path) -> Vec<String> {
    let snapshot = snapshot(directory);
    let mut rows = Vec::new();
    for segment in snapshot.segments() {
        for row in 0..segment.rows() {
            let fields: Vec<String> = (0..snapshot.schema().columns.len())
                .map(|column| match segment.column(column) {
                    ColumnView::Integers(integers) => integers.get(row).to_string(),
                    ColumnView::Codes(codes) => {
                        let code = u32::try_from(codes.get(row)).unwrap();
                        snapshot.dictionary(column).get(code).unwrap_or("-").to_owned()
                    }
                    ColumnView::Identifiers(identifiers) => match identifiers.get(identifiers.codes.get(row)) {
                        None => "-".to_owned(),
                        Some(Identifier::Uuid(uuid)) => format!("{uuid:032x}"),
                        Some(Identifier::Text(text)) => format!("{text:?}"),
                    },
                })
                .collect();
            rows.push(fields.join(","));
        }
    }
    assert_eq!(rows.len() as u64, snapshot.totals().rows_stored);
    rows
}

/// All rows of a store in an order of their own, so that stores filled along different ways can be compared.
pub(crate) fn sorted_rows(directory: &Path) -> Vec<String> {
    let mut rows = rows(directory);
    rows.sort_unstable();
    rows
}
