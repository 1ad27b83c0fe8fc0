//! Rejects that are mended and replayed: each stored once, the rest kept, the counts true.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cartlog::pipeline::{
    Interrupt, LoadPlan, MendSummary, NoProgress, PipelineError, export_rejects, load, mend, store_directory,
};
use cartlog_storage::io::{Fault, FaultDirectory};
use cartlog_storage::store::{Reject, StoreError, verify};
use tempfile::{TempDir, tempdir};

use crate::events::{file, lines, text};
use crate::stored::{directory, snapshot, sorted_rows};

fn run(store: &Path, input: &Path) -> (u64, u64, u64, u64) {
    let plan = LoadPlan::new(vec![text(input)], store_directory(store), None);
    let rows = load(&plan, &NoProgress, &Interrupt::default()).unwrap().rows;
    (rows.rows_read, rows.rows_stored, rows.rows_rejected, rows.rows_duplicate)
}

fn replay(store: &Path, mended: Option<&Path>) -> Result<MendSummary, PipelineError> {
    mend(directory(store), mended)
}

/// Lines tried, stored, still no events, and not among the rejects.
fn counts(summary: &MendSummary) -> (u64, u64, u64, u64) {
    let rows = summary.rows;
    (rows.rows_read, rows.rows_stored, rows.rows_rejected, rows.rows_duplicate)
}

fn rejects(store: &Path) -> Vec<Reject> {
    snapshot(store).rejects().unwrap().map(Result::unwrap).collect()
}

/// A store of 200 events with 40 lines whose price is written with a comma, and its rejects in a file.
fn damaged() -> (TempDir, PathBuf, PathBuf, PathBuf) {
    let folder = tempdir().unwrap();
    let good = lines(41, 200);
    let bad: String = good
        .lines()
        .enumerate()
        .map(|(row, line)| if row % 5 == 2 { wrong(line) } else { format!("{line}\n") })
        .collect();
    let (input, sound) = (file(folder.path(), "bad.csv", &bad), file(folder.path(), "sound.csv", &good));
    assert_eq!(run(folder.path(), &input), (200, 160, 40, 0));
    let exported = folder.path().join("rejects.txt");
    export_rejects(snapshot(folder.path()).rejects().unwrap(), &mut fs::File::create(&exported).unwrap()).unwrap();
    (folder, input, sound, exported)
}

fn wrong(line: &str) -> String {
    let fields: Vec<_> = line.split(',').collect();
    format!(
        "{}\n",
        fields
            .iter()
            .enumerate()
            .map(|(at, field)| if at == 6 { format!("x{field}") } else { (*field).to_owned() })
            .collect::<Vec<_>>()
            .join(",")
    )
}

/// Mends the file's lines, but for every `left`th of them.
fn mend_file(path: &Path, left: usize) {
    let text = fs::read_to_string(path).unwrap();
    let mut number = 0;
    let mended = text.lines().map(|line| {
        if line.starts_with('#') {
            return format!("{line}\n");
        }
        number += 1;
        if number % left == 0 { format!("{line}\n") } else { format!("{}\n", line.replacen(",x", ",", 1)) }
    });
    fs::write(path, mended.collect::<String>()).unwrap();
}

#[test]
fn mended_lines_are_stored_once_and_the_store_equals_a_sound_load() {
    let (folder, input, sound, exported) = damaged();
    let store = folder.path();
    mend_file(&exported, 10);
    let first = replay(store, Some(&exported)).unwrap();
    assert_eq!((counts(&first), first.rejects_left), ((40, 36, 4, 0), 4));
    assert_eq!(first.refused.len(), 4);
    let place = &first.refused[0].place;
    let number: usize = place.strip_prefix(&format!("{}:", exported.display())).unwrap().parse().unwrap();
    assert!(fs::read_to_string(&exported).unwrap().lines().nth(number - 1).unwrap().contains(",x"), "{place}");
    assert!(first.refused[0].reason.starts_with("price: \"x"), "{}", first.refused[0].reason);
    let totals = *snapshot(store).totals();
    assert_eq!((totals.rows_read, totals.rows_stored, totals.rows_rejected), (200, 196, 4));
    let again = replay(store, Some(&exported)).unwrap();
    assert_eq!((counts(&again), again.rejects_left), ((40, 0, 4, 36), 4));
    assert_eq!(run(store, &input), (200, 0, 0, 200), "the file is known as before");

    mend_file(&exported, usize::MAX);
    assert_eq!(counts(&replay(store, Some(&exported)).unwrap()), (40, 4, 0, 36));
    assert_eq!(rejects(store), []);
    let expected = tempdir().unwrap();
    run(expected.path(), &sound);
    assert_eq!(sorted_rows(store), sorted_rows(expected.path()));
    assert!(verify(&*directory(store)).unwrap().is_sound());
}

#[test]
fn a_replay_that_is_cut_off_anywhere_stores_each_line_once() {
    let (folder, _, _, exported) = damaged();
    mend_file(&exported, 8);
    let copy = |name: &str| {
        let to = folder.path().join(name);
        fs::create_dir_all(store_directory(&to)).unwrap();
        for entry in fs::read_dir(store_directory(folder.path())).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), store_directory(&to).join(entry.file_name())).unwrap();
        }
        to
    };
    let undisturbed = copy("undisturbed");
    let counting = FaultDirectory::new(directory(&undisturbed), u64::MAX, Fault::Crash);
    mend(Arc::new(counting.clone()), Some(&exported)).unwrap();
    let (rows, left) = (sorted_rows(&undisturbed), rejects(&undisturbed));
    assert_eq!((rows.len(), left.len()), (195, 5));
    for at in 0..counting.operations() {
        let store = copy(&format!("cut-{at}"));
        let faulty = FaultDirectory::new(directory(&store), at, Fault::TornCrash);
        let error = mend(Arc::new(faulty), Some(&exported)).unwrap_err();
        assert!(error.to_string().contains("injected fault"), "{error}");
        let summary = replay(&store, Some(&exported)).unwrap();
        assert!(matches!(counts(&summary), (40, 35, 5, 0) | (40, 0, 5, 35)), "operation {at}: {summary:?}");
        assert_eq!((sorted_rows(&store), rejects(&store)), (rows.clone(), left.clone()), "operation {at}");
    }
}

#[test]
fn rejects_as_they_are_stay_rejected_and_nothing_changes() {
    let (folder, ..) = damaged();
    let before = (snapshot(folder.path()).generation(), rejects(folder.path()));
    let summary = replay(folder.path(), None).unwrap();
    assert_eq!((counts(&summary), summary.rejects_left, summary.refused.len()), ((40, 0, 40, 0), 40, 20));
    assert_eq!((snapshot(folder.path()).generation(), rejects(folder.path())), before);
}

#[test]
fn one_line_becomes_one_event() {
    let (folder, _, _, exported) = damaged();
    let text = fs::read_to_string(&exported).unwrap();
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with("#@")).collect();
    let event = lines(42, 1);
    let json = "{\"event_time\":\"2019-10-01 00:00:00 UTC\",\"event_type\":\"view\",\"product_id\":1,\n\"category_id\":2,\
                \"price\":1.5,\"user_id\":3}\n";
    let mended = [
        format!("{}\n\n", headings[0]),
        format!("{}\n{event}{event}", headings[1]),
        format!("{}\n{json}", headings[2]),
        format!("{}\nno event\n", headings[3]),
        format!("{}\n{event}\n\n", headings[4]),
    ];
    fs::write(&exported, mended.concat()).unwrap();
    let summary = replay(folder.path(), Some(&exported)).unwrap();
    assert_eq!(counts(&summary), (5, 2, 3, 0));
    let reasons: Vec<_> = summary.refused.iter().map(|refusal| &refusal.reason[..]).collect();
    assert!(reasons.contains(&"the line is empty"), "{reasons:?}");
    assert!(reasons.contains(&"2 events, and one line was rejected: it can become one event"), "{reasons:?}");
    assert_eq!(rejects(folder.path()).len(), 38);
}

#[test]
fn the_start_of_a_long_line_is_no_event() {
    let folder = tempdir().unwrap();
    // As far as it is kept, the line has nine fields.
    let event = lines(43, 1);
    let long = format!("{}{}", event.trim_end(), "x".repeat(1_000_000));
    let input = file(folder.path(), "long.csv", &format!("{event}{long}\n"));
    assert_eq!(run(folder.path(), &input), (2, 1, 1, 0));
    assert_eq!(counts(&replay(folder.path(), None).unwrap()), (1, 0, 1, 0));
}

#[test]
fn the_same_place_in_another_file_of_the_name_is_another_place() {
    let folder = tempdir().unwrap();
    let bad = |number: u64| format!("{}wrong {number}\n", lines(50 + number, 3));
    for number in [1, 2] {
        run(folder.path(), &file(folder.path(), "daily.csv", &bad(number)));
    }
    let [first, second] = <[Reject; 2]>::try_from(rejects(folder.path())).unwrap();
    assert_eq!((first.line, &first.source), (second.line, &second.source));
    let exported = folder.path().join("rejects.txt");
    let mut out = Vec::new();
    export_rejects([Ok(second)].into_iter(), &mut out).unwrap();
    let mended = String::from_utf8(out).unwrap().replace("\nwrong 2\n", &format!("\n{}", lines(60, 1)));
    fs::write(&exported, mended).unwrap();
    assert_eq!(counts(&replay(folder.path(), Some(&exported)).unwrap()), (1, 1, 0, 0));
    assert_eq!(rejects(folder.path()), [first]);
    assert_eq!(counts(&replay(folder.path(), Some(&exported)).unwrap()), (1, 0, 0, 1));
}

#[test]
fn what_can_not_be_replayed_says_why() {
    let folder = tempdir().unwrap();
    let absent = replay(folder.path(), None).unwrap_err();
    assert!(matches!(absent, PipelineError::Store(StoreError::NoStore)), "{absent}");
    let absent = replay(folder.path(), Some(Path::new("absent.txt"))).unwrap_err();
    assert!(absent.to_string().starts_with("absent.txt: can't be read"), "{absent}");
}
