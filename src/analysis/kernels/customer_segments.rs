//! Segments of the users who bought, by how recently, how often and for how much; what is recent and what is often are parameters.
//!
//! Only purchases are grouped, by (user, session, day, price): a user's orders are its sessions, and its purchases
//! without one. Sessions are numbered segment by segment, which is enough to tell those of a user apart.
//!
//! The last day of all events is that of the segment with the latest ones; others are looked at only if their zone maps say that
//! they may go beyond it.

use arrow_schema::SchemaRef;

use crate::analysis::apart::Apart;
use crate::analysis::decode::{Scratch, scratch};
use crate::analysis::driver::{Chunk, Scan, scan_morsels};
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::number::average_money;
use crate::analysis::periods::DAY;
use crate::analysis::result::{self, ResultType, averages, counts, decimals, words};
use crate::analysis::{Analysis, AnalysisError, Input, Parameter, ParameterKind, Parameters};
use crate::event::{EVENT_TIME, PRICE, USER_ID, USER_SESSION};
use crate::table::Table;

/// `customer_segments`.
#[derive(Debug)]
pub(in crate::analysis) struct CustomerSegments;

/// The segments, by place.
const SEGMENTS: [&str; 6] = ["champion", "loyal", "recent", "promising", "at_risk", "dormant"];

const RECENT: Parameter = Parameter {
    name: "recent_days",
    description: "How long ago the last purchase of a champion or a recent buyer is at most.",
    kind: ParameterKind::Days { default: 7 },
};
const PROMISING: Parameter = Parameter {
    name: "promising_days",
    description: "How long ago the last purchase of a promising buyer is at most.",
    kind: ParameterKind::Days { default: 21 },
};
const LOYAL: Parameter = Parameter {
    name: "loyal_orders",
    description: "How many orders a champion or a loyal buyer has at least.",
    kind: ParameterKind::Orders { default: 5 },
};
const RETURNING: Parameter = Parameter {
    name: "returning_orders",
    description: "How many orders a buyer at risk has at least.",
    kind: ParameterKind::Orders { default: 2 },
};

/// What makes a user's segment.
#[derive(Debug, Clone, Copy)]
struct Rules {
    recent_days: u64,
    promising_days: u64,
    loyal_orders: u64,
    returning_orders: u64,
}

impl Rules {
    fn new(parameters: &Parameters) -> Self {
        Self {
            recent_days: parameters.bound(&RECENT),
            promising_days: parameters.bound(&PROMISING),
            loyal_orders: parameters.bound(&LOYAL),
            returning_orders: parameters.bound(&RETURNING),
        }
    }

    /// The segment of a user, by place: the first rule that fits.
    fn segment(self, recency_days: u64, orders: u64) -> usize {
        let (is_recent, is_loyal) = (recency_days <= self.recent_days, orders >= self.loyal_orders);
        match (is_recent, is_loyal) {
            (true, true) => 0,
            (false, true) => 1,
            (true, false) => 2,
            (false, false) if recency_days <= self.promising_days => 3,
            (false, false) if orders >= self.returning_orders => 4,
            (false, false) => 5,
        }
    }
}

/// The users of one segment.
#[derive(Debug, Clone, Copy, Default)]
struct Segment {
    users: u64,
    orders: u64,
    /// In units of `10^-4`.
    spent: i128,
    recency_days: u128,
}

/// The last day of the covered events, as a number of days since 1970.
fn last_day(input: &Input<'_>) -> Option<i64> {
    let days = Field::periods(input.events(), EVENT_TIME, DAY, 0);
    let mut latest: Vec<(i64, usize)> =
        input.candidates().map(|(index, segment)| (segment.columns[EVENT_TIME].largest, index)).collect();
    latest.sort_unstable();
    let mut last: Option<i64> = None;
    for (bound, segment) in latest.into_iter().rev() {
        if last.is_some_and(|last| bound.div_euclid(DAY) <= last) {
            break;
        }
        let morsels = input.morsels(|index| index == segment);
        let found = scan_morsels(input, &morsels, &LastDay { days: &days }).into_iter().filter_map(|(last, _)| last);
        last = last.max(found.max().map(|day| days.value(day)));
    }
    last
}

/// The last day of some events.
struct LastDay<'a> {
    days: &'a Field<'a>,
}

impl Scan for LastDay<'_> {
    type Partial = (Option<u64>, Scratch<u64>);

    fn start(&self) -> Self::Partial {
        (None, scratch())
    }

    fn scan(&self, (last, scratch): &mut Self::Partial, chunk: &Chunk<'_>) {
        *last = chunk.ordinals(self.days, scratch).iter().copied().max().max(*last);
    }

    fn merge(&self, into: &mut Self::Partial, other: Self::Partial) {
        into.0 = into.0.max(other.0);
    }
}

struct Buyers<'a> {
    layout: &'a Layout<'a>,
    sessions: &'a Apart<'a>,
    rules: Rules,
    last_day: u64,
}

impl Parts for Buyers<'_> {
    /// The segments, and the sessions of the present user.
    type Partial = ([Segment; SEGMENTS.len()], Vec<u64>);

    fn start(&self) -> Self::Partial {
        Default::default()
    }

    fn part<K: Key>(&self, (segments, sessions): &mut Self::Partial, _part: usize, keys: &[K]) {
        let (below_user, below_session) = (self.layout.bits_below(1), self.layout.bits_below(2));
        let price_bits = self.layout.bits_below(3);
        for user in keys.chunk_by(|left, right| left.is_alike(*right, below_user)) {
            let (mut orders, mut last, mut spent) = (0, 0, 0);
            let mut before: Option<K> = None;
            let mut is_missing = false;
            sessions.clear();
            for key in user {
                let is_new = before.is_none_or(|before| !before.is_alike(*key, below_session));
                before = Some(*key);
                if is_new {
                    let session = self.layout.ordinal(*key, 1);
                    is_missing = self.sessions.is_missing(session);
                    if !is_missing {
                        sessions.push(session);
                    }
                }
                orders += u64::from(is_missing);
                last = self.layout.ordinal(*key, 2).max(last);
                spent += i128::from(self.layout.field(3).value(key.bits(0, price_bits)));
            }
            orders += self.sessions.distinct(sessions);
            let recency_days = self.last_day - last;
            let segment = &mut segments[self.rules.segment(recency_days, orders)];
            segment.users += 1;
            segment.orders += orders;
            segment.spent += spent;
            segment.recency_days += u128::from(recency_days);
        }
    }
}

impl Analysis for CustomerSegments {
    fn name(&self) -> &'static str {
        "customer_segments"
    }

    fn description(&self) -> &'static str {
        "Segments of the users who bought: champions, loyal, recent, promising, at risk and dormant ones."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/customer_segments.sql")
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[RECENT, PROMISING, LOYAL, RETURNING]
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("segment", ResultType::Word),
            ("users", ResultType::Integer),
            ("orders", ResultType::Integer),
            ("revenue", ResultType::Money),
            ("average_recency_days", ResultType::Average),
        ])
    }

    fn run(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        let by_user = input.by_user();
        let events = by_user.events();
        let sessions = Apart::of(events, USER_SESSION);
        let layout = Layout::fitted(
            events,
            vec![
                Field::offset(events, USER_ID),
                Field::apart(&sessions, USER_SESSION),
                Field::periods(events, EVENT_TIME, DAY, 0),
                Field::scaled(events, PRICE),
            ],
        );
        let first_day = layout.field(2).value(0);
        let last_day = last_day(input).map_or(0, |last| last.wrapping_sub(first_day).cast_unsigned());
        let buyers = Buyers { layout: &layout, sessions: &sessions, rules: Rules::new(parameters), last_day };
        let (mut segments, _) = buyers.start();
        for (partial, _) in group(&by_user.only("purchase"), &layout, 1, &buyers) {
            for (into, other) in segments.iter_mut().zip(partial) {
                into.users += other.users;
                into.orders += other.orders;
                into.spent += other.spent;
                into.recency_days += other.recency_days;
            }
        }
        let mut rows: Vec<(usize, Segment)> =
            segments.into_iter().enumerate().filter(|(_, segment)| segment.users > 0).collect();
        rows.sort_unstable_by_key(|(place, segment)| (std::cmp::Reverse(segment.spent), SEGMENTS[*place]));
        let recency = |segment: &Segment| average_money((segment.recency_days * 10_000).cast_signed(), segment.users);
        result::table(
            self,
            vec![
                Some(words(rows.iter().map(|(place, _)| SEGMENTS[*place]))),
                Some(counts(rows.iter().map(|(_, segment)| segment.users))),
                Some(counts(rows.iter().map(|(_, segment)| segment.orders))),
                Some(decimals(ResultType::Money, rows.iter().map(|(_, segment)| segment.spent))),
                Some(averages(rows.iter().map(|(_, segment)| recency(segment)))),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, average_of, distinct, group_by, revenue_of};
        use std::collections::BTreeMap;

        let last = events.iter().map(|event| event.event_time.div_euclid(DAY)).max().unwrap_or_default();
        let [recent, promising, loyal, returning] =
            [RECENT, PROMISING, LOYAL, RETURNING].map(|parameter| parameters.bound(&parameter) as i64);
        let mut purchases = events.to_vec();
        purchases.retain(|event| event.event_type == "purchase");
        let mut segments: BTreeMap<&str, (i64, i64, i128, i64)> = BTreeMap::new();
        for events in group_by(&purchases, |event| event.user_id).into_values() {
            let recency = last - events.iter().map(|event| event.event_time.div_euclid(DAY)).max().unwrap();
            let alone = events.iter().filter(|event| event.user_session.is_none()).count() as i64;
            let orders = distinct(events.iter().filter_map(|event| event.user_session)) + alone;
            let name = if recency <= recent && orders >= loyal {
                "champion"
            } else if orders >= loyal {
                "loyal"
            } else if recency <= recent {
                "recent"
            } else if recency <= promising {
                "promising"
            } else if orders >= returning {
                "at_risk"
            } else {
                "dormant"
            };
            let segment = segments.entry(name).or_default();
            *segment = (segment.0 + 1, segment.1 + orders, segment.2 + revenue_of(&events), segment.3 + recency);
        }
        let mut rows: Vec<_> = segments.into_iter().collect();
        rows.sort_by_key(|(name, segment)| (-segment.2, *name));
        let row = |(name, (users, orders, revenue, recency)): (&str, (i64, i64, i128, i64))| {
            vec![
                Cell::Text(name.to_owned()),
                Cell::Integer(users),
                Cell::Integer(orders),
                Cell::Decimal(revenue),
                Cell::Double(average_of(i128::from(recency) * 10_000, users as u128)),
            ]
        };
        rows.into_iter().map(row).collect()
    }
}
