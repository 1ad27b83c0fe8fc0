//! Sales per day.
//!
//! Events and revenue of a day add up in an array; distinct visitors, buyers and purchasing sessions are distinct keys,
//! brought together by sorting.

use arrow_schema::SchemaRef;

use crate::analysis::decode::{Scratch, index, scratch};
use crate::analysis::driver::{Chunk, Scan, scan};
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::kinds::{self, Engagement};
use crate::analysis::number::average_money;
use crate::analysis::result::{self, ResultType, counts, days, decimals, optional_averages};
use crate::analysis::totals::money;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TIME, EVENT_TYPE, PRICE, USER_ID, USER_SESSION};
use crate::table::Table;

/// `sales_history`.
#[derive(Debug)]
pub(in crate::analysis) struct SalesHistory;

const DAY: i64 = 86_400_000;

struct Sales<'a> {
    days: Field<'a>,
    kinds: Field<'a>,
    prices: Field<'a>,
}

struct Days {
    days: Vec<Engagement>,
    ordinals: Scratch<u64>,
    kinds: Scratch<u64>,
    prices: Scratch<u64>,
}

impl Scan for Sales<'_> {
    type Partial = Days;

    fn start(&self) -> Days {
        let days = vec![Engagement::default(); self.days.count()];
        Days { days, ordinals: scratch(), kinds: scratch(), prices: scratch() }
    }

    fn scan(&self, partial: &mut Days, chunk: &Chunk<'_>) {
        let days = chunk.ordinals(&self.days, &mut partial.ordinals);
        let kinds = chunk.ordinals(&self.kinds, &mut partial.kinds);
        let prices = chunk.ordinals(&self.prices, &mut partial.prices);
        for ((day, kind), price) in days.iter().zip(kinds).zip(prices) {
            partial.days[index(*day)].add(*kind, *price, 1);
        }
    }

    fn merge(&self, into: &mut Days, other: Days) {
        into.days.iter_mut().zip(&other.days).for_each(|(into, other)| into.merge(other));
    }
}

/// Distinct values of the second field by the first; and of them, those whose last field, of one bit, is ever 0.
struct Distinct<'a> {
    layout: &'a Layout<'a>,
    /// The second field's value that doesn't count.
    but: Option<u64>,
}

impl Parts for Distinct<'_> {
    type Partial = Vec<[u64; 2]>;

    fn start(&self) -> Self::Partial {
        vec![[0; 2]; self.layout.field(0).count()]
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, _part: usize, keys: &[K]) {
        let below = self.layout.bits_below(2);
        let mut before: Option<K> = None;
        for key in keys {
            let is_new = before.is_none_or(|before| before.differing(*key).significant_bits() > below);
            before = Some(*key);
            if is_new && Some(self.layout.ordinal(*key, 1)) != self.but {
                let counts = &mut partial[index(self.layout.ordinal(*key, 0))];
                counts[0] += 1;
                // Keys ascend: the first one has the lowest last field.
                counts[1] += u64::from(key.bits(0, below) == 0);
            }
        }
    }
}

impl Distinct<'_> {
    fn of(&self, input: &Input<'_>) -> Vec<[u64; 2]> {
        let mut all = self.start();
        for partial in group(input, self.layout, 2, self) {
            for (into, other) in all.iter_mut().zip(partial) {
                into[0] += other[0];
                into[1] += other[1];
            }
        }
        all
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
        let events = input.events();
        let day = || Field::periods(events, EVENT_TIME, DAY, 0);
        let sales = Sales { days: day(), kinds: kinds::field(events), prices: Field::scaled(events, PRICE) };
        let sold = scan(input, &sales).days;
        let bought = Field::classified(events, EVENT_TYPE, &["purchase"]);
        let layout = Layout::new(vec![day(), Field::offset(events, USER_ID), bought]);
        let users = Distinct { layout: &layout, but: None }.of(input);
        let layout = Layout::new(vec![day(), Field::identified(events, USER_SESSION)]);
        let missing = layout.field(1).maximum();
        let orders = Distinct { layout: &layout, but: Some(missing) }.of(&input.only("purchase"));

        let rows: Vec<usize> = (0..sold.len()).filter(|day| !sold[*day].is_empty()).collect();
        let (base, step) = sales.prices.base_and_step();
        let revenue = |day: usize| money(base, step, sold[day].events[2], sold[day].revenue);
        let counted = |kind: usize| Some(counts(rows.iter().map(|day| sold[*day].events[kind])));
        let average = |day: &usize| {
            let orders = orders[*day][0];
            (orders > 0).then(|| average_money(revenue(*day), orders))
        };
        result::table(
            self,
            vec![
                Some(days(rows.iter().map(|day| sales.days.value(*day as u64)))),
                counted(0),
                counted(1),
                counted(2),
                Some(counts(rows.iter().map(|day| users[*day][0]))),
                Some(counts(rows.iter().map(|day| users[*day][1]))),
                Some(decimals(ResultType::Money, rows.iter().map(|day| revenue(*day)))),
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
