//! The command as it is typed: what it prints, and how it says what can't be meant.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::events::{file, text};

const ROWS: &str = "\
2019-10-01 10:00:00 UTC,view,1,11,a.b,apple,10.00,1,63280b81-5a96-42b4-b014-a05b28229efb
2019-10-01 10:00:01 UTC,cart,1,11,a.b,apple,10.00,1,63280b81-5a96-42b4-b014-a05b28229efb
2019-10-01 10:00:02 UTC,view,2,12,,nokia,20.00,2,63280b81-5a96-42b4-b014-a05b28229efc
no,event
";

fn cartlog(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cartlog"));
    command.args(words).args(["--store", "store"]).current_dir(folder).output().unwrap()
}

fn printed(folder: &Path, words: &[&str]) -> String {
    let output = cartlog(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The exit code and what is told.
fn refused(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = cartlog(folder, words);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A folder with a store of three events and a reject.
fn shop() -> TempDir {
    let folder = tempdir().unwrap();
    let rows = file(folder.path(), "rows.csv", ROWS);
    printed(folder.path(), &["load", &text(&rows)]);
    folder
}

#[test]
fn a_summary_says_how_many_rows_the_filter_covers() {
    let shop = shop();
    let told = |words: &[&str]| printed(shop.path(), words).lines().next().unwrap_or_default().to_owned();
    for report in [
        &["report", "--html", "a.html"][..],
        &["report", "--tableau", "a.twbx"],
        &["report", "--chart", "week", "-o", "a.svg"],
    ] {
        assert_eq!(told(report), "Reported on 3 rows");
        assert_eq!(told(&[report, &["--brand", "apple"]].concat()), "Reported on 2 of 3 rows");
        assert_eq!(told(&[report, &["--brand", "nothing"]].concat()), "Reported on 0 of 3 rows");
    }
    assert_eq!(told(&["analyze", "-o", "out", "--brand", "nokia"]), "Analysed 1 of 3 rows of store");
    let summary = printed(shop.path(), &["report", "--html", "a.html", "--from", "2020-01-01", "--json"]);
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["rows"], &summary["rows_covered"]), (&3.into(), &0.into()));
    assert!(std::fs::read_to_string(shop.path().join("a.html")).unwrap().contains("0 of 3 events: those from"));
}

#[test]
fn tables_as_json_are_one_value() {
    let shop = shop();
    let json = |words: &[&str]| {
        serde_json::from_str::<Value>(&printed(shop.path(), &[&["analyze", "--json"], words].concat()))
    };
    let one = json(&["top_categories"]).unwrap();
    assert_eq!(one.as_array().unwrap().len(), 2);
    let two = json(&["top_categories", "price_bands", "--event-type", "purchase"]).unwrap();
    assert_eq!(two, serde_json::json!({ "top_categories": [], "price_bands": [] }));
    let all = json(&[]).unwrap();
    assert_eq!(all.as_object().unwrap().len(), cartlog::analysis::registry().len());
    assert_eq!(all["top_categories"], one);
}

#[test]
fn rejects_as_they_were_are_no_json() {
    let shop = shop();
    let (code, told) = refused(shop.path(), &["rejects", "--raw", "--json"]);
    assert!(code == Some(2) && told.contains("--raw prints lines as they were, which are no JSON"), "{told}");
    assert_eq!(printed(shop.path(), &["rejects", "--raw"]), "no,event\n");
}

#[test]
fn an_export_as_json_is_refused_whole() {
    let shop = shop();
    printed(shop.path(), &["export", "-o", "rows.json"]);
    let (code, told) = refused(shop.path(), &["load", "rows.json"]);
    assert!(code == Some(1) && told.contains("rows.json: is one JSON document, expected CSV"), "{told}");
}

#[test]
fn a_limit_below_zero_is_told_what_limits_are() {
    let shop = shop();
    let (code, told) = refused(shop.path(), &["load", "rows.csv", "--max-rejected", "-1"]);
    assert!(code == Some(2) && told.contains("--max-rejected: `-1` is no limit; use a number of rows (100)"), "{told}");
}
