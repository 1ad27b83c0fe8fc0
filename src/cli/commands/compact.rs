//! `cartlog compact`: small segments of a store into large ones.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use cartlog_storage::store::{StoreError, WriterOptions, compact};

use super::{no_store, open_store};
use crate::cli::arguments::Compact;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::Summary;
use crate::cli::text;

pub(super) fn execute(_options: &Compact, settings: &Settings) -> Result<()> {
    let directory = open_store(settings)?;
    let progress = TerminalProgress::new(settings.quiet);
    let start = Instant::now();
    let compacted = compact(Arc::new(directory), WriterOptions::default(), |so_far| {
        let (done, all) = (text::count(so_far.rows_merged), text::counted(so_far.rows_to_merge, "row"));
        progress.say(format!("merging: {done} of {all}"));
    });
    progress.clear();
    let compacted = match compacted {
        Err(StoreError::NoStore) => return Err(no_store(settings)),
        other => other.with_context(|| format!("can't merge the segments of {}", settings.store.display()))?,
    };
    let mut summary = Summary::new(match compacted.rows_merged {
        0 => format!("Nothing to merge in {}", settings.store.display()),
        rows => format!("Merged {} of {}", text::counted(rows, "row"), settings.store.display()),
    });
    summary.number("rows", "rows", compacted.rows);
    summary.number("segments_before", "segments before", compacted.segments_before as u64);
    summary.number("segments_after", "segments now", compacted.segments_after as u64);
    summary.number("bytes_before", "bytes before", compacted.bytes_before);
    summary.number("bytes_after", "bytes now", compacted.bytes_after);
    summary.stage("merge", start.elapsed());
    settings.print(&summary)
}
