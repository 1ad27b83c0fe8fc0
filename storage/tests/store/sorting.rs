//! The sorted copy: the same rows in order, or no copy at all.

use std::io::ErrorKind;
use std::sync::Arc;

use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{
    Snapshot, SortOptions, SortOrder, SortSummary, StoreError, StoreWriter, WriterOptions, compact, drop_before,
    remove_copy, remove_stale_copy, sort_copy, verify,
};

use crate::support::{self, Content};

/// By price, and by session within.
const ORDER: SortOrder = SortOrder { column: 2, within: 3 };

/// What may become of a store's segments.
type Change<'a> = &'a dyn Fn(Arc<dyn Directory>);

fn options() -> SortOptions {
    SortOptions { segment_rows: 40, threads: 1, memory: 0 }
}

fn sort(directory: impl Directory) -> Result<SortSummary, StoreError> {
    let directory: Arc<dyn Directory> = Arc::new(directory);
    sort_copy(&directory, ORDER, &options(), |_| {})
}

fn loaded() -> (MemoryDirectory, Content) {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    let content = support::content(Arc::new(memory.clone()));
    (memory, content)
}

/// Checks that the copy, if there is one, holds the rows that it stands for, in order; whether there is one.
fn check_copy(memory: &MemoryDirectory, case: &str) -> bool {
    let snapshot = Snapshot::open(Arc::new(memory.clone())).unwrap_or_else(|error| panic!("{case}: {error}"));
    let Some(copy) = snapshot.sorted() else { return false };
    let mut copied = support::rows(&snapshot, copy.segments());
    assert!(copied.is_sorted_by_key(|row| row.2), "{case}");
    let replaced: Vec<_> = copy.replaced().iter().map(|place| snapshot.segments()[*place].clone()).collect();
    let mut expected = support::rows(&snapshot, &replaced);
    copied.sort();
    expected.sort();
    assert_eq!(copied, expected, "{case}");
    true
}

fn files(memory: &MemoryDirectory) -> usize {
    memory.list("sorted").unwrap().len()
}

#[test]
fn a_copy_holds_the_same_rows_in_order_and_is_built_once() {
    let (memory, content) = loaded();
    let directory: Arc<dyn Directory> = Arc::new(memory.clone());
    let told = std::sync::Mutex::new(Vec::new());
    let built = sort_copy(&directory, ORDER, &options(), |so_far| told.lock().unwrap().push(*so_far)).unwrap();
    assert!(check_copy(&memory, "built"));
    assert_eq!(built.rows + built.rows_left_out, content.rows.len() as u64);
    assert_eq!(built.rows_sorted, built.rows);
    assert!(built.is_current && built.segments > 3 && built.bytes > 0, "{built:?}");
    assert_eq!(files(&memory), built.segments + 1);
    let told = told.into_inner().unwrap();
    assert!(told.is_sorted_by_key(|so_far| so_far.rows_sorted));
    assert_eq!(told.last(), Some(&built));
    // Nothing else has changed, and a second time there is nothing to do.
    assert_eq!(support::content(Arc::new(memory.clone())), content);
    assert_eq!(sort(memory.clone()).unwrap(), SortSummary { rows_sorted: 0, ..built });
    let report = verify(&memory).unwrap();
    let copy = report.sorted.clone().unwrap();
    assert!(report.is_sound() && copy.is_current && copy.damage.is_empty(), "{report:?}");
    assert_eq!((copy.rows, copy.segments, copy.bytes), (built.rows, built.segments, built.bytes));
    // By several threads, and with room for all lists, it is the same.
    remove_copy(&memory).unwrap();
    let options = SortOptions { threads: 3, memory: 1 << 30, ..options() };
    assert_eq!(sort_copy(&directory, ORDER, &options, |_| {}).unwrap(), built);
    assert!(check_copy(&memory, "three threads"));
}

#[test]
fn a_store_that_grows_keeps_its_copy() {
    let memory = MemoryDirectory::new();
    // A full segment is smaller than any, so that none is merged.
    let options = WriterOptions { segment_rows: 1, ..support::options() };
    let writer = StoreWriter::open(Arc::new(memory.clone()), support::schema(), options).unwrap();
    let mut built = Vec::new();
    for number in 0..support::DELIVERIES {
        writer.append(support::delivery(&writer, number).unwrap()).unwrap();
        writer.commit().unwrap();
        if number % 8 == 7 {
            // Beside the writer, which holds the store's lock.
            built.push(sort(memory.clone()).unwrap());
        }
        assert_eq!(check_copy(&memory, &format!("delivery {number}")), number >= 7);
    }
    drop(writer);
    assert!(built.is_sorted_by_key(|built| built.rows) && built[0].rows < built[2].rows, "{built:?}");
    assert_eq!(files(&memory), built[2].segments + 1);
}

#[test]
fn a_copy_of_what_is_gone_does_not_count_and_goes() {
    let larger = || WriterOptions { segment_rows: 1000, ..support::options() };
    let changes: [(&str, Change<'_>); 2] = [
        ("merged", &|directory| assert!(compact(directory, larger(), |_| {}).unwrap().rows_merged > 0)),
        ("dropped", &|directory| {
            let dropped = drop_before(directory, support::options(), 1_570_000_100_000).unwrap();
            assert!(dropped.rows_dropped > 0 && dropped.rows > 0);
        }),
    ];
    for (case, change) in changes {
        let (memory, _) = loaded();
        let built = sort(memory.clone()).unwrap();
        let reader = Snapshot::open(Arc::new(memory.clone())).unwrap();
        change(Arc::new(memory.clone()));
        assert!(!check_copy(&memory, case));
        let report = verify(&memory).unwrap();
        assert!(report.is_sound() && !report.sorted.unwrap().is_current, "{case}");
        assert!(remove_stale_copy(&memory).unwrap() > built.bytes, "{case}");
        assert_eq!(files(&memory), 0, "{case}");
        assert_eq!(remove_stale_copy(&memory).unwrap(), 0, "{case}");
        assert_eq!(verify(&memory).unwrap().sorted, None, "{case}");
        // Who has it open reads on.
        let copy = reader.sorted().unwrap();
        assert_eq!(support::rows(&reader, copy.segments()).len() as u64, built.rows, "{case}");
        assert!(reader.refresh().unwrap().sorted().is_none(), "{case}");
        assert!(sort(memory.clone()).unwrap().rows_sorted > 0, "{case}");
        assert!(check_copy(&memory, case));
        assert_eq!(remove_stale_copy(&memory).unwrap(), 0, "{case}");
        assert!(check_copy(&memory, case));
    }
}

#[test]
fn a_damaged_copy_is_no_error_and_verify_says_so() {
    let (memory, content) = loaded();
    sort(memory.clone()).unwrap();
    let mut passed_over = 0;
    for name in memory.list("sorted").unwrap() {
        let path = format!("sorted/{name}");
        for offset in (0..memory.length(&path).unwrap()).step_by(11) {
            let (case, mask) = (format!("{path} byte {offset}"), 1 << (offset % 8));
            memory.damage(&path, offset, mask).unwrap();
            let snapshot = Snapshot::open(Arc::new(memory.clone())).unwrap_or_else(|error| panic!("{case}: {error}"));
            passed_over += usize::from(snapshot.sorted().is_none());
            let report = verify(&memory).unwrap();
            assert!(report.is_sound(), "{case}: {:?}", report.damage);
            let damage = report.sorted.unwrap().damage;
            assert!(damage.len() == 1 && damage[0].contains(&path), "{case}: {damage:?}");
            memory.damage(&path, offset, mask).unwrap();
        }
    }
    assert!(passed_over > 20, "{passed_over}");
    // It is built again then, and not before.
    let name = memory.list("sorted").unwrap().pop().unwrap();
    memory.damage(&format!("sorted/{name}"), memory.length(&format!("sorted/{name}")).unwrap() - 8, 1).unwrap();
    assert!(sort(memory.clone()).unwrap().rows_sorted > 0);
    assert_eq!(sort(memory.clone()).unwrap().rows_sorted, 0);
    assert!(verify(&memory).unwrap().sorted.unwrap().damage.is_empty());
    // Nor is an absent file an error.
    let name = memory.list("sorted").unwrap().pop().unwrap();
    memory.remove(&format!("sorted/{name}")).unwrap();
    assert!(!check_copy(&memory, "absent"));
    assert!(sort(memory.clone()).unwrap().rows_sorted > 0);
    assert!(check_copy(&memory, "made anew"));
    assert_eq!(support::content(Arc::new(memory)), content);
}

#[test]
fn what_is_damaged_is_not_covered_up() {
    let (memory, _) = loaded();
    let name = memory.list("").unwrap().into_iter().find(|name| name.starts_with("segment-")).unwrap();
    memory.damage(&name, memory.length(&name).unwrap() - 8, 1).unwrap();
    let error = sort(memory.clone()).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { file, .. } if *file == name), "{error}");
    assert!(!check_copy(&memory, "damaged"));
    assert_eq!(files(&memory), 0);
}

#[test]
fn a_crash_at_every_operation_leaves_the_store_as_it_was() {
    let (loaded, content) = loaded();
    // Over an earlier copy that still counts, and over none.
    let with_copy = loaded.after_power_loss(0);
    sort(with_copy.clone()).unwrap();
    let name = with_copy.list("sorted").unwrap().pop().unwrap();
    with_copy.remove(&format!("sorted/{name}")).unwrap();
    with_copy.sync_directory("sorted").unwrap();
    let mut seen = [0, 0];
    for before in [loaded, with_copy] {
        let counting = FaultDirectory::new(Arc::new(before.after_power_loss(0)), u64::MAX, Fault::Crash);
        sort(counting.clone()).unwrap();
        assert!(counting.operations() > 20);
        for at in 0..counting.operations() {
            for fault in [Fault::Crash, Fault::TornCrash, Fault::Once(ErrorKind::StorageFull)] {
                for seed in [0, 1, at + 2] {
                    let case = format!("{fault:?} at operation {at}, seed {seed}");
                    let memory = before.after_power_loss(0);
                    assert!(sort(FaultDirectory::new(Arc::new(memory.clone()), at, fault)).is_err(), "{case}");
                    let after = memory.after_power_loss(seed);
                    seen[usize::from(check_copy(&after, &case))] += 1;
                    assert_eq!(support::content(Arc::new(after.clone())), content, "{case}");
                    assert!(verify(&after).unwrap().is_sound(), "{case}");
                    sort(after.clone()).unwrap_or_else(|error| panic!("{case}: {error}"));
                    assert!(check_copy(&after, &case), "{case}");
                    let copy = verify(&after).unwrap().sorted.unwrap();
                    assert!(copy.is_current && copy.damage.is_empty(), "{case}: {copy:?}");
                    assert_eq!(files(&after), copy.segments + 1, "{case}");
                }
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_crash_while_a_stale_copy_goes_leaves_none() {
    let (loaded, _) = loaded();
    sort(loaded.clone()).unwrap();
    compact(Arc::new(loaded.clone()), WriterOptions { segment_rows: 1000, ..support::options() }, |_| {}).unwrap();
    let content = support::content(Arc::new(loaded.clone()));
    let counting = FaultDirectory::new(Arc::new(loaded.after_power_loss(0)), u64::MAX, Fault::Crash);
    remove_stale_copy(&counting).unwrap();
    for at in 0..counting.operations() {
        for seed in [0, at + 2] {
            let case = format!("operation {at}, seed {seed}");
            let memory = loaded.after_power_loss(0);
            let faulty = FaultDirectory::new(Arc::new(memory.clone()), at, Fault::Crash);
            assert!(remove_stale_copy(&faulty).is_err(), "{case}");
            let after = memory.after_power_loss(seed);
            assert!(!check_copy(&after, &case), "{case}");
            remove_stale_copy(&after).unwrap();
            assert_eq!(files(&after), 0, "{case}");
            assert_eq!(support::content(Arc::new(after)), content, "{case}");
        }
    }
}

#[test]
fn one_at_a_time_and_only_by_columns_that_sort() {
    assert!(matches!(sort(MemoryDirectory::new()), Err(StoreError::NoStore)));
    let (memory, _) = loaded();
    sort(memory.clone()).unwrap();
    let lock = memory.lock("sorted/lock").unwrap();
    assert!(matches!(sort(memory.clone()), Err(StoreError::Locked)));
    assert!(matches!(remove_copy(&memory), Err(StoreError::Locked)));
    assert_eq!(remove_stale_copy(&memory).unwrap(), 0);
    drop(lock);
    let directory: Arc<dyn Directory> = Arc::new(memory.clone());
    for order in
        [SortOrder { column: 1, within: 3 }, SortOrder { column: 2, within: 0 }, SortOrder { column: 9, within: 3 }]
    {
        let error = sort_copy(&directory, order, &options(), |_| {}).unwrap_err();
        assert!(matches!(error, StoreError::InvalidSchema { .. }), "{error}");
    }
    assert!(check_copy(&memory, "kept"));
    assert!(remove_copy(&memory).unwrap() > 0);
    assert!(!check_copy(&memory, "removed"));
}
