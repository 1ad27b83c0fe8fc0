//! Buyers by the week of their first purchase, and how many of them bought again week by week.
//!
//! Only purchases are grouped, by (user, week): a user's weeks come out in order, the first of them its cohort. They are so few that
//! bringing them together costs less than their weeks do where neighbouring rows are not near in time: the events are read as they
//! arrived, whatever other order there is.

use std::collections::BTreeMap;

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::periods::DAY;
use crate::analysis::result::{self, ResultType, counts, days};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TIME, USER_ID};
use crate::table::Table;

/// `cohort_retention`.
#[derive(Debug)]
pub(in crate::analysis) struct CohortRetention;

const WEEK: i64 = 7 * DAY;
/// From the Monday before to 1970-01-01, a Thursday.
const SINCE_MONDAY: i64 = 3 * DAY;

struct Buyers<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Buyers<'_> {
    /// Buyers by cohort and weeks later, in ordinals of the week.
    type Partial = BTreeMap<(u64, u64), u64>;

    fn start(&self) -> Self::Partial {
        BTreeMap::new()
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, _part: usize, keys: &[K]) {
        let week_bits = self.layout.bits_below(1);
        for user in keys.chunk_by(|left, right| left.is_alike(*right, week_bits)) {
            let cohort = user.first().map_or(0, |first| first.bits(0, week_bits));
            for week in user.chunk_by(PartialEq::eq).filter_map(<[K]>::first) {
                *partial.entry((cohort, week.bits(0, week_bits) - cohort)).or_default() += 1;
            }
        }
    }
}

impl Analysis for CohortRetention {
    fn name(&self) -> &'static str {
        "cohort_retention"
    }

    fn description(&self) -> &'static str {
        "Buyers by the week of their first purchase, and how many of them bought again week by week."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/cohort_retention.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("cohort", ResultType::Day),
            ("weeks_later", ResultType::Integer),
            ("buyers", ResultType::Integer),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let events = input.events();
        let weeks = Field::periods(events, EVENT_TIME, WEEK, SINCE_MONDAY);
        let layout = Layout::new(vec![Field::offset(events, USER_ID), weeks]);
        let mut rows: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for partial in group(&input.only("purchase"), &layout, 1, &Buyers { layout: &layout }) {
            partial.into_iter().for_each(|(place, buyers)| *rows.entry(place).or_default() += buyers);
        }
        let monday = |week: u64| layout.field(1).value(week) * 7 - 3;
        result::table(
            self,
            vec![
                Some(days(rows.keys().map(|(cohort, _)| monday(*cohort)))),
                Some(counts(rows.keys().map(|(_, later)| *later))),
                Some(counts(rows.values().copied())),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, group_by};
        use std::collections::BTreeSet;

        let mut purchases = events.to_vec();
        purchases.retain(|event| event.event_type == "purchase");
        let mut rows: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for events in group_by(&purchases, |event| event.user_id).into_values() {
            let monday = |event: &&crate::analysis::testing::Event| {
                let day = event.event_time.div_euclid(86_400_000);
                day - (day + 3).rem_euclid(7)
            };
            let weeks: BTreeSet<i64> = events.iter().map(monday).collect();
            let cohort = *weeks.first().unwrap();
            weeks.iter().for_each(|week| *rows.entry((cohort, (week - cohort) / 7)).or_default() += 1);
        }
        let row = |((cohort, later), buyers)| vec![Cell::Day(cohort), Cell::Integer(later), Cell::Integer(buyers)];
        rows.into_iter().map(row).collect()
    }
}
