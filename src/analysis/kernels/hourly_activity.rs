//! Events by weekday and hour of the day: one scan, 168 slots of four kinds of events.
//!
//! Rows are nearly in the order of time: most chunks lie within one hour, and there each type's rows are counted by comparing the packed
//! codes, as many at once as a vector holds. Others count row by row. Most events are views, so that neighbours would wait for each other
//! at the same place: every place has several lanes, which rows take by turns.

use arrow_schema::SchemaRef;

use crate::analysis::decode::{Scratch, index, scratch};
use crate::analysis::driver::{Chunk, Scan, scan};
use crate::analysis::field::Field;
use crate::analysis::kinds::{self, KINDS};
use crate::analysis::periods::HOUR;
use crate::analysis::result::{self, ResultType, counts, integers};
use crate::analysis::summary::HOURS;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TIME, EVENT_TYPE};
use crate::table::Table;

/// `hourly_activity`.
#[derive(Debug)]
pub(in crate::analysis) struct HourlyActivity;

const DAY_HOURS: u32 = 24;
const WEEK_HOURS: u32 = 7 * DAY_HOURS;
/// 1970 began on a Thursday, three days after a Monday.
const SINCE_MONDAY: i64 = 3 * DAY_HOURS as i64;

struct Activity<'a> {
    hours: Field<'a>,
    kinds: Field<'a>,
    /// Hours from a Monday's first to ordinal 0 of the hours.
    start: u32,
}

/// The most codes of types for which a chunk is compared with each.
const FEW_TYPES: usize = 16;

/// Lanes of a place.
const LANES: usize = 4;

struct Slots {
    /// Events by slot, kind and lane.
    events: Vec<[u64; LANES]>,
    places: Scratch<u32>,
    ordinals: Scratch<u64>,
    /// Events that rows stand for.
    counts: Scratch<u64>,
}

impl Scan for Activity<'_> {
    type Partial = Slots;

    fn start(&self) -> Slots {
        let events = vec![[0; LANES]; WEEK_HOURS as usize * KINDS];
        Slots { events, places: scratch(), ordinals: scratch(), counts: scratch() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "all hours of the years 1 to 9999 are below 2^27")]
    fn scan(&self, partial: &mut Slots, chunk: &Chunk<'_>) {
        let Slots { events, places, ordinals, counts } = partial;
        let (places, start) = (&mut places[..chunk.len()], self.start);
        chunk.put_ordinals(&self.hours, ordinals, places, |place, hour| *place = hour as u32);
        let first = places.first().copied().unwrap_or_default();
        if let Some(counts) = chunk.counts(counts) {
            let kinds = chunk.ordinals(&self.kinds, ordinals);
            for ((hour, kind), count) in places.iter().zip(kinds).zip(counts) {
                events[index((start + hour) % WEEK_HOURS) * KINDS + index(*kind)][0] += count;
            }
            return;
        }
        let is_one = places.iter().fold(0, |differing, hour| differing | (hour ^ first)) == 0;
        let place_of = |hour: u32| (start + hour) % WEEK_HOURS * KINDS as u32;
        if let Some(kinds) = self.kinds.listed(chunk.segment()).filter(|kinds| is_one && kinds.len() <= FEW_TYPES) {
            let mut before = 0;
            for (limit, kind) in (1..).zip(kinds) {
                let below = chunk.count_below(EVENT_TYPE, limit);
                events[(place_of(first) + kind) as usize][0] += below - before;
                before = below;
            }
            return;
        }
        places.iter_mut().for_each(|place| *place = place_of(*place));
        chunk.put_ordinals(&self.kinds, ordinals, places, |place, kind| *place += kind as u32);
        let (rounds, rest) = places.as_chunks::<LANES>();
        for round in rounds {
            for (lane, place) in round.iter().enumerate() {
                events[*place as usize][lane] += 1;
            }
        }
        rest.iter().for_each(|place| events[*place as usize][0] += 1);
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
        let input = &input.summarised(&HOURS);
        let hours = Field::periods(input.events(), EVENT_TIME, HOUR, 0);
        let start = (hours.value(0) + SINCE_MONDAY).rem_euclid(WEEK_HOURS.into());
        let start = u32::try_from(start).unwrap_or_default();
        let kinds = kinds::field(input.events());
        let lanes = scan(input, &Activity { hours, kinds, start }).events;
        let slots = lanes.chunks_exact(KINDS).map(|kinds| [0, 1, 2, 3].map(|kind| kinds[kind].iter().sum::<u64>()));
        let rows: Vec<(i64, [u64; KINDS])> = (0..).zip(slots).filter(|(_, events)| *events != [0; KINDS]).collect();
        let counted = |kind: usize| Some(counts(rows.iter().map(|(_, events)| events[kind])));
        result::table(
            self,
            vec![
                Some(integers(rows.iter().map(|(slot, _)| slot / i64::from(DAY_HOURS) + 1))),
                Some(integers(rows.iter().map(|(slot, _)| slot % i64::from(DAY_HOURS)))),
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
