//! How far a store has been exported, and how that is found again.
//!
//! Rows are appended, and merging segments keeps their order, so the number of rows that there have ever been is all that there
//! is to remember: where rows were dropped since, the store knows it and says where that row stands now.
//! What could make it wrong is looked for: another store in the same folder has another name; a store that was put back to
//! an earlier state and has grown in another way has other rows before the watermark, whose checksum is remembered.

use serde::{Deserialize, Serialize};

use super::DataSetPlan;
use crate::export::events::{EventBatches, Mapping, write_events};
use crate::export::{ExportError, Stream, WriteOptions, format};
use cartlog_storage::store::{Snapshot, StoreIdentity};

/// Rows before the watermark that are looked at.
const COMPARED_ROWS: u64 = 1000;

/// Where an export ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// The name of the store.
    pub store: String,
    /// Rows that the store had then, which are exported or left out by the filter.
    pub rows_after: u64,
    /// The CRC32C of the last thousand of them as CSV, in hexadecimal.
    pub last_rows: String,
    /// Rows that had been dropped from the store by then.
    #[serde(default)]
    pub rows_dropped: u64,
}

impl Watermark {
    /// The end of a store.
    pub(super) fn of(snapshot: &Snapshot, store: &StoreIdentity) -> Result<Self, ExportError> {
        let rows_after = snapshot.rows();
        Ok(Self {
            store: store.to_string(),
            rows_after,
            last_rows: last_rows(snapshot, rows_after)?,
            rows_dropped: snapshot.totals().rows_dropped,
        })
    }
}

/// The row at which to go on after a commit; the error says why there is none.
pub(super) fn start(plan: &DataSetPlan<'_>, last: &super::Commit) -> Result<u64, String> {
    let Watermark { store, rows_after, last_rows: expected, rows_dropped } = &last.watermark;
    let got = plan.store.to_string();
    if *store != got {
        return Err(format!("it comes from the store {store}, and this is the store {got}"));
    }
    for (what, got, expected) in
        [("format", &*plan.format_name(), &*last.format), ("filter", &*plan.filter, &*last.filter)]
    {
        if got != expected {
            let text = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
            return Err(format!("its {what} is {}, and now {} was asked for", text(expected), text(got)));
        }
    }
    let rows_ever = plan.snapshot.rows().saturating_add(plan.snapshot.totals().rows_dropped);
    let ended = rows_after.saturating_add(*rows_dropped);
    if rows_ever < ended {
        return Err(format!(
            "it holds the store's first {ended} rows, and the store has only had {rows_ever} up to now"
        ));
    }
    let Some(start) = plan.snapshot.place_of(ended) else {
        return Err(format!(
            "so many rows have been dropped here and there around the store's row {ended}, at which it ended, that nobody \
             knows how many of the rows that are left it holds"
        ));
    };
    let compared = COMPARED_ROWS.min(*rows_after);
    let are_there = |first| plan.snapshot.place_of(ended - compared) == Some(first);
    if start != *rows_after && !start.checked_sub(compared).is_some_and(are_there) {
        // Some of the rows whose checksum is known have been dropped.
        return Ok(start);
    }
    match last_rows(plan.snapshot, start) {
        Ok(found) if found == *expected => Ok(start),
        Ok(_) => Err(format!("the store's rows before row {ended} are no longer those that were exported")),
        Err(error) => Err(error.to_string()),
    }
}

/// The checksum of the rows before a row.
fn last_rows(snapshot: &Snapshot, end: u64) -> Result<String, ExportError> {
    let batches = EventBatches::new(snapshot, Mapping::Exact)?.rows(end.saturating_sub(COMPARED_ROWS)..end);
    let mut text = Vec::new();
    if let Some(csv) = format("csv") {
        write_events(batches, csv, Box::new(Stream(&mut text)), WriteOptions::default())?;
    }
    Ok(format!("{:08x}", crc32c::crc32c(&text)))
}
