//! `cartlog report`: the results, packed for people to look at.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::open_snapshot;
use crate::analysis::{self, Input, Parameters};
use crate::cli::Usage;
use crate::cli::arguments::Report;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::cli::text;
use crate::report::tableau::{TableauVersion, tables, write_workbook};

pub(super) fn execute(options: &Report, settings: &Settings) -> Result<()> {
    let version = TableauVersion::find(&options.tableau_version)
        .ok_or_else(|| Usage(format!("--tableau-version is {:?}; it takes 18.1 or 2026.1", options.tableau_version)))?;
    let path = options.tableau.as_ref().context("--tableau FILE.twbx says where the workbook goes")?;
    let filter = options.filters.resolve()?;
    let snapshot = open_snapshot(settings)?;
    let input = Input::of(&snapshot, &filter)?;
    let progress = TerminalProgress::new(settings.quiet);
    let (mut results, mut analysing) = (Vec::new(), Duration::ZERO);
    for name in tables() {
        progress.say(format!("analysing: {name}"));
        let analysis = analysis::registry().iter().find(|analysis| analysis.file_stem() == name);
        let analysis = analysis.with_context(|| format!("no analysis makes the table {name}"))?;
        let start = Instant::now();
        results.push(analysis.run(&input, &Parameters::default())?);
        analysing += start.elapsed();
    }
    progress.say("packing the workbook");
    let start = Instant::now();
    let bytes = write_workbook(&results, version, path)?;
    progress.clear();
    let headline = format!("Packed the results of {} for Tableau", text::counted(snapshot.rows(), "row"));
    let mut summary = Summary::new(headline);
    summary.number("rows", "rows", snapshot.rows());
    let rows = results.iter().map(|table| table.rows.num_rows() as u64).sum();
    summary.file(WrittenFile { path: path.clone(), rows, bytes });
    summary.stage("analyses", analysing);
    summary.stage("packing", start.elapsed());
    settings.print(&summary)
}
