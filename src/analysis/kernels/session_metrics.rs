//! How sessions look: their events, their length, and whether they end in a purchase.
//!
//! Keys are (session, time, bought), brought together by session. Seconds are rounded as DuckDB rounds them, a half to the even
//! one.

use arrow_schema::SchemaRef;

use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::number::quantile_place;
use crate::analysis::result::{self, ResultType, counts, optional_counts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TIME, EVENT_TYPE, USER_SESSION};
use crate::table::Table;

/// `session_metrics`.
#[derive(Debug)]
pub(in crate::analysis) struct SessionMetrics;

struct Sessions<'a> {
    layout: &'a Layout<'a>,
}

#[derive(Debug, Default)]
struct Metrics {
    sessions: u64,
    bounces: u64,
    purchasing: u64,
    events: Histogram,
    seconds: Histogram,
}

impl Parts for Sessions<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = Metrics;

    fn start(&self) -> Metrics {
        Metrics::default()
    }

    fn part<K: Key>(&self, partial: &mut Metrics, _part: usize, keys: &[K]) {
        let (below, below_time) = (self.layout.bits_below(1), self.layout.bits_below(2));
        let time_bits = below - below_time;
        let missing = self.layout.field(0).maximum();
        for session in keys.chunk_by(|left, right| left.is_alike(*right, below)) {
            if self.layout.ordinal(session[0], 0) == missing {
                continue;
            }
            let (mut first, mut last, mut is_purchasing) = (u64::MAX, 0, false);
            for key in session {
                let time = key.bits(below_time, time_bits);
                first = first.min(time);
                last = last.max(time);
                is_purchasing |= key.bits(0, below_time) == 0;
            }
            let second = |time: u64| round_seconds(self.layout.field(1).value(time));
            partial.sessions += 1;
            partial.bounces += u64::from(session.len() == 1);
            partial.purchasing += u64::from(is_purchasing);
            partial.events.add(session.len() as u64);
            partial.seconds.add(second(last).abs_diff(second(first)));
        }
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
        for partial in group(input, &layout, 1, &Sessions { layout: &layout }) {
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
