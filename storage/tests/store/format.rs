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

/// The versions that this program reads, and the one that it writes.
const VERSIONS: [u32; 3] = [1, 2, PRESENT];
const PRESENT: u32 = 3;

#[test]
fn a_store_of_every_version_opens() {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    let expected = support::content(Arc::new(memory));
    assert_eq!((expected.totals.rows_read, expected.totals.rows_stored, expected.totals.rows_rejected), (228, 194, 7));
    for version in VERSIONS {
        assert!(verify(&golden(version)).unwrap().is_sound(), "version {version}");
        assert_eq!(support::content(Arc::new(golden(version))), expected, "version {version}");
    }
}

#[test]
fn a_store_of_every_version_is_written_on() {
    for version in VERSIONS {
        let memory = copied(&golden(version));
        let writer = StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options()).unwrap();
        assert_eq!(writer.dictionary(1).code_for("a new brand").unwrap() as usize, writer.dictionary(1).len());
        let delivery = support::delivery(&writer, support::DELIVERIES).unwrap();
        writer.append(delivery).unwrap();
        let before = support::content(Arc::new(golden(version))).totals;
        assert!(writer.close().unwrap().totals.rows_stored > before.rows_stored);
        assert!(verify(&memory).unwrap().is_sound());
        assert_eq!(u32::from(memory.map("manifest").unwrap()[8]), PRESENT, "it is of the present version from now on");
    }
}

/// `CARTLOG_WRITE_GOLDEN=1` makes the files of a new format version; those that are there are never changed.
#[test]
fn the_present_version_has_golden_files() {
    let directory = golden(PRESENT);
    if std::env::var_os("CARTLOG_WRITE_GOLDEN").is_some() && directory.list("").unwrap().is_empty() {
        support::load(Arc::new(directory.clone())).unwrap();
    }
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    for file in ["manifest", "dictionary-00000001", "rejects-00000002", "segment-00000003"] {
        let version = |directory: &dyn Directory| directory.map(file).unwrap()[8..12].to_vec();
        assert_eq!(version(&directory), version(&memory), "{file}: a new version needs golden files of its own");
    }
}
