//! Small segments that become large ones, beside readers and through crashes.

use std::io::ErrorKind;
use std::sync::Arc;

use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{Snapshot, StoreError, StoreWriter, WriterOptions, compact, verify};

use crate::support::{self, Content};

/// Segments large enough for the whole load, so that the writer merges all it commits.
fn options() -> WriterOptions {
    WriterOptions { segment_rows: 100_000, ..support::options() }
}

/// The load, with a commit after each delivery.
fn load(directory: Arc<dyn Directory>, options: WriterOptions) -> Result<(), StoreError> {
    let writer = StoreWriter::open(directory, support::schema(), options)?;
    for number in support::next(&writer)..support::DELIVERIES {
        writer.append(support::delivery(&writer, number)?)?;
        writer.commit()?;
    }
    writer.close().map(|_| ())
}

fn segments(directory: &MemoryDirectory) -> usize {
    Snapshot::open(Arc::new(directory.clone())).unwrap().segments().len()
}

/// A store of many small segments that nobody has merged.
fn scattered() -> (MemoryDirectory, Content) {
    let memory = MemoryDirectory::new();
    // A full segment is smaller than any: nothing fits together.
    load(Arc::new(memory.clone()), WriterOptions { segment_rows: 1, ..support::options() }).unwrap();
    assert!(segments(&memory) > 15);
    let content = support::content(Arc::new(memory.clone()));
    (memory, content)
}

#[test]
fn a_writer_merges_what_it_commits() {
    let (_, expected) = scattered();
    let memory = MemoryDirectory::new();
    load(Arc::new(memory.clone()), options()).unwrap();
    assert!(segments(&memory) < 12, "{}", segments(&memory));
    assert_eq!(support::content(Arc::new(memory.clone())), expected);
    assert!(verify(&memory).unwrap().is_sound());
    // Nothing is left of those that were merged.
    let files = memory.list("").unwrap().iter().filter(|name| name.starts_with("segment-")).count();
    assert_eq!(files, segments(&memory));
}

#[test]
fn a_crash_at_every_operation_of_a_merging_writer_changes_nothing() {
    let (_, expected) = scattered();
    let counting = FaultDirectory::new(Arc::new(MemoryDirectory::new()), u64::MAX, Fault::Crash);
    load(Arc::new(counting.clone()), options()).unwrap();
    for at in 0..counting.operations() {
        for (fault, seed) in [(Fault::Crash, 0), (Fault::Crash, at + 2), (Fault::TornCrash, at + 1000)] {
            let case = format!("{fault:?} at operation {at}, seed {seed}");
            let memory = MemoryDirectory::new();
            let faulty = FaultDirectory::new(Arc::new(memory.clone()), at, fault);
            assert!(load(Arc::new(faulty), options()).is_err(), "{case}");
            let after = memory.after_power_loss(seed);
            load(Arc::new(after.clone()), options()).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(verify(&after).unwrap().is_sound(), "{case}");
            assert_eq!(support::content(Arc::new(after)), expected, "{case}");
        }
    }
}

#[test]
fn compacting_keeps_every_row_in_its_place() {
    let (memory, expected) = scattered();
    let before = Snapshot::open(Arc::new(memory.clone())).unwrap();
    let mut told = Vec::new();
    let summary = compact(Arc::new(memory.clone()), options(), |progress| told.push(*progress)).unwrap();
    assert_eq!((summary.segments_before, summary.segments_after), (before.segments().len(), 1));
    assert_eq!(
        (summary.rows_merged, summary.rows_to_merge, summary.rows),
        (before.rows(), before.rows(), before.rows())
    );
    assert!(summary.bytes_after < summary.bytes_before, "{summary:?}");
    assert_eq!((told.len(), told.last()), (2, Some(&summary)));
    assert_eq!(support::content(Arc::new(memory.clone())), expected);
    // The reader from before goes on, and sees the new segments when it asks.
    assert_eq!(before.segments().iter().map(|segment| segment.rows() as u64).sum::<u64>(), before.rows());
    assert_eq!(before.refresh().unwrap().segments().len(), 1);
    // There is nothing more to do.
    let again = compact(Arc::new(memory.clone()), options(), |_| {}).unwrap();
    assert_eq!((again.rows_merged, again.segments_after), (0, 1));
    // And the load goes on where it was.
    load(Arc::new(memory.clone()), options()).unwrap();
    assert_eq!(support::content(Arc::new(memory)), expected);
}

#[test]
fn a_crash_at_every_operation_of_a_compaction_changes_nothing() {
    let (scattered, expected) = scattered();
    let small = || WriterOptions { segment_rows: 60, ..support::options() };
    let counting = FaultDirectory::new(Arc::new(scattered.after_power_loss(0)), u64::MAX, Fault::Crash);
    compact(Arc::new(counting.clone()), small(), |_| {}).unwrap();
    assert!(counting.operations() > 30);
    for at in 0..counting.operations() {
        for fault in [Fault::Crash, Fault::TornCrash, Fault::Once(ErrorKind::StorageFull)] {
            for seed in [0, at + 2] {
                let case = format!("{fault:?} at operation {at}, seed {seed}");
                let memory = scattered.after_power_loss(0);
                let faulty = FaultDirectory::new(Arc::new(memory.clone()), at, fault);
                assert!(compact(Arc::new(faulty), small(), |_| {}).is_err(), "{case}");
                let after = memory.after_power_loss(seed);
                assert_eq!(support::content(Arc::new(after.clone())), expected, "{case}");
                compact(Arc::new(after.clone()), small(), |_| {}).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!(support::content(Arc::new(after.clone())), expected, "{case}");
                assert!(verify(&after).unwrap().is_sound(), "{case}");
            }
        }
    }
}

#[test]
fn what_is_damaged_is_not_covered_up() {
    let (memory, _) = scattered();
    let name = memory.list("").unwrap().into_iter().find(|name| name.starts_with("segment-")).unwrap();
    let length = memory.length(&name).unwrap();
    memory.damage(&name, length - 8, 1).unwrap();
    let before = verify(&memory).unwrap().damage;
    assert_eq!(before.len(), 1);
    let error = compact(Arc::new(memory.clone()), options(), |_| {}).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { file, .. } if *file == name), "{error}");
    assert_eq!(verify(&memory).unwrap().damage, before);
}

#[test]
fn one_at_a_time() {
    let (memory, _) = scattered();
    let writer = StoreWriter::open(Arc::new(memory.clone()), support::schema(), options()).unwrap();
    assert!(matches!(compact(Arc::new(memory.clone()), options(), |_| {}), Err(StoreError::Locked)));
    drop(writer);
    compact(Arc::new(memory), options(), |_| {}).unwrap();
    assert!(matches!(compact(Arc::new(MemoryDirectory::new()), options(), |_| {}), Err(StoreError::NoStore)));
}
