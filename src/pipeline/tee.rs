//! The tee: acknowledged and parsed units into the store, in the order of each lane.
//!
//! One thread runs it. A unit is ready when both its answer (with the offset) and its parsed rows have come, in
//! whichever order; its lane says when it is its turn. Appending may wait for the store, which holds up this thread,
//! then the permits of the units behind, then the reader: the whole job runs as fast as its slowest part.
//!
//! A block that could not be produced ends the job, but not at once: what was acknowledged beside it is in the log
//! and goes to the store, so that log and store end at the same place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::runtime::Handle;

use super::counters::Counters;
use super::deliver::{advance, count_duplicates, deliver};
use super::error::PipelineError;
use super::gate::Gate;
use super::lane::{Gaps, Lane, Step, Ticket};
use super::plan::RejectLimit;
use super::stall::Stall;
use super::unit::{Portion, Unit, portions};
use super::workers::ParsedUnit;
use crate::event::{BlockParser, EventDictionaries};
use crate::kafka::{Consumer, KafkaClient, KafkaError};
use cartlog_storage::store::{LogPosition, StoreWriter};

/// What happens to units.
#[derive(Debug)]
pub(super) enum Event {
    /// A unit is about to be sent to the log.
    Sent { lane: usize, ticket: Ticket },
    /// The log has it at this offset.
    Acknowledged { lane: usize, ticket: Ticket, offset: i64 },
    /// The log has it perhaps, perhaps not.
    Failed { lane: usize, ticket: Ticket, error: KafkaError },
    /// Its rows are parsed.
    Parsed(Box<ParsedUnit>),
    /// All records below this offset have been acknowledged to the lane.
    Reached { lane: usize, offset: i64 },
    /// So many rows of the sources were passed over because the store knows them.
    Known { rows: u64 },
}

/// What a lane's offsets are offsets of.
#[derive(Debug)]
pub(super) enum LaneOrder {
    /// A partition of the log.
    Partition(PartitionLane),
    /// Nothing that is kept: units are in the order of their tickets.
    Tickets,
}

/// A partition as a lane.
#[derive(Debug)]
pub(super) struct PartitionLane {
    pub(super) topic: Arc<str>,
    pub(super) topic_id: Option<[u8; 16]>,
    pub(super) partition: i32,
    pub(super) next_offset: i64,
    /// Where to fetch what stands in a gap; without it, a gap is empty.
    pub(super) gaps: Option<(KafkaClient, Handle)>,
}

/// The tee of one job.
#[derive(Debug)]
pub(super) struct Tee<'a> {
    store: &'a StoreWriter,
    counters: &'a Counters,
    gate: &'a Arc<Gate>,
    limit: Option<RejectLimit>,
    parser: BlockParser,
    lanes: Vec<OrderedLane>,
    parsed: HashMap<Ticket, ParsedUnit>,
    /// Units that failed before their rows were parsed.
    given_up: HashSet<Ticket>,
    failure: Option<PipelineError>,
}

#[derive(Debug)]
struct OrderedLane {
    lane: Lane,
    order: LaneOrder,
    consumer: Option<Consumer>,
}

impl<'a> Tee<'a> {
    /// A tee with these lanes, in the order of their numbers.
    pub(super) fn new(
        store: &'a StoreWriter,
        dictionaries: &EventDictionaries,
        counters: &'a Counters,
        gate: &'a Arc<Gate>,
        limit: Option<RejectLimit>,
        lanes: Vec<LaneOrder>,
    ) -> Self {
        let lanes = lanes
            .into_iter()
            .map(|order| {
                let lane = match &order {
                    LaneOrder::Partition(PartitionLane { next_offset, gaps: Some(_), .. }) => {
                        Lane::new(*next_offset, Gaps::Fetch)
                    }
                    LaneOrder::Partition(PartitionLane { next_offset, gaps: None, .. }) => {
                        Lane::new(*next_offset, Gaps::Empty)
                    }
                    LaneOrder::Tickets => Lane::new(0, Gaps::Empty),
                };
                OrderedLane { lane, order, consumer: None }
            })
            .collect();
        Self {
            store,
            counters,
            gate,
            limit,
            parser: BlockParser::new(dictionaries.clone()),
            lanes,
            parsed: HashMap::new(),
            given_up: HashSet::new(),
            failure: None,
        }
    }

    /// Runs until every sender of events is gone. Closes the gate when the job has to end early.
    ///
    /// # Errors
    ///
    /// What ended the job early. After an error of the store nothing more goes into it; after any other, everything
    /// that was acknowledged has gone into it.
    pub(super) fn run(mut self, events: &Receiver<Event>) -> Result<(), PipelineError> {
        let outcome = self.receive(events);
        if outcome.is_err() {
            self.gate.close();
        }
        outcome?;
        self.failure.map_or(Ok(()), Err)
    }

    fn receive(&mut self, events: &Receiver<Event>) -> Result<(), PipelineError> {
        for event in events {
            match event {
                Event::Sent { lane, ticket } => self.lanes[lane].lane.sent(ticket),
                Event::Acknowledged { lane, ticket, offset } => {
                    let reused = self.lanes[lane].lane.acknowledged(ticket, offset);
                    reused.map_err(|reused| self.lanes[lane].order.reused(reused.offset, reused.next))?;
                    self.deliver_ready(lane)?;
                }
                Event::Failed { lane, ticket, error } => {
                    self.lanes[lane].lane.failed(ticket);
                    if self.parsed.remove(&ticket).is_none() {
                        self.given_up.insert(ticket);
                    }
                    self.fail(error.into());
                    self.deliver_ready(lane)?;
                }
                Event::Parsed(parsed) => match parsed.unit.lane {
                    _ if self.given_up.remove(&parsed.unit.ticket) => {}
                    None => self.append(*parsed, None, false)?,
                    Some(lane) => {
                        self.parsed.insert(parsed.unit.ticket, *parsed);
                        self.deliver_ready(lane)?;
                    }
                },
                Event::Known { rows } => {
                    let rows = count_duplicates(self.store, rows)?;
                    self.counters.add(rows, false);
                }
                Event::Reached { lane, offset } => {
                    self.lanes[lane].lane.reached(offset);
                    self.deliver_ready(lane)?;
                }
            }
        }
        for lane in 0..self.lanes.len() {
            self.deliver_ready(lane)?;
        }
        if self.failure.is_none() && !self.lanes.iter().all(|lane| lane.lane.is_empty()) {
            return Err(PipelineError::Worker("a block was sent and never heard of again".to_owned()));
        }
        Ok(())
    }

    /// Takes everything of a lane to the store whose turn it is.
    fn deliver_ready(&mut self, lane: usize) -> Result<(), PipelineError> {
        loop {
            match self.lanes[lane].lane.step() {
                Step::Wait => return Ok(()),
                Step::Deliver(ticket, offset) => {
                    let Some(unit) = self.parsed.remove(&ticket) else { return Ok(()) };
                    let position = self.lanes[lane].order.position(offset + 1);
                    self.append(unit, position, false)?;
                    self.lanes[lane].lane.delivered(offset);
                    self.counters.reached(lane, offset + 1);
                }
                Step::Fetch(gap) => {
                    self.fill(lane, gap.end)?;
                    self.lanes[lane].lane.advance(gap.end);
                }
                Step::Advance(next) => {
                    if let Some(position) = self.lanes[lane].order.position(next) {
                        advance(self.store, position)?;
                    }
                    self.lanes[lane].lane.advance(next);
                    self.counters.reached(lane, next);
                }
            }
        }
    }

    /// Fetches what stands before `end` in the log, and takes it to the store.
    fn fill(&mut self, lane: usize, end: i64) -> Result<(), PipelineError> {
        let start = self.lanes[lane].lane.next();
        let LaneOrder::Partition(PartitionLane { topic, partition, gaps: Some((client, handle)), .. }) =
            &self.lanes[lane].order
        else {
            return Ok(());
        };
        let (topic, partition, client, handle) = (Arc::clone(topic), *partition, client.clone(), handle.clone());
        tracing::debug!(%topic, partition, start, end, "fetching what others have written between");
        let mut consumer =
            self.lanes[lane].consumer.take().unwrap_or_else(|| client.consumer(&topic, partition, start));
        consumer.seek(start);
        let mut stall = Stall::new(client.notices(), &topic, partition);
        while consumer.next_offset() < end {
            let fetched = handle.block_on(consumer.fetch())?;
            stall.look(&fetched);
            let records = fetched.records.into_iter().take_while(|record| record.offset < end).collect();
            for portion in portions(records, &topic, partition) {
                let position = self.lanes[lane].order.position(portion.offset + 1);
                self.append_portion(portion, position)?;
            }
        }
        self.lanes[lane].consumer = Some(consumer);
        Ok(())
    }

    /// Parses records here and now, and appends them.
    fn append_portion(&mut self, portion: Portion, position: Option<LogPosition>) -> Result<(), PipelineError> {
        // One portion at a time, beside the gate: waiting at it could be waiting for oneself.
        let Portion { bytes, origin, .. } = portion;
        let unit = Unit { ticket: Ticket::default(), lane: None, bytes, rows: None, origin, permit: None };
        let parsed = ParsedUnit::parse(unit, &mut self.parser);
        self.append(parsed, position, true)
    }

    fn append(
        &mut self,
        unit: ParsedUnit,
        position: Option<LogPosition>,
        is_from_gap: bool,
    ) -> Result<(), PipelineError> {
        let rows = deliver(self.store, &mut self.parser, unit, position)?;
        let rows = self.counters.add(rows, is_from_gap);
        if let Some(limit) = self.limit
            && limit.is_exceeded(rows.rows_rejected, rows.rows_read, false)
        {
            self.fail(PipelineError::TooManyRejected { limit, rows });
        }
        Ok(())
    }

    /// Notes the first reason to end the job, and lets nothing more in.
    fn fail(&mut self, error: PipelineError) {
        self.gate.close();
        self.failure.get_or_insert(error);
    }
}

impl LaneOrder {
    fn position(&self, next_offset: i64) -> Option<LogPosition> {
        match self {
            Self::Tickets => None,
            Self::Partition(lane) => Some(LogPosition {
                topic: lane.topic.to_string(),
                topic_id: lane.topic_id,
                partition: lane.partition,
                next_offset,
            }),
        }
    }

    fn reused(&self, offset: i64, next: i64) -> PipelineError {
        let (topic, partition) = match self {
            Self::Partition(lane) => (lane.topic.to_string(), lane.partition),
            Self::Tickets => ("tickets".to_owned(), 0),
        };
        PipelineError::OffsetReused { topic, partition, offset, next }
    }
}
