//! How the shop does, in one row.
//!
//! Events, revenue, users and buyers are what one slot of all events reaches; the kinds of a session's events are a set of bits.

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::kinds::{self, PURCHASE};
use crate::analysis::number::average_money;
use crate::analysis::reach::reach;
use crate::analysis::result::{self, ResultType, counts, decimals, optional_averages};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{USER_ID, USER_SESSION};
use crate::table::Table;

/// `key_figures`.
#[derive(Debug)]
pub(in crate::analysis) struct KeyFigures;

/// The sessions, by the set of kinds that each has.
struct Sessions<'a> {
    layout: &'a Layout<'a>,
}

/// How many sessions have each set of kinds, by its bits.
type Sets = [u64; 16];

impl Parts for Sessions<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = Sets;

    fn start(&self) -> Sets {
        Sets::default()
    }

    fn part<K: Key>(&self, partial: &mut Sets, _part: usize, keys: &[K]) {
        let (below, missing) = (self.layout.bits_below(1), self.layout.field(0).maximum());
        for session in keys.chunk_by(|left, right| left.differing(*right).significant_bits() <= below) {
            if self.layout.ordinal(session[0], 0) != missing {
                let set = session.iter().fold(0_usize, |set, key| set | 1 << key.bits(0, below));
                partial[set % partial.len()] += 1;
            }
        }
    }
}

/// How many sessions have a set of kinds that fits.
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
        let input = input.by_user();
        let events = input.events();
        let reached = reach(input, Field::offset(input.events(), USER_ID), Vec::new()).with_events();
        let sold = reached.first().map(|(_, reach)| *reach).unwrap_or_default();
        let layout = Layout::new(vec![Field::identified(input, USER_SESSION), kinds::field(events)]);
        let mut sessions = Sets::default();
        for partial in group(input, &layout, 1, &Sessions { layout: &layout }) {
            sessions.iter_mut().zip(partial).for_each(|(into, other)| *into += other);
        }

        let did = |set: usize, kind: u64| set >> kind & 1 == 1;
        let all = those(&sessions, |_| true);
        let carted = those(&sessions, |set| did(set, 1));
        let abandoned = those(&sessions, |set| did(set, 1) && !did(set, PURCHASE));
        let orders = those(&sessions, |set| did(set, PURCHASE));
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let numbers = [
            sold.events.iter().sum(),
            sold.users,
            sold.buyers,
            all,
            those(&sessions, |set| did(set, 0)),
            carted,
            abandoned,
            orders,
        ];
        let averages =
            [(orders > 0).then(|| average_money(sold.revenue, orders)), share(orders, all), share(abandoned, carted)];
        let columns = numbers.map(|number| Some(counts([number]))).into_iter();
        let columns = columns.chain([Some(decimals(ResultType::Money, [sold.revenue]))]);
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
