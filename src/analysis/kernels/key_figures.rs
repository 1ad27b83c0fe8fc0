//! How the shop does, in one row.
//!
//! Events and revenue add up in one scan; a session's kinds stand side by side under the key (session, kind), and what a user did
//! under (user, bought).

use arrow_schema::SchemaRef;

use crate::analysis::decode::{Scratch, scratch};
use crate::analysis::driver::{Chunk, Scan, scan};
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::kinds::{self, Engagement, PURCHASE};
use crate::analysis::number::average_money;
use crate::analysis::result::{self, ResultType, counts, decimals, optional_averages};
use crate::analysis::totals::money;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TYPE, PRICE, USER_ID, USER_SESSION};
use crate::table::Table;

/// `key_figures`.
#[derive(Debug)]
pub(in crate::analysis) struct KeyFigures;

/// All events by kind, and their revenue.
struct Sales<'a> {
    kinds: Field<'a>,
    prices: Field<'a>,
}

impl Scan for Sales<'_> {
    type Partial = (Engagement, Scratch<u64>, Scratch<u64>);

    fn start(&self) -> Self::Partial {
        (Engagement::default(), scratch(), scratch())
    }

    fn scan(&self, (all, kinds, prices): &mut Self::Partial, chunk: &Chunk<'_>) {
        let kinds = chunk.ordinals(&self.kinds, kinds);
        let prices = chunk.ordinals(&self.prices, prices);
        for (kind, price) in kinds.iter().zip(prices) {
            all.add(*kind, *price, 1);
        }
    }

    fn merge(&self, into: &mut Self::Partial, other: Self::Partial) {
        into.0.merge(&other.0);
    }
}

/// Distinct values of the first field, each with the set of the second field's ordinals that it ever stands beside.
struct Distinct<'a> {
    layout: &'a Layout<'a>,
    /// The first field's value that doesn't count.
    but: Option<u64>,
}

/// How many distinct values have each set of bits.
type Sets = [u64; 16];

impl Parts for Distinct<'_> {
    type Partial = Sets;

    fn start(&self) -> Sets {
        Sets::default()
    }

    fn part<K: Key>(&self, partial: &mut Sets, _part: usize, keys: &[K]) {
        let below = self.layout.bits_below(1);
        for group in keys.chunk_by(|left, right| left.differing(*right).significant_bits() <= below) {
            let counts = group.first().is_some_and(|first| Some(self.layout.ordinal(*first, 0)) != self.but);
            if counts {
                let set = group.iter().fold(0_usize, |set, key| set | 1 << key.bits(0, below));
                partial[set % partial.len()] += 1;
            }
        }
    }
}

impl Distinct<'_> {
    fn of(&self, input: &Input<'_>) -> Sets {
        let mut all = self.start();
        for partial in group(input, self.layout, 1, self) {
            all.iter_mut().zip(partial).for_each(|(into, other)| *into += other);
        }
        all
    }
}

/// How many distinct values have a set of bits that fits.
fn those(sets: &Sets, fits: impl Fn(usize) -> bool) -> u64 {
    sets.iter().enumerate().filter(|(set, _)| fits(*set)).map(|(_, count)| count).sum()
}

impl Analysis for KeyFigures {
    fn name(&self) -> &'static str {
        "key_figures"
    }

    fn description(&self) -> &'static str {
        "One row: events, users, sessions, orders and revenue, with the conversion and abandonment they come to."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/key_figures.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("events", ResultType::Integer),
            ("users", ResultType::Integer),
            ("buyers", ResultType::Integer),
            ("sessions", ResultType::Integer),
            ("viewed_sessions", ResultType::Integer),
            ("carted_sessions", ResultType::Integer),
            ("abandoned_sessions", ResultType::Integer),
            ("orders", ResultType::Integer),
            ("revenue", ResultType::Money),
            ("average_order_value", ResultType::OptionalAverage),
            ("conversion", ResultType::OptionalAverage),
            ("abandonment", ResultType::OptionalAverage),
        ])
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of sessions are below 2^53")]
    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let events = input.events();
        let sales = Sales { kinds: kinds::field(events), prices: Field::scaled(events, PRICE) };
        let (sold, ..) = scan(input, &sales);
        let (base, step) = sales.prices.base_and_step();
        let revenue = money(base, step, sold.events[PURCHASE as usize], sold.revenue);

        let bought = Field::classified(events, EVENT_TYPE, &["purchase"]);
        let layout = Layout::new(vec![Field::offset(events, USER_ID), bought]);
        let users = Distinct { layout: &layout, but: None }.of(input);
        let layout = Layout::new(vec![Field::identified(events, USER_SESSION), kinds::field(events)]);
        let sessions = Distinct { layout: &layout, but: Some(layout.field(0).maximum()) }.of(input);

        let did = |set: usize, kind: u64| set >> kind & 1 == 1;
        let all = those(&sessions, |_| true);
        let carted = those(&sessions, |set| did(set, 1));
        let abandoned = those(&sessions, |set| did(set, 1) && !did(set, PURCHASE));
        let orders = those(&sessions, |set| did(set, PURCHASE));
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let numbers = [
            sold.events.iter().sum(),
            those(&users, |_| true),
            those(&users, |set| did(set, 0)),
            all,
            those(&sessions, |set| did(set, 0)),
            carted,
            abandoned,
            orders,
        ];
        let averages =
            [(orders > 0).then(|| average_money(revenue, orders)), share(orders, all), share(abandoned, carted)];
        let columns = numbers.map(|number| Some(counts([number]))).into_iter();
        let columns = columns.chain([Some(decimals(ResultType::Money, [revenue]))]);
        result::table(self, columns.chain(averages.map(|average| Some(optional_averages([average])))).collect())
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, average_of, distinct, group_by, in_sessions, revenue_of};

        let with_session = in_sessions(events);
        let sessions = group_by(&with_session, |event| event.user_session);
        let did = |events: &[&crate::analysis::testing::Event], kind: &str| {
            events.iter().any(|event| event.event_type == kind)
        };
        let of = |kind: &str| sessions.values().filter(|events| did(events, kind)).count();
        let (viewed, carted, orders) = (of("view"), of("cart"), of("purchase"));
        let abandoned = sessions.values().filter(|events| did(events, "cart") && !did(events, "purchase")).count();
        let revenue = revenue_of(&events.iter().collect::<Vec<_>>());
        let share = |part: usize, whole: usize| {
            if whole == 0 { Cell::Missing } else { Cell::Double(part as f64 / whole as f64) }
        };
        let buyers = events.iter().filter(|event| event.event_type == "purchase").map(|event| event.user_id);
        vec![vec![
            Cell::Integer(events.len() as i64),
            Cell::Integer(distinct(events.iter().map(|event| event.user_id))),
            Cell::Integer(distinct(buyers)),
            Cell::Integer(sessions.len() as i64),
            Cell::Integer(viewed as i64),
            Cell::Integer(carted as i64),
            Cell::Integer(abandoned as i64),
            Cell::Integer(orders as i64),
            Cell::Decimal(revenue),
            if orders > 0 { Cell::Double(average_of(revenue, orders as u128)) } else { Cell::Missing },
            share(orders, sessions.len()),
            share(abandoned, carted),
        ]]
    }
}
