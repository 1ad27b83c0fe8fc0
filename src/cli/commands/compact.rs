//! `cartlog compact`: small segments of a store into large ones, without the events that have grown too old.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use cartlog_storage::store::{StoreError, WriterOptions, compact, drop_before};

use super::{no_store, open_store};
use crate::cli::Usage;
use crate::cli::arguments::Compact;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::Summary;
use crate::cli::text;
use crate::event::time;

pub(super) fn execute(options: &Compact, settings: &Settings) -> Result<()> {
    let limit = options.drop_before.as_deref().map(drop_limit).transpose()?;
    let directory = Arc::new(open_store(settings)?);
    let progress = TerminalProgress::new(settings.quiet);
    let start = Instant::now();
    let dropped = match limit.map(|limit| drop_before(directory.clone(), WriterOptions::default(), limit)).transpose() {
        Err(StoreError::NoStore) => return Err(no_store(settings)),
        other => other.with_context(|| format!("nothing was dropped from {}", settings.store.display()))?,
    };
    let dropping = start.elapsed();
    let start = Instant::now();
    let compacted = compact(directory, WriterOptions::default(), |so_far| {
        let (done, all) = (text::count(so_far.rows_merged), text::counted(so_far.rows_to_merge, "row"));
        progress.say(format!("merging: {done} of {all}"));
    });
    progress.clear();
    let compacted = match compacted {
        Err(StoreError::NoStore) => return Err(no_store(settings)),
        other => other.with_context(|| format!("can't merge the segments of {}", settings.store.display()))?,
    };
    let store = settings.store.display();
    let merged = text::counted(compacted.rows_merged, "row");
    let mut summary = Summary::new(match (dropped, compacted.rows_merged) {
        (None, 0) => format!("Nothing to merge in {store}"),
        (None, _) => format!("Merged {merged} of {store}"),
        (Some(dropped), _) => {
            format!("Dropped {} of {store} and merged {merged}", text::counted(dropped.rows_dropped, "row"))
        }
    });
    summary.number("rows", "rows", compacted.rows);
    if let Some(dropped) = dropped {
        summary.number("rows_dropped", "rows dropped", dropped.rows_dropped);
        summary.number("segments_dropped", "segments dropped", dropped.segments_dropped);
        summary.number("segments_rewritten", "segments rewritten", dropped.segments_rewritten);
        summary.stage("drop", dropping);
    }
    summary.number("segments_before", "segments before", compacted.segments_before as u64);
    summary.number("segments_after", "segments now", compacted.segments_after as u64);
    summary.number("bytes_before", "bytes before", compacted.bytes_before);
    summary.number("bytes_after", "bytes now", compacted.bytes_after);
    summary.stage("merge", start.elapsed());
    settings.print(&summary)
}

/// The time of `--drop-before`, in milliseconds.
fn drop_limit(typed: &str) -> Result<i64> {
    time::parse_or_midnight(typed.as_bytes()).map_err(|error| {
        Usage(format!("--drop-before {typed:?} {error}; it takes a date or time, such as 2019-11-01")).into()
    })
}
