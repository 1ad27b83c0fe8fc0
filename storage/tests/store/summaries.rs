//! Summaries: kept beside the segment that they are of, and passed over by whoever doesn't find it there.

use std::io::ErrorKind;
use std::sync::Arc;

use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{
    Batch, ColumnValues, ColumnView, Segment, Snapshot, StoreError, Summary, SummaryKind, WriterOptions, compact,
    remove_stale_summaries, remove_summaries, verify,
};

use crate::support;

/// How many rows have each brand and price.
const BRANDS: SummaryKind = SummaryKind { name: "brands", columns: &[1, 2] };

fn loaded() -> (MemoryDirectory, Snapshot) {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    let snapshot = Snapshot::open(Arc::new(memory.clone())).unwrap();
    (memory, snapshot)
}

/// One row for all of a segment's, which is what no summary would be, but tells segments apart.
fn summary_of(segment: &Segment) -> Batch {
    Batch { columns: vec![ColumnValues::Codes(vec![1]), integer(7), integer(segment.rows() as i64)], rows: 1 }
}

/// The files in the folder, but for the lock, which is one in some folders.
fn files(memory: &MemoryDirectory) -> Vec<String> {
    memory.list("summaries").unwrap().into_iter().filter(|name| name != "lock").collect()
}

fn integer(value: i64) -> ColumnValues {
    ColumnValues::Integers(vec![value])
}

fn keep_all(snapshot: &Snapshot) -> Result<(), StoreError> {
    let writer = snapshot.keep_summaries()?.unwrap();
    for (place, segment) in snapshot.segments().iter().enumerate() {
        if place == 0 {
            writer.decline(place, &BRANDS)?;
        } else {
            assert!(writer.keep(place, &BRANDS, &summary_of(segment))? > 0);
        }
    }
    Ok(())
}

/// The segments that have a sound summary; checks that each is its own.
fn kept(snapshot: &Snapshot, case: &str) -> Vec<usize> {
    // What isn't sound is passed over.
    let summary = |place: usize| snapshot.summary(place, &BRANDS).unwrap_or_default();
    let mut kept = Vec::new();
    for (place, segment) in snapshot.segments().iter().enumerate() {
        match summary(place) {
            None => {}
            Some(Summary::Declined) => assert_eq!(place, 0, "{case}"),
            Some(Summary::Rows(rows)) => {
                let ColumnView::Integers(counts) = rows.column(2) else { panic!("{case}: counts are integers") };
                assert_eq!(counts.get(0), segment.rows() as i64, "{case}");
                kept.push(place);
            }
        }
    }
    kept
}

#[test]
fn a_summary_is_found_by_its_segment_and_goes_with_it() {
    let (memory, snapshot) = loaded();
    assert!(kept(&snapshot, "none").is_empty());
    assert_eq!(verify(&memory).unwrap().summaries, None);
    keep_all(&snapshot).unwrap();
    let all: Vec<usize> = (1..snapshot.segments().len()).collect();
    assert!(all.len() > 2);
    assert_eq!(kept(&snapshot, "kept"), all);
    let report = verify(&memory).unwrap();
    let summaries = report.summaries.clone().unwrap();
    assert!(report.is_sound() && summaries.damage.is_empty() && summaries.bytes > 0, "{report:?}");
    assert_eq!(summaries.files as usize, all.len() + 1);
    assert_eq!(remove_stale_summaries(&memory).unwrap(), 0);

    // Merged, the segments are others.
    let options = WriterOptions { segment_rows: 1000, ..support::options() };
    assert!(compact(Arc::new(memory.clone()), options, |_| {}).unwrap().rows_merged > 0);
    let merged = snapshot.refresh().unwrap();
    assert!(kept(&merged, "merged").is_empty());
    assert_eq!(verify(&memory).unwrap().summaries, None);
    assert_eq!(remove_stale_summaries(&memory).unwrap(), summaries.bytes);
    assert!(kept(&snapshot, "removed").is_empty());
    keep_all(&merged).unwrap();
    assert_eq!(files(&memory).len(), merged.segments().len());
    remove_summaries(&memory).unwrap();
    assert!(files(&memory).is_empty());
}

#[test]
fn one_at_a_time_keeps_summaries() {
    let (memory, snapshot) = loaded();
    let writer = snapshot.keep_summaries().unwrap();
    assert!(matches!(snapshot.keep_summaries(), Err(StoreError::Locked)));
    assert!(matches!(remove_summaries(&memory), Err(StoreError::Locked)));
    assert_eq!(remove_stale_summaries(&memory).unwrap(), 0);
    drop(writer);
    keep_all(&snapshot).unwrap();
    assert!(Snapshot::in_memory(support::schema(), Vec::new(), Vec::new()).keep_summaries().unwrap().is_none());
}

#[test]
fn every_flipped_bit_is_found_by_reader_and_verify() {
    let (memory, snapshot) = loaded();
    keep_all(&snapshot).unwrap();
    let last = snapshot.segments().len() - 1;
    let name = files(&memory).into_iter().rfind(|name| name.ends_with("-brands")).unwrap();
    let path = format!("summaries/{name}");
    for offset in 0..memory.length(&path).unwrap() {
        let (case, mask) = (format!("byte {offset}"), 1 << (offset % 8));
        memory.damage(&path, offset, mask).unwrap();
        let report = verify(&memory).unwrap();
        assert!(report.is_sound(), "{case}: {:?}", report.damage);
        let damage = report.summaries.unwrap().damage;
        assert!(damage.len() == 1 && damage[0].contains(&path), "{case}: {damage:?}");
        let error = snapshot.summary(last, &BRANDS).unwrap_err();
        assert!(error.to_string().contains(&path), "{case}: {error}");
        memory.damage(&path, offset, mask).unwrap();
    }
    assert_eq!(kept(&snapshot, "mended").last(), Some(&last));
    // A code that the dictionary doesn't have.
    let beyond = Batch { columns: vec![ColumnValues::Codes(vec![1000]), integer(7), integer(1)], rows: 1 };
    snapshot.keep_summaries().unwrap().unwrap().keep(last, &BRANDS, &beyond).unwrap();
    assert!(snapshot.summary(last, &BRANDS).is_err());
}

#[test]
fn a_crash_at_every_operation_leaves_no_wrong_summary() {
    let (loaded, _) = loaded();
    let keep = |directory: FaultDirectory| keep_all(&Snapshot::open(Arc::new(directory))?);
    let counting = FaultDirectory::new(Arc::new(loaded.after_power_loss(0)), u64::MAX, Fault::Crash);
    keep(counting.clone()).unwrap();
    assert!(counting.operations() > 20);
    let mut seen = Vec::new();
    for at in 0..counting.operations() {
        for fault in [Fault::Crash, Fault::TornCrash, Fault::Once(ErrorKind::StorageFull)] {
            for seed in [0, 1, at + 2] {
                let case = format!("{fault:?} at operation {at}, seed {seed}");
                let memory = loaded.after_power_loss(0);
                assert!(keep(FaultDirectory::new(Arc::new(memory.clone()), at, fault)).is_err(), "{case}");
                let after = memory.after_power_loss(seed);
                let snapshot = Snapshot::open(Arc::new(after.clone())).unwrap();
                seen.push(kept(&snapshot, &case).len());
                assert!(verify(&after).unwrap().is_sound(), "{case}");
                keep_all(&snapshot).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!(kept(&snapshot, &case).len(), snapshot.segments().len() - 1, "{case}");
                assert_eq!(files(&after).len(), snapshot.segments().len(), "{case}");
            }
        }
    }
    assert!(seen.contains(&0) && seen.iter().any(|count| *count > 1), "{seen:?}");
}
