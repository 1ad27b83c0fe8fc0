//! Sources → log → tee → store.
//!
//! ```text
//!                     ┌─► producer ─► log ─ offset ─┐
//! sources ─► gate ─► block                          ├─► tee (lane by lane, in offset order) ─► store
//!                     └─► worker: parse ─── rows ───┘
//! ```
//!
//! Reading, compressing, sending, writing the log, parsing and writing the store all go on at once; the gate bounds
//! what is between them. Without a log, blocks go the lower way only, in the order in which they were read.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use super::GATE_BYTES;
use super::counters::Counters;
use super::error::{PipelineError, unless_interrupted};
use super::gate::{Entry, Gate};
use super::intake::Intake;
use super::lane::Ticket;
use super::progress::{Interrupt, Progress, ProgressUpdate, Stage};
use super::replay::{Replay, ReplayOptions};
use super::session::{LogSession, baseline, check_limit, finish, open_store};
use super::tee::{Event, LaneOrder, PartitionLane, Tee};
use super::unit::{Origin, Unit, headers_of};
use super::watch::{TICK, Watch};
use super::workers::Workers;
use super::{LoadPlan, LoadSummary, LogPlan};
use crate::event::EventDictionaries;
use crate::kafka::Producer;
use crate::source::{Block, Source};
use cartlog_storage::store::StoreWriter;

/// How long the end of the tee may go unnoticed.
const POLL: Duration = Duration::from_millis(2);

/// Loads sources into the store, through the log if the plan has one.
///
/// The store is first brought up to the log's present end, so that an interrupted load goes on where the log ends;
/// then each source is read from where the store's knowledge of it ends.
///
/// # Errors
///
/// [`PipelineError`]; everything acknowledged before it is committed unless the store itself failed.
pub fn load(plan: &LoadPlan, progress: &dyn Progress, interrupt: &Interrupt) -> Result<LoadSummary, PipelineError> {
    let mut watch = Watch::start(progress, Stage::Connect);
    let sources = Source::resolve(&plan.inputs)?;
    let store = open_store(&plan.store)?;
    let before = baseline(&store)?;
    let open = |log: &LogPlan| {
        let session = LogSession::open(log, plan.threads, true, interrupt)?;
        Ok::<_, PipelineError>(session.shown_as(log.group.as_deref()))
    };
    let Some(session) = unless_interrupted(plan.log.as_ref().map(open).transpose())? else {
        return Ok(LoadSummary { interrupted: true, ..LoadSummary::default() });
    };
    let dictionaries = EventDictionaries::from_writer(&store);
    let workers = Workers::start(plan.threads, &dictionaries)?;
    let lanes = session.as_ref().map_or(1, |session| session.partitions.len());
    let counters = Counters::new(lanes);
    let load = Load {
        plan,
        session: session.as_ref(),
        store: &store,
        workers: &workers,
        dictionaries: &dictionaries,
        counters: &counters,
        interrupt,
    };
    let mut loaded = Loaded::default();
    let outcome = load.run(sources, &mut watch, &mut loaded);
    let rows = counters.rows();
    watch.next(loaded.bytes, rows.rows_read - loaded.rows_caught_up, Stage::Commit);
    finish(store, session, outcome, before, rows, progress)?;
    check_limit(plan.max_rejected, rows)?;
    let (stages, seconds_total) = watch.finish(loaded.bytes, rows.rows_read);
    Ok(LoadSummary {
        rows,
        rows_from_log: loaded.rows_caught_up + counters.rows_from_gaps(),
        bytes: loaded.bytes,
        records_produced: loaded.records_produced,
        records_lost: counters.records_lost(),
        interrupted: loaded.is_interrupted,
        stages,
        seconds_total,
    })
}

/// What a load works with.
#[derive(Clone, Copy)]
struct Load<'a> {
    plan: &'a LoadPlan,
    session: Option<&'a LogSession>,
    store: &'a StoreWriter,
    workers: &'a Workers,
    dictionaries: &'a EventDictionaries,
    counters: &'a Counters,
    interrupt: &'a Interrupt,
}

/// What a load has done, beside what the counters say.
#[derive(Debug, Default)]
struct Loaded {
    /// Bytes of blocks read from the sources.
    bytes: u64,
    records_produced: u64,
    /// Rows that the log held beyond the store at the start.
    rows_caught_up: u64,
    is_interrupted: bool,
}

impl Load<'_> {
    fn run(self, sources: Vec<Source>, watch: &mut Watch<'_>, loaded: &mut Loaded) -> Result<(), PipelineError> {
        let lanes = match self.session {
            None => vec![LaneOrder::Tickets],
            Some(session) => {
                watch.next(0, 0, Stage::CatchUp);
                let replay = Replay {
                    session,
                    store: self.store,
                    workers: self.workers,
                    dictionaries: self.dictionaries,
                    counters: self.counters,
                    options: ReplayOptions {
                        follow: None,
                        limit: self.plan.max_rejected,
                        skip_lost: self.plan.skip_lost,
                    },
                };
                let replayed = replay.run(watch)?;
                loaded.rows_caught_up = self.counters.rows().rows_read;
                loaded.is_interrupted = replayed.is_interrupted;
                watch.next(replayed.bytes, loaded.rows_caught_up, Stage::Load);
                partition_lanes(session, &replayed.next_offsets)
            }
        };
        if self.session.is_none() {
            watch.next(0, 0, Stage::Load);
        }
        if loaded.is_interrupted { Ok(()) } else { self.load_sources(sources, lanes, watch, loaded) }
    }

    fn load_sources(
        self,
        sources: Vec<Source>,
        lanes: Vec<LaneOrder>,
        watch: &mut Watch<'_>,
        loaded: &mut Loaded,
    ) -> Result<(), PipelineError> {
        let gate = Gate::new(GATE_BYTES);
        let known = |id: &_, is_on_its_way| {
            if is_on_its_way {
                gate.wait_until_empty();
            }
            self.store.known(id)
        };
        let mut intake = Intake::new(sources, self.plan.rows_per_record, self.plan.again, known);
        let tee = Tee::new(self.store, self.dictionaries, self.counters, &gate, self.plan.max_rejected, lanes);
        let (events, received) = channel();
        let feed = Feed {
            load: self,
            gate: &gate,
            producers: self.session.map(LogSession::producers).unwrap_or_default(),
            events,
            sent: 0,
        };
        thread::scope(|scope| {
            let tee = scope.spawn(move || tee.run(&received));
            let fed = feed.run(&mut intake, watch, loaded);
            while !tee.is_finished() {
                thread::sleep(POLL);
                self.report(&intake, watch);
            }
            let delivered = tee.join().unwrap_or_else(|_| Err(PipelineError::Worker("the tee has stopped".to_owned())));
            watch.update_now(&self.update(&intake));
            delivered.and(fed)
        })
    }

    fn report(self, intake: &Intake<'_>, watch: &mut Watch<'_>) {
        watch.update(|progress| {
            progress.update(&self.update(intake));
            if let Some(session) = self.session {
                session.report(progress, Some(self.store));
            }
        });
    }

    fn update(self, intake: &Intake<'_>) -> ProgressUpdate<'static> {
        ProgressUpdate {
            bytes_done: intake.bytes_done(),
            bytes_total: intake.bytes_total(),
            ..ProgressUpdate::of_rows(self.counters.rows())
        }
    }
}

/// A lane for each partition, in which gaps are fetched.
fn partition_lanes(session: &LogSession, next_offsets: &[i64]) -> Vec<LaneOrder> {
    let lane = |(&partition, &next_offset): (&i32, &i64)| {
        LaneOrder::Partition(PartitionLane {
            topic: Arc::clone(&session.topic),
            topic_id: session.topic_id,
            partition,
            next_offset,
            gaps: Some((session.client.clone(), session.runtime.handle().clone())),
        })
    };
    session.partitions.iter().zip(next_offsets).map(lane).collect()
}

/// What takes blocks from the sources to the producers and workers.
struct Feed<'a> {
    load: Load<'a>,
    gate: &'a Arc<Gate>,
    /// One a partition; none without a log.
    producers: Vec<Producer>,
    events: Sender<Event>,
    sent: u64,
}

impl Feed<'_> {
    /// Feeds all blocks, until the sources end, the job is to stop, or the gate closes.
    fn run(mut self, intake: &mut Intake<'_>, watch: &mut Watch<'_>, loaded: &mut Loaded) -> Result<(), PipelineError> {
        loop {
            if self.load.interrupt.is_requested() {
                loaded.is_interrupted = true;
                return Ok(());
            }
            let block = intake.next_block();
            let rows = intake.take_rows_known();
            if rows > 0 {
                let _ = self.events.send(Event::Known { rows });
            }
            let Some(block) = block? else { return Ok(()) };
            let permit = loop {
                match self.gate.enter(block.bytes.len(), TICK) {
                    Entry::Permit(permit) => break permit,
                    Entry::Full => self.load.report(intake, watch),
                    Entry::Closed => return Ok(()),
                }
            };
            loaded.bytes += block.range.end - block.range.start;
            let (ticket, lane) = (Ticket(self.sent), self.send(&block));
            loaded.records_produced += u64::from(lane.is_some() && !self.producers.is_empty());
            self.sent += 1;
            let origin = Origin::of_block(&block);
            let unit = Unit { ticket, lane, bytes: block.bytes, rows: Some(block.rows), origin, permit: Some(permit) };
            self.load.workers.parse(unit, self.events.clone());
            self.load.report(intake, watch);
        }
    }

    /// Sends a block to its partition, the next in turn, and gives its lane. A block that is no message of a log has
    /// none.
    fn send(&self, block: &Block) -> Option<usize> {
        let ticket = Ticket(self.sent);
        if block.is_cut() {
            return None;
        }
        let Some(session) = self.load.session else {
            // Whether the tee still listens shows at the gate.
            let _ = self.events.send(Event::Sent { lane: 0, ticket });
            let offset = i64::try_from(ticket.0).unwrap_or(i64::MAX);
            let _ = self.events.send(Event::Acknowledged { lane: 0, ticket, offset });
            return Some(0);
        };
        let lane = usize::try_from(ticket.0).unwrap_or_default() % self.producers.len();
        let (producer, events) = (self.producers[lane].clone(), self.events.clone());
        let (headers, value) = (headers_of(block), block.bytes.clone());
        let _ = self.events.send(Event::Sent { lane, ticket });
        session.runtime.spawn(async move {
            let _ = events.send(match producer.produce(&headers, value).await {
                Ok(offset) => Event::Acknowledged { lane, ticket, offset },
                Err(error) => Event::Failed { lane, ticket, error },
            });
        });
        Some(lane)
    }
}
