//! `cartlog rejects`: the lines that are no events, and why.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use anyhow::Result;
use serde_json::json;

use super::open_snapshot;
use crate::cli::arguments::Rejects;
use crate::cli::settings::Settings;
use crate::cli::text;

/// How much of a rejected line is shown in a list.
const SHOWN_CHARACTERS: usize = 100;

pub(super) fn execute(options: &Rejects, settings: &Settings) -> Result<()> {
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
        let rows = snapshot.totals().rows_read;
        writeln!(out, "{} of {} rejected", text::count(total), text::counted(rows, "row"))?;
    }
    Ok(out.flush()?)
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
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_one_kind_count_together() {
        assert_eq!(kind("price: \"abc\" is not a decimal number"), kind("price: \"x\" is not a decimal number"));
        assert_eq!(kind("expected 9 fields, found 8"), "expected 9 fields, found 8");
    }
}
