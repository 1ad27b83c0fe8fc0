//! A load that is cut off at every single operation, and started again until it ends, equals an undisturbed one.

use std::io::ErrorKind;
use std::sync::Arc;

use cartlog_storage::io::{Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{Snapshot, StoreError, StoreWriter, verify};

use crate::support::{self, Content};

fn undisturbed() -> (Content, u64) {
    let memory = MemoryDirectory::new();
    let counting = FaultDirectory::new(Arc::new(memory.clone()), u64::MAX, Fault::Crash);
    support::load(Arc::new(counting.clone())).unwrap();
    (support::content(Arc::new(memory)), counting.operations())
}

/// Runs the load until it fails at an operation (or ends), then cuts the power.
fn run_into(directory: &MemoryDirectory, at: u64, fault: Fault, seed: u64) -> MemoryDirectory {
    let faulty = FaultDirectory::new(Arc::new(directory.clone()), at, fault);
    let result = support::load(Arc::new(faulty.clone()));
    assert_eq!(result.is_err(), faulty.operations() > at, "{result:?} after {} operations", faulty.operations());
    directory.after_power_loss(seed)
}

fn assert_same(directory: MemoryDirectory, expected: &Content, case: &str) {
    support::load(Arc::new(directory.clone())).unwrap_or_else(|error| panic!("{case}: {error}"));
    let report = verify(&directory).unwrap();
    assert!(report.is_sound(), "{case}: {:?}", report.damage);
    assert_eq!(&support::content(Arc::new(directory)), expected, "{case}");
}

#[test]
fn a_crash_at_every_operation_changes_nothing() {
    let (expected, operations) = undisturbed();
    assert!(operations > 60, "the load is too small to mean anything: {operations} operations");
    let mut points = 0;
    for at in 0..operations {
        for (fault, seed) in [
            (Fault::Crash, 0),
            (Fault::Crash, 1),
            (Fault::Crash, at + 2),
            (Fault::TornCrash, 1),
            (Fault::TornCrash, at + 1000),
        ] {
            let case = format!("{fault:?} at operation {at}, seed {seed}");
            let after = run_into(&MemoryDirectory::new(), at, fault, seed);
            match Snapshot::open(Arc::new(after.clone())) {
                Ok(snapshot) => assert!(snapshot.totals().is_balanced(), "{case}"),
                Err(error) => assert!(matches!(error, StoreError::NoStore), "{case}: {error}"),
            }
            assert_same(after, &expected, &case);
            points += 1;
        }
    }
    assert!(points >= 400, "{points} points");
}

#[test]
fn crashes_while_recovering_change_nothing() {
    let (expected, operations) = undisturbed();
    for at in (3..operations).step_by(4) {
        // The first crash leaves work to recovery; the second ends the recovery or soon after it, the third later.
        for second in 0..12 {
            let case = format!("crashes at operations {at}, {second} and {}", second * 3 + 5);
            let once = run_into(&MemoryDirectory::new(), at, Fault::TornCrash, at + 2);
            let twice = run_into(&once, second, Fault::Crash, second + 50);
            let thrice = run_into(&twice, second * 3 + 5, Fault::TornCrash, at * second + 7);
            assert_same(thrice, &expected, &case);
        }
    }
}

#[test]
fn an_error_at_every_operation_stops_the_store_and_loses_nothing() {
    let (expected, operations) = undisturbed();
    for (at, kind) in (0..operations).flat_map(|at| [(at, ErrorKind::StorageFull), (at, ErrorKind::PermissionDenied)]) {
        let memory = MemoryDirectory::new();
        let faulty = FaultDirectory::new(Arc::new(memory.clone()), at, Fault::Once(kind));
        let error = support::load(Arc::new(faulty)).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("injected fault"), "operation {at}: {message}");
        assert_same(memory, &expected, &format!("{kind:?} at operation {at}"));
    }
}

#[test]
fn what_a_commit_has_acknowledged_survives_any_power_loss() {
    let memory = MemoryDirectory::new();
    let writer = StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options()).unwrap();
    for number in 0..support::DELIVERIES {
        writer.append(support::delivery(&writer, number).unwrap()).unwrap();
        let committed = writer.commit().unwrap();
        for seed in [0, 1, number + 2, number + 1000] {
            let after = memory.after_power_loss(seed);
            assert_eq!(*Snapshot::open(Arc::new(after.clone())).unwrap().totals(), committed.totals, "seed {seed}");
            assert!(verify(&after).unwrap().is_sound(), "seed {seed}");
        }
    }
}
