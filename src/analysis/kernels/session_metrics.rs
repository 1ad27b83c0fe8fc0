//! How sessions look: their events, their length, and whether they end in a purchase.
//!
//! Events are brought together by session: keys of (session, time, bought), or rows as they lie where they are in order. Seconds are
//! rounded as DuckDB rounds them, a half to the even one.

use arrow_schema::SchemaRef;

use crate::analysis::decode::{Scratch, index, scratch};
use crate::analysis::driver::Chunk;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::number::quantile_place;
use crate::analysis::result::{self, ResultType, counts, optional_counts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TIME, EVENT_TYPE, USER_SESSION};
use crate::table::Table;

/// The class of purchases among the event types.
const BOUGHT: u64 = 0;

/// `session_metrics`.
#[derive(Debug)]
pub(in crate::analysis) struct SessionMetrics;

struct Sessions<'a> {
    layout: &'a Layout<'a>,
    /// What a step of the times is, where all of them are whole seconds.
    seconds_a_step: Option<u64>,
}

/// What one worker makes.
struct Seen {
    metrics: Metrics,
    present: Present,
    sessions: Scratch<u32>,
    bought: Scratch<bool>,
    ordinals: Scratch<u64>,
}

#[derive(Debug, Default)]
struct Metrics {
    sessions: u64,
    bounces: u64,
    purchasing: u64,
    events: Histogram,
    seconds: Histogram,
}

/// The session whose events come one after the other, as far as they came.
#[derive(Debug, Clone, Copy)]
struct Present {
    /// Its ordinal.
    session: u64,
    /// None before the first event of all.
    events: u64,
    /// The times of the earliest and the latest event, as ordinals.
    first: u64,
    last: u64,
    is_purchasing: bool,
}

impl Present {
    /// None of whose events came yet.
    fn new(session: u64) -> Self {
        Self { session, events: 0, first: u64::MAX, last: 0, is_purchasing: false }
    }
}

impl<'a> Sessions<'a> {
    fn new(layout: &'a Layout<'a>) -> Self {
        let (base, step) = layout.field(1).base_and_step();
        let are_whole = base % 1000 == 0 && step % 1000 == 0;
        Self { layout, seconds_a_step: are_whole.then_some(step / 1000) }
    }

    /// Takes in an event.
    #[inline]
    fn add(&self, metrics: &mut Metrics, present: &mut Present, session: u64, (time, bought): (u64, bool)) {
        if session != present.session {
            self.finish(metrics, present);
            *present = Present::new(session);
        }
        present.events += 1;
        present.first = present.first.min(time);
        present.last = present.last.max(time);
        present.is_purchasing |= bought;
    }

    /// From a session's first second to its last.
    fn seconds(&self, session: &Present) -> u64 {
        if let Some(seconds) = self.seconds_a_step {
            return (session.last - session.first) * seconds;
        }
        let second = |time: u64| round_seconds(self.layout.field(1).value(time));
        second(session.last).abs_diff(second(session.first))
    }

    /// Counts the present session; events without one are none.
    fn finish(&self, metrics: &mut Metrics, present: &Present) {
        if present.events == 0 || present.session == self.layout.field(0).maximum() {
            return;
        }
        metrics.sessions += 1;
        metrics.bounces += u64::from(present.events == 1);
        metrics.purchasing += u64::from(present.is_purchasing);
        metrics.events.add(present.events);
        metrics.seconds.add(self.seconds(present));
    }
}

impl Parts for Sessions<'_> {
    const LEADING_ONLY: bool = true;
    const TAKES_ROWS: bool = true;
    type Partial = Seen;

    fn start(&self) -> Seen {
        let (metrics, present) = (Metrics::default(), Present::new(0));
        Seen { metrics, present, sessions: scratch(), bought: scratch(), ordinals: scratch() }
    }

    fn part<K: Key>(&self, Seen { metrics, present, .. }: &mut Seen, _part: usize, keys: &[K]) {
        let (below, below_time) = (self.layout.bits_below(1), self.layout.bits_below(2));
        for key in keys {
            let event = (key.bits(below_time, below - below_time), key.bits(0, below_time) == BOUGHT);
            self.add(metrics, present, self.layout.ordinal(*key, 0), event);
        }
    }

    fn rows(&self, Seen { metrics, present, sessions, bought, ordinals }: &mut Seen, chunk: &Chunk<'_>) {
        let rows = chunk.len();
        let (sessions, bought) = (&mut sessions[..rows], &mut bought[..rows]);
        chunk.put_ordinals(self.layout.field(0), ordinals, sessions, |session, ordinal| {
            // A numbering has fewer than 2^32.
            *session = u32::try_from(ordinal).unwrap_or(u32::MAX);
        });
        chunk.put_ordinals(self.layout.field(2), ordinals, bought, |bought, ordinal| *bought = ordinal == BOUGHT);
        let times = chunk.ordinals(self.layout.field(1), ordinals);
        let mut session = *present;
        for ((number, time), bought) in sessions.iter().zip(times).zip(bought) {
            self.add(metrics, &mut session, (*number).into(), (*time, *bought));
        }
        *present = session;
    }
}

/// How often each number occurs: small ones are counted in an array, the few large ones are listed.
#[derive(Debug, Default)]
struct Histogram {
    small: Vec<u64>,
    large: Vec<u64>,
}

impl Histogram {
    /// Numbers below this are small: a day in seconds, and more events than any session has.
    const SMALL: u64 = 1 << 17;

    fn add(&mut self, number: u64) {
        if number >= Self::SMALL {
            self.large.push(number);
            return;
        }
        let place = index(number);
        if place >= self.small.len() {
            self.small.resize((place + 1).next_power_of_two(), 0);
        }
        self.small[place] += 1;
    }

    fn merge(&mut self, other: Self) {
        if self.small.len() < other.small.len() {
            self.small.resize(other.small.len(), 0);
        }
        self.small.iter_mut().zip(other.small).for_each(|(into, other)| *into += other);
        self.large.extend(other.large);
    }

    fn sum(&self) -> u64 {
        (0..).zip(&self.small).map(|(number, count)| number * count).sum::<u64>() + self.large.iter().sum::<u64>()
    }

    /// The nearest-rank quantile; there is none of nothing.
    fn quantile(&mut self, percent: u64) -> Option<u64> {
        let count = self.small.iter().sum::<u64>() + self.large.len() as u64;
        let mut place = quantile_place(count, percent);
        for (number, count) in (0..).zip(&self.small) {
            if place < *count {
                return Some(number);
            }
            place -= count;
        }
        let place = index(place);
        (place < self.large.len()).then(|| *self.large.select_nth_unstable(place).1)
    }
}

/// Milliseconds as whole seconds, the nearest, and of two the even one.
fn round_seconds(milliseconds: i64) -> i64 {
    let (below, rest) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    below + i64::from(rest > 500 || (rest == 500 && below % 2 != 0))
}

impl Analysis for SessionMetrics {
    fn name(&self) -> &'static str {
        "session_metrics"
    }

    fn description(&self) -> &'static str {
        "One row: how many sessions there are, how long they are, and how many end in a purchase."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/session_metrics.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("sessions", ResultType::Integer),
            ("events", ResultType::OptionalInteger),
            ("bounces", ResultType::OptionalInteger),
            ("purchasing_sessions", ResultType::OptionalInteger),
            ("median_events", ResultType::OptionalInteger),
            ("median_seconds", ResultType::OptionalInteger),
            ("p90_seconds", ResultType::OptionalInteger),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = input.by_user();
        let events = input.events();
        let layout = Layout::new(vec![
            Field::identified(input, USER_SESSION),
            Field::scaled(events, EVENT_TIME),
            Field::classified(events, EVENT_TYPE, &["purchase"]),
        ]);
        let mut all = Metrics::default();
        let sessions = Sessions::new(&layout);
        for Seen { metrics: mut partial, present, .. } in group(input, &layout, 1, &sessions) {
            sessions.finish(&mut partial, &present);
            all.sessions += partial.sessions;
            all.bounces += partial.bounces;
            all.purchasing += partial.purchasing;
            all.events.merge(partial.events);
            all.seconds.merge(partial.seconds);
        }
        let some = |value: u64| (all.sessions > 0).then_some(value);
        let totals = [some(all.events.sum()), some(all.bounces), some(all.purchasing)];
        let quantiles = [all.events.quantile(50), all.seconds.quantile(50), all.seconds.quantile(90)];
        let columns = totals.into_iter().chain(quantiles).map(|value| Some(optional_counts([value])));
        result::table(self, [Some(counts([all.sessions]))].into_iter().chain(columns).collect())
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, group_by, in_sessions};

        let with_session = in_sessions(events);
        let sessions = group_by(&with_session, |event| event.user_session);
        let mut lengths: Vec<i64> = sessions.values().map(|events| events.len() as i64).collect();
        let second =
            |event: &&crate::analysis::testing::Event| (event.event_time as f64 / 1000.0).round_ties_even() as i64;
        let mut seconds: Vec<i64> = sessions
            .values()
            .map(|events| events.iter().map(second).max().unwrap() - events.iter().map(second).min().unwrap())
            .collect();
        lengths.sort_unstable();
        seconds.sort_unstable();
        let purchasing = sessions.values().filter(|events| events.iter().any(|event| event.event_type == "purchase"));
        // The smallest value that at least so many per cent of all are at or below.
        let nearest = |sorted: &[i64], percent: usize| {
            let found = (0..sorted.len()).find(|place| (place + 1) * 100 >= sorted.len() * percent);
            found.map_or(Cell::Missing, |place| Cell::Integer(sorted[place]))
        };
        let some = |value: i64| if sessions.is_empty() { Cell::Missing } else { Cell::Integer(value) };
        vec![vec![
            Cell::Integer(sessions.len() as i64),
            some(lengths.iter().sum()),
            some(lengths.iter().filter(|length| **length == 1).count() as i64),
            some(purchasing.count() as i64),
            nearest(&lengths, 50),
            nearest(&seconds, 50),
            nearest(&seconds, 90),
        ]]
    }
}
