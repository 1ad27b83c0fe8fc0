//! What is exported since last, from stores from which rows are dropped meanwhile.

use std::path::Path;
use std::sync::Arc;

use cartlog::export::dataset::{DataSetPlan, LocalPlace, Place, export_data_set};
use cartlog::export::{ExportError, format};
use cartlog_storage::store::{StoreIdentity, WriterOptions, compact, drop_before};
use tempfile::tempdir;

use crate::events::{HEADER, file, lines};
use crate::load::run;
use crate::stored::{directory, snapshot};

/// Exports what is new from a folder's store into its data set; gives how many rows that were.
fn export(folder: &Path) -> Result<u64, ExportError> {
    let place: Arc<dyn Place> = Arc::new(LocalPlace::open(&folder.join("events"))?);
    let (snapshot, store) = (snapshot(folder), StoreIdentity::of(&*directory(folder)).unwrap());
    let plan = DataSetPlan { since_last: true, ..DataSetPlan::new(&snapshot, store, format("csv").unwrap()) };
    Ok(export_data_set(&place, &plan)?.commit.map_or(0, |commit| commit.rows))
}

/// The lines of the data set, in an order of their own.
fn exported(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for day in std::fs::read_dir(folder.join("events")).unwrap().map(|entry| entry.unwrap()) {
        if !day.file_name().to_str().unwrap().starts_with("day=") {
            continue;
        }
        for part in std::fs::read_dir(day.path()).unwrap() {
            let text = std::fs::read_to_string(part.unwrap().path()).unwrap();
            lines.extend(text.strip_prefix(HEADER).unwrap().lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    lines
}

/// The same of text.
fn sorted(texts: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn drop_older(folder: &Path, time: &str) -> u64 {
    let limit = cartlog::event::time::parse(time.as_bytes()).unwrap();
    drop_before(directory(folder), WriterOptions::default(), limit).unwrap().rows_dropped
}

fn merge(folder: &Path) {
    compact(directory(folder), WriterOptions::default(), |_| {}).unwrap();
}

#[test]
fn rows_dropped_before_and_behind_its_end_do_not_disturb_it() {
    for is_merged in [false, true] {
        let folder = tempdir().unwrap();
        let folder = folder.path();
        let [first, second, third, fourth] = [81, 82, 83, 84].map(|seed| lines(seed, 1000));
        run(folder, None, &[&file(folder, "first.csv", &first)]);
        assert_eq!(export(folder).unwrap(), 1000);
        // These are as old as the first ones, so that rows go on both sides of where the export ended.
        run(folder, None, &[&file(folder, "second.csv", &second)]);
        if is_merged {
            merge(folder);
        }
        assert_eq!(drop_older(folder, "2019-10-01 00:10:00 UTC"), 1200);
        assert_eq!(export(folder).unwrap(), 400);
        run(folder, None, &[&file(folder, "third.csv", &third)]);
        if is_merged {
            merge(folder);
        }
        // What was dropped before the end of an export counts no second time.
        assert_eq!(drop_older(folder, "2019-10-01 00:15:00 UTC"), 1500);
        assert_eq!(export(folder).unwrap(), 100);
        // Then nothing that was exported is left at all.
        assert_eq!(drop_older(folder, "2019-11-01 00:00:00 UTC"), 300);
        run(folder, None, &[&file(folder, "fourth.csv", &fourth)]);
        assert_eq!(export(folder).unwrap(), 1000);
        assert_eq!(export(folder).unwrap(), 0);
        let tail =
            |text: &str, rows: usize| text.lines().skip(1000 - rows).fold(String::new(), |all, line| all + line + "\n");
        let expected = sorted(&[&first, &tail(&second, 400), &tail(&third, 100), &fourth]);
        assert_eq!(exported(folder), expected, "merged: {is_merged}");
    }
}

#[test]
fn what_cannot_be_told_is_refused() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    // Old and new rows by turns, more often than their places are written down.
    let old = lines(85, 4000);
    let new = lines(86, 4000).replace("2019-10-01", "2019-10-02");
    let both: String = old.lines().zip(new.lines()).map(|(old, new)| format!("{old}\n{new}\n")).collect();
    let middle = both.len() / 2;
    let middle = middle + both[middle..].find('\n').unwrap() + 1;
    run(folder, None, &[&file(folder, "a.csv", &both[..middle])]);
    export(folder).unwrap();
    let before = exported(folder);
    run(folder, None, &[&file(folder, "b.csv", &both[middle..])]);
    merge(folder);
    assert_eq!(drop_older(folder, "2019-10-02 00:00:00 UTC"), 4000);
    let error = export(folder).unwrap_err().to_string();
    assert!(error.contains("so many rows have been dropped here and there"), "{error}");
    assert_eq!(exported(folder), before);
    // Once all of those are gone, it is known again.
    assert_eq!(drop_older(folder, "2019-10-03 00:00:00 UTC"), 4000);
    run(folder, None, &[&file(folder, "c.csv", &lines(87, 10))]);
    assert_eq!(export(folder).unwrap(), 10);
}
