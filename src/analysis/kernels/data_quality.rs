//! What events lack or have that is strange, in one row.
//!
//! Segments know how many of their rows lack a value, and their smallest price, so that hardly any row of a segment that is covered
//! whole has to be read: its prices, if some are not above zero, and its types, if the dictionary has another than the usual ones there.
//! Whatever is left to look for is a packed number below a limit, which is counted as the numbers lie there.

use arrow_schema::SchemaRef;
use cartlog_storage::store::{ColumnView, Integers};

use crate::analysis::decode::{Scratch, index, scratch};
use crate::analysis::driver::{Chunk, Scan, scan_morsels};
use crate::analysis::events::{EventSegment, Events};
use crate::analysis::field::Field;
use crate::analysis::result::{self, ResultType, counts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{BRAND, CATEGORY_CODE, EVENT_TYPE, PRICE, USER_SESSION};
use crate::table::Table;

/// `data_quality`.
#[derive(Debug)]
pub(in crate::analysis) struct DataQuality;

/// The types that a shop's events usually have.
const TYPES: [&str; 4] = ["view", "cart", "remove_from_cart", "purchase"];
/// The result's columns.
const COLUMNS: [&str; 7] =
    ["events", "missing_category", "missing_brand", "missing_session", "zero_price", "negative_price", "other_type"];
/// The places of those columns that are not about a value missing.
const EVENTS: usize = 0;
const ZERO: usize = 4;
const NEGATIVE: usize = 5;
const OTHER: usize = 6;
/// Columns whose packed number 0 is the missing value, with their place in the result.
const OPTIONAL: [(usize, usize); 3] = [(1, CATEGORY_CODE), (2, BRAND), (3, USER_SESSION)];

/// One number a column of the result.
type Counts = [u64; COLUMNS.len()];

/// What the rows of a segment have to be read for.
#[derive(Debug, Default, PartialEq)]
struct Look {
    /// Whether only the filter tells which rows count.
    events: bool,
    /// Some of [`OPTIONAL`].
    missing: Vec<(usize, usize)>,
    /// Packed prices below the first are negative, others below the second zero.
    prices: Option<(u64, u64)>,
    types: bool,
}

struct Checks<'a> {
    types: Field<'a>,
    /// One a segment.
    looks: Vec<Look>,
    /// What is known without reading a row.
    known: Counts,
}

impl<'a> Checks<'a> {
    fn of(input: &Input<'a>) -> Self {
        let events = input.events();
        let mut looks: Vec<Look> = events.segments().iter().map(|_| Look::default()).collect();
        let mut known = Counts::default();
        for (place, segment) in input.candidates() {
            let look = &mut looks[place];
            look.events = !input.selection().covers(place);
            if !look.events {
                known[EVENTS] += segment.rows as u64;
            }
            for (result, column) in OPTIONAL {
                match segment.columns[column].missing() {
                    Some(0) => {}
                    Some(missing) if !look.events => known[result] += missing,
                    _ => look.missing.push((result, column)),
                }
            }
            look.prices = Some(price_limits(segment)).filter(|(_, above)| *above > 0);
            look.types = has_other_types(events, segment);
        }
        Self { types: Field::classified(events, EVENT_TYPE, &TYPES), looks, known }
    }
}

/// Below which packed number a segment's prices are negative, and below which they are at most zero.
fn price_limits(segment: &EventSegment<'_>) -> (u64, u64) {
    match segment.columns[PRICE].shape() {
        ColumnView::Integers(Integers::Frame { base, multiplier, .. }) if base <= 0 => {
            let (distance, step) = (base.unsigned_abs(), multiplier.max(1).unsigned_abs());
            let negative = distance.div_ceil(step);
            (negative, negative + u64::from(distance.is_multiple_of(step)))
        }
        ColumnView::Integers(Integers::Dictionary { values, .. }) => {
            let below = |limit: i64| values.partition_point(|value| *value < limit) as u64;
            (below(0), below(1))
        }
        _ => (0, 0),
    }
}

/// Whether rows of a segment may have a type that is not one of [`TYPES`], or none.
fn has_other_types(events: &Events<'_>, segment: &EventSegment<'_>) -> bool {
    let column = &segment.columns[EVENT_TYPE];
    let is_usual = |text: &&str| TYPES.contains(text);
    let [smallest, largest] = [column.smallest, column.largest].map(|code| index(code.max(0).cast_unsigned()));
    // Code `n` is the text at place `n - 1`.
    let texts = events.texts(EVENT_TYPE).iter().take(largest).skip(smallest.saturating_sub(1));
    smallest == 0 || !texts.into_iter().all(is_usual)
}

impl Scan for Checks<'_> {
    type Partial = (Counts, Scratch<u64>);

    fn start(&self) -> Self::Partial {
        (Counts::default(), scratch())
    }

    fn scan(&self, (found, ordinals): &mut Self::Partial, chunk: &Chunk<'_>) {
        let look = &self.looks[chunk.segment()];
        if look.events {
            found[EVENTS] += chunk.len() as u64;
        }
        for (result, column) in &look.missing {
            found[*result] += chunk.count_below(*column, 1);
        }
        if let Some((negative, above)) = look.prices {
            let negative = if negative > 0 { chunk.count_below(PRICE, negative) } else { 0 };
            found[NEGATIVE] += negative;
            found[ZERO] += chunk.count_below(PRICE, above) - negative;
        }
        if look.types {
            let types = chunk.ordinals(&self.types, ordinals);
            found[OTHER] += types.iter().filter(|kind| **kind == TYPES.len() as u64).count() as u64;
        }
    }

    fn merge(&self, (into, _): &mut Self::Partial, (other, _): Self::Partial) {
        add(into, &other);
    }
}

fn add(into: &mut Counts, other: &Counts) {
    into.iter_mut().zip(other).for_each(|(into, other)| *into += other);
}

impl Analysis for DataQuality {
    fn name(&self) -> &'static str {
        "data_quality"
    }

    fn description(&self) -> &'static str {
        "One row: how many events lack a category, brand or session, or have a strange price or type."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/data_quality.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&COLUMNS.map(|name| (name, ResultType::Integer)))
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let checks = Checks::of(input);
        let morsels = input.morsels(|segment| checks.looks[segment] != Look::default());
        let mut found = checks.known;
        scan_morsels(input, &morsels, &checks).iter().for_each(|(partial, _)| add(&mut found, partial));
        result::table(self, found.map(|count| Some(counts([count]))).into())
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Event};

        let count = |fits: fn(&Event) -> bool| Cell::Integer(events.iter().filter(|event| fits(event)).count() as i64);
        vec![vec![
            count(|_| true),
            count(|event| event.category_code.is_none()),
            count(|event| event.brand.is_none()),
            count(|event| event.user_session.is_none()),
            count(|event| event.price == 0),
            count(|event| event.price < 0),
            count(|event| !["view", "cart", "remove_from_cart", "purchase"].contains(&event.event_type.as_str())),
        ]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Filter;
    use crate::analysis::testing::{Event, rows_of, snapshot};

    fn event(event_time: i64, price: i64, brand: Option<&str>) -> Event {
        Event {
            event_time,
            event_type: "view".to_owned(),
            product_id: 1,
            category_id: 2,
            category_code: Some("a.b".to_owned()),
            brand: brand.map(str::to_owned),
            price,
            user_id: 3,
            user_session: Some(event_time.unsigned_abs().into()),
        }
    }

    fn looks_and_answer(events: &[Event], filter: &Filter) -> (Vec<Look>, Counts) {
        let snapshot = snapshot(events, 4);
        let input = Input::of(&snapshot, filter).unwrap();
        let rows = rows_of(&DataQuality.run(&input, &Parameters::default()).unwrap().rows);
        let covered: Vec<Event> =
            events.iter().filter(|event| crate::analysis::testing::covers(filter, event)).cloned().collect();
        assert_eq!(rows, DataQuality.oracle(&covered, &Parameters::default()));
        let checks = Checks::of(&input);
        (checks.looks, checks.known)
    }

    #[test]
    fn rows_are_read_only_for_what_their_segment_does_not_know() {
        let mut events: Vec<Event> = (1..=12).map(|instant| event(instant, 100 * instant, Some("z"))).collect();
        events[1].brand = None;
        events[2].user_session = None;
        events[9].price = 0;
        events[10].price = -200;
        events[11].event_type = "wish".to_owned();
        let prices = Some((2, 3));
        let (looks, known) = looks_and_answer(&events, &Filter::default());
        let nothing = Look::default;
        assert_eq!(looks, [nothing(), nothing(), Look { prices, types: true, ..nothing() }]);
        assert_eq!(known, [12, 0, 1, 1, 0, 0, 0]);

        // Of the first segment some rows are covered, of the second all.
        let filter = Filter { from: Some(2), to: Some(9), ..Filter::default() };
        let (looks, known) = looks_and_answer(&events, &filter);
        let missing = vec![(2, BRAND), (3, USER_SESSION)];
        assert_eq!(looks, [Look { events: true, missing, ..nothing() }, nothing(), nothing()]);
        assert_eq!(known, [4, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn prices_around_zero_are_told_apart_in_every_encoding() {
        for prices in [[-300, 0, 300, 600], [-250, 50, 350, 50], [i64::MIN, 0, i64::MAX, -1], [0, 0, 0, 0], [-5; 4]] {
            let events: Vec<Event> = (1..).zip(prices).map(|(instant, price)| event(instant, price, None)).collect();
            looks_and_answer(&events, &Filter::default());
            let many: Vec<Event> = events.iter().cycle().take(4000).cloned().collect();
            let stored = crate::analysis::testing::Stored::new(&many, 1500, 0b111_1111 << 6);
            let input = Input::new(stored.events(), &Filter::default());
            let rows = rows_of(&DataQuality.run(&input, &Parameters::default()).unwrap().rows);
            assert_eq!(rows, DataQuality.oracle(&many, &Parameters::default()));
        }
    }
}
