//! A store with its events in order of user beside them: the same answers, whatever becomes of the copy.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cartlog::analysis::{Filter, Input, Parameters, registry};
use cartlog::event::BY_USER;
use cartlog::kafka::runtime;
use cartlog::pipeline::{Interrupt, LoadPlan, NoProgress, load, store_directory};
use cartlog::serve::Answers;
use cartlog::table::Table;
use cartlog_storage::io::Directory;
use cartlog_storage::store::{SortOptions, WriterOptions, compact, sort_copy};
use tempfile::tempdir;

use crate::events::{file, lines, text};
use crate::stored::{directory, snapshot};

fn add(store: &Path, name: &str, seed: u64, rows: u64) {
    let path = file(store, name, &lines(seed, rows));
    let plan = LoadPlan::new(vec![text(&path)], store_directory(store), None);
    load(&plan, &NoProgress, &Interrupt::default()).unwrap();
}

fn sort(store: &Path) -> u64 {
    let directory: Arc<dyn Directory> = directory(store);
    sort_copy(&directory, BY_USER, &SortOptions { segment_rows: 500, ..SortOptions::default() }, |_| {})
        .unwrap()
        .rows_sorted
}

#[test]
fn a_dashboard_sees_a_copy_that_is_made_while_it_runs() {
    let folder = tempdir().unwrap();
    add(folder.path(), "a.csv", 61, 900);
    let answers = Arc::new(Answers::open(directory(folder.path())).unwrap());
    let runtime = runtime(1).unwrap();
    let view = || runtime.block_on(answers.snapshot()).unwrap();
    let before = view();
    assert!(before.sorted().is_none());
    assert_eq!(sort(folder.path()), 900);
    // A view may be a quarter of a second old.
    std::thread::sleep(Duration::from_millis(300));
    let after = view();
    assert!(after.sorted().is_some());
    assert_eq!(before.generation(), after.generation());
    std::thread::sleep(Duration::from_millis(300));
    assert!(Arc::ptr_eq(&view(), &after), "nothing has changed since");
}

/// All answers, over all events and over some.
fn answers(store: &Path) -> Vec<Table> {
    let snapshot = snapshot(store);
    let some = Filter { min_price: Some(50_0000), ..Filter::default() };
    let of = |filter: &Filter| {
        let input = Input::of(&snapshot, filter).unwrap();
        registry().iter().map(|analysis| analysis.answer(&input, &Parameters::default()).unwrap()).collect::<Vec<_>>()
    };
    [of(&Filter::default()), of(&some)].concat()
}

#[test]
fn answers_are_the_same_with_a_copy_of_all_of_some_and_of_none() {
    let folder = tempdir().unwrap();
    let store = folder.path();
    add(store, "a.csv", 3, 2000);
    add(store, "b.csv", 5, 1200);
    let without = answers(store);
    assert_eq!(sort(store), 3200);
    assert!(snapshot(store).sorted().unwrap().segments().len() > 3);
    assert!(answers(store) == without);
    // More events, which the copy knows nothing of.
    add(store, "c.csv", 7, 900);
    assert_eq!(snapshot(store).sorted().unwrap().replaced(), [0, 1]);
    let with_part = answers(store);
    std::fs::rename(store_directory(store).join("sorted"), store.join("away")).unwrap();
    assert!(snapshot(store).sorted().is_none());
    let without = answers(store);
    assert!(with_part == without);
    std::fs::rename(store.join("away"), store_directory(store).join("sorted")).unwrap();
    // The segments that it stands for become one.
    compact(directory(store), WriterOptions::default(), |_| {}).unwrap();
    assert!(snapshot(store).sorted().is_none());
    assert!(answers(store) == without);
    assert_eq!(sort(store), 4100);
    assert!(snapshot(store).sorted().is_some());
    assert!(answers(store) == without);
}
