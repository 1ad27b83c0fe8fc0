//! `cartlog report`: the results, made into something for people to look at.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::open_snapshot;
use crate::analysis::{self, Filter, Input, Parameters};
use crate::cli::Usage;
use crate::cli::arguments::Report;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::cli::text;
use crate::event::time;
use crate::report::{html, tableau};
use crate::table::Table;

pub(super) fn execute(options: &Report, settings: &Settings) -> Result<()> {
    let version = tableau::TableauVersion::find(&options.tableau_version)
        .ok_or_else(|| Usage(format!("--tableau-version is {:?}; it takes 18.1 or 2026.1", options.tableau_version)))?;
    let filter = options.filters.resolve()?;
    let snapshot = open_snapshot(settings)?;
    let input = Input::of(&snapshot, &filter)?;
    let progress = TerminalProgress::new(settings.quiet);
    let mut wanted = Vec::new();
    if options.html.is_some() {
        wanted.extend(html::TABLES);
    }
    if options.tableau.is_some() {
        wanted.extend(tableau::tables());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut results: Vec<Table> = Vec::new();
    let (mut analysing, mut writing) = (Duration::ZERO, Duration::ZERO);
    for name in wanted {
        progress.say(format!("analysing: {name}"));
        let analysis = analysis::of_table(name).with_context(|| format!("no analysis makes the table {name}"))?;
        let start = Instant::now();
        results.push(analysis.answer(&input, &Parameters::default())?);
        analysing += start.elapsed();
    }
    progress.say("writing");
    let mut summary = Summary::new(format!("Reported on {}", text::counted(snapshot.rows(), "row")));
    summary.number("rows", "rows", snapshot.rows());
    let of = |names: &[&str]| -> Vec<Table> {
        results.iter().filter(|table| names.contains(&table.name.as_str())).cloned().collect()
    };
    let mut write = |path: &Path, names: &[&str], writer: &dyn Fn(&[Table]) -> Result<u64>| -> Result<()> {
        let (tables, start) = (of(names), Instant::now());
        let bytes = writer(&tables)?;
        let rows = tables.iter().map(|table| table.rows.num_rows() as u64).sum();
        summary.file(WrittenFile { path: path.to_owned(), rows, bytes });
        writing += start.elapsed();
        Ok(())
    };
    if let Some(path) = &options.html {
        let covered = covered(snapshot.rows(), &filter);
        write(path, &html::TABLES, &|tables| Ok(html::write_page(tables, &covered, path)?))?;
    }
    if let Some(path) = &options.tableau {
        write(path, &tableau::tables(), &|tables| Ok(tableau::write_workbook(tables, version, path)?))?;
    }
    progress.clear();
    summary.stage("analyses", analysing);
    summary.stage("writing", writing);
    settings.print(&summary)
}

/// Which events a page is of, in words.
fn covered(rows: u64, filter: &Filter) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, value: Option<String>| parts.extend(value.map(|value| format!("{name} {value}")));
    let listed = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(", "));
    let price = |units: i64| crate::event::decimal::format(units);
    part("from", filter.from.map(time::format));
    part("to before", filter.to.map(time::format));
    part("of type", listed(&filter.event_types));
    part("in category", listed(&filter.categories));
    part("of brand", listed(&filter.brands));
    part("at least", filter.min_price.map(price));
    part("at most", filter.max_price.map(price));
    let ids = |ids: &[i64]| listed(&ids.iter().map(i64::to_string).collect::<Vec<_>>());
    part("of product", ids(&filter.products));
    part("of user", ids(&filter.users));
    let among = text::counted(rows, "event");
    if parts.is_empty() { format!("All of {among}.") } else { format!("Of {among} those {}.", parts.join(", ")) }
}
