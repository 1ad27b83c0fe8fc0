//! `cartlog run`: the main job: load, analyse, write the result files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::{load, open_snapshot};
use crate::analysis::{self, Analysis, Filter, Input, Parameters, Together};
use crate::cli::Interrupted;
use crate::cli::arguments::Run;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::export::{self, WriteOptions};
use crate::pipeline::LogPlan;
use crate::table::Table;

/// What is loaded when no file is named.
const SAMPLE: &str = "data/sample.csv";

/// The analyses that are also written in another format than CSV: existing notebooks read these files.
const MORE_FORMATS: [(&str, &str); 1] = [("price_sensitivity", "orc")];

pub(super) fn execute(options: &Run, settings: &Settings) -> Result<()> {
    let inputs = if options.files.is_empty() { vec![sample()?] } else { options.files.clone() };
    let group = settings.group(&options.group)?;
    let log = if options.no_log { None } else { Some(LogPlan { group, ..settings.log_for(&options.load)? }) };
    let progress = TerminalProgress::new(settings.quiet);
    let (loaded, mut summary) = load::load_sources(inputs, log, &options.load, &options.limit, settings, &progress)?;
    if !options.no_analyses && !loaded.interrupted {
        let snapshot = open_snapshot(settings)?;
        let together = Together::of(analysis::registry());
        let input = Input::of(&snapshot, &Filter::default())?.within(settings.memory).for_all(&together);
        analyse(&input, &options.out, &progress, &mut summary)?;
    }
    progress.clear();
    settings.print(&summary)?;
    Interrupted::unless(!loaded.interrupted)
}

fn sample() -> Result<String> {
    if Path::new(SAMPLE).exists() {
        return Ok(SAMPLE.to_owned());
    }
    Err(anyhow!(
        "no input is named and {SAMPLE} is not here; name a file, or make one: cartlog generate --out events.csv"
    ))
}

/// Runs every analysis and writes its file.
fn analyse(input: &Input<'_>, out: &Path, progress: &TerminalProgress, summary: &mut Summary) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("can't make the folder {}", out.display()))?;
    let (mut analysing, mut writing) = (Duration::ZERO, Duration::ZERO);
    for analysis in analysis::registry() {
        progress.say(format!("analysing: {}", analysis.name()));
        let start = Instant::now();
        let table = analysis.answer(input, &Parameters::default())?;
        analysing += start.elapsed();
        let start = Instant::now();
        for format in formats_of(*analysis) {
            let path = out.join(format!("{}.{format}", analysis.file_stem()));
            summary.file(write(&table, format, path)?);
        }
        writing += start.elapsed();
    }
    summary.stage("analyses", analysing);
    summary.stage("exports", writing);
    Ok(())
}

fn formats_of(analysis: &dyn Analysis) -> impl Iterator<Item = &'static str> {
    let more = MORE_FORMATS.iter().filter(move |(name, _)| *name == analysis.name()).map(|(_, format)| *format);
    std::iter::once("csv").chain(more)
}

/// Writes a table to a file that appears whole or not at all.
pub(super) fn write(table: &Table, format: &str, path: PathBuf) -> Result<WrittenFile> {
    let format = super::find_format(format)?;
    export::write_table_file(table, format, &path, WriteOptions::default())?;
    let bytes = fs::metadata(&path).with_context(|| format!("can't look at {}", path.display()))?.len();
    Ok(WrittenFile { rows: table.rows.num_rows() as u64, bytes, path })
}
