//! The log into the store: what an ingest does, and a load before it reads its sources.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc::Receiver;

use super::GATE_BYTES;
use super::counters::Counters;
use super::error::{PipelineError, unless_interrupted};
use super::gate::{Entry, Gate};
use super::lane::Ticket;
use super::plan::{Follow, RejectLimit};
use super::progress::ProgressUpdate;
use super::reading::{Answer, Read, ReadRange, read_partitions};
use super::session::LogSession;
use super::tee::{Event, LaneOrder, PartitionLane, Tee};
use super::unit::{Portion, Unit, portions};
use super::watch::{TICK, Watch};
use super::workers::Workers;
use crate::event::EventDictionaries;
use crate::kafka::{Consumer, Fetched, KafkaError};
use cartlog_storage::store::{LogPosition, StoreWriter};

/// How to replay.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplayOptions {
    pub(super) follow: Option<Follow>,
    pub(super) limit: Option<RejectLimit>,
    pub(super) skip_lost: bool,
}

/// What a replay moved. Its rows are in the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    /// Bytes of record values.
    pub(super) bytes: u64,
    /// Records.
    pub(super) records: u64,
    /// The next offset of each lane.
    pub(super) next_offsets: Vec<i64>,
    /// Whether it was asked to stop before the end.
    pub(super) is_interrupted: bool,
}

/// What a replay works with.
#[derive(Clone, Copy)]
pub(super) struct Replay<'a> {
    pub(super) session: &'a LogSession,
    pub(super) store: &'a StoreWriter,
    pub(super) workers: &'a Workers,
    pub(super) dictionaries: &'a EventDictionaries,
    pub(super) counters: &'a Counters,
    pub(super) options: ReplayOptions,
}

impl Replay<'_> {
    /// Reads what the log holds beyond the store into it. Commits only when following.
    ///
    /// # Errors
    ///
    /// [`PipelineError`]. After an error of the log, what was read before it is in the store and can be committed.
    pub(super) fn run(self, watch: &mut Watch<'_>) -> Result<Replayed, PipelineError> {
        let Some((consumers, ranges)) = unless_interrupted(self.unread())? else {
            return Ok(Replayed { is_interrupted: true, ..Replayed::default() });
        };
        let starts: Vec<i64> = ranges.iter().map(|range| range.start).collect();
        for (lane, &start) in starts.iter().enumerate() {
            self.counters.reached(lane, start);
        }
        let mut replayed = Replayed { next_offsets: starts, ..Replayed::default() };
        if ranges.iter().all(|range| range.end.is_some_and(|end| end <= range.start)) {
            return Ok(replayed);
        }
        let gate = Gate::new(GATE_BYTES);
        let lanes = self.lanes(&ranges);
        let tee = Tee::new(self.store, self.dictionaries, self.counters, &gate, self.options.limit, lanes);
        let (events, received) = channel();
        let (fed, delivered) = thread::scope(|scope| {
            let tee = scope.spawn(move || tee.run(&received));
            let answers = read_partitions(self.session, consumers, &ranges, self.options.skip_lost);
            let feed = Feed { replay: self, gate: &gate, events, sent: 0, log_ends: vec![0; ranges.len()] };
            let fed = feed.run(answers, watch, &mut replayed);
            (fed, tee.join().unwrap_or_else(|_| Err(PipelineError::Worker("the tee has stopped".to_owned()))))
        });
        delivered?;
        fed?;
        for (lane, next) in replayed.next_offsets.iter_mut().enumerate() {
            *next = self.counters.next_offset(lane);
        }
        Ok(replayed)
    }

    /// What of each partition the store has not read, and who is to read it.
    fn unread(&self) -> Result<(Vec<Consumer>, Vec<ReadRange>), PipelineError> {
        let Self { session, store, options, .. } = self;
        let unread = |(consumer, held): (Consumer, Range<i64>)| {
            let partition = consumer.partition();
            // A position in another topic of the same name says nothing about this one.
            let known = store.position(&session.topic, partition);
            let known = known.filter(|position: &LogPosition| session.is_of_topic(position));
            let known = known.map(|position| position.next_offset);
            let start = match known {
                None => held.start,
                Some(next) if (held.start..=held.end).contains(&next) => next,
                // The reader finds out what is lost, and steps over it.
                Some(next) if next < held.start && options.skip_lost => next,
                Some(next) => {
                    return Err(KafkaError::OffsetOutOfRange {
                        topic: session.topic.to_string(),
                        partition,
                        lost: next..held.start.max(next),
                        available: held,
                        brokers: session.client.brokers().to_owned(),
                    }
                    .into());
                }
            };
            Ok((consumer, ReadRange { start, end: options.follow.is_none().then_some(held.end) }))
        };
        session.readers()?.into_iter().map(unread).collect()
    }

    /// Lanes of records that come from the log itself, in its order.
    fn lanes(&self, ranges: &[ReadRange]) -> Vec<LaneOrder> {
        let lane = |(&partition, range): (&i32, &ReadRange)| {
            LaneOrder::Partition(PartitionLane {
                topic: Arc::clone(&self.session.topic),
                topic_id: self.session.topic_id,
                partition,
                next_offset: range.start,
                gaps: None,
            })
        };
        self.session.partitions.iter().zip(ranges).map(lane).collect()
    }
}

/// What takes records from the readers to the workers.
struct Feed<'a> {
    replay: Replay<'a>,
    gate: &'a Arc<Gate>,
    events: Sender<Event>,
    sent: u64,
    /// The end of the log of each lane, as last heard of.
    log_ends: Vec<i64>,
}

impl Feed<'_> {
    fn run(
        mut self,
        mut answers: Receiver<Answer>,
        watch: &mut Watch<'_>,
        replayed: &mut Replayed,
    ) -> Result<(), PipelineError> {
        let Replay { session, store, counters, options, .. } = self.replay;
        let mut commits = options.follow.map(Commits::new);
        loop {
            if session.interrupt.is_requested() {
                replayed.is_interrupted = true;
                return Ok(());
            }
            match session.runtime.block_on(async { tokio::time::timeout(TICK, answers.recv()).await }) {
                Ok(None) => return Ok(()),
                // An answer that comes after the request to stop may be that nothing is tried again.
                Ok(Some(_)) if session.interrupt.is_requested() => {}
                Ok(Some(answer)) => {
                    if !self.take(answer, replayed)? {
                        return Ok(());
                    }
                }
                Err(_) => {}
            }
            self.report(watch, replayed);
            if let Some(commits) = &mut commits
                && commits.is_due(counters.rows().rows_read)
            {
                store.commit()?;
            }
        }
    }

    /// Hands the records of an answer on. False once the job has to end.
    fn take(&mut self, (lane, answer): Answer, replayed: &mut Replayed) -> Result<bool, PipelineError> {
        let Replay { session, workers, counters, .. } = self.replay;
        let Fetched { records, next_offset, log_end, .. } = match answer? {
            Read::Fetched(fetched) => fetched,
            Read::Lost(lost) => {
                counters.lost(&lost);
                let _ = self.events.send(Event::Reached { lane, offset: lost.end });
                return Ok(true);
            }
        };
        self.log_ends[lane] = log_end;
        for portion in portions(records, &session.topic, session.partitions[lane]) {
            let permit = loop {
                match self.gate.enter(portion.value_bytes, TICK) {
                    Entry::Permit(permit) => break permit,
                    Entry::Full => {}
                    Entry::Closed => return Ok(false),
                }
            };
            self.sent += 1;
            replayed.records += portion.records;
            replayed.bytes += portion.value_bytes as u64;
            let Portion { offset, bytes, origin, .. } = portion;
            let ticket = Ticket(self.sent);
            // Whether the tee still listens shows at the gate.
            let _ = self.events.send(Event::Sent { lane, ticket });
            let _ = self.events.send(Event::Acknowledged { lane, ticket, offset });
            let unit = Unit { ticket, lane: Some(lane), bytes, rows: None, origin, permit: Some(permit) };
            workers.parse(unit, self.events.clone());
        }
        let _ = self.events.send(Event::Reached { lane, offset: next_offset });
        Ok(true)
    }

    fn report(&self, watch: &mut Watch<'_>, replayed: &Replayed) {
        let Replay { session, store, counters, .. } = self.replay;
        watch.update(|progress| {
            session.report(progress, Some(store));
            // An end heard of before the lane went past it is no lag.
            let behind = |lane: usize| self.log_ends[lane].saturating_sub(counters.next_offset(lane)).max(0);
            let lag: Vec<(i32, u64)> = session
                .partitions
                .iter()
                .enumerate()
                .map(|(lane, &partition)| (partition, behind(lane).unsigned_abs()))
                .collect();
            progress.update(&ProgressUpdate {
                bytes_done: replayed.bytes,
                lag: &lag,
                ..ProgressUpdate::of_rows(counters.rows())
            });
        });
    }
}

/// When a following ingest commits.
struct Commits {
    follow: Follow,
    last: Instant,
    rows_then: u64,
}

impl Commits {
    fn new(follow: Follow) -> Self {
        Self { follow, last: Instant::now(), rows_then: 0 }
    }

    /// Whether it is time, and rows have come since the last time.
    fn is_due(&mut self, rows: u64) -> bool {
        let new_rows = rows - self.rows_then;
        let is_due = new_rows >= self.follow.commit_rows || self.last.elapsed() >= self.follow.commit_interval;
        if is_due {
            self.last = Instant::now();
            self.rows_then = rows;
        }
        is_due && new_rows > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn commits_come_by_rows_or_by_time_but_not_for_nothing() {
        let mut commits = Commits::new(Follow { commit_interval: Duration::ZERO, commit_rows: 10 });
        assert!(!commits.is_due(0), "nothing came");
        assert!(commits.is_due(1), "the time is over");
        let mut commits = Commits::new(Follow { commit_interval: Duration::from_secs(3600), commit_rows: 10 });
        assert!(!commits.is_due(9));
        assert!(commits.is_due(10));
        assert!(!commits.is_due(19));
    }
}
