//! `cartlog verify`: every checksum of the store.

use std::time::Instant;

use anyhow::{Result, bail};
use cartlog_storage::store::{StoreError, verify};
use serde_json::json;

use super::{no_store, open_store};
use crate::cli::arguments::Verify;
use crate::cli::settings::Settings;
use crate::cli::text;

pub(super) fn execute(_options: &Verify, settings: &Settings) -> Result<()> {
    let start = Instant::now();
    let report = match verify(&open_store(settings)?) {
        Err(StoreError::NoStore) => return Err(no_store(settings)),
        checked => checked?,
    };
    if settings.json {
        let damage: Vec<_> = report
            .damage
            .iter()
            .map(|damage| {
                let rows = damage.rows.as_ref().map(|rows| json!([rows.start, rows.end]));
                json!({ "file": damage.file, "offset": damage.offset, "length": damage.length, "rows": rows,
                    "what": damage.what })
            })
            .collect();
        println!("{}", json!({ "files": report.files, "bytes": report.bytes, "rows": report.rows, "damage": damage }));
    } else {
        for damage in &report.damage {
            print!("{} at byte {}: {}", damage.file, damage.offset, damage.what);
            match &damage.rows {
                Some(rows) => println!(" (rows {} to {})", text::count(rows.start), text::count(rows.end)),
                None => println!(),
            }
        }
        if !settings.quiet {
            println!(
                "Checked {} in {} ({}, {}): {}",
                text::counted(report.rows, "row"),
                text::counted(report.files, "file"),
                text::bytes(report.bytes),
                text::duration(start.elapsed()),
                if report.is_sound() { "all sound" } else { "damaged" }
            );
        }
    }
    if !report.is_sound() {
        bail!(
            "the store in {} is damaged in {}",
            settings.store.display(),
            text::counted(report.damage.len() as u64, "place")
        );
    }
    Ok(())
}
