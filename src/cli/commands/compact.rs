//! `cartlog compact`: small segments of a store into large ones, without the events that have grown too old, and the events
//! in order of their users beside them.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use cartlog_storage::io::Directory;
use cartlog_storage::store::{
    SortOptions, SortSummary, StoreError, WriterOptions, compact, drop_before, remove_stale_copy,
    remove_stale_summaries, sort_copy,
};

use super::{no_store, open_store};
use crate::cli::Usage;
use crate::cli::arguments::Compact;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::Summary;
use crate::cli::text;
use crate::event::{BY_USER, time};

pub(super) fn execute(options: &Compact, settings: &Settings) -> Result<()> {
    let limit = options.drop_before.as_deref().map(drop_limit).transpose()?;
    let directory: Arc<dyn Directory> = Arc::new(open_store(settings)?);
    let progress = TerminalProgress::new(settings.quiet);
    let start = Instant::now();
    let dropped = match limit.map(|limit| drop_before(directory.clone(), WriterOptions::default(), limit)).transpose() {
        Err(StoreError::NoStore) => return Err(no_store(settings)),
        other => other.with_context(|| format!("nothing was dropped from {}", settings.store.display()))?,
    };
    let dropping = start.elapsed();
    let start = Instant::now();
    let compacted = compact(directory.clone(), WriterOptions::default(), |so_far| {
        let (done, all) = (text::count(so_far.rows_merged), text::counted(so_far.rows_to_merge, "row"));
        progress.say(format!("merging: {done} of {all}"));
    });
    let compacted = match compacted {
        Err(StoreError::NoStore) => return Err(no_store(settings)),
        // Whoever loads merges too, and sorting needs no lock of the store.
        Err(StoreError::Locked) if options.by_user => None,
        other => Some(other.with_context(|| format!("can't merge the segments of {}", settings.store.display()))?),
    };
    let merging = start.elapsed();
    let start = Instant::now();
    let sorted = options.by_user.then(|| sort(&directory, settings, &progress)).transpose()?;
    let sorting = start.elapsed();
    let freed = remove_stale_copy(&*directory).context("the merge is done, but a sorted copy can't be removed")?;
    remove_stale_summaries(&*directory).context("the merge is done, but old summaries can't be removed")?;
    progress.clear();
    let store = settings.store.display();
    let merged = compacted.map_or(0, |compacted| compacted.rows_merged);
    let mut summary = Summary::new(match (&sorted, dropped, merged) {
        (None, None, 0) => format!("Nothing to merge in {store}"),
        (_, Some(dropped), _) => format!(
            "Dropped {} of {store} and merged {}",
            text::counted(dropped.rows_dropped, "row"),
            text::counted(merged, "row")
        ),
        (Some(sorted), None, 0) if sorted.rows_sorted == 0 => format!("{store} is in order of user already"),
        (Some(_), None, 0) => format!("Sorted {store} by user"),
        (_, None, _) => format!("Merged {} of {store}", text::counted(merged, "row")),
    });
    if let Some(dropped) = dropped {
        summary.number("rows_dropped", "rows dropped", dropped.rows_dropped);
        summary.number("segments_dropped", "segments dropped", dropped.segments_dropped);
        summary.number("segments_rewritten", "segments rewritten", dropped.segments_rewritten);
        summary.stage("drop", dropping);
    }
    // What was dropped before the merge had its share of both.
    let before = dropped.map(|dropped| (dropped.segments_before, dropped.bytes_before));
    if let Some(compacted) = compacted {
        let (segments_before, bytes_before) = before.unwrap_or((compacted.segments_before, compacted.bytes_before));
        summary.number("rows", "rows", compacted.rows);
        summary.number("segments_before", "segments before", segments_before as u64);
        summary.number("segments_after", "segments now", compacted.segments_after as u64);
        summary.number("bytes_before", "bytes before", bytes_before);
        summary.number("bytes_after", "bytes now", compacted.bytes_after);
        summary.stage("merge", merging);
    }
    if let Some(sorted) = sorted {
        summary.number("rows_sorted", "rows sorted by user", sorted.rows_sorted);
        summary.number("rows_left_out", "rows read unsorted", sorted.rows_left_out);
        summary.number("sorted_segments", "sorted segments", sorted.segments as u64);
        summary.number("sorted_bytes", "sorted bytes", sorted.bytes);
        summary.stage("sort", sorting);
    }
    if freed > 0 {
        summary.number("stale_bytes", "bytes of a stale copy removed", freed);
    }
    settings.print(&summary)
}

/// Writes the rows once more, in order of their users.
fn sort(directory: &Arc<dyn Directory>, settings: &Settings, progress: &TerminalProgress) -> Result<SortSummary> {
    let options = SortOptions { threads: settings.threads, memory: settings.memory, ..SortOptions::default() };
    let told = |so_far: &SortSummary| {
        let (done, all) = (text::count(so_far.rows_sorted), text::counted(so_far.rows, "row"));
        progress.say(format!("sorting by user: {done} of {all}"));
    };
    let sorted = sort_copy(directory, BY_USER, &options, told);
    let sorted = sorted.with_context(|| format!("can't sort the rows of {} by user", settings.store.display()))?;
    if !sorted.is_current {
        anyhow::bail!(
            "{} has changed what was sorted in the meantime, so that the copy doesn't count; run the command again",
            settings.store.display()
        );
    }
    Ok(sorted)
}

/// The time of `--drop-before`, in milliseconds.
fn drop_limit(typed: &str) -> Result<i64> {
    time::parse_or_midnight(typed.as_bytes()).map_err(|error| {
        Usage(format!("--drop-before {typed:?} {error}; it takes a date or time, such as 2019-11-01")).into()
    })
}
