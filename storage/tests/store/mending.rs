//! Rejects that become rows: once, whole, through crashes.

use std::io::ErrorKind;
use std::sync::Arc;

use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{
    Batch, ColumnValues, CommitSummary, IdentifierValues, Mending, Reject, Snapshot, StoreError, StoreWriter, verify,
};

use crate::support::{self, Content};

/// A row that says which line it was.
fn row(mending: &Mending, reject: &Reject) -> Batch {
    let number = reject.line as i64;
    let code = mending.dictionary(1).code_for(&format!("mended {number}")).unwrap();
    let columns = vec![
        ColumnValues::Integers(vec![number]),
        ColumnValues::Codes(vec![code]),
        ColumnValues::Integers(vec![-number]),
        ColumnValues::Identifiers(IdentifierValues { uuids: vec![number as u128], ..Default::default() }),
    ];
    Batch { columns, rows: 1 }
}

/// Mends those that can be.
fn mend(directory: Arc<dyn Directory>, can_be: impl Fn(&Reject) -> bool) -> Result<CommitSummary, StoreError> {
    let mut mending = Mending::open(directory, &support::schema(), support::options())?;
    loop {
        let rejects = mending.next_rejects()?;
        if rejects.is_empty() {
            return mending.commit();
        }
        let (mended, left): (Vec<_>, Vec<_>) = rejects.into_iter().partition(&can_be);
        let batches = mended.iter().map(|reject| row(&mending, reject)).collect();
        mending.put(batches, &left)?;
    }
}

fn is_even(reject: &Reject) -> bool {
    reject.line.is_multiple_of(2)
}

fn loaded() -> (MemoryDirectory, Content) {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    let content = support::content(Arc::new(memory.clone()));
    (memory, content)
}

#[test]
fn a_mended_line_moves_from_rejected_to_stored() {
    let (memory, before) = loaded();
    let snapshot = Snapshot::open(Arc::new(memory.clone())).unwrap();
    let mended = before.rejects.iter().filter(|reject| is_even(reject)).count() as u64;
    assert!(mended > 1 && mended < before.rejects.len() as u64);
    let committed = mend(Arc::new(memory.clone()), is_even).unwrap();
    let after = support::content(Arc::new(memory.clone()));
    assert_eq!(committed.totals, after.totals);
    assert_eq!(after.totals.rows_read, before.totals.rows_read);
    assert_eq!(after.totals.rows_stored, before.totals.rows_stored + mended);
    assert_eq!(after.totals.rows_rejected, before.totals.rows_rejected - mended);
    let left: Vec<_> = before.rejects.iter().filter(|reject| !is_even(reject)).cloned().collect();
    assert_eq!(after.rejects, left);
    let mut rows: Vec<_> = after.rows.iter().filter(|row| row.2 < 0).map(|row| row.0).collect();
    rows.sort_unstable();
    let lines: Vec<_> =
        before.rejects.iter().filter(|reject| is_even(reject)).map(|reject| reject.line as i64).collect();
    assert_eq!(rows, lines);
    assert_eq!((&after.positions, &after.sources), (&before.positions, &before.sources));
    assert!(verify(&memory).unwrap().is_sound());
    // A reader from before goes on, with the rejects that are left.
    assert_eq!(snapshot.rejects().unwrap().map(Result::unwrap).collect::<Vec<_>>(), left);
    // Nothing is mended twice, and the load knows what it has.
    let again = mend(Arc::new(memory.clone()), is_even).unwrap();
    assert_eq!((again.totals, again.generation), (committed.totals, committed.generation));
    support::load(Arc::new(memory.clone())).unwrap();
    assert_eq!(support::content(Arc::new(memory.clone())), after);
    // Later rejects go behind those that are left.
    let writer = StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options()).unwrap();
    let rejects = vec![before.rejects[0].clone()];
    writer.append(cartlog_storage::store::Delivery { rejects, ..Default::default() }).unwrap();
    writer.close().unwrap();
    assert_eq!(support::content(Arc::new(memory)).rejects.len(), left.len() + 1);
}

#[test]
fn a_crash_at_every_operation_leaves_the_store_before_or_after() {
    let (memory, before) = loaded();
    let ended = memory.after_power_loss(0);
    mend(Arc::new(ended.clone()), is_even).unwrap();
    let after = support::content(Arc::new(ended));
    let counting = FaultDirectory::new(Arc::new(memory.after_power_loss(0)), u64::MAX, Fault::Crash);
    mend(Arc::new(counting.clone()), is_even).unwrap();
    assert!(counting.operations() > 15, "{}", counting.operations());
    let mut seen = [0, 0];
    for at in 0..counting.operations() {
        for fault in [Fault::Crash, Fault::TornCrash, Fault::Once(ErrorKind::StorageFull)] {
            for seed in [0, 1, at + 2] {
                let case = format!("{fault:?} at operation {at}, seed {seed}");
                let memory = memory.after_power_loss(0);
                let faulty = FaultDirectory::new(Arc::new(memory.clone()), at, fault);
                assert!(mend(Arc::new(faulty), is_even).is_err(), "{case}");
                let cut_off = memory.after_power_loss(seed);
                let content = support::content(Arc::new(cut_off.clone()));
                assert!(content == before || content == after, "{case}");
                seen[usize::from(content == after)] += 1;
                mend(Arc::new(cut_off.clone()), is_even).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!(verify(&cut_off).unwrap().is_sound(), "{case}");
                assert_eq!(support::content(Arc::new(cut_off)), after, "{case}");
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn each_reject_comes_back_or_stands_for_a_row() {
    let (memory, before) = loaded();
    let open = || Mending::open(Arc::new(memory.clone()), &support::schema(), support::options());
    let mut mending = open().unwrap();
    assert!(matches!(open(), Err(StoreError::Locked)));
    let rejects = mending.next_rejects().unwrap();
    assert!(matches!(mending.next_rejects(), Err(StoreError::InvalidDelivery { .. })), "they have not come back");
    let batch = row(&mending, &rejects[0]);
    let too_many = mending.put(vec![batch.clone()], &rejects);
    assert!(matches!(too_many, Err(StoreError::InvalidDelivery { .. })), "{too_many:?}");
    mending.put(vec![batch], &rejects[1..]).unwrap();
    // There are more frames of rejects, and a commit would lose them.
    let error = mending.commit().unwrap_err();
    assert!(error.to_string().contains("1 rejects are mended"), "{error}");
    assert_eq!(support::content(Arc::new(memory)), before);
    let absent = Mending::open(Arc::new(MemoryDirectory::new()), &support::schema(), support::options());
    assert!(matches!(absent, Err(StoreError::NoStore)));
}
