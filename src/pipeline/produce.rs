//! Sources → log, without a store.
//!
//! Nothing but the topic itself remembers what was produced, so its records are read first, for the ranges in their
//! headers. That costs a pass over the topic; it is left out when the topic is empty or the sources are to be
//! produced again in any case.

use tokio::task::JoinSet;

use super::GATE_BYTES;
use super::book::Book;
use super::error::{PipelineError, unless_interrupted};
use super::gate::{Entry, Gate};
use super::intake::Intake;
use super::progress::{Interrupt, Progress, ProgressUpdate, Stage};
use super::reading::{Read, ReadRange, read_partitions};
use super::session::LogSession;
use super::unit::headers_of;
use super::watch::{TICK, Watch};
use super::{ProducePlan, ProduceSummary};
use crate::kafka::KafkaError;
use crate::source::Source;
use cartlog_storage::store::SourceId;

/// Threads of the client: they compress and send.
const CLIENT_THREADS: usize = 4;

/// Writes sources into a topic. Ranges that the topic holds already are skipped and counted as duplicates.
///
/// # Errors
///
/// [`PipelineError`]; what was acknowledged before it stays in the log.
pub fn produce(
    plan: &ProducePlan,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<ProduceSummary, PipelineError> {
    let mut watch = Watch::start(progress, Stage::Connect);
    let sources = Source::resolve(&plan.inputs)?;
    let Some(session) = unless_interrupted(LogSession::open(&plan.log, CLIENT_THREADS, true, interrupt))? else {
        return Ok(ProduceSummary { interrupted: true, ..ProduceSummary::default() });
    };
    let mut summary = ProduceSummary::default();
    let outcome = run(plan, sources, &session, &mut watch, interrupt, &mut summary);
    watch.next(summary.bytes, summary.rows_read, Stage::Commit);
    let stopped = session.close(progress);
    outcome?;
    stopped?;
    let rows = super::RowCounts {
        rows_read: summary.rows_read,
        rows_stored: summary.rows_produced,
        rows_rejected: 0,
        rows_duplicate: summary.rows_duplicate,
    };
    rows.check()?;
    (summary.stages, summary.seconds_total) = watch.finish(summary.bytes, summary.rows_read);
    Ok(summary)
}

fn run(
    plan: &ProducePlan,
    sources: Vec<Source>,
    session: &LogSession,
    watch: &mut Watch<'_>,
    interrupt: &Interrupt,
    summary: &mut ProduceSummary,
) -> Result<(), PipelineError> {
    watch.next(0, 0, Stage::CatchUp);
    let learnt = if plan.again { Ok(Book::default()) } else { learn(session, watch, interrupt) };
    let Some(book) = unless_interrupted(learnt)? else {
        summary.interrupted = true;
        return Ok(());
    };
    watch.next(0, 0, Stage::Load);
    let book = std::cell::RefCell::new(book);
    let known = |id: &SourceId, _| book.borrow().known(id);
    let mut intake = Intake::new(sources, plan.rows_per_record, plan.again, known);
    let producers = session.producers();
    let gate = Gate::new(GATE_BYTES);
    let mut on_their_way: JoinSet<Result<u64, KafkaError>> = JoinSet::new();
    let mut sent = 0;
    let mut failure = None;
    while failure.is_none() {
        while let Some(answer) = on_their_way.try_join_next() {
            count(answer, summary, &mut failure);
        }
        summary.interrupted = interrupt.is_requested();
        if summary.interrupted {
            break;
        }
        let block = intake.next_block();
        let rows_known = intake.take_rows_known();
        summary.rows_read += rows_known;
        summary.rows_duplicate += rows_known;
        let block = match block {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(error) => {
                failure.get_or_insert(error.into());
                break;
            }
        };
        if block.is_cut() {
            failure.get_or_insert(PipelineError::LineTooLong {
                source_name: block.name.to_string(),
                line: block.first_line,
                bytes: block.range.end - block.range.start,
            });
            break;
        }
        let permit = loop {
            match gate.enter(block.bytes.len(), TICK) {
                Entry::Permit(permit) => break permit,
                Entry::Full | Entry::Closed => report(session, &intake, watch, summary),
            }
        };
        book.borrow_mut().add(&block.source, block.range.start, &block.bytes);
        summary.rows_read += block.rows;
        summary.bytes += block.bytes.len() as u64;
        let producer = producers[sent % producers.len()].clone();
        sent += 1;
        let task = async move {
            let produced = producer.produce(&headers_of(&block), block.bytes).await;
            drop(permit);
            produced.map(|_| block.rows)
        };
        on_their_way.spawn_on(task, session.runtime.handle());
        report(session, &intake, watch, summary);
    }
    loop {
        let answer = async { tokio::time::timeout(TICK, on_their_way.join_next()).await };
        match session.runtime.block_on(answer) {
            Ok(None) => break,
            Ok(Some(answer)) => count(answer, summary, &mut failure),
            Err(_) => {}
        }
        report(session, &intake, watch, summary);
    }
    failure.map_or(Ok(()), Err)
}

fn count(
    answer: Result<Result<u64, KafkaError>, tokio::task::JoinError>,
    summary: &mut ProduceSummary,
    failure: &mut Option<PipelineError>,
) {
    match answer {
        Ok(Ok(rows)) => {
            summary.rows_produced += rows;
            summary.records_produced += 1;
        }
        Ok(Err(error)) => {
            failure.get_or_insert(error.into());
        }
        Err(error) => {
            failure.get_or_insert(PipelineError::Worker(error.to_string()));
        }
    }
}

fn report(session: &LogSession, intake: &Intake<'_>, watch: &mut Watch<'_>, summary: &ProduceSummary) {
    watch.update(|progress| {
        session.report(progress, None);
        progress.update(&ProgressUpdate {
            bytes_done: intake.bytes_done(),
            bytes_total: intake.bytes_total(),
            rows: summary.rows_produced + summary.rows_duplicate,
            rows_duplicate: summary.rows_duplicate,
            ..ProgressUpdate::default()
        });
    });
}

/// Reads the topic to its present end for the ranges it holds.
fn learn(session: &LogSession, watch: &mut Watch<'_>, interrupt: &Interrupt) -> Result<Book, PipelineError> {
    let mut book = Book::default();
    let range =
        |(consumer, held): (_, std::ops::Range<i64>)| (consumer, ReadRange { start: held.start, end: Some(held.end) });
    let (consumers, ranges): (Vec<_>, Vec<_>) = session.readers()?.into_iter().map(range).unzip();
    let mut answers = read_partitions(session, consumers, &ranges, true);
    let mut bytes_done = 0;
    while let Some((_, answer)) = session.runtime.block_on(answers.recv()) {
        if interrupt.is_requested() {
            break;
        }
        // What retention has removed meanwhile is no longer in the topic, and so is to be produced again.
        let Read::Fetched(fetched) = answer? else { continue };
        for record in fetched.records {
            bytes_done += record.value.len() as u64;
            if let Some(block) = &record.block {
                book.add(&SourceId::from(block.source.as_str()), block.range.start, &record.value);
            }
        }
        watch.update(|progress| {
            session.report(progress, None);
            progress.update(&ProgressUpdate { bytes_done, ..ProgressUpdate::default() });
        });
    }
    Ok(book)
}
