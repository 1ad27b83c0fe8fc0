//! The order of one partition: which block's turn it is to go to the store.
//!
//! Invariants:
//! - blocks leave a lane by strictly ascending offset;
//! - every offset below `next` has left it, was fetched from the log, or is known to hold no record.
//!
//! Acknowledgements may come in any order. A block whose offset is the next one goes at once. A block further on
//! leaves a gap before it, which is one of two things: places that our own requests will turn out to have, or records
//! of somebody else (another producer, or a try of ours whose answer was lost). A request that was sent after the
//! acknowledgement came in gets a higher offset, so the gap can only be ours while a request sent before it is still
//! unanswered. Once there is none, what stands in the gap is fetched from the log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A block's number in its job, in the order in which blocks were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Ticket(pub(super) u64);

/// How offsets below a block's are to be taken, when nothing of ours can have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gaps {
    /// They may hold records: fetch them.
    Fetch,
    /// They hold none: blocks come from the log itself, by ascending offset.
    Empty,
}

/// What to do next in a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, until something else happens.
    Wait,
    /// This block is next, with its offset.
    Deliver(Ticket, i64),
    /// These offsets are to be fetched from the log first.
    Fetch(Range<i64>),
    /// All up to this offset is known to be done.
    Advance(i64),
}

/// An acknowledged block was given an offset that is behind us: the topic is not the one it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetReused {
    pub(super) offset: i64,
    pub(super) next: i64,
}

/// The blocks of one partition on their way.
#[derive(Debug)]
pub(super) struct Lane {
    gaps: Gaps,
    next: i64,
    /// Where the log is known to have been read to, without records in between.
    reached: i64,
    last_sent: Ticket,
    unanswered: BTreeSet<Ticket>,
    answered: BTreeMap<i64, Answered>,
}

#[derive(Debug, Clone, Copy)]
struct Answered {
    ticket: Ticket,
    /// The last block sent when the answer came: later ones stand behind it in the log.
    last_sent: Ticket,
}

impl Lane {
    /// A lane whose next offset is `next`.
    pub(super) fn new(next: i64, gaps: Gaps) -> Self {
        Self {
            gaps,
            next,
            reached: next,
            last_sent: Ticket::default(),
            unanswered: BTreeSet::new(),
            answered: BTreeMap::new(),
        }
    }

    /// A block is about to be sent. Tickets ascend.
    pub(super) fn sent(&mut self, ticket: Ticket) {
        self.last_sent = ticket;
        self.unanswered.insert(ticket);
    }

    /// A block that was sent has this offset.
    pub(super) fn acknowledged(&mut self, ticket: Ticket, offset: i64) -> Result<(), OffsetReused> {
        self.unanswered.remove(&ticket);
        let answered = Answered { ticket, last_sent: self.last_sent };
        if offset < self.next || self.answered.insert(offset, answered).is_some() {
            return Err(OffsetReused { offset, next: self.next });
        }
        Ok(())
    }

    /// A block that was sent will not be acknowledged. Whether the log has it is unknown.
    pub(super) fn failed(&mut self, ticket: Ticket) {
        self.unanswered.remove(&ticket);
    }

    /// All records below `offset` have been acknowledged to this lane.
    pub(super) fn reached(&mut self, offset: i64) {
        self.reached = self.reached.max(offset);
    }

    /// What to do next.
    pub(super) fn step(&self) -> Step {
        let Some((&offset, answered)) = self.answered.first_key_value() else {
            return if self.reached > self.next { Step::Advance(self.reached) } else { Step::Wait };
        };
        if offset == self.next || self.gaps == Gaps::Empty {
            Step::Deliver(answered.ticket, offset)
        } else if self.unanswered.first().is_some_and(|&oldest| oldest <= answered.last_sent) {
            Step::Wait
        } else {
            Step::Fetch(self.next..offset)
        }
    }

    /// The block at this offset has gone to the store.
    pub(super) fn delivered(&mut self, offset: i64) {
        self.answered.remove(&offset);
        self.advance(offset + 1);
    }

    /// All below this offset is done.
    pub(super) fn advance(&mut self, next: i64) {
        assert!(next >= self.next, "a lane at offset {} cannot go back to {next}", self.next);
        self.next = next;
    }

    /// The offset that the store has everything below of.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.unanswered.is_empty() && self.answered.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_in_any_order_leave_in_the_order_of_offsets() {
        let mut lane = Lane::new(10, Gaps::Fetch);
        for ticket in 1..=3 {
            lane.sent(Ticket(ticket));
        }
        lane.acknowledged(Ticket(3), 12).unwrap();
        assert_eq!(lane.step(), Step::Wait);
        lane.acknowledged(Ticket(1), 11).unwrap();
        assert_eq!(lane.step(), Step::Wait);
        lane.acknowledged(Ticket(2), 10).unwrap();
        for (ticket, offset) in [(2, 10), (1, 11), (3, 12)] {
            assert_eq!(lane.step(), Step::Deliver(Ticket(ticket), offset));
            lane.delivered(offset);
        }
        assert!(lane.is_empty());
        assert_eq!(lane.step(), Step::Wait);
    }

    #[test]
    fn a_gap_that_no_request_of_ours_can_fill_is_fetched() {
        let mut lane = Lane::new(0, Gaps::Fetch);
        lane.sent(Ticket(1));
        lane.sent(Ticket(2));
        lane.acknowledged(Ticket(2), 3).unwrap();
        assert_eq!(lane.step(), Step::Wait, "block 1 may stand before it");
        lane.sent(Ticket(3));
        lane.acknowledged(Ticket(1), 1).unwrap();
        assert_eq!(lane.step(), Step::Wait, "block 3 was sent before this answer came");
        lane.acknowledged(Ticket(3), 4).unwrap();
        assert_eq!(lane.step(), Step::Fetch(0..1));
        lane.advance(1);
        assert_eq!(lane.step(), Step::Deliver(Ticket(1), 1));
        lane.delivered(1);
        assert_eq!(lane.step(), Step::Fetch(2..3));
    }

    #[test]
    fn a_block_that_failed_no_longer_holds_up_the_others() {
        let mut lane = Lane::new(0, Gaps::Fetch);
        lane.sent(Ticket(1));
        lane.sent(Ticket(2));
        lane.acknowledged(Ticket(2), 1).unwrap();
        lane.failed(Ticket(1));
        assert_eq!(lane.step(), Step::Fetch(0..1));
    }

    #[test]
    fn an_offset_behind_us_is_refused() {
        let mut lane = Lane::new(5, Gaps::Fetch);
        lane.sent(Ticket(1));
        assert_eq!(lane.acknowledged(Ticket(1), 4), Err(OffsetReused { offset: 4, next: 5 }));
    }

    #[test]
    fn offsets_without_records_are_stepped_over_when_the_log_is_read() {
        let mut lane = Lane::new(0, Gaps::Empty);
        lane.sent(Ticket(1));
        lane.acknowledged(Ticket(1), 4).unwrap();
        lane.reached(7);
        assert_eq!(lane.step(), Step::Deliver(Ticket(1), 4));
        lane.delivered(4);
        assert_eq!(lane.step(), Step::Advance(7));
        lane.advance(7);
        assert_eq!(lane.step(), Step::Wait);
    }

    /// What a partition does in a test: appends of ours (whose answers come at some time, or are lost and tried again)
    /// and of others.
    #[derive(Debug, Clone)]
    enum Event {
        Send,
        /// The broker appends one of the requests on their way.
        Append(prop::sample::Index),
        /// One of the answers arrives.
        Answer(prop::sample::Index),
        /// One of the answers is lost; the request is on its way again.
        Lose(prop::sample::Index),
        Foreign,
    }

    fn event() -> impl Strategy<Value = Event> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            4 => Just(Event::Send),
            4 => index().prop_map(Event::Append),
            4 => index().prop_map(Event::Answer),
            1 => index().prop_map(Event::Lose),
            1 => Just(Event::Foreign),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn every_offset_leaves_once_and_in_order(events in prop::collection::vec(event(), 0..120)) {
            let mut lane = Lane::new(0, Gaps::Fetch);
            let mut log: Vec<Option<Ticket>> = Vec::new();
            let (mut requested, mut appended) = (Vec::new(), Vec::new());
            let mut sent = 0;
            let mut left: Vec<(i64, Option<Ticket>)> = Vec::new();
            let mut run = |lane: &mut Lane, log: &[Option<Ticket>]| loop {
                match lane.step() {
                    Step::Deliver(ticket, offset) => {
                        left.push((offset, Some(ticket)));
                        lane.delivered(offset);
                    }
                    Step::Fetch(range) => {
                        assert!(range.end <= log.len() as i64);
                        left.extend(range.clone().map(|offset| (offset, None)));
                        lane.advance(range.end);
                    }
                    Step::Wait => break,
                    Step::Advance(_) => unreachable!("nothing was said to be reached"),
                }
            };
            for event in events {
                match event {
                    Event::Send => {
                        sent += 1;
                        lane.sent(Ticket(sent));
                        requested.push(Ticket(sent));
                    }
                    Event::Append(index) if !requested.is_empty() => {
                        let ticket = requested.swap_remove(index.index(requested.len()));
                        appended.push((ticket, log.len() as i64));
                        log.push(Some(ticket));
                    }
                    Event::Answer(index) if !appended.is_empty() => {
                        let (ticket, offset) = appended.swap_remove(index.index(appended.len()));
                        lane.acknowledged(ticket, offset).unwrap();
                    }
                    Event::Lose(index) if !appended.is_empty() => {
                        requested.push(appended.swap_remove(index.index(appended.len())).0);
                    }
                    Event::Foreign => log.push(None),
                    _ => {}
                }
                run(&mut lane, &log);
            }
            // All that is on its way arrives in the end.
            for ticket in requested {
                appended.push((ticket, log.len() as i64));
                log.push(Some(ticket));
            }
            let last_answered = appended.iter().map(|(_, offset)| *offset).max();
            for (ticket, offset) in appended {
                lane.acknowledged(ticket, offset).unwrap();
                run(&mut lane, &log);
            }
            prop_assert!(lane.is_empty());
            prop_assert!(left.iter().map(|(offset, _)| *offset).eq(0..lane.next()));
            prop_assert!(last_answered.is_none_or(|offset| offset < lane.next()));
            // Every block left by its answer once; whatever was fetched is somebody else's or a lost copy.
            let mut delivered: Vec<Ticket> = left.iter().filter_map(|(_, ticket)| *ticket).collect();
            delivered.sort_unstable();
            prop_assert!(delivered.into_iter().eq((1..=sent).map(Ticket)));
            for (offset, ticket) in left {
                let stored = log[usize::try_from(offset).unwrap()];
                prop_assert!(ticket.is_none() || ticket == stored);
            }
        }
    }
}
