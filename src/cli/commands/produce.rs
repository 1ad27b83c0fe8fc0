//! `cartlog produce`: CSV → topic, and with `--tee` into the store as well.

use anyhow::{Context, Result};

use super::load;
use crate::cli::Interrupted;
use crate::cli::arguments::Produce;
use crate::cli::interrupt;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::Summary;
use crate::pipeline::{LogPlan, ProducePlan, produce};

pub(super) fn execute(options: &Produce, settings: &Settings) -> Result<()> {
    let log = LogPlan { group: settings.group(&options.group)?, ..settings.log_for(&options.load)? };
    let progress = TerminalProgress::new(settings.quiet);
    if options.tee {
        let inputs = options.files.clone();
        let (loaded, summary) =
            load::load_sources(inputs, Some(log), &options.load, &options.limit, settings, &progress)?;
        progress.clear();
        settings.print(&summary)?;
        return Interrupted::unless(!loaded.interrupted);
    }
    let headline = format!("Produced {} to topic {}", options.files.join(" "), log.topic);
    let plan = ProducePlan {
        rows_per_record: settings.rows_per_record(&options.load)?,
        again: options.load.again,
        ..ProducePlan::new(options.files.clone(), log)
    };
    let produced = produce(&plan, &progress, &interrupt::listen(interrupt::SENDING)?).context("producing stopped")?;
    progress.clear();
    let mut summary = Summary::new(headline);
    summary.field("bytes", produced.bytes);
    summary.field("interrupted", produced.interrupted);
    summary.number("rows_read", "rows read", produced.rows_read);
    summary.number("rows_produced", "produced", produced.rows_produced);
    summary.number("rows_duplicate", "duplicates", produced.rows_duplicate);
    summary.number("records_produced", "records", produced.records_produced);
    summary.stages(&produced.stages);
    if produced.rows_read > 0 && produced.rows_duplicate == produced.rows_read {
        summary.note("Nothing was added: the topic holds all of it already (--again sends it once more).");
    }
    if produced.interrupted {
        summary.note("Interrupted: what had been read is in the log. The same command goes on from there.");
    }
    settings.print(&summary)?;
    Interrupted::unless(!produced.interrupted)
}
