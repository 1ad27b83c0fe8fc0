//! How the shop does, in one row.
//!
//! Events, revenue, users and buyers are what one slot of all events reaches, and so are sessions with what they did.

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::kinds::{CART, PURCHASE, VIEW};
use crate::analysis::number::average_money;
use crate::analysis::reach::{Slots, reach, reach_unpriced};
use crate::analysis::result::{self, ResultType, counts, decimals, optional_averages};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{USER_ID, USER_SESSION};
use crate::table::Table;

/// `key_figures`.
#[derive(Debug)]
pub(in crate::analysis) struct KeyFigures;

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
        let all_of = |slots: &Slots<'_>| slots.with_events().first().map(|(_, reach)| *reach).unwrap_or_default();
        let sold = all_of(&reach(input, Field::offset(input.events(), USER_ID), Vec::new()));
        let sessions = all_of(&reach_unpriced(input, Field::identified(input, USER_SESSION), Vec::new()));
        let (all, carted, orders) = (sessions.users(), sessions.who(|did| did.has(CART)), sessions.buyers());
        let abandoned = sessions.who(|did| did.has(CART) && !did.has(PURCHASE));
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let numbers = [
            sold.events.iter().sum(),
            sold.users(),
            sold.buyers(),
            all,
            sessions.who(|did| did.has(VIEW)),
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
