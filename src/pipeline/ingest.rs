//! Log → store.

use std::time::Duration;

use super::counters::Counters;
use super::error::unless_interrupted;
use super::progress::Stage;
use super::replay::{Replay, ReplayOptions};
use super::session::{LogSession, baseline, check_limit, finish, open_store};
use super::watch::Watch;
use super::workers::Workers;
use super::{IngestPlan, IngestSummary, Interrupt, LogPlan, PipelineError, Progress};
use crate::event::EventDictionaries;

/// How long a following ingest waits for brokers that are gone: long enough to restart any cluster.
const FOLLOWING_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Reads a topic into the store: to the end that each partition has at the start, or following.
///
/// Where it begins is what the store says of each partition; a partition that it knows nothing of is read from its
/// first record. Following, it commits as the plan says and ends only when it is interrupted.
///
/// # Errors
///
/// [`PipelineError`]; everything read before it is committed unless the store itself failed.
pub fn ingest(
    plan: &IngestPlan,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<IngestSummary, PipelineError> {
    let mut watch = Watch::start(progress, Stage::Connect);
    let store = open_store(&plan.store)?;
    let before = baseline(&store)?;
    let log = patient(&plan.log, plan.follow.is_some());
    let Some(session) = unless_interrupted(LogSession::open(&log, plan.threads, false, interrupt))? else {
        return Ok(IngestSummary { interrupted: true, ..IngestSummary::default() });
    };
    let session = session.only(&plan.share)?.shown_as(plan.log.group.as_deref());
    let dictionaries = EventDictionaries::from_writer(&store);
    let workers = Workers::start(plan.threads, &dictionaries)?;
    let counters = Counters::new(session.partitions.len());
    watch.next(0, 0, Stage::Ingest);
    let replay = Replay {
        session: &session,
        store: &store,
        workers: &workers,
        dictionaries: &dictionaries,
        counters: &counters,
        options: ReplayOptions { follow: plan.follow, limit: plan.max_rejected, skip_lost: plan.skip_lost },
    };
    let replayed = replay.run(&mut watch);
    let rows = counters.rows();
    watch.next(replayed.as_ref().map_or(0, |replayed| replayed.bytes), rows.rows_read, Stage::Commit);
    let replayed = finish(store, Some(session), replayed, before, rows, progress)?;
    check_limit(plan.max_rejected, rows)?;
    let (stages, seconds_total) = watch.finish(replayed.bytes, rows.rows_read);
    Ok(IngestSummary {
        rows,
        bytes: replayed.bytes,
        records: replayed.records,
        records_lost: counters.records_lost(),
        interrupted: replayed.is_interrupted,
        stages,
        seconds_total,
    })
}

/// The plan of a log, with more patience for brokers that are gone if the job is to follow it.
fn patient(log: &LogPlan, is_following: bool) -> LogPlan {
    let mut log = log.clone();
    if is_following {
        log.client.retry_deadline = log.client.retry_deadline.max(FOLLOWING_PATIENCE);
    }
    log
}
