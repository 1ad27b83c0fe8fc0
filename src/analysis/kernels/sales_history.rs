//! Sales per day.
//!
//! A day is a slot whose reach is known from one grouping by user; its purchasing sessions are the distinct (day, session) keys
//! of the purchases alone.

use std::collections::HashMap;

use arrow_schema::SchemaRef;

use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::number::average_money;
use crate::analysis::periods::DAY;
use crate::analysis::reach::{Reach, reach};
use crate::analysis::result::{self, ResultType, counts, days, decimals, optional_averages};
use crate::analysis::sort::runs;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TIME, USER_ID, USER_SESSION};
use crate::table::Table;

/// `sales_history`.
#[derive(Debug)]
pub(in crate::analysis) struct SalesHistory;

/// Distinct sessions by day.
struct Orders<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Orders<'_> {
    type Partial = Vec<u64>;

    fn start(&self) -> Vec<u64> {
        vec![0; self.layout.field(0).count()]
    }

    fn part<K: Key>(&self, partial: &mut Vec<u64>, _part: usize, keys: &[K]) {
        let missing = self.layout.field(1).maximum();
        for (key, _) in runs(keys).filter(|(key, _)| self.layout.ordinal(*key, 1) != missing) {
            partial[index(self.layout.ordinal(key, 0))] += 1;
        }
    }
}

impl Analysis for SalesHistory {
    fn name(&self) -> &'static str {
        "sales_history"
    }

    fn description(&self) -> &'static str {
        "Sales per day: events, visitors, buyers, revenue and the average order value."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/sales_history.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("day", ResultType::Day),
            ("views", ResultType::Integer),
            ("carts", ResultType::Integer),
            ("purchases", ResultType::Integer),
            ("visitors", ResultType::Integer),
            ("buyers", ResultType::Integer),
            ("revenue", ResultType::Money),
            ("average_order_value", ResultType::OptionalAverage),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let by_user = input.by_user();
        let events = by_user.events();
        let days_of_users = vec![Field::near_periods(events, EVENT_TIME, DAY, 0)];
        let reached = reach(by_user, Field::offset(events, USER_ID), days_of_users);
        let purchases = input.only("purchase");
        let day = Field::near_periods(input.events(), EVENT_TIME, DAY, 0);
        let layout = Layout::new(vec![day, Field::identified(&purchases, USER_SESSION)]);
        let orders = group(&purchases, &layout, 2, &Orders { layout: &layout });
        // Either order of the events has ordinals of its own for the days.
        let mut orders_of = HashMap::new();
        for (day, orders) in orders.iter().flat_map(|orders| (0..).zip(orders)).filter(|(_, orders)| **orders > 0) {
            *orders_of.entry(layout.field(0).value(day)).or_default() += orders;
        }
        let orders = |day: u64| orders_of.get(&reached.field(0).value(day)).copied().unwrap_or_default();

        let rows = reached.with_events();
        let counted = |kind: usize| Some(counts(rows.iter().map(|(_, reach)| reach.events[kind])));
        let average = |(day, reach): &(u64, Reach)| {
            let orders = orders(*day);
            (orders > 0).then(|| average_money(reach.revenue, orders))
        };
        result::table(
            self,
            vec![
                Some(days(rows.iter().map(|(day, _)| reached.field(0).value(*day)))),
                counted(0),
                counted(1),
                counted(2),
                Some(counts(rows.iter().map(|(_, reach)| reach.users()))),
                Some(counts(rows.iter().map(|(_, reach)| reach.buyers()))),
                Some(decimals(ResultType::Money, rows.iter().map(|(_, reach)| reach.revenue))),
                Some(optional_averages(rows.iter().map(average))),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, average_of, count_of, distinct, group_by, revenue_of};

        let days = group_by(events, |event| event.event_time.div_euclid(DAY));
        let row = |(day, events): (i64, Vec<&_>)| {
            let [views, carts, purchases] = ["view", "cart", "purchase"].map(|kind| count_of(&events, kind));
            let purchased = || events.iter().filter(|event| event.event_type == "purchase");
            let orders = distinct(purchased().filter_map(|event| event.user_session));
            vec![
                Cell::Day(day),
                views,
                carts,
                purchases,
                Cell::Integer(distinct(events.iter().map(|event| event.user_id))),
                Cell::Integer(distinct(purchased().map(|event| event.user_id))),
                Cell::Decimal(revenue_of(&events)),
                if orders > 0 { Cell::Double(average_of(revenue_of(&events), orders as u128)) } else { Cell::Missing },
            ]
        };
        days.into_iter().map(row).collect()
    }
}
