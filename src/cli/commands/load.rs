//! `cartlog load`, and what it shares with `run` and `produce --tee`: sources through the log, or past it, into the store.

use anyhow::{Context, Result};

use crate::cli::arguments::{Load, LoadOptions, LossOptions};
use crate::cli::interrupt;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::Summary;
use crate::cli::text;
use crate::cli::{Interrupted, Usage};
use crate::pipeline::{LoadPlan, LoadSummary, LogPlan, LogTarget, load, store_directory};

pub(super) fn execute(options: &Load, settings: &Settings) -> Result<()> {
    if settings.has_typed_brokers {
        let reason = "`cartlog load` goes past every log; `cartlog run` and `cartlog produce` go through --brokers";
        return Err(Usage(reason.to_owned()).into());
    }
    let progress = TerminalProgress::new(settings.quiet);
    let again = LoadOptions { again: options.again, ..LoadOptions::default() };
    let (loaded, summary) = load_sources(options.files.clone(), None, &again, &options.limit, settings, &progress)?;
    progress.clear();
    settings.print(&summary)?;
    Interrupted::unless(!loaded.interrupted)
}

/// Loads `inputs` and begins the summary.
pub(super) fn load_sources(
    inputs: Vec<String>,
    log: Option<LogPlan>,
    options: &LoadOptions,
    limit: &LossOptions,
    settings: &Settings,
    progress: &TerminalProgress,
) -> Result<(LoadSummary, Summary)> {
    let headline = headline(&inputs, log.as_ref(), settings);
    let plan = LoadPlan {
        rows_per_record: settings.rows_per_record(options)?,
        threads: settings.threads,
        again: options.again,
        max_rejected: settings.reject_limit(limit)?,
        skip_lost: limit.skip_lost,
        ..LoadPlan::new(inputs, store_directory(&settings.store), log)
    };
    let loaded = load(&plan, progress, &interrupt::listen(interrupt::COMMITTING)?).context("the load stopped")?;
    let mut summary = Summary::new(headline);
    summary.field("store", settings.store.display().to_string());
    summary.field("bytes", loaded.bytes);
    summary.field("rows_from_log", loaded.rows_from_log);
    summary.field("records_produced", loaded.records_produced);
    summary.field("records_lost", loaded.records_lost);
    summary.field("interrupted", loaded.interrupted);
    summary.rows(loaded.rows);
    summary.stages(&loaded.stages);
    note_rows(&loaded, &mut summary);
    Ok((loaded, summary))
}

fn headline(inputs: &[String], log: Option<&LogPlan>, settings: &Settings) -> String {
    let way = match log.map(|log| (&log.target, &log.topic)) {
        None => "without a log".to_owned(),
        Some((LogTarget::Embedded(_), topic)) => format!("through the embedded log (topic {topic})"),
        Some((LogTarget::Brokers(brokers), topic)) => format!("through {} (topic {topic})", brokers.join(",")),
    };
    let what = match inputs {
        [one] if one == "-" => "standard input".to_owned(),
        [one] => one.clone(),
        several => format!("{} sources", several.len()),
    };
    format!("Loaded {what} {way} into {}", settings.store.display())
}

fn note_rows(loaded: &LoadSummary, summary: &mut Summary) {
    let rows = loaded.rows;
    if rows.rows_read > 0 && rows.rows_duplicate == rows.rows_read {
        summary.note("Nothing was added: the store holds all of it already (--again loads it once more).");
    } else if rows.rows_duplicate > 0 {
        summary.note(format!(
            "{} in the store already and counted as duplicates.",
            if rows.rows_duplicate == 1 {
                "1 row was".to_owned()
            } else {
                format!("{} rows were", text::count(rows.rows_duplicate))
            },
        ));
    }
    if loaded.rows_from_log > 0 {
        summary.note(format!(
            "{} came from the log: an interrupted load or another producer left them there.",
            text::counted(loaded.rows_from_log, "row")
        ));
    }
    note_rejects(rows.rows_rejected, summary);
    note_lost(loaded.records_lost, summary);
    if loaded.interrupted {
        summary.note("Interrupted: what had been read is committed. The same command goes on from there.");
    }
}

/// Says what the topic's retention took before it was read, if it took anything.
pub(super) fn note_lost(records_lost: u64, summary: &mut Summary) {
    if records_lost > 0 {
        summary.note(format!(
            "{} removed by the topic's retention before the store had read {}: a longer retention, or an ingest that \
             follows, keeps ahead of it.",
            if records_lost == 1 {
                "1 record was".to_owned()
            } else {
                format!("{} records were", text::count(records_lost))
            },
            if records_lost == 1 { "it" } else { "them" },
        ));
    }
}

/// Points at the rejected rows, if there are any.
pub(super) fn note_rejects(rows_rejected: u64, summary: &mut Summary) {
    if rows_rejected > 0 {
        summary.note(format!(
            "{} no event and kept aside: `cartlog rejects` shows each with its line and reason.",
            if rows_rejected == 1 { "1 row is".to_owned() } else { format!("{} rows are", text::count(rows_rejected)) },
        ));
    }
}
