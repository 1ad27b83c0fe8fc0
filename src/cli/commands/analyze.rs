//! `cartlog analyze`: analyses on the store, as tables, on standard output or into files.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{find_format, open_snapshot, repeat, run, spark};
use crate::analysis::{self, Analysis, AnalysisError, Chosen, Input, Parameters, Summaries, Together};
use crate::cli::Usage;
use crate::cli::arguments::{Analyze, Engine};
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::{Summary, WrittenFile};
use crate::cli::text;
use crate::export::{self, Format, RenderOptions, Stream, WriteOptions};
use crate::table::Table;

pub(super) fn execute(options: &Analyze, settings: &Settings) -> Result<()> {
    let analyses = chosen(&options.names)?;
    if options.list {
        return list(&analyses, settings);
    }
    if options.sql {
        for analysis in analyses {
            writeln!(io::stdout(), "{}", analysis.sql().trim_end())?;
        }
        return Ok(());
    }
    let filter = options.filters.resolve()?;
    let parameters = parameters(options, &analyses)?;
    let format = options.format.as_deref().map(find_format).transpose()?;
    if options.out.is_none() && format.is_some() && analyses.len() > 1 {
        return Err(Usage(format!(
            "--format without --out writes one table to standard output, but {} are asked for; name one or add --out DIR",
            analyses.len()
        ))
        .into());
    }
    let progress = TerminalProgress::new(settings.quiet || options.out.is_none());
    let mut output = Output {
        options,
        settings,
        format,
        tables: analyses.len(),
        printed: 0,
        files: Vec::new(),
        analysing: Duration::ZERO,
        writing: Duration::ZERO,
    };
    let mut summary = match options.engine.engine {
        Engine::Local => {
            options.engine.refuse_for_local()?;
            let snapshot = open_snapshot(settings)?;
            let summaries = Summaries::of(&snapshot);
            let mut input = Input::of(&snapshot, &filter)?.within(settings.memory);
            if !options.afresh {
                input = input.beside_summaries(&summaries);
            }
            if let Some(times) = options.repeat {
                return repeat::execute(&input, &analyses, &parameters, times, settings);
            }
            // Several analyses share the rows that the filter covers; taking them out counts for none of them.
            let start = Instant::now();
            progress.say("choosing events");
            let chosen = if analyses.len() > 1 { Chosen::of(&mut input)? } else { Chosen::default() };
            let together = Together::of(&analyses);
            let input = chosen.input(&input).for_all(&together);
            output.analysing += start.elapsed();
            for (analysis, parameters) in analyses.iter().zip(&parameters) {
                progress.say(format!("analysing: {}", analysis.name()));
                let start = Instant::now();
                let table = analysis.answer(&input, parameters)?;
                output.put(*analysis, &table, start.elapsed())?;
            }
            keep(&summaries, &progress);
            // Without files there is no summary, and nothing to be counted for it.
            if options.out.is_none() {
                return Ok(());
            }
            let covered = input.covered_rows();
            let rows = text::counted_of(covered, snapshot.rows(), "row");
            let mut summary = Summary::new(format!("Analysed {rows} of {}", settings.store.display()));
            summary.number("rows", "rows", snapshot.rows());
            summary.number("rows_covered", "covered", covered);
            summary
        }
        Engine::Spark => {
            if options.repeat.is_some() {
                return Err(
                    Usage("--repeat measures the local engine; leave it or --engine spark away".to_owned()).into()
                );
            }
            let (answers, summary) = spark::answers(options, settings, &analyses, &filter, &progress)?;
            for (analysis, answer) in analyses.iter().zip(&answers) {
                output.put(*analysis, &answer.table, answer.took)?;
            }
            summary
        }
    };
    progress.clear();
    if options.out.is_none() {
        return Ok(());
    }
    for file in output.files {
        summary.file(file);
    }
    summary.stage("analyses", output.analysing);
    summary.stage("exports", output.writing);
    settings.print(&summary)
}

/// Makes the summaries that the analyses could have used, for the next time. Where that can't be, answers take longer and are the same.
fn keep(summaries: &Summaries, progress: &TerminalProgress) {
    match summaries.keep(|done, of| progress.say(format!("summing up for the next time: {done} of {of}"))) {
        Ok(kept) => tracing::debug!(kept.written, kept.bytes, "summaries are kept"),
        Err(error) => tracing::info!(%error, "summaries are not kept"),
    }
}

/// Where tables go, whichever engine made them.
struct Output<'a> {
    options: &'a Analyze,
    settings: &'a Settings,
    format: Option<&'static dyn Format>,
    /// How many there are, and how many of them were printed as JSON.
    tables: usize,
    printed: usize,
    files: Vec<WrittenFile>,
    analysing: Duration,
    writing: Duration,
}

impl Output<'_> {
    /// Writes or prints the table of an analysis that took so long.
    fn put(&mut self, analysis: &dyn Analysis, table: &Table, took: Duration) -> Result<()> {
        self.analysing += took;
        let start = Instant::now();
        let standard_output = || Box::new(Stream(io::BufWriter::new(io::stdout())));
        match (&self.options.out, self.format) {
            (Some(folder), format) => {
                fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
                let format = format.map_or("csv", |format| format.name());
                self.files.push(run::write(table, format, folder.join(format!("{}.{format}", analysis.name())))?);
            }
            (None, Some(format)) => {
                export::write_table(table, format, standard_output(), WriteOptions::default())?;
            }
            (None, None) if self.settings.json => self.print_json(analysis, table)?,
            (None, None) => {
                let shown = export::render(table, layout());
                let rows = text::counted(table.rows.num_rows() as u64, "row");
                writeln!(io::stdout(), "{} ({rows}, {})\n{shown}", analysis.name(), text::duration(took))?;
            }
        }
        self.writing += start.elapsed();
        Ok(())
    }

    /// Prints a table as JSON: an array of its rows. Of several tables it is one object, in which each array has its analysis' name.
    fn print_json(&mut self, analysis: &dyn Analysis, table: &Table) -> Result<()> {
        let (is_first, is_last) = (self.printed == 0, self.printed + 1 == self.tables);
        let is_of_many = self.tables > 1;
        self.printed += 1;
        let mut out = io::BufWriter::new(io::stdout());
        if is_of_many {
            write!(out, "{}\"{}\":", if is_first { '{' } else { ',' }, analysis.name())?;
        }
        export::write_table(table, find_format("json")?, Box::new(Stream(&mut out)), WriteOptions::default())?;
        if is_of_many && is_last {
            writeln!(out, "}}")?;
        }
        Ok(out.flush()?)
    }
}

/// The analyses of these names, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static dyn Analysis>> {
    if names.is_empty() {
        return Ok(analysis::registry().to_vec());
    }
    Ok(names.iter().map(|name| analysis::find(name).map_err(Usage::from)).collect::<Result<_, _>>()?)
}

/// Each analysis with its parameters; `--limit` sets those that have one, `--set` must fit at least one of them.
fn parameters(options: &Analyze, analyses: &[&'static dyn Analysis]) -> Result<Vec<Parameters>> {
    let mut all = vec![Parameters::default(); analyses.len()];
    let limit = options.limit.map(|limit| format!("limit={limit}"));
    for given in options.parameters.iter().chain(&limit) {
        let (name, value) = given
            .split_once('=')
            .ok_or_else(|| Usage(format!("--set is {given:?}; it takes NAME=VALUE, such as bands=0,10,100")))?;
        let mut fits = false;
        for (analysis, parameters) in analyses.iter().zip(&mut all) {
            if analysis.parameters().iter().any(|parameter| parameter.name == name) {
                parameters.set(*analysis, name, value).map_err(Usage::from)?;
                fits = true;
            }
        }
        if let (false, Some(analysis)) = (fits, analyses.first()) {
            Parameters::default().set(*analysis, name, value).map_err(Usage::from)?;
        }
    }
    Ok(all)
}

impl From<AnalysisError> for Usage {
    fn from(error: AnalysisError) -> Self {
        Self(error.to_string())
    }
}

fn list(analyses: &[&'static dyn Analysis], settings: &Settings) -> Result<()> {
    let mut out = io::stdout().lock();
    if settings.json {
        writeln!(out, "{}", analysis::listed(analyses))?;
        return Ok(());
    }
    let wide = analyses.iter().map(|analysis| analysis.name().len()).max().unwrap_or(0);
    for analysis in analyses {
        writeln!(out, "{:<wide$}  {}", analysis.name(), analysis.description())?;
        for parameter in analysis.parameters() {
            let (name, default) = (parameter.name, parameter.kind.default_text());
            writeln!(out, "{:<wide$}    --set {name}={default}  {}", "", parameter.description)?;
        }
    }
    Ok(())
}

/// How tables are laid out on this standard output.
pub(super) fn layout() -> RenderOptions {
    let terminal = io::stdout().is_terminal();
    RenderOptions { width: terminal.then(terminal_width).flatten(), styled: terminal, ..RenderOptions::default() }
}

fn terminal_width() -> Option<u16> {
    comfy_table::Table::new().width()
}
