//! Stores written by earlier versions open: one folder a format version, never changed again.

use std::path::PathBuf;
use std::sync::Arc;

use cartlog_storage::io::{Directory, MemoryDirectory, OsDirectory};
use cartlog_storage::store::{StoreWriter, verify};

use crate::support;

fn golden(version: u32) -> OsDirectory {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests/store/golden", &format!("version-{version}")].iter().collect();
    OsDirectory::open(folder).unwrap()
}

fn copied(from: &OsDirectory) -> MemoryDirectory {
    let memory = MemoryDirectory::new();
    for name in from.list("").unwrap() {
        let file = memory.create(&name).unwrap();
        file.append(&from.map(&name).unwrap()).unwrap();
        file.sync().unwrap();
    }
    memory
}

#[test]
fn a_store_of_version_1_opens() {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    let expected = support::content(Arc::new(memory));
    assert_eq!((expected.totals.rows_read, expected.totals.rows_stored, expected.totals.rows_rejected), (228, 194, 7));
    assert!(verify(&golden(1)).unwrap().is_sound());
    assert_eq!(support::content(Arc::new(golden(1))), expected);
}

#[test]
fn a_store_of_version_1_is_written_on() {
    let memory = copied(&golden(1));
    let writer = StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options()).unwrap();
    assert_eq!(writer.dictionary(1).code_for("a new brand").unwrap() as usize, writer.dictionary(1).len());
    let delivery = support::delivery(&writer, support::DELIVERIES).unwrap();
    writer.append(delivery).unwrap();
    let before = support::content(Arc::new(golden(1))).totals;
    assert!(writer.close().unwrap().totals.rows_stored > before.rows_stored);
    assert!(verify(&memory).unwrap().is_sound());
}

/// `CARTLOG_WRITE_GOLDEN=1` makes the files of a new format version; those that are there are never changed.
#[test]
fn the_present_version_has_golden_files() {
    let directory = golden(1);
    if std::env::var_os("CARTLOG_WRITE_GOLDEN").is_some() && directory.list("").unwrap().is_empty() {
        support::load(Arc::new(directory.clone())).unwrap();
    }
    assert!(!directory.list("").unwrap().is_empty());
}
