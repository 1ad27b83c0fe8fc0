//! Every damaged byte is found, and the message says where.

use std::sync::Arc;

use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory, OsDirectory};
use cartlog_storage::store::{ColumnStatistics, ColumnView, Snapshot, StoreError, StoreWriter, verify};

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
fn what_a_flipped_bit_leaves_readable_stays_within_its_bounds() {
    let memory = loaded();
    let mut found = 0;
    for file in memory.list("").unwrap() {
        for offset in 0..memory.length(&file).unwrap() {
            let mask = 1 << (offset * 7 % 8);
            memory.damage(&file, offset, mask).unwrap();
            match Snapshot::open(Arc::new(memory.clone())) {
                Ok(snapshot) => found += u64::from(read_everything(&snapshot)),
                Err(error) => assert!(
                    matches!(&error, StoreError::Corrupt { file: named, .. } | StoreError::UnknownVersion { file: named, .. }
                        if *named == file),
                    "{file} byte {offset}: {error}"
                ),
            }
            memory.damage(&file, offset, mask).unwrap();
        }
    }
    assert!(found > 100, "{found} codes without a value were met: the test shows nothing");
}

/// Indexes by every number of every column, as kernels do; whether damage showed.
fn read_everything(snapshot: &Snapshot) -> bool {
    for segment in snapshot.segments() {
        for column in 0..snapshot.schema().columns.len() {
            let view = segment.bounded_column(column);
            for row in 0..segment.rows() {
                match (view, segment.statistics(column)) {
                    (ColumnView::Integers(integers), ColumnStatistics::Integers { min, max }) => {
                        assert!((min..=max).contains(&integers.get(row)));
                    }
                    (ColumnView::Codes(codes), ColumnStatistics::Codes { largest, .. }) => {
                        assert!(codes.get(row) <= u64::from(largest));
                    }
                    (ColumnView::Identifiers(identifiers), ColumnStatistics::Identifiers { distinct, .. }) => {
                        assert!(identifiers.codes.get(row) <= distinct);
                        let _ = identifiers.get(identifiers.codes.get(row));
                    }
                    (view, statistics) => panic!("{view:?} has {statistics:?}"),
                }
            }
        }
    }
    snapshot.segments().iter().any(|segment| match segment.found_damage() {
        Some(StoreError::Corrupt { file, .. }) => file.starts_with("segment-"),
        Some(other) => panic!("{other}"),
        None => false,
    })
}

#[test]
fn a_store_is_copied_while_no_writer_has_it() {
    let memory = loaded();
    let copy = MemoryDirectory::new();
    for name in memory.list("").unwrap() {
        let file = copy.create(&name).unwrap();
        file.append(&memory.map(&name).unwrap()).unwrap();
        file.sync().unwrap();
    }
    assert_eq!(support::content(Arc::new(copy.clone())), support::content(Arc::new(memory)));
    support::load(Arc::new(copy.clone())).unwrap();
    assert!(verify(&copy).unwrap().is_sound());
}

#[test]
fn a_file_of_another_kind_is_told_as_text() {
    let memory = loaded();
    memory.damage("manifest", 0, b'C' ^ b'X').unwrap();
    memory.damage("manifest", 1, b'A' ^ 7).unwrap();
    let error = Snapshot::open(Arc::new(memory)).unwrap_err().to_string();
    assert!(error.contains(r#"magic is "X\x07RTMANI", expected "CARTMANI""#), "{error}");
}

#[test]
fn a_store_that_was_moved_away_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("shop");
    let directory: Arc<dyn Directory> = Arc::new(OsDirectory::open(&folder).unwrap());
    support::load(Arc::clone(&directory)).unwrap();
    let snapshot = Snapshot::open(directory).unwrap();
    std::fs::rename(&folder, parent.path().join("other")).unwrap();
    let error = snapshot.refresh().unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }), "{error:?}");
    let expected = format!("the store's folder {} can't be listed: No such file", folder.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn a_newer_format_is_named_with_its_version() {
    for file in loaded().list("").unwrap() {
        let memory = loaded();
        let mut bytes = memory.map(&file).unwrap().to_vec();
        bytes[8] = 9;
        // The framed files' headers have a checksum of their own: a newer one is sound, not damaged.
        if !file.starts_with("manifest") && !file.starts_with("segment") {
            let checksum = crc32c::crc32c(&bytes[..12]);
            bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        }
        memory.remove(&file).unwrap();
        memory.create(&file).unwrap().append(&bytes).unwrap();
        let error = StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options()).err();
        let error = error.or_else(|| Snapshot::open(Arc::new(memory)).err());
        let is_named = matches!(&error, Some(StoreError::UnknownVersion { file: named, got: 9, .. }) if *named == file);
        assert!(is_named, "{file}: {error:?}");
    }
}

#[test]
fn a_full_disk_stops_the_store_and_loses_nothing_once_there_is_room() {
    let memory = MemoryDirectory::new();
    let counting = FaultDirectory::new(Arc::new(memory.clone()), u64::MAX, Fault::Crash);
    support::load(Arc::new(counting.clone())).unwrap();
    let expected = support::content(Arc::new(memory));
    for at in 0..counting.operations() {
        let memory = MemoryDirectory::new();
        let full = FaultDirectory::new(Arc::new(memory.clone()), at, Fault::Full { lasts: 1 + at % 4 });
        // The last operations need no space.
        while let Err(error) = support::load(Arc::new(full.clone())) {
            assert!(error.to_string().contains("injected fault"), "operation {at}: {error}");
        }
        assert_eq!(support::content(Arc::new(memory)), expected, "operation {at}");
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
            assert!(matches!(errors[0], Some(StoreError::MissingManifest { .. })));
        }
        match &errors[1] {
            Some(StoreError::MissingFile { file: named }) => assert_eq!(*named, file),
            Some(StoreError::MissingManifest { .. }) => assert_eq!(file, "manifest"),
            other => panic!("{file}: {other:?}"),
        }
        let report = verify(&memory).unwrap();
        assert!(report.damage.iter().any(|damage| damage.file == file), "{file}: {:?}", report.damage);
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
