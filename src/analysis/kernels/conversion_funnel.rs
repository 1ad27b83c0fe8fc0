//! Sessions that viewed, carted and bought, per category.
//!
//! A category is a slot that reaches sessions, each with the set of what it did there.

use std::cmp::Reverse;

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::kinds::{CART, PURCHASE, VIEW};
use crate::analysis::reach::{KindSet, reach_unpriced};
use crate::analysis::result::{self, ResultType, counts, texts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{CATEGORY_CODE, USER_SESSION};
use crate::table::Table;

/// `conversion_funnel`.
#[derive(Debug)]
pub(in crate::analysis) struct ConversionFunnel;

impl Analysis for ConversionFunnel {
    fn name(&self) -> &'static str {
        "conversion_funnel"
    }

    fn description(&self) -> &'static str {
        "Sessions that viewed, carted, bought and abandoned their cart, per category."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/conversion_funnel.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("sessions", ResultType::Integer),
            ("viewed", ResultType::Integer),
            ("carted", ResultType::Integer),
            ("purchased", ResultType::Integer),
            ("abandoned", ResultType::Integer),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = input.by_user();
        let categories = vec![Field::ranked(input.events(), CATEGORY_CODE)];
        let reached = reach_unpriced(input, Field::identified(input, USER_SESSION), categories);
        let mut rows = reached.with_events();
        rows.sort_unstable_by_key(|(category, reach)| (Reverse(reach.users()), *category));
        let counted = |fits: fn(KindSet) -> bool| Some(counts(rows.iter().map(|(_, reach)| reach.who(fits))));
        result::table(
            self,
            vec![
                texts(reached.field(0), rows.iter().map(|(category, _)| *category)),
                counted(|_| true),
                counted(|did| did.has(VIEW)),
                counted(|did| did.has(CART)),
                counted(|did| did.has(PURCHASE)),
                counted(|did| did.has(CART) && !did.has(PURCHASE)),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Last, group_by, in_sessions};
        use std::collections::BTreeMap;

        let with_session = in_sessions(events);
        let touched = group_by(&with_session, |event| (Last::from(&event.category_code), event.user_session));
        let mut categories: BTreeMap<Last, [i64; 5]> = BTreeMap::new();
        for ((category, _), events) in touched {
            let did = |kind: &str| i64::from(events.iter().any(|event| event.event_type == kind));
            let (carted, purchased) = (did("cart"), did("purchase"));
            let stages = categories.entry(category).or_default();
            for (stage, count) in stages.iter_mut().zip([1, did("view"), carted, purchased, carted * (1 - purchased)]) {
                *stage += count;
            }
        }
        let mut rows: Vec<(Last, [i64; 5])> = categories.into_iter().collect();
        rows.sort_by_key(|(category, stages)| (-stages[0], category.clone()));
        let row = |(category, stages): (Last, [i64; 5])| {
            [category.into()].into_iter().chain(stages.map(Cell::Integer)).collect()
        };
        rows.into_iter().map(row).collect()
    }
}
