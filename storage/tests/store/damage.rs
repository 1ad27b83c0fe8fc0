//! Every damaged byte is found, and the message says where.

use std::sync::Arc;

use cartlog_storage::io::{Directory, MemoryDirectory};
use cartlog_storage::store::{Snapshot, StoreError, StoreWriter, verify};

use crate::support;

fn loaded() -> MemoryDirectory {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    memory
}

#[test]
fn verify_finds_every_flipped_bit_and_names_the_file() {
    let memory = loaded();
    let sound = verify(&memory).unwrap();
    assert!(sound.is_sound(), "{:?}", sound.damage);
    let files = memory.list("").unwrap();
    assert_eq!(sound.files, files.len() as u64);
    assert_eq!(sound.bytes, files.iter().map(|file| memory.length(file).unwrap()).sum::<u64>());
    for file in files {
        for offset in 0..memory.length(&file).unwrap() {
            let mask = 1 << (offset % 8);
            memory.damage(&file, offset, mask).unwrap();
            let report = verify(&memory).unwrap();
            let found = report.damage.iter().find(|damage| damage.file == file);
            let found = found.unwrap_or_else(|| panic!("{file} byte {offset}: {:?}", report.damage));
            if let Some(length) = found.length {
                assert!((found.offset..found.offset + length).contains(&offset), "{file} byte {offset}: {found:?}");
                assert!(found.rows.is_some());
            }
            memory.damage(&file, offset, mask).unwrap();
        }
    }
}

#[test]
fn an_absent_file_is_named() {
    for file in loaded().list("").unwrap() {
        let memory = loaded();
        memory.remove(&file).unwrap();
        let errors = [
            Snapshot::open(Arc::new(memory.clone())).err(),
            StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options()).err(),
        ];
        if file.starts_with("rejects") {
            assert!(errors[0].is_none(), "the rows are readable without the rejects");
        } else if file != "manifest" {
            assert!(matches!(&errors[0], Some(StoreError::MissingFile { file: named }) if *named == file));
        } else {
            assert!(matches!(errors[0], Some(StoreError::NoStore)));
        }
        match &errors[1] {
            Some(StoreError::MissingFile { file: named }) => assert_eq!(*named, file),
            Some(StoreError::MissingManifest { .. }) => assert_eq!(file, "manifest"),
            other => panic!("{file}: {other:?}"),
        }
    }
}

#[test]
fn a_damaged_store_is_not_written_to() {
    let memory = loaded();
    let before = memory.list("").unwrap();
    memory.damage("manifest", 40, 1).unwrap();
    memory.create("segment-99999999").unwrap();
    let error = StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options()).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { file, .. } if file == "manifest"), "{error}");
    assert_eq!(memory.list("").unwrap().len(), before.len() + 1, "nothing is removed from an unknown state");
}

#[test]
fn foreign_files_stay() {
    let memory = loaded();
    for name in ["notes.txt", "segment-99999999", "manifest.new"] {
        memory.create(name).unwrap();
    }
    drop(StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options()).unwrap());
    assert!(memory.exists("notes.txt").unwrap());
    assert!(!memory.exists("segment-99999999").unwrap() && !memory.exists("manifest.new").unwrap());
}
