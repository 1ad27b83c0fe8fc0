//! `cartlog export`: the events themselves.

use std::io::{self, BufWriter};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{find_format, open_snapshot};
use crate::analysis::Input;
use crate::cli::Usage;
use crate::cli::arguments::Export;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::cli::text;
use crate::export::events::{EventBatches, Mapping, write_days, write_events};
use crate::export::{AtomicFile, Format, Sink, Stream, WriteOptions, formats};

pub(super) fn execute(options: &Export, settings: &Settings) -> Result<()> {
    let format = format_of(options)?;
    if options.typed_time && format.name() != "orc" {
        return Err(
            Usage("--typed-time is for --format orc; the other formats have typed times anyway".to_owned()).into()
        );
    }
    let filter = options.filters.resolve()?;
    let snapshot = open_snapshot(settings)?;
    let input = Input::of(&snapshot, &filter)?;
    let covered = |segment, rows, into: &mut Vec<usize>| input.selection().rows(input.events(), segment, rows, into);
    let mut batches = EventBatches::new(&snapshot, Mapping::of_format(format.name(), options.typed_time))?;
    if !filter.covers_everything() {
        batches = batches.select(&covered);
    }
    let start = Instant::now();
    let progress = TerminalProgress::new(settings.quiet || options.out.is_none());
    progress.say(format!("exporting {}", text::counted(snapshot.rows(), "row")));
    let write = WriteOptions::default();
    let mut summary = match (&options.out, options.partition_by.is_some()) {
        (None, true) => return Err(Usage("--partition-by needs a folder: --out DIR".to_owned()).into()),
        (None, false) => {
            let out: Box<dyn Sink> = Box::new(Stream(BufWriter::new(io::stdout())));
            write_events(batches, format, out, write)?;
            return Ok(());
        }
        (Some(folder), true) => {
            let rows = write_days(batches, format, folder, write)?;
            let mut summary = headline(rows, format, folder);
            summary.field("folder", folder.display().to_string());
            summary
        }
        (Some(path), false) => {
            let rows = write_events(batches, format, Box::new(AtomicFile::create(path)?), write)?;
            let bytes = std::fs::metadata(path).with_context(|| format!("can't look at {}", path.display()))?.len();
            let mut summary = headline(rows, format, path);
            summary.file(WrittenFile { path: path.clone(), rows, bytes });
            summary
        }
    };
    progress.clear();
    summary.stage("export", start.elapsed());
    settings.print(&summary)
}

fn headline(rows: u64, format: &dyn Format, path: &Path) -> Summary {
    let mut summary =
        Summary::new(format!("Exported {} as {} to {}", text::counted(rows, "event"), format.name(), path.display()));
    summary.number("rows", "rows", rows);
    summary
}

/// What `--format` says, else what the file's name ends with, else CSV.
fn format_of(options: &Export) -> Result<&'static dyn Format> {
    if let Some(name) = &options.format {
        return find_format(name);
    }
    let extension = options.out.as_deref().and_then(Path::extension).and_then(|extension| extension.to_str());
    let by_name = extension.and_then(|extension| formats().iter().find(|format| format.name() == extension).copied());
    by_name.map_or_else(|| find_format("csv"), Ok)
}
