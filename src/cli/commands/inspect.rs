//! `cartlog inspect`: what a store and its log hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::{Context, Result};
use cartlog_storage::store::{ColumnStatistics, ColumnView, Integers, LogPosition, Packed, Segment, Snapshot};
use serde_json::{Value, json};

use super::log::with_admin;
use super::{open_snapshot, topics};
use crate::cli::arguments::Inspect;
use crate::cli::settings::Settings;
use crate::cli::text;
use crate::event::{EVENT_TIME, time};
use crate::kafka::{GroupReport, TopicReport};
use crate::pipeline::{log_directory, store_directory};

pub(super) fn execute(options: &Inspect, settings: &Settings) -> Result<()> {
    let log = look_at_log(settings)?;
    let has_store = store_directory(&settings.store).try_exists().unwrap_or(true);
    // Where only a log is, there is nothing wrong with that.
    let snapshot = if has_store || log.is_none() { Some(open_snapshot(settings)?) } else { None };
    if settings.json {
        let mut object = snapshot.map_or_else(|| json!({}), |snapshot| json(&snapshot, options.segments));
        object["log"] = log.map_or(Value::Null, |log| log.json());
        writeln!(io::stdout(), "{object}")?;
    } else {
        let store = snapshot.map(|snapshot| report(&snapshot, options.segments, settings));
        let parts: Vec<_> = store.into_iter().chain(log.map(|log| log.report())).collect();
        write!(io::stdout(), "{}", parts.join("\n"))?;
    }
    Ok(())
}

/// What the log holds, or why that can't be told: the store is shown all the same.
enum LogView {
    Seen { name: String, topics: Vec<TopicReport>, groups: Vec<GroupReport> },
    Hidden { name: String, reason: String },
}

/// Looks at the brokers that were named, or the embedded log if there is one.
fn look_at_log(settings: &Settings) -> Result<Option<LogView>> {
    let folder = log_directory(&settings.store);
    let name = match &settings.brokers {
        Some(brokers) => brokers.join(","),
        None if folder.try_exists().with_context(|| format!("can't look at {}", folder.display()))? => {
            folder.display().to_string()
        }
        None => return Ok(None),
    };
    let seen = with_admin(settings, async |admin| Ok((admin.topics().await?, admin.groups().await?)));
    Ok(Some(match seen {
        Ok((topics, groups)) => LogView::Seen { name, topics, groups },
        Err(error) => LogView::Hidden { name, reason: format!("{error:#}") },
    }))
}

impl LogView {
    fn report(&self) -> String {
        match self {
            Self::Hidden { name, reason } => format!("{name}\n  not shown: {reason}\n"),
            Self::Seen { name, topics, groups } => {
                let mut out = format!("{name}\n");
                match topics.is_empty() {
                    true => out.push_str("  no topics\n"),
                    false => out.push_str(&topics::list(topics, 2)),
                }
                if !groups.is_empty() {
                    out.push('\n');
                    out.push_str(&topics::list_groups(groups, 2));
                }
                out
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Hidden { name, reason } => json!({ "name": name, "error": reason }),
            Self::Seen { name, topics, groups } => json!({
                "name": name,
                "topics": topics.iter().map(topics::summary).collect::<Vec<_>>(),
                "groups": groups.iter().map(topics::group_summary).collect::<Vec<_>>(),
            }),
        }
    }
}

fn report(snapshot: &Snapshot, with_segments: bool, settings: &Settings) -> String {
    let mut out = String::new();
    let totals = snapshot.totals();
    let bytes: u64 = snapshot.segments().iter().map(|segment| segment.length()).sum();
    let _ = writeln!(out, "{}", settings.store.display());
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "  {label:<16} {value}");
    };
    line("rows", text::count(snapshot.rows()));
    line(
        "read",
        format!(
            "{} = {} stored + {} rejected + {} duplicate + {} dropped",
            text::count(totals.rows_read),
            text::count(totals.rows_stored),
            text::count(totals.rows_rejected),
            text::count(totals.rows_duplicate),
            text::count(totals.rows_dropped)
        ),
    );
    if let Some((first, last)) = times(snapshot) {
        line("times", format!("{} to {}", time::format(first), time::format(last)));
    }
    line("segments", format!("{} ({})", text::count(snapshot.segments().len() as u64), text::bytes(bytes)));
    line("bytes a row", per_row(bytes, snapshot.rows()));
    line("commit", format!("number {}", snapshot.generation()));
    let _ = writeln!(out, "\n  {:<16} {:>12} {:>12}  kept as", "column", "bytes a row", "distinct");
    for (index, column) in snapshot.schema().columns.iter().enumerate() {
        let bytes: u64 = snapshot.segments().iter().map(|segment| segment.column_length(index)).sum();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for segment in snapshot.segments() {
            *kinds.entry(encoding(segment, index)).or_default() += 1;
        }
        let kinds: Vec<_> = kinds.into_iter().map(|(kind, segments)| format!("{kind} ({segments})")).collect();
        let _ = writeln!(
            out,
            "  {:<16} {:>12} {:>12}  {}",
            column.name,
            per_row(bytes, snapshot.rows()),
            distinct(snapshot, index).map(text::count).unwrap_or_default(),
            kinds.join(", ")
        );
    }
    if !snapshot.positions().is_empty() {
        let _ = writeln!(out, "\n  {:<32} {:>9} {:>14}", "topic", "partition", "next offset");
    }
    for position in in_order(snapshot.positions()) {
        let _ = writeln!(out, "  {:<32} {:>9} {:>14}", position.topic, position.partition, position.next_offset);
    }
    if !snapshot.sources().is_empty() {
        let _ = writeln!(out, "\n  {:<20} {:>12} {:>7}  name", "source", "bytes", "ranges");
    }
    for source in snapshot.sources() {
        let bytes = source.ranges.iter().map(|known| known.range.end - known.range.start).sum();
        let _ = writeln!(
            out,
            "  {:<20} {:>12} {:>7}  {}",
            source.id.as_str(),
            text::bytes(bytes),
            source.ranges.len(),
            source.name
        );
    }
    if with_segments {
        let _ = writeln!(out, "\n  {:>7} {:>12} {:>12}  times", "segment", "rows", "bytes");
        for (number, segment) in snapshot.segments().iter().enumerate() {
            let span = span(segment).map(|(first, last)| format!("{} to {}", time::format(first), time::format(last)));
            let _ = writeln!(
                out,
                "  {number:>7} {:>12} {:>12}  {}",
                text::count(segment.rows() as u64),
                text::bytes(segment.length()),
                span.unwrap_or_default()
            );
        }
    }
    out
}

fn json(snapshot: &Snapshot, with_segments: bool) -> Value {
    let totals = snapshot.totals();
    let columns: Vec<_> = snapshot
        .schema()
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let bytes: u64 = snapshot.segments().iter().map(|segment| segment.column_length(index)).sum();
            json!({ "name": column.name, "bytes": bytes, "distinct": distinct(snapshot, index) })
        })
        .collect();
    let positions: Vec<_> = in_order(snapshot.positions())
        .into_iter()
        .map(|position| json!({ "topic": position.topic, "partition": position.partition, "next_offset": position.next_offset }))
        .collect();
    let sources: Vec<_> = snapshot
        .sources()
        .iter()
        .map(|source| {
            let ranges: Vec<_> =
                source.ranges.iter().map(|known| json!([known.range.start, known.range.end])).collect();
            json!({ "id": source.id.as_str(), "name": source.name, "ranges": ranges })
        })
        .collect();
    let mut object = json!({
        "rows": snapshot.rows(),
        "rows_read": totals.rows_read,
        "rows_stored": totals.rows_stored,
        "rows_rejected": totals.rows_rejected,
        "rows_duplicate": totals.rows_duplicate,
        "rows_dropped": totals.rows_dropped,
        "bytes": snapshot.segments().iter().map(|segment| segment.length()).sum::<u64>(),
        "commit": snapshot.generation(),
        "segments": snapshot.segments().len(),
        "columns": columns,
        "positions": positions,
        "sources": sources,
    });
    if with_segments {
        let segments: Vec<_> = snapshot
            .segments()
            .iter()
            .map(|segment| {
                let columns: Vec<_> =
                    (0..snapshot.schema().columns.len()).map(|column| segment.column_length(column)).collect();
                json!({ "rows": segment.rows(), "bytes": segment.length(), "column_bytes": columns })
            })
            .collect();
        object["segment_list"] = Value::from(segments);
    }
    object
}

/// Positions by topic and partition.
fn in_order(positions: &[LogPosition]) -> Vec<&LogPosition> {
    let mut positions: Vec<_> = positions.iter().collect();
    positions.sort_by_key(|position| (&position.topic, position.partition));
    positions
}

fn per_row(bytes: u64, rows: u64) -> String {
    if rows == 0 { String::new() } else { format!("{:.2}", bytes as f64 / rows as f64) }
}

fn times(snapshot: &Snapshot) -> Option<(i64, i64)> {
    snapshot
        .segments()
        .iter()
        .filter_map(|segment| span(segment))
        .reduce(|(first, last), (from, to)| (first.min(from), last.max(to)))
}

fn span(segment: &Segment) -> Option<(i64, i64)> {
    match segment.statistics(EVENT_TIME) {
        ColumnStatistics::Integers { min, max } => Some((min, max)),
        _ => None,
    }
}

/// Distinct values, where the store knows them: the entries of a dictionary.
fn distinct(snapshot: &Snapshot, column: usize) -> Option<u64> {
    let is_dictionary = snapshot.schema().columns[column].kind == cartlog_storage::store::ColumnType::Dictionary;
    is_dictionary.then(|| snapshot.dictionary(column).len() as u64)
}

/// How a segment keeps a column.
fn encoding(segment: &Segment, column: usize) -> String {
    match segment.column(column) {
        ColumnView::Integers(Integers::Frame { packed, .. }) => format!("offsets of {}", width(&packed)),
        ColumnView::Integers(Integers::Dictionary { codes, .. }) => format!("codes of {}", width(&codes)),
        ColumnView::Codes(packed) => format!("dictionary codes of {}", width(&packed)),
        ColumnView::Identifiers(identifiers) => format!("identifiers, codes of {}", width(&identifiers.codes)),
    }
}

fn width(packed: &Packed<'_>) -> &'static str {
    match packed {
        Packed::Zero(_) => "0 bytes",
        Packed::U8(_) => "1 byte",
        Packed::U16(_) => "2 bytes",
        Packed::U32(_) => "4 bytes",
        Packed::U64(_) => "8 bytes",
    }
}
