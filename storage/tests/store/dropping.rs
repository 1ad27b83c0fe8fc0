//! Rows that have grown too old: gone in one commit, never back.

use std::io::ErrorKind;
use std::sync::Arc;

use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{Snapshot, StoreError, WriterOptions, compact, drop_before, verify};

use crate::support::{self, Content};

fn loaded() -> (MemoryDirectory, Content) {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    let content = support::content(Arc::new(memory.clone()));
    (memory, content)
}

/// The time that so many of ten rows are older than.
fn limit(content: &Content, tenths: usize) -> i64 {
    let mut times: Vec<i64> = content.rows.iter().map(|row| row.0).collect();
    times.sort_unstable();
    times[times.len() * tenths / 10]
}

fn without_older(content: &Content, limit: i64) -> Content {
    let mut left = content.clone();
    left.rows.retain(|row| row.0 >= limit);
    let dropped = (content.rows.len() - left.rows.len()) as u64;
    left.totals.rows_stored -= dropped;
    left.totals.rows_dropped += dropped;
    left
}

#[test]
fn exactly_the_older_rows_go() {
    for tenths in 0..10 {
        let (memory, before) = loaded();
        let limit = limit(&before, tenths);
        let expected = without_older(&before, limit);
        let dropped = drop_before(Arc::new(memory.clone()), support::options(), limit).unwrap();
        assert_eq!(dropped.rows, expected.totals.rows_stored);
        assert_eq!(dropped.rows_dropped, expected.totals.rows_dropped);
        assert_eq!(support::content(Arc::new(memory.clone())), expected, "{tenths} tenths");
        assert!(expected.totals.is_balanced());
        assert!(verify(&memory).unwrap().is_sound());
        // Nothing is left of the files that went, and a second drop finds nothing.
        let segments = Snapshot::open(Arc::new(memory.clone())).unwrap().segments().len();
        let files = memory.list("").unwrap().iter().filter(|name| name.starts_with("segment-")).count();
        assert_eq!(files, segments);
        let generation = Snapshot::open(Arc::new(memory.clone())).unwrap().generation();
        let again = drop_before(Arc::new(memory.clone()), support::options(), limit).unwrap();
        assert_eq!((again.rows_dropped, again.rows), (0, dropped.rows));
        assert_eq!(Snapshot::open(Arc::new(memory.clone())).unwrap().generation(), generation);
    }
}

#[test]
fn whole_segments_go_as_files_and_readers_keep_them() {
    let (memory, before) = loaded();
    let reader = Snapshot::open(Arc::new(memory.clone())).unwrap();
    let dropped = drop_before(Arc::new(memory.clone()), support::options(), i64::MAX).unwrap();
    assert_eq!((dropped.rows, dropped.rows_dropped), (0, before.totals.rows_stored));
    assert_eq!((dropped.segments_dropped, dropped.segments_rewritten), (reader.segments().len() as u64, 0));
    assert_eq!(reader.segments().iter().map(|segment| segment.rows() as u64).sum::<u64>(), before.totals.rows_stored);
    assert_eq!(reader.refresh().unwrap().rows(), 0);
    assert_eq!(support::content(Arc::new(memory)), without_older(&before, i64::MAX));
}

#[test]
fn neither_the_log_nor_a_file_brings_a_dropped_row_back() {
    let (memory, before) = loaded();
    let limit = limit(&before, 6);
    drop_before(Arc::new(memory.clone()), support::options(), limit).unwrap();
    let expected = without_older(&before, limit);
    support::load(Arc::new(memory.clone())).unwrap();
    assert_eq!(support::content(Arc::new(memory.clone())), expected);
    // Merging and a later limit go on from there.
    compact(Arc::new(memory.clone()), WriterOptions { segment_rows: 1000, ..support::options() }, |_| {}).unwrap();
    assert_eq!(support::content(Arc::new(memory.clone())), expected);
    let later = self::limit(&before, 8);
    drop_before(Arc::new(memory.clone()), support::options(), later).unwrap();
    assert_eq!(support::content(Arc::new(memory)), without_older(&before, later));
}

#[test]
fn a_crash_at_every_operation_leaves_the_store_before_or_after() {
    let (memory, before) = loaded();
    let limit = limit(&before, 5);
    let after = without_older(&before, limit);
    let drop = |directory: Arc<dyn Directory>| drop_before(directory, support::options(), limit);
    let counting = FaultDirectory::new(Arc::new(memory.after_power_loss(0)), u64::MAX, Fault::Crash);
    let dropped = drop(Arc::new(counting.clone())).unwrap();
    assert!(dropped.segments_rewritten > 1, "{dropped:?}");
    let mut seen = [0, 0];
    for at in 0..counting.operations() {
        for fault in [Fault::Crash, Fault::TornCrash, Fault::Once(ErrorKind::StorageFull)] {
            for seed in [0, 1, at + 2] {
                let case = format!("{fault:?} at operation {at}, seed {seed}");
                let memory = memory.after_power_loss(0);
                let faulty = FaultDirectory::new(Arc::new(memory.clone()), at, fault);
                assert!(drop(Arc::new(faulty)).is_err(), "{case}");
                let cut_off = memory.after_power_loss(seed);
                let content = support::content(Arc::new(cut_off.clone()));
                assert!(content == before || content == after, "{case}");
                seen[usize::from(content == after)] += 1;
                drop(Arc::new(cut_off.clone())).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!(verify(&cut_off).unwrap().is_sound(), "{case}");
                assert_eq!(support::content(Arc::new(cut_off)), after, "{case}");
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn what_is_damaged_is_not_covered_up() {
    let (memory, before) = loaded();
    let name = memory.list("").unwrap().into_iter().find(|name| name.starts_with("segment-")).unwrap();
    let first = Snapshot::open(Arc::new(memory.clone())).unwrap().segments()[0].rows();
    let of_first = Content { rows: before.rows[..first].to_vec(), ..before };
    memory.damage(&name, memory.length(&name).unwrap() - 8, 1).unwrap();
    let found = verify(&memory).unwrap().damage;
    let error = drop_before(Arc::new(memory.clone()), support::options(), limit(&of_first, 5)).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { file, .. } if *file == name), "{error}");
    assert_eq!(verify(&memory).unwrap().damage, found);
    // As a whole it may go.
    drop_before(Arc::new(memory.clone()), support::options(), i64::MAX).unwrap();
    assert!(verify(&memory).unwrap().is_sound());
}

#[test]
fn one_at_a_time_and_only_where_a_store_is() {
    let absent = drop_before(Arc::new(MemoryDirectory::new()), support::options(), 0);
    assert!(matches!(absent, Err(StoreError::NoStore)));
    let (memory, _) = loaded();
    let _lock = memory.lock("lock").unwrap();
    let locked = drop_before(Arc::new(memory.clone()), support::options(), 0);
    assert!(matches!(locked, Err(StoreError::Locked)));
}
