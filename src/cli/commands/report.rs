//! `cartlog report`: the results, made into something for people to look at.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cartlog_storage::store::Snapshot;

use super::{find_format, open_snapshot};
use crate::analysis::{self, Chosen, Filter, Input, Missing, Parameters, Summaries, Together};
use crate::cli::Usage;
use crate::cli::arguments::Report;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::cli::text;
use crate::event::time;
use crate::export::events::{EventBatches, Mapping, write_events};
use crate::export::{AtomicFile, Sink, WriteOptions};
use crate::report::hyper::Extract;
use crate::report::{Figures, Loaded, Measure, SECTIONS, Section, Standalone, Surroundings, html, image, tableau};
use crate::table::Table;

pub(super) fn execute(options: &Report, settings: &Settings) -> Result<()> {
    let version = tableau::TableauVersion::find(&options.tableau_version)
        .ok_or_else(|| Usage(format!("--tableau-version is {:?}; it takes 18.1 or 2026.1", options.tableau_version)))?;
    let filter = options.filters.resolve()?;
    let snapshot = open_snapshot(settings)?;
    let progress = TerminalProgress::new(settings.quiet);
    let summaries = Summaries::of(&snapshot);
    let mut input = Input::of(&snapshot, &filter)?.within(settings.memory).beside_summaries(&summaries);
    // All but a single chart are made of many answers, which share the rows that the filter covers.
    let is_of_many = options.html.is_some() || options.tableau.is_some() || options.hyper.is_some();
    let start = Instant::now();
    progress.say("choosing events");
    let chosen = if is_of_many { Chosen::of(&mut input)? } else { Chosen::default() };
    // An extract has the table of every analysis.
    let together = Together::of(if options.hyper.is_some() { analysis::registry() } else { &[] });
    let input_of_chosen = chosen.input(&input).for_all(&together);
    let covered = input_of_chosen.covered_rows();
    let mut work = Work {
        covered,
        input: input_of_chosen,
        answered: BTreeMap::new(),
        progress,
        analysing: start.elapsed(),
        writing: Duration::ZERO,
        summary: Summary::new(format!("Reported on {}", text::counted_of(covered, snapshot.rows(), "row"))),
    };
    work.summary.number("rows", "rows", snapshot.rows());
    work.summary.number("rows_covered", "covered", covered);
    if let Some(path) = &options.html {
        work.page(path, &snapshot, &filter)?;
    }
    if let Some(path) = &options.tableau {
        let names = tableau::tables();
        let tables = names.iter().map(|name| work.table(name)).collect::<Result<Vec<_>>>()?;
        work.write(path, &tables, || Ok(tableau::write_workbook(&tables, version, path)?))?;
    }
    if let Some(path) = &options.hyper {
        work.extract(path, &options.python, &snapshot, &input)?;
    }
    if let (Some(name), Some(path)) = (&options.chart, &options.out) {
        work.picture(&chart(name, path, options)?, path, &snapshot)?;
    }
    work.progress.clear();
    work.summary.stage("analyses", work.analysing);
    work.summary.stage("writing", work.writing);
    settings.print(&work.summary)
}

/// An analysis' parameters, as they are set.
type Set = &'static [(&'static str, &'static str)];

/// Answers, each made once, and what is told of them at the end.
struct Work<'a> {
    input: Input<'a>,
    /// Events that the filter covers.
    covered: u64,
    /// By analysis and its parameters.
    answered: BTreeMap<(&'static str, Set), Table>,
    progress: TerminalProgress,
    analysing: Duration,
    writing: Duration,
    summary: Summary,
}

impl Work<'_> {
    /// The table of this name.
    fn table(&mut self, name: &str) -> Result<Table> {
        let analysis = analysis::of_table(name).with_context(|| format!("no analysis makes the table {name}"))?;
        self.answer(analysis.name(), &[])
    }

    /// The table of a section.
    fn section(&mut self, section: &Section) -> Result<Table> {
        self.answer(section.analysis, section.parameters)
    }

    fn answer(&mut self, name: &'static str, set: Set) -> Result<Table> {
        if let Some(known) = self.answered.get(&(name, set)) {
            return Ok(known.clone());
        }
        self.progress.say(format!("analysing: {name}"));
        let analysis = analysis::find(name)?;
        let mut parameters = Parameters::default();
        for (name, value) in set {
            parameters.set(analysis, name, value)?;
        }
        let start = Instant::now();
        let table = analysis.answer(&self.input, &parameters)?;
        self.analysing += start.elapsed();
        self.answered.insert((name, set), table.clone());
        Ok(table)
    }

    fn write(&mut self, path: &Path, tables: &[Table], writer: impl FnOnce() -> Result<u64>) -> Result<()> {
        self.progress.say("writing");
        let start = Instant::now();
        let bytes = writer()?;
        let rows = tables.iter().map(|table| table.rows.num_rows() as u64).sum();
        self.summary.file(WrittenFile { path: path.to_owned(), rows, bytes });
        self.writing += start.elapsed();
        Ok(())
    }

    /// Writes the page of all sections.
    fn page(&mut self, path: &Path, snapshot: &Snapshot, filter: &Filter) -> Result<()> {
        let figures = Figures::of(&self.answer("key_figures", &[])?)?;
        let tables = SECTIONS.iter().map(|section| self.section(section)).collect::<Result<Vec<_>>>()?;
        let (mut before, mut note) = (None, String::new());
        if let Some(earlier) = filter.before() {
            let input = Input::of(snapshot, &earlier)?;
            let table = analysis::find("key_figures")?.answer(&input, &Parameters::default())?;
            before = Some(Figures::of(&table)?);
            note = format!("Changes are against {} before.", times(&earlier));
        }
        let covered = covered(self.covered, snapshot.rows(), filter);
        let page = html::Page {
            covered: &covered,
            figures: (figures, before),
            note: &note,
            loaded: Some(loaded(snapshot)),
            tables: &tables,
        };
        self.write(path, &tables, || Ok(page.write(path)?))
    }

    /// Writes one section's picture.
    fn picture(&mut self, chart: &Chart, path: &Path, snapshot: &Snapshot) -> Result<()> {
        let table = self.section(chart.section)?;
        let around = Surroundings {
            width: chart.width.into(),
            measure: chart.measure,
            links: &Standalone,
            loaded: Some(loaded(snapshot)),
        };
        self.write(path, std::slice::from_ref(&table), || {
            let svg = image::svg(chart.section, &table, &around)?;
            let bytes = if chart.is_png { image::png(&svg)? } else { svg.into_bytes() };
            let mut file = Box::new(AtomicFile::create(path)?);
            file.write_all(&bytes).with_context(|| format!("can't write {}", path.display()))?;
            file.complete()?;
            Ok(bytes.len() as u64)
        })
    }

    /// Writes an extract of all analyses' tables and of the covered events, which are read in the order that they were stored in.
    fn extract(&mut self, path: &Path, python: &str, snapshot: &Snapshot, input: &Input<'_>) -> Result<()> {
        let extract = Extract::begin(path)?;
        for analysis in analysis::registry() {
            extract.add(&self.answer(analysis.name(), &[])?)?;
        }
        self.progress.say("writing");
        let start = Instant::now();
        let covered =
            |segment, rows, into: &mut Vec<usize>| input.selection().rows(input.events(), segment, rows, into);
        let batches = EventBatches::new(snapshot, Mapping::of_format("parquet", false))?.select(&covered);
        let file = Box::new(AtomicFile::create(&extract.file("events"))?);
        write_events(batches, find_format("parquet")?, file, WriteOptions::default())?;
        let rows = extract.finish(python)?.values().sum();
        let bytes = std::fs::metadata(path).with_context(|| format!("can't look at {}", path.display()))?.len();
        self.summary.file(WrittenFile { path: path.to_owned(), rows, bytes });
        self.writing += start.elapsed();
        Ok(())
    }
}

/// A picture that was asked for.
struct Chart {
    section: &'static Section,
    measure: Measure,
    width: u32,
    is_png: bool,
}

/// What was typed of a picture.
fn chart(name: &str, path: &Path, options: &Report) -> Result<Chart> {
    let names = || SECTIONS.iter().map(|section| section.name).collect::<Vec<_>>().join(", ");
    let section =
        Section::find(name).ok_or_else(|| Usage(format!("--chart is {name:?}; it takes one of {}", names())))?;
    let measure = Measure::find(&options.measure)
        .ok_or_else(|| Usage(format!("--measure is {:?}; it takes revenue, purchases or views", options.measure)))?;
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_png = match options.format.as_deref().or(extension) {
        Some("png") => true,
        Some("svg") => false,
        _ => return Err(Usage("--format takes svg or png; without it, --out ends in one of them".to_owned()).into()),
    };
    Ok(Chart { section, measure, width: options.width, is_png })
}

/// What was loaded into a store.
fn loaded(snapshot: &Snapshot) -> Loaded {
    let totals = snapshot.totals();
    Loaded { read: totals.rows_read, rejected: totals.rows_rejected, duplicate: totals.rows_duplicate }
}

/// A filter's times, in words.
fn times(filter: &Filter) -> String {
    let ends = [filter.from, filter.to].map(|end| end.map(time::format).unwrap_or_default());
    format!("{} to {}", ends[0], ends[1])
}

/// Which events a page is of, in words.
fn covered(covered: u64, rows: u64, filter: &Filter) -> String {
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
    part("with", (filter.missing == Missing::Drop).then(|| "a category and a brand".to_owned()));
    let among = text::counted(rows, "event");
    if parts.is_empty() {
        format!("All of {among}.")
    } else {
        format!("{} of {among}: those {}.", text::count(covered), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_which_events_it_is_of_and_how_many() {
        assert_eq!(covered(3, 3, &Filter::default()), "All of 3 events.");
        let filter = Filter { brands: vec!["x".to_owned()], missing: Missing::Drop, ..Filter::default() };
        assert_eq!(covered(0, 17_434, &filter), "0 of 17,434 events: those of brand x, with a category and a brand.");
    }
}
