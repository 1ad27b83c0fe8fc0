//! What events lack or have that is strange, in one row and one scan.

use arrow_schema::SchemaRef;

use crate::analysis::decode::{Scratch, scratch};
use crate::analysis::driver::{Chunk, Scan, scan};
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

struct Checks<'a> {
    /// Columns whose code 0 is the missing value.
    optional: [Field<'a>; 3],
    prices: Field<'a>,
    types: Field<'a>,
}

impl Scan for Checks<'_> {
    type Partial = ([u64; COLUMNS.len()], Scratch<u64>);

    fn start(&self) -> Self::Partial {
        ([0; COLUMNS.len()], scratch())
    }

    fn scan(&self, (found, ordinals): &mut Self::Partial, chunk: &Chunk<'_>) {
        let count = |ordinals: &[u64], fits: &dyn Fn(u64) -> bool| -> u64 {
            ordinals.iter().map(|ordinal| u64::from(fits(*ordinal))).sum()
        };
        found[0] += chunk.len() as u64;
        for (found, field) in found[1..].iter_mut().zip(&self.optional) {
            *found += count(chunk.ordinals(field, ordinals), &|code| code == 0);
        }
        let prices = chunk.ordinals(&self.prices, ordinals);
        found[4] += count(prices, &|price| self.prices.value(price) == 0);
        found[5] += count(prices, &|price| self.prices.value(price) < 0);
        found[6] += count(chunk.ordinals(&self.types, ordinals), &|kind| kind == TYPES.len() as u64);
    }

    fn merge(&self, into: &mut Self::Partial, other: Self::Partial) {
        into.0.iter_mut().zip(other.0).for_each(|(into, other)| *into += other);
    }
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
        let events = input.events();
        let checks = Checks {
            optional: [CATEGORY_CODE, BRAND, USER_SESSION].map(|column| Field::offset(events, column)),
            prices: Field::offset(events, PRICE),
            types: Field::classified(events, EVENT_TYPE, &TYPES),
        };
        let (found, _) = scan(input, &checks);
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
