//! `cartlog export`: the events themselves.

use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{find_format, open_snapshot, open_store};
use crate::analysis::Input;
use crate::cli::Usage;
use crate::cli::arguments::Export;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::cli::text;
use crate::export::dataset::{DataSetPlan, Exported, LocalPlace, ObjectPlace, ObjectUrl, Place, export_data_set};
use crate::export::events::{EventBatches, Mapping, RowSelector, write_events};
use crate::export::{AtomicFile, Format, Sink, Stream, WriteOptions, formats};
use cartlog_storage::store::StoreIdentity;

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
    let selector = (!filter.covers_everything()).then_some(&covered as &RowSelector<'_>);
    let mapping = Mapping::of_format(format.name(), options.typed_time);
    let start = Instant::now();
    let progress = TerminalProgress::new(settings.quiet || options.out.is_none());
    progress.say(format!("exporting {}", text::counted(snapshot.rows(), "row")));
    let write = WriteOptions::default();
    let mut summary = match (&options.out, options.partition_by.is_some()) {
        (None, true) => return Err(Usage("--partition-by needs a folder: --out DIR".to_owned()).into()),
        (Some(out), true) => {
            let plan = DataSetPlan {
                snapshot: &snapshot,
                store: StoreIdentity::of(&open_store(settings)?)?,
                selector,
                filter: if filter.covers_everything() { String::new() } else { filter.sql() },
                format,
                mapping,
                options: write,
                since_last: options.since_last,
            };
            let place: Arc<dyn Place> = match url_of(out) {
                Some(url) => Arc::new(ObjectPlace::connect(url)?),
                None => Arc::new(LocalPlace::open(out)?),
            };
            exported(&export_data_set(&place, &plan)?, format, out)
        }
        (out, false) => {
            let mut batches = EventBatches::new(&snapshot, mapping)?;
            if let Some(selector) = selector {
                batches = batches.select(selector);
            }
            let sink: Box<dyn Sink> = match out {
                None => Box::new(Stream(BufWriter::new(io::stdout()))),
                Some(path) => match url_of(path) {
                    Some(url) => ObjectPlace::connect(url)?.create_itself()?,
                    None => Box::new(AtomicFile::create(path)?),
                },
            };
            let rows = write_events(batches, format, sink, write)?;
            let Some(path) = out else { return Ok(()) };
            let mut summary = headline(rows, format, path);
            if url_of(path).is_none() {
                let bytes = std::fs::metadata(path).with_context(|| format!("can't look at {}", path.display()))?.len();
                summary.file(WrittenFile { path: path.clone(), rows, bytes });
            }
            summary
        }
    };
    progress.clear();
    summary.stage("export", start.elapsed());
    settings.print(&summary)
}

/// The address in an object store that a path is, if it is one.
fn url_of(path: &Path) -> Option<ObjectUrl> {
    path.to_str().and_then(ObjectUrl::parse)
}

/// What an export into a data set did.
fn exported(exported: &Exported, format: &dyn Format, out: &Path) -> Summary {
    let rows = exported.commit.as_ref().map_or(0, |commit| commit.rows);
    let mut summary = headline(rows, format, out);
    summary.field("folder", out.display().to_string());
    summary.field("commit", exported.commit.as_ref().map(|commit| commit.number));
    summary.field("rows_in_store", exported.commit.as_ref().map(|commit| commit.watermark.rows_after));
    summary.number("files_written", "files", exported.commit.as_ref().map_or(0, |commit| commit.files.len() as u64));
    if exported.commit.is_none() {
        summary.note("Nothing is new since the last export.");
    }
    if exported.files_recovered > 0 {
        summary.note(format!(
            "{} of an earlier export, which was cut off after its commit, moved to their place.",
            text::counted(exported.files_recovered as u64, "file")
        ));
    }
    summary
}

fn headline(rows: u64, format: &dyn Format, path: &Path) -> Summary {
    let mut summary =
        Summary::new(format!("Exported {} as {} to {}", text::counted(rows, "event"), format.name(), path.display()));
    summary.number("rows", "rows", rows);
    summary
}

/// What `--format` says, else what the file's name ends with; CSV for a name without an ending, and for a folder.
fn format_of(options: &Export) -> Result<&'static dyn Format> {
    if let Some(name) = &options.format {
        return find_format(name);
    }
    let file = options.out.as_deref().filter(|_| options.partition_by.is_none());
    let Some(ending) = file.and_then(Path::extension).map(|ending| ending.to_string_lossy().to_ascii_lowercase())
    else {
        return find_format("csv");
    };
    formats().iter().find(|format| format.name() == ending).copied().ok_or_else(|| {
        let names: Vec<&str> = formats().iter().map(|format| format.name()).collect();
        Usage(format!(
            "--out ends in .{ending}, which is no format of events: name one with --format {}",
            names.join("|")
        ))
        .into()
    })
}
