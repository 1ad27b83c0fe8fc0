//! Damaged stores made anew from the log, as far as it has what they were made of.

use std::fs;
use std::path::{Path, PathBuf};

use cartlog::pipeline::{
    Interrupt, LoadPlan, LogPlan, LogTarget, NoProgress, RepairPlan, RepairReport, export_rejects, load, log_directory,
    mend, repair, store_directory,
};
use cartlog_storage::store::{WriterOptions, compact, drop_before, verify};
use tempfile::tempdir;

use crate::brokers::log;
use crate::events::{file, lines, text};
use crate::stored::{directory, snapshot, sorted_rows};

fn run(store: &Path, log: Option<&LogPlan>, input: &Path) {
    let plan =
        LoadPlan { rows_per_record: 100, ..LoadPlan::new(vec![text(input)], store_directory(store), log.cloned()) };
    load(&plan, &NoProgress, &Interrupt::default()).unwrap();
}

fn run_repair(store: &Path, log: Option<&LogPlan>) -> RepairReport {
    repair(&RepairPlan { store: store_directory(store), log: log.cloned(), threads: 2 }).unwrap()
}

fn files(store: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(store_directory(store)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(kind)).collect();
    files.sort();
    files
}

/// Flips a bit near the end of a file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - 9;
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn is_sound(store: &Path) -> bool {
    verify(&*directory(store)).unwrap().is_sound()
}

/// What is left damaged: files, rows and reasons.
fn left(report: &RepairReport) -> Vec<(String, Option<std::ops::Range<u64>>, &str)> {
    report.not_repaired.iter().map(|left| (left.file.clone(), left.rows.clone(), &left.reason[..])).collect()
}

#[test]
fn every_damaged_file_is_made_anew_from_the_log() {
    let folder = tempdir().unwrap();
    let log = log("repair", folder.path());
    let bad = format!("{}no event\n{}", lines(71, 1200), lines(72, 300));
    run(folder.path(), Some(&log.plan), &file(folder.path(), "a.csv", &bad));
    run(folder.path(), Some(&log.plan), &file(folder.path(), "b.csv", &lines(73, 700)));
    // The same content under another name is known, and leaves no trace in a segment.
    run(folder.path(), Some(&log.plan), &file(folder.path(), "c.csv", &lines(73, 700)));
    let (rows, totals) = (sorted_rows(folder.path()), *snapshot(folder.path()).totals());
    let all = [files(folder.path(), "segment"), files(folder.path(), "dictionary"), files(folder.path(), "rejects")];
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [2, 3, 1]);
    for kind in ["segment", "dictionary", "rejects"] {
        for number in 0..files(folder.path(), kind).len() {
            for is_absent in [false, true] {
                let path = files(folder.path(), kind)[number].clone();
                if is_absent {
                    fs::remove_file(&path).unwrap();
                } else {
                    damage(&path);
                }
                assert!(!is_sound(folder.path()), "{}", path.display());
                let report = run_repair(folder.path(), Some(&log.plan));
                assert_eq!(left(&report), [], "{}", path.display());
                assert!(report.replaced.contains(&name(&path)) && !report.found.is_sound(), "{report:?}");
                assert!(is_sound(folder.path()), "{}", path.display());
                assert_eq!(sorted_rows(folder.path()), rows, "{}", path.display());
                assert_eq!(*snapshot(folder.path()).totals(), totals);
                let rejects: Vec<_> = snapshot(folder.path()).rejects().unwrap().map(Result::unwrap).collect();
                assert_eq!((rejects.len(), rejects[0].line, &rejects[0].raw[..]), (1, 1202, &b"no event"[..]));
            }
        }
    }
    assert_eq!(run_repair(folder.path(), Some(&log.plan)).replaced, Vec::<String>::new());
}

#[test]
fn a_store_that_was_merged_and_cut_by_time_is_made_anew() {
    let folder = tempdir().unwrap();
    let log = log("repair-cut", folder.path());
    for (name, seed) in [("a.csv", 74), ("b.csv", 75)] {
        run(folder.path(), Some(&log.plan), &file(folder.path(), name, &lines(seed, 1000)));
    }
    let limit = cartlog::event::time::parse(b"2019-10-01 00:10:00 UTC").unwrap();
    let dropped = drop_before(directory(folder.path()), WriterOptions::default(), limit).unwrap();
    assert_eq!((dropped.rows_dropped, dropped.segments_rewritten), (1200, 2));
    compact(directory(folder.path()), WriterOptions::default(), |_| {}).unwrap();
    run(folder.path(), Some(&log.plan), &file(folder.path(), "c.csv", &lines(76, 500)));
    let rows = sorted_rows(folder.path());
    for segment in files(folder.path(), "segment") {
        damage(&segment);
    }
    let report = run_repair(folder.path(), Some(&log.plan));
    assert_eq!((left(&report), report.rows), (vec![], 1300));
    assert_eq!(sorted_rows(folder.path()), rows);
}

#[test]
fn what_the_log_does_not_have_is_said_and_the_rest_is_repaired() {
    let folder = tempdir().unwrap();
    let log = log("repair-partly", folder.path());
    run(folder.path(), Some(&log.plan), &file(folder.path(), "a.csv", &lines(77, 300)));
    let past = file(folder.path(), "past.csv", &lines(78, 200));
    run(folder.path(), None, &past);
    run(folder.path(), Some(&log.plan), &file(folder.path(), "bad.csv", "no event\n"));
    let exported = folder.path().join("rejects.txt");
    export_rejects(snapshot(folder.path()).rejects().unwrap(), &mut fs::File::create(&exported).unwrap()).unwrap();
    let mended = fs::read_to_string(&exported).unwrap().replace("\nno event\n", &format!("\n{}", lines(79, 1)));
    fs::write(&exported, mended).unwrap();
    mend(directory(folder.path()), Some(&exported)).unwrap();
    let rows = sorted_rows(folder.path());
    let segments = files(folder.path(), "segment");
    assert_eq!(segments.len(), 3);
    let whole: Vec<_> = segments[1..].iter().map(|path| (path, fs::read(path).unwrap())).collect();
    segments.iter().for_each(|path| damage(path));

    let report = run_repair(folder.path(), Some(&log.plan));
    assert_eq!(report.replaced, [name(&segments[0])]);
    let left = left(&report);
    assert_eq!((&left[0].0, &left[0].1), (&name(&segments[1]), &Some(300..500)));
    assert!(
        left[0].2.starts_with("200 of its rows did not come through a log; 200 rows came from bytes "),
        "{}",
        left[0].2
    );
    assert!(left[0].2.ends_with("past.csv"), "{}", left[0].2);
    assert_eq!((&left[1].0, &left[1].1), (&name(&segments[2]), &Some(500..501)));
    assert!(left[1].2.contains("1 rows are mended rejects"), "{}", left[1].2);
    assert_eq!(left.len(), 2);

    // Files that come back from a copy are as good as ever.
    for (path, bytes) in whole {
        fs::write(path, bytes).unwrap();
    }
    assert!(is_sound(folder.path()));
    assert_eq!(sorted_rows(folder.path()), rows);
}

#[test]
fn without_a_log_or_with_another_one_nothing_is_guessed() {
    let folder = tempdir().unwrap();
    let log = log("repair-no-log", folder.path());
    run(folder.path(), Some(&log.plan), &file(folder.path(), "a.csv", &lines(80, 300)));
    let segment = files(folder.path(), "segment").remove(0);
    damage(&segment);
    let before = fs::read(&segment).unwrap();
    let report = run_repair(folder.path(), None);
    assert!(
        left(&report)[0].2.starts_with("there is no log to read again from; 300 rows came from offsets"),
        "{report:?}"
    );
    let elsewhere = tempdir().unwrap();
    // Another log, with a topic of the same name.
    let target = LogTarget::Embedded(log_directory(elsewhere.path()));
    let other = LogPlan { topic: log.plan.topic.clone(), ..LogPlan::new(target) };
    run(elsewhere.path(), Some(&other), &file(elsewhere.path(), "b.csv", &lines(81, 1000)));
    let report = run_repair(folder.path(), Some(&other));
    assert_eq!((report.replaced.len(), report.not_repaired.len()), (0, 1));
    assert_eq!(fs::read(&segment).unwrap(), before, "the damaged file is left alone");
}
