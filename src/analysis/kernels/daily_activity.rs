//! What happened each day, by event type, category and brand.
//!
//! Keys are (day, type, category, brand, price): equal ones stand together, so that a group's revenue adds up from its
//! runs of prices.

use arrow_schema::SchemaRef;
use rayon::slice::ParallelSliceMut;

use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::result::{self, ResultType, counts, days, decimals, texts};
use crate::analysis::sort::runs;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{BRAND, CATEGORY_CODE, EVENT_TIME, EVENT_TYPE, PRICE};
use crate::table::Table;

/// `daily_activity`.
#[derive(Debug)]
pub(in crate::analysis) struct DailyActivity;

const DAY: i64 = 86_400_000;

/// Fields of a group: all of the key but the price.
const GROUP: usize = 4;

/// One row of the result, in ordinals.
#[derive(Debug, Clone, Copy)]
struct Activity {
    group: [u64; GROUP],
    events: u64,
    /// Of all prices, in units of `10^-4`.
    sum: i128,
}

struct Groups<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Groups<'_> {
    type Partial = Vec<Activity>;

    fn start(&self) -> Self::Partial {
        Vec::new()
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, _part: usize, keys: &[K]) {
        let price_bits = self.layout.bits_below(GROUP);
        let mut before: Option<K> = None;
        for (key, count) in runs(keys) {
            let price = self.layout.field(GROUP).value(key.bits(0, price_bits));
            let price = i128::from(price) * i128::from(count);
            let is_same = before.is_some_and(|before| before.differing(key).significant_bits() <= price_bits);
            match partial.last_mut() {
                Some(activity) if is_same => {
                    activity.events += count;
                    activity.sum += price;
                }
                _ => partial.push(Activity {
                    group: [0, 1, 2, 3].map(|field| self.layout.ordinal(key, field)),
                    events: count,
                    sum: price,
                }),
            }
            before = Some(key);
        }
    }
}

impl Analysis for DailyActivity {
    fn name(&self) -> &'static str {
        "daily_activity"
    }

    fn description(&self) -> &'static str {
        "What happened each day, by event type, category and brand: small enough to be filtered by any of them."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/daily_activity.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("day", ResultType::Day),
            ("event_type", ResultType::Text),
            ("category_code", ResultType::Text),
            ("brand", ResultType::Text),
            ("events", ResultType::Integer),
            ("revenue", ResultType::Money),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let events = input.events();
        let layout = Layout::fitted(
            events,
            vec![
                Field::periods(events, EVENT_TIME, DAY, 0),
                Field::ranked(events, EVENT_TYPE),
                Field::ranked(events, CATEGORY_CODE),
                Field::ranked(events, BRAND),
                Field::scaled(events, PRICE),
            ],
        );
        let mut rows: Vec<Activity> =
            group(input, &layout, GROUP, &Groups { layout: &layout }).into_iter().flatten().collect();
        rows.par_sort_unstable_by_key(|activity| activity.group);
        let purchase = layout.field(1).texts().iter().position(|kind| *kind == "purchase").map(|place| place as u64);
        let revenue = |activity: &Activity| {
            let bought = Some(activity.group[1]) == purchase;
            if bought { activity.sum } else { 0 }
        };
        let ordinals = |field: usize| rows.iter().map(move |activity| activity.group[field]);
        result::table(
            self,
            vec![
                Some(days(ordinals(0).map(|day| layout.field(0).value(day)))),
                texts(layout.field(1), ordinals(1)),
                texts(layout.field(2), ordinals(2)),
                texts(layout.field(3), ordinals(3)),
                Some(counts(rows.iter().map(|activity| activity.events))),
                Some(decimals(ResultType::Money, rows.iter().map(revenue))),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Last, group_by, revenue_of};

        let groups = group_by(events, |event| {
            let day = event.event_time.div_euclid(DAY);
            (day, event.event_type.clone(), Last::from(&event.category_code), Last::from(&event.brand))
        });
        let row = |((day, kind, category, brand), events): ((i64, String, Last, Last), Vec<&_>)| {
            vec![
                Cell::Day(day),
                Cell::Text(kind),
                category.into(),
                brand.into(),
                Cell::Integer(events.len() as i64),
                Cell::Decimal(revenue_of(&events)),
            ]
        };
        groups.into_iter().map(row).collect()
    }
}
