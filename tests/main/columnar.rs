//! Parquet and ORC files as sources: the same rows as from CSV, known again, rejected by their rows.

use std::fs;
use std::path::{Path, PathBuf};

use cartlog::export::events::{EventBatches, Mapping, write_events};
use cartlog::export::{AtomicFile, Compression, WriteOptions, format};
use cartlog::pipeline::{Interrupt, LoadPlan, LoadSummary, LogPlan, NoProgress, PipelineError, load, store_directory};
use tempfile::tempdir;

use crate::brokers::log;
use crate::events::{file, lines, text};
use crate::stored::{rows, snapshot, sorted_rows};

fn try_load(store: &Path, log: Option<&LogPlan>, input: &Path) -> Result<LoadSummary, PipelineError> {
    let plan = LoadPlan::new(vec![text(input)], store_directory(store), log.cloned());
    load(&plan, &NoProgress, &Interrupt::default())
}

/// Rows read, stored, rejected, duplicate.
fn counts(summary: &LoadSummary) -> (u64, u64, u64, u64) {
    let rows = summary.rows;
    (rows.rows_read, rows.rows_stored, rows.rows_rejected, rows.rows_duplicate)
}

/// Writes a store's rows as a file.
fn export(store: &Path, path: &Path, typed_time: bool, compression: Option<Compression>) {
    let format = format(path.extension().unwrap().to_str().unwrap()).unwrap();
    let snapshot = snapshot(store);
    let batches = EventBatches::new(&snapshot, Mapping::of_format(format.name(), typed_time)).unwrap();
    let sink = Box::new(AtomicFile::create(path).unwrap());
    let mut options = WriteOptions::default();
    options.compression = compression;
    write_events(batches, format, sink, options).unwrap();
}

/// A store of some rows, and files with the same rows.
fn files(folder: &Path) -> (PathBuf, Vec<PathBuf>) {
    let store = folder.join("csv");
    let special = "2019-10-01 00:00:00.250 UTC,view,-5,-9223372036854775808,,\"a, \"\"b\"\"\",0.1000,9223372036854775807,\n\
                   1969-12-31 23:59:58.5 UTC,cart,1,1,c.d,\u{e9},0,0,not a uuid\n";
    let path = file(folder, "events.csv", &format!("{}{special}", lines(1, 20_000)));
    assert_eq!(counts(&try_load(&store, None, &path).unwrap()), (20_002, 20_002, 0, 0));
    let mut made = Vec::new();
    for (name, typed_time, compression) in [
        ("zstd.parquet", false, None),
        ("snappy.parquet", false, Some(Compression::Snappy)),
        ("zstd.orc", false, None),
        ("zlib.orc", true, Some(Compression::Zlib)),
        ("plain.orc", true, Some(Compression::None)),
    ] {
        let path = folder.join(name);
        export(&store, &path, typed_time, compression);
        made.push(path);
    }
    (store, made)
}

#[test]
fn a_columnar_file_loads_as_the_same_rows_of_csv_do() {
    let folder = tempdir().unwrap();
    let (csv, files) = files(folder.path());
    for path in files {
        let store = folder.path().join("store");
        let first = counts(&try_load(&store, None, &path).unwrap());
        assert_eq!(first, (20_002, 20_002, 0, 0), "{}", path.display());
        assert_eq!(rows(&store), rows(&csv), "{}", path.display());
        let renamed = folder.path().join("another name");
        fs::rename(&path, &renamed).unwrap();
        assert_eq!(counts(&try_load(&store, None, &renamed).unwrap()), (20_002, 0, 0, 20_002), "{}", path.display());
        fs::remove_dir_all(&store).unwrap();
    }
}

#[test]
fn a_columnar_file_goes_through_the_log() {
    let folder = tempdir().unwrap();
    let (csv, files) = files(folder.path());
    let log = log("columnar", folder.path());
    let store = folder.path().join("store");
    for (number, path) in files.iter().enumerate() {
        let stored = if number == 0 { 20_002 } else { 0 };
        if number < 2 {
            // The same rows are the same text, whichever of the two compressions they were in.
            let summary = try_load(&store, Some(&log.plan), path).unwrap();
            assert_eq!(counts(&summary), (20_002, stored, 0, 20_002 - stored), "{}", path.display());
        }
    }
    assert_eq!(sorted_rows(&store), sorted_rows(&csv));
}

#[test]
fn damaged_orc_is_told_and_ends_nothing() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("csv");
    let path = file(folder.path(), "events.csv", &lines(1, 300));
    try_load(&store, None, &path).unwrap();
    for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
        let orc = folder.path().join("events.orc");
        export(&store, &orc, true, Some(compression));
        let bytes = fs::read(&orc).unwrap();
        let damaged = folder.path().join("damaged.orc");
        let mut told = 0;
        for at in (3..bytes.len()).step_by(bytes.len() / 40 + 1) {
            for flipped in [0x01, 0x80, 0xFF] {
                let mut wrong = bytes.clone();
                wrong[at] ^= flipped;
                fs::write(&damaged, &wrong).unwrap();
                let loaded = try_load(&folder.path().join(format!("{at}-{flipped}")), None, &damaged);
                told += usize::from(loaded.is_err());
            }
            fs::write(&damaged, &bytes[..at]).unwrap();
            let error = try_load(&folder.path().join(format!("{at}-cut")), None, &damaged).unwrap_err().to_string();
            assert!(error.contains("the ORC file is damaged after row 0"), "{error}");
        }
        assert!(told > 10, "{told} faults were noticed");
    }
}
