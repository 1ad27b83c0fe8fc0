//! The categories with the most interactions.
//!
//! A category's id and code together are a key of some 18 bits, counted in an array.

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::keys::Layout;
use crate::analysis::result::{self, ResultType, counts, integers, texts};
use crate::analysis::summary::CATEGORIES;
use crate::analysis::top::{is_counted, most_frequent};
use crate::analysis::{Analysis, AnalysisError, Input, Parameter, ParameterKind, Parameters};
use crate::event::{CATEGORY_CODE, CATEGORY_ID};
use crate::table::Table;

/// `top_categories`.
#[derive(Debug)]
pub(in crate::analysis) struct TopCategories;

const LIMIT: Parameter = Parameter {
    name: "limit",
    description: "How many categories are listed at most.",
    kind: ParameterKind::Rows { default: 10 },
};

impl Analysis for TopCategories {
    fn name(&self) -> &'static str {
        "top_categories"
    }

    fn description(&self) -> &'static str {
        "The categories with the most interactions."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/top_categories.sql")
    }

    fn file_stem(&self) -> &'static str {
        "top_10_categories"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[LIMIT]
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_id", ResultType::Integer),
            ("category_code", ResultType::Text),
            ("interaction_count", ResultType::Integer),
        ])
    }

    fn run<'a>(&self, input: &Input<'a>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        let read = |input: Input<'a>| {
            let events = input.events();
            let fields = vec![Field::compact(events, CATEGORY_ID), Field::ranked(events, CATEGORY_CODE)];
            (Layout::new(fields), input)
        };
        let summarised = Some(read(input.summarised(&CATEGORIES))).filter(|(layout, _)| is_counted(layout));
        let (layout, input) = summarised.unwrap_or_else(|| read(input.clone()));
        let top = most_frequent(&input, &layout, parameters.rows(&LIMIT));
        let ids = top.iter().map(|(key, _)| layout.field(0).value(layout.ordinal(*key, 0)));
        let codes = top.iter().map(|(key, _)| layout.ordinal(*key, 1));
        let counted = top.iter().map(|(_, count)| *count);
        result::table(self, vec![Some(integers(ids)), texts(layout.field(1), codes), Some(counts(counted))])
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Last, count_by};

        let categories = count_by(events, |event| (event.category_id, Last::from(&event.category_code)));
        let mut top: Vec<_> = categories.into_iter().map(|((id, code), count)| (-count, id, code)).collect();
        top.sort();
        top.truncate(parameters.rows(&LIMIT));
        top.into_iter().map(|(count, id, code)| vec![id.into(), code.into(), (-count).into()]).collect()
    }
}
