//! Events by weekday and hour of the day: one scan, 168 slots.

use arrow_schema::SchemaRef;

use crate::analysis::decode::{Scratch, index, scratch};
use crate::analysis::driver::{Chunk, Scan, scan};
use crate::analysis::field::Field;
use crate::analysis::kinds::{self, KINDS};
use crate::analysis::result::{self, ResultType, counts, integers};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::EVENT_TIME;
use crate::table::Table;

/// `hourly_activity`.
#[derive(Debug)]
pub(in crate::analysis) struct HourlyActivity;

const HOUR: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;
const WEEK_HOURS: i64 = 7 * DAY_HOURS;
/// 1970 began on a Thursday, three days after a Monday.
const SINCE_MONDAY: i64 = 3 * DAY_HOURS;

struct Activity<'a> {
    hours: Field<'a>,
    kinds: Field<'a>,
    /// Hours from a Monday's first to ordinal 0 of the hours.
    start: u64,
}

struct Slots {
    events: Vec<[u64; KINDS]>,
    hours: Scratch<u64>,
    kinds: Scratch<u64>,
}

impl Scan for Activity<'_> {
    type Partial = Slots;

    fn start(&self) -> Slots {
        Slots { events: vec![[0; KINDS]; index(WEEK_HOURS.cast_unsigned())], hours: scratch(), kinds: scratch() }
    }

    fn scan(&self, partial: &mut Slots, chunk: &Chunk<'_>) {
        let hours = chunk.ordinals(&self.hours, &mut partial.hours);
        let kinds = chunk.ordinals(&self.kinds, &mut partial.kinds);
        let slot = |hour: u64| index((self.start + hour) % WEEK_HOURS.cast_unsigned());
        match hours.first() {
            // Rows stand nearly in the order of time: most chunks lie within one hour.
            Some(first) if hours.iter().all(|hour| hour == first) => {
                let events = &mut partial.events[slot(*first)];
                kinds.iter().for_each(|kind| events[index(*kind) % KINDS] += 1);
            }
            _ => {
                for (hour, kind) in hours.iter().zip(kinds) {
                    partial.events[slot(*hour)][index(*kind) % KINDS] += 1;
                }
            }
        }
    }

    fn merge(&self, into: &mut Slots, other: Slots) {
        for (into, other) in into.events.iter_mut().zip(other.events) {
            into.iter_mut().zip(other).for_each(|(into, other)| *into += other);
        }
    }
}

impl Analysis for HourlyActivity {
    fn name(&self) -> &'static str {
        "hourly_activity"
    }

    fn description(&self) -> &'static str {
        "Views, carts and purchases by weekday and hour of the day, UTC."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/hourly_activity.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("weekday", ResultType::Integer),
            ("hour", ResultType::Integer),
            ("views", ResultType::Integer),
            ("carts", ResultType::Integer),
            ("purchases", ResultType::Integer),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let hours = Field::periods(input.events(), EVENT_TIME, HOUR, 0);
        let start = (hours.value(0) + SINCE_MONDAY).rem_euclid(WEEK_HOURS).cast_unsigned();
        let kinds = kinds::field(input.events());
        let slots = scan(input, &Activity { hours, kinds, start }).events;
        let rows: Vec<(i64, [u64; KINDS])> = (0..).zip(slots).filter(|(_, events)| *events != [0; KINDS]).collect();
        let counted = |kind: usize| Some(counts(rows.iter().map(|(_, events)| events[kind])));
        result::table(
            self,
            vec![
                Some(integers(rows.iter().map(|(slot, _)| slot / DAY_HOURS + 1))),
                Some(integers(rows.iter().map(|(slot, _)| slot % DAY_HOURS))),
                counted(0),
                counted(1),
                counted(2),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, count_of, group_by};

        let hours = group_by(events, |event| {
            let hour = event.event_time.div_euclid(HOUR);
            ((hour.div_euclid(24) + 3).rem_euclid(7) + 1, hour.rem_euclid(24))
        });
        let row = |((weekday, hour), events): ((i64, i64), Vec<&_>)| {
            let [views, carts, purchases] = ["view", "cart", "purchase"].map(|kind| count_of(&events, kind));
            vec![Cell::Integer(weekday), Cell::Integer(hour), views, carts, purchases]
        };
        hours.into_iter().map(row).collect()
    }
}
