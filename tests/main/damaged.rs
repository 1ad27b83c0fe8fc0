//! A store with a flipped bit: every question is answered or refused, none ends in a panic.

use std::sync::Arc;

use cartlog::analysis::{Chosen, Filter, Input, Parameters, registry};
use cartlog::event::BY_USER;
use cartlog::pipeline::{Interrupt, LoadPlan, NoProgress, load, store_directory};
use cartlog_storage::io::{Directory, MemoryDirectory, OsDirectory};
use cartlog_storage::store::{Snapshot, SortOptions, sort_copy};
use tempfile::tempdir;

use crate::events::{file, lines, text};

/// The store of a small load, in memory.
fn loaded() -> MemoryDirectory {
    let directory = tempdir().unwrap();
    let path = file(directory.path(), "a.csv", &lines(31, 300));
    let plan = LoadPlan::new(vec![text(&path)], store_directory(directory.path()), None);
    load(&plan, &NoProgress, &Interrupt::default()).unwrap();
    let from = OsDirectory::open(store_directory(directory.path())).unwrap();
    let memory = MemoryDirectory::new();
    for name in from.list("").unwrap() {
        memory.create(&name).unwrap().append(&from.map(&name).unwrap()).unwrap();
    }
    memory
}

/// The same with a copy of its rows in order of user.
fn sorted() -> MemoryDirectory {
    let memory = loaded();
    let directory: Arc<dyn Directory> = Arc::new(memory.clone());
    sort_copy(&directory, BY_USER, &SortOptions { segment_rows: 100, ..SortOptions::default() }, |_| {}).unwrap();
    memory
}

/// Asks every question, of all events and of some; how many were refused.
fn ask(snapshot: &Snapshot) -> usize {
    let some = Filter {
        min_price: Some(50_0000),
        brands: vec!["samsung".to_owned()],
        users: vec![500_000_000 + 31 * 1_000_003 / 7, 1],
        ..Filter::default()
    };
    let refused = |input: &Input<'_>| {
        registry().iter().filter(|analysis| analysis.answer(input, &Parameters::default()).is_err()).count()
    };
    let all = refused(&Input::of(snapshot, &Filter::default()).unwrap());
    let mut input = Input::of(snapshot, &some).unwrap();
    let of_some = refused(&input);
    let of_chosen = match Chosen::of(&mut input) {
        Ok(chosen) => refused(&chosen.input(&input)),
        Err(_) => registry().len(),
    };
    all + of_some + of_chosen
}

#[test]
fn a_flipped_bit_never_ends_an_analysis_in_a_panic() {
    let memory = loaded();
    assert_eq!(ask(&Snapshot::open(Arc::new(memory.clone())).unwrap()), 0);
    let mut refused = 0;
    for name in memory.list("").unwrap() {
        // Every byte of a segment's data would take a minute: a step that meets every column at every place of a number.
        let step = if name.starts_with("segment") { 7 } else { 41 };
        for offset in (0..memory.length(&name).unwrap()).step_by(step) {
            let mask = 1 << (offset / 7 % 8);
            memory.damage(&name, offset, mask).unwrap();
            if let Ok(snapshot) = Snapshot::open(Arc::new(memory.clone())) {
                refused += ask(&snapshot);
            }
            memory.damage(&name, offset, mask).unwrap();
        }
    }
    assert!(refused > 0, "no damage showed: the test shows nothing");
}

#[test]
fn a_flipped_bit_of_a_sorted_copy_is_not_even_an_error() {
    let memory = sorted();
    assert!(Snapshot::open(Arc::new(memory.clone())).unwrap().sorted().is_some());
    let mut passed_over = 0;
    for name in memory.list("sorted").unwrap() {
        let path = format!("sorted/{name}");
        for offset in (0..memory.length(&path).unwrap()).step_by(97) {
            let mask = 1 << (offset / 97 % 8);
            memory.damage(&path, offset, mask).unwrap();
            let snapshot = Snapshot::open(Arc::new(memory.clone())).unwrap();
            passed_over += usize::from(snapshot.sorted().is_none());
            assert_eq!(ask(&snapshot), 0, "{path} byte {offset}");
            memory.damage(&path, offset, mask).unwrap();
        }
    }
    assert!(passed_over > 0, "no damage was met when the copy was opened: the test shows nothing");
}
