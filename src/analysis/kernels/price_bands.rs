//! Which price ranges users engage with and buy in, inside each category.
//!
//! A category and a band are a slot together, whose reach is known from one grouping by user.

use arrow_schema::SchemaRef;

use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::reach::reach;
use crate::analysis::result::{self, ResultType, counts, decimals, integers, texts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameter, ParameterKind, Parameters};
use crate::event::{CATEGORY_CODE, PRICE, PRICE_SCALE, USER_ID};
use crate::table::Table;

/// `price_bands`.
#[derive(Debug)]
pub(in crate::analysis) struct PriceBands;

const BANDS: Parameter = Parameter {
    name: "bands",
    description: "The bands' lower bounds, in whole units of money.",
    kind: ParameterKind::PriceBounds { default: &[0, 10, 25, 50, 100, 250, 500, 1000] },
};

impl Analysis for PriceBands {
    fn name(&self) -> &'static str {
        "price_bands"
    }

    fn description(&self) -> &'static str {
        "Which price ranges users engage with and buy in, inside each category."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/price_bands.sql")
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[BANDS]
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("band_from", ResultType::Integer),
            ("views", ResultType::Integer),
            ("carts", ResultType::Integer),
            ("purchases", ResultType::Integer),
            ("users", ResultType::Integer),
            ("revenue", ResultType::Money),
        ])
    }

    fn run(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = input.by_user();
        let events = input.events();
        let bounds = parameters.price_bounds(&BANDS);
        let units: Vec<i64> = bounds.iter().map(|bound| bound * 10_i64.pow(PRICE_SCALE.into())).collect();
        let reached = reach(
            input,
            Field::offset(events, USER_ID),
            vec![Field::ranked(events, CATEGORY_CODE), Field::banded(events, PRICE, &units)],
        );
        let rows = reached.with_events();
        let counted = |kind: usize| Some(counts(rows.iter().map(|(_, reach)| reach.events[kind])));
        result::table(
            self,
            vec![
                texts(reached.field(0), rows.iter().map(|(slot, _)| reached.ordinal(*slot, 0))),
                Some(integers(rows.iter().map(|(slot, _)| bounds[index(reached.ordinal(*slot, 1))]))),
                counted(0),
                counted(1),
                counted(2),
                Some(counts(rows.iter().map(|(_, reach)| reach.users()))),
                Some(decimals(ResultType::Money, rows.iter().map(|(_, reach)| reach.revenue))),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Event, Last};
        use std::collections::{BTreeMap, BTreeSet};

        let bounds = parameters.price_bounds(&BANDS);
        let mut bands: BTreeMap<(Last, i64), Vec<&Event>> = BTreeMap::new();
        for event in events {
            let band = bounds.iter().rfind(|bound| **bound * 10_000 <= event.price).unwrap_or(&0);
            bands.entry((Last::from(&event.category_code), *band)).or_default().push(event);
        }
        let row = |((category, band), events): ((Last, i64), Vec<&Event>)| {
            let count =
                |kind: &str| Cell::Integer(events.iter().filter(|event| event.event_type == kind).count() as i64);
            let users: BTreeSet<_> = events.iter().map(|event| event.user_id).collect();
            let purchases = events.iter().filter(|event| event.event_type == "purchase");
            vec![
                category.into(),
                Cell::Integer(band),
                count("view"),
                count("cart"),
                count("purchase"),
                Cell::Integer(users.len() as i64),
                Cell::Decimal(purchases.map(|event| i128::from(event.price)).sum()),
            ]
        };
        bands.into_iter().map(row).collect()
    }
}
