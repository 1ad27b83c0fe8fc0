//! Damaged files made anew: only of what they were made of, through crashes, and readable until then.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{
    Delivery, Origin, Repair, RepairSummary, Snapshot, SourceRange, StoreError, WriterOptions, compact, drop_before,
    verify,
};

use crate::support::{self, Content};

fn loaded() -> (MemoryDirectory, Content) {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    let content = support::content(Arc::new(memory.clone()));
    (memory, content)
}

/// The deliveries of the load whose offsets and ranges an origin names, as a log gives them back.
fn read_again(repair: &Repair, origin: &Origin) -> Vec<Delivery> {
    let brands = repair.dictionary(1);
    let [span] = &origin.spans[..] else { panic!("{origin:?}") };
    let mut deliveries = BTreeMap::new();
    for number in span.start as u64..span.end as u64 {
        let delivery = support::block(&brands, number).unwrap();
        let range = delivery.range.clone().unwrap().range;
        let is_wanted = origin.sources().any(|source| {
            source.ranges.iter().any(|known| known.range.start <= range.start && range.end <= known.range.end)
        });
        if is_wanted {
            deliveries.entry(range.start).or_insert(delivery);
        }
    }
    deliveries.into_values().collect()
}

fn try_repair(directory: Arc<dyn Directory>) -> Result<RepairSummary, StoreError> {
    let mut repair = Repair::open(directory, &support::schema(), support::options())?;
    for number in 0..repair.lost().len() {
        let origins = repair.lost()[number].origins.clone();
        let origins = origins.iter().map(|origin| read_again(&repair, origin)).collect();
        repair.rebuild(number, origins)?;
    }
    if repair.lost_rejects().is_some() {
        let rejects: Vec<_> = (0..support::DELIVERIES).flat_map(support::rejects).collect();
        repair.rebuild_rejects(&rejects)?;
    }
    repair.commit()
}

/// Something that makes deliveries others than they were.
type Change = fn(&mut Vec<Delivery>);

fn segments(memory: &MemoryDirectory) -> Vec<String> {
    memory.list("").unwrap().into_iter().filter(|name| name.starts_with("segment-")).collect()
}

#[test]
fn every_file_but_the_manifest_is_made_anew() {
    let (memory, before) = loaded();
    for file in memory.list("").unwrap().into_iter().filter(|name| name != "manifest" && name != "lock") {
        for is_absent in [false, true] {
            let memory = memory.after_power_loss(0);
            if is_absent {
                memory.remove(&file).unwrap();
                memory.sync_directory("").unwrap();
            } else {
                memory.damage(&file, memory.length(&file).unwrap() - 8, 4).unwrap();
            }
            assert!(!verify(&memory).unwrap().is_sound(), "{file}");
            let summary = try_repair(Arc::new(memory.clone())).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(summary.replaced.contains(&file), "{file}: {summary:?}");
            assert!(verify(&memory).unwrap().is_sound(), "{file}");
            assert_eq!(support::content(Arc::new(memory.clone())), before, "{file}");
            assert!(!memory.exists(&file).unwrap(), "{file} is still there");
            support::load(Arc::new(memory.clone())).unwrap();
            assert_eq!(support::content(Arc::new(memory)), before, "{file}");
        }
    }
}

#[test]
fn a_sound_store_stays_as_it_is() {
    let (memory, before) = loaded();
    let generation = Snapshot::open(Arc::new(memory.clone())).unwrap().generation();
    assert_eq!(try_repair(Arc::new(memory.clone())).unwrap(), RepairSummary::default());
    assert_eq!(support::content(Arc::new(memory.clone())), before);
    assert_eq!(Snapshot::open(Arc::new(memory)).unwrap().generation(), generation);
}

#[test]
fn a_store_that_was_merged_and_cut_by_time_is_made_anew() {
    let (memory, before) = loaded();
    let mut times: Vec<i64> = before.rows.iter().map(|row| row.0).collect();
    times.sort_unstable();
    let limit = times[times.len() / 2];
    drop_before(Arc::new(memory.clone()), support::options(), limit).unwrap();
    compact(Arc::new(memory.clone()), WriterOptions { segment_rows: 1000, ..support::options() }, |_| {}).unwrap();
    let expected = support::content(Arc::new(memory.clone()));
    let [segment] = <[String; 1]>::try_from(segments(&memory)).unwrap();
    memory.damage(&segment, 70, 1).unwrap();
    assert!(Snapshot::open(Arc::new(memory.clone())).is_err());
    assert_eq!(try_repair(Arc::new(memory.clone())).unwrap().rows, expected.totals.rows_stored);
    assert_eq!(support::content(Arc::new(memory)), expected);
}

#[test]
fn what_is_not_what_it_was_is_refused_and_nothing_changes() {
    let (memory, before) = loaded();
    let segment = segments(&memory)[1].clone();
    memory.damage(&segment, memory.length(&segment).unwrap() - 8, 4).unwrap();
    let damage = verify(&memory).unwrap().damage;
    let changes: [(&str, Change); 5] = [
        ("were not found", |deliveries| drop(deliveries.pop())),
        ("were not found, or are others", |deliveries| deliveries[0].range.as_mut().unwrap().crc32c ^= 1),
        ("more was found", |deliveries| {
            let range = SourceRange { source: "other".into(), name: "b".into(), range: 0..5, crc32c: 1 };
            let more = Delivery { range: Some(range), ..deliveries[0].clone() };
            deliveries.push(more);
        }),
        ("overlap", |deliveries| deliveries.push(deliveries[0].clone())),
        ("rows were found of", |deliveries| {
            let more = Delivery { range: None, ..deliveries[0].clone() };
            deliveries.push(more);
        }),
    ];
    for (expected, change) in changes {
        let mut repair = Repair::open(Arc::new(memory.clone()), &support::schema(), support::options()).unwrap();
        assert_eq!(repair.report().damage, damage);
        let origins = repair.lost()[0].origins.clone();
        let mut deliveries: Vec<_> = origins.iter().map(|origin| read_again(&repair, origin)).collect();
        change(&mut deliveries[0]);
        let error = repair.rebuild(0, deliveries).unwrap_err();
        assert!(
            matches!(&error, StoreError::NotTheRows { file, what } if *file == segment && what.contains(expected)),
            "{error}"
        );
        assert_eq!(repair.commit().unwrap(), RepairSummary::default());
        assert_eq!(verify(&memory).unwrap().damage, damage);
    }
    try_repair(Arc::new(memory.clone())).unwrap();
    assert_eq!(support::content(Arc::new(memory)), before);
}

#[test]
fn a_crash_at_every_operation_leaves_the_damaged_store_or_the_repaired_one() {
    let (memory, before) = loaded();
    for file in [segments(&memory)[1].clone(), "dictionary-00000001".to_owned()] {
        let damaged = memory.after_power_loss(0);
        damaged.damage(&file, damaged.length(&file).unwrap() - 8, 4).unwrap();
        let damage = verify(&damaged).unwrap().damage;
        let counting = FaultDirectory::new(Arc::new(damaged.after_power_loss(0)), u64::MAX, Fault::Crash);
        try_repair(Arc::new(counting.clone())).unwrap();
        for at in 0..counting.operations() {
            for fault in [Fault::Crash, Fault::TornCrash, Fault::Once(ErrorKind::StorageFull)] {
                for seed in [0, 1, at + 2] {
                    let case = format!("{file}, {fault:?} at operation {at}, seed {seed}");
                    let memory = damaged.after_power_loss(0);
                    let faulty = FaultDirectory::new(Arc::new(memory.clone()), at, fault);
                    assert!(try_repair(Arc::new(faulty)).is_err(), "{case}");
                    let cut_off = memory.after_power_loss(seed);
                    let left = verify(&cut_off).unwrap().damage;
                    assert!(left == damage || left.is_empty(), "{case}: {left:?}");
                    try_repair(Arc::new(cut_off.clone())).unwrap_or_else(|error| panic!("{case}: {error}"));
                    assert!(verify(&cut_off).unwrap().is_sound(), "{case}");
                    assert_eq!(support::content(Arc::new(cut_off)), before, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_damaged_dictionary_takes_all_segments_or_none() {
    let (memory, _) = loaded();
    memory.damage("dictionary-00000001", 40, 1).unwrap();
    let damage = verify(&memory).unwrap().damage;
    let mut repair = Repair::open(Arc::new(memory.clone()), &support::schema(), support::options()).unwrap();
    assert_eq!(repair.lost().len(), segments(&memory).len());
    let origins = repair.lost()[0].origins.clone();
    let origins = origins.iter().map(|origin| read_again(&repair, origin)).collect();
    repair.rebuild(0, origins).unwrap();
    assert_eq!(repair.commit().unwrap(), RepairSummary::default());
    assert_eq!(verify(&memory).unwrap().damage, damage);
}

#[test]
fn a_damaged_manifest_is_not_guessed_at() {
    let (memory, _) = loaded();
    memory.damage("manifest", 60, 1).unwrap();
    let files = memory.list("").unwrap();
    let error = try_repair(Arc::new(memory.clone())).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { file, .. } if file == "manifest"), "{error}");
    assert_eq!(memory.list("").unwrap(), files);
    assert!(matches!(try_repair(Arc::new(MemoryDirectory::new())), Err(StoreError::NoStore)));
}
