//! `cartlog rejects`: the lines that are no events, and why; to a file to be mended, and back.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{open_snapshot, open_store};
use crate::cli::Usage;
use crate::cli::arguments::Rejects;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::cli::text;
use crate::export::{AtomicFile, Sink as _};
use crate::pipeline::{MendSummary, export_rejects, mend};

/// How much of a rejected line is shown in a list.
const SHOWN_CHARACTERS: usize = 100;

/// How many lines that are still no events are shown after a replay.
const SHOWN_REFUSALS: usize = 5;

pub(super) fn execute(options: &Rejects, settings: &Settings) -> Result<()> {
    if let Some(mended) = &options.replay {
        return replay(mended.as_deref(), settings);
    }
    if let Some(path) = &options.export {
        return export(path, options.limit, settings);
    }
    list(options, settings)
}

fn list(options: &Rejects, settings: &Settings) -> Result<()> {
    if options.raw && settings.json {
        return Err(Usage(
            "--raw prints lines as they were, which are no JSON: leave it away, and --json gives each line as `raw` beside its place; or \
             leave --json (CARTLOG_JSON, json = true in the configuration file) away"
                .to_owned(),
        )
        .into());
    }
    let snapshot = open_snapshot(settings)?;
    let total = snapshot.totals().rows_rejected;
    let rejects = snapshot.rejects()?.take(options.limit.unwrap_or(usize::MAX));
    let mut out = BufWriter::new(io::stdout().lock());
    if options.count {
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for reject in rejects {
            *reasons.entry(kind(&reject?.reason)).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        for (reason, count) in reasons {
            if settings.json {
                writeln!(out, "{}", json!({ "reason": reason, "count": count }))?;
            } else {
                writeln!(out, "{:>12}  {reason}", text::count(count))?;
            }
        }
        return Ok(out.flush()?);
    }
    for reject in rejects {
        let reject = reject?;
        if options.raw {
            out.write_all(&reject.raw)?;
            out.write_all(b"\n")?;
        } else if settings.json {
            let line = json!({ "source": reject.source, "line": reject.line, "byte_offset": reject.byte_offset,
                "reason": reject.reason, "raw": String::from_utf8_lossy(&reject.raw) });
            writeln!(out, "{line}")?;
        } else {
            let raw = String::from_utf8_lossy(&reject.raw);
            let mut shown: String = raw.escape_debug().take(SHOWN_CHARACTERS).collect();
            if shown.len() < raw.len() {
                shown.push('…');
            }
            writeln!(
                out,
                "{}:{} (byte {}): {}",
                reject.source,
                reject.line,
                text::count(reject.byte_offset),
                reject.reason
            )?;
            writeln!(out, "    {shown}")?;
        }
    }
    if !options.raw && !settings.json && !settings.quiet {
        // What was read again is one row.
        let rows = snapshot.totals().rows_read - snapshot.totals().rows_duplicate;
        writeln!(out, "{} of {} rejected", text::count(total), text::counted(rows, "row"))?;
    }
    Ok(out.flush()?)
}

/// Writes the rejects to a file that is not there yet: one that is there may hold an afternoon's mending.
fn export(path: &Path, limit: Option<usize>, settings: &Settings) -> Result<()> {
    let rejects = open_snapshot(settings)?.rejects()?;
    let limit = limit.unwrap_or(usize::MAX);
    if path == Path::new("-") {
        let mut out = BufWriter::new(io::stdout().lock());
        export_rejects(rejects.take(limit), &mut out)?;
        return Ok(out.flush()?);
    }
    if path.try_exists().with_context(|| format!("can't look at {}", path.display()))? {
        bail!(
            "{} is there already and may hold lines that were mended: name another file, or remove it",
            path.display()
        );
    }
    let mut file = Box::new(AtomicFile::create(path)?);
    let rows = export_rejects(rejects.take(limit), &mut file)?;
    file.complete()?;
    let bytes = fs::metadata(path).with_context(|| format!("can't look at {}", path.display()))?.len();
    let mut summary = Summary::new(format!("Exported the rejects of {}", settings.store.display()));
    summary.number("rejects", "rejects", rows);
    summary.file(WrittenFile { path: path.to_owned(), rows, bytes });
    summary.note(format!("Mend its lines, then: cartlog rejects --replay {}", path.display()));
    settings.print(&summary)
}

/// Stores what are events now.
fn replay(mended: Option<&Path>, settings: &Settings) -> Result<()> {
    let directory = Arc::new(open_store(settings)?);
    let MendSummary { rows, refused, rejects_left, seconds_total } =
        mend(directory, mended).context("nothing was replayed")?;
    let mut summary = Summary::new(match mended {
        Some(path) => format!("Replayed {} into {}", path.display(), settings.store.display()),
        None => format!("Tried the rejects of {} again", settings.store.display()),
    });
    summary.rows(rows);
    summary.number("rejects_left", "rejects left", rejects_left);
    summary.field("refused", serde_json::to_value(&refused)?);
    summary.stage("replay", Duration::from_secs_f64(seconds_total));
    let shown: Vec<_> =
        refused.iter().take(SHOWN_REFUSALS).map(|line| format!("  {}: {}", line.place, line.reason)).collect();
    if !shown.is_empty() {
        let still = if rows.rows_rejected == 1 {
            "1 line is".to_owned()
        } else {
            format!("{} lines are", text::count(rows.rows_rejected))
        };
        let more = if rows.rows_rejected > shown.len() as u64 { "\n  …" } else { "" };
        summary.note(format!("{still} no event yet; left among the rejects:\n{}{more}", shown.join("\n")));
    }
    if rows.rows_duplicate > 0 {
        summary.note(format!(
            "{} not among the rejects: stored by an earlier replay, or of another store.",
            if rows.rows_duplicate == 1 {
                "1 line is".to_owned()
            } else {
                format!("{} lines are", text::count(rows.rows_duplicate))
            }
        ));
    }
    settings.print(&summary)
}

/// A reason without the values in it, so that equal kinds of damage count together.
fn kind(reason: &str) -> String {
    let mut kind = String::with_capacity(reason.len());
    let mut quoted = reason.split('"');
    if let Some(first) = quoted.next() {
        kind.push_str(first);
    }
    for (index, part) in quoted.enumerate() {
        if index % 2 == 1 {
            kind.push('…');
            kind.push_str(part);
        }
    }
    // Where it is in the line isn't what it is.
    match kind.find(" at byte ") {
        Some(place) => {
            let rest = kind[place + " at byte ".len()..].trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{} at a byte{rest}", &kind[..place])
        }
        None => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_one_kind_count_together() {
        assert_eq!(kind("price: \"abc\" is not a decimal number"), kind("price: \"x\" is not a decimal number"));
        assert_eq!(kind("a quote is left open at byte 41 of the line"), "a quote is left open at a byte of the line");
        assert_eq!(kind("expected 9 fields, found 8"), "expected 9 fields, found 8");
    }
}
