//! `cartlog ingest`: topic → store, to the present end or following.

use std::time::Duration;

use anyhow::{Context, Result};

use super::load::{note_lost, note_rejects};
use crate::cli::Interrupted;
use crate::cli::Usage;
use crate::cli::arguments::Ingest;
use crate::cli::interrupt;
use crate::cli::progress::TerminalProgress;
use crate::cli::settings::Settings;
use crate::cli::summary::Summary;
use crate::pipeline::{Follow, IngestPlan, LogPlan, ingest, store_directory};

pub(super) fn execute(options: &Ingest, settings: &Settings) -> Result<()> {
    let commit_interval = Duration::try_from_secs_f64(options.commit_interval).unwrap_or(Duration::ZERO);
    if commit_interval < Duration::from_millis(10) || commit_interval > Duration::from_secs(3600) {
        let got = options.commit_interval;
        return Err(Usage(format!("--commit-interval is {got}; it takes seconds from 0.01 to 3600")).into());
    }
    let log = LogPlan { group: settings.group(&options.group)?, ..settings.log() };
    let headline = format!("Read topic {} into {}", log.topic, settings.store.display());
    let plan = IngestPlan {
        share: options.partitions.as_ref().or(options.shard.as_ref()).cloned().unwrap_or_default(),
        follow: options.follow.then(|| Follow { commit_interval, ..Follow::default() }),
        threads: settings.threads,
        max_rejected: settings.reject_limit(&options.limit)?,
        skip_lost: options.limit.skip_lost,
        ..IngestPlan::new(store_directory(&settings.store), log)
    };
    let progress = TerminalProgress::new(settings.quiet);
    let ingested =
        ingest(&plan, &progress, &interrupt::listen(interrupt::COMMITTING)?).context("the ingest stopped")?;
    progress.clear();
    let mut summary = Summary::new(headline);
    summary.field("store", settings.store.display().to_string());
    summary.field("bytes", ingested.bytes);
    summary.field("interrupted", ingested.interrupted);
    summary.rows(ingested.rows);
    summary.number("records", "records", ingested.records);
    summary.stages(&ingested.stages);
    summary.field("records_lost", ingested.records_lost);
    note_rejects(ingested.rows.rows_rejected, &mut summary);
    note_lost(ingested.records_lost, &mut summary);
    if ingested.records == 0 && !options.follow {
        summary.note("The store is up to date with the topic.");
    }
    settings.print(&summary)?;
    // Who follows ends by a signal and in no other way.
    Interrupted::unless(options.follow || !ingested.interrupted)
}
