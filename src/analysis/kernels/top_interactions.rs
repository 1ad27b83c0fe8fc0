//! The user-category pairs with the most interactions.

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::keys::Layout;
use crate::analysis::result::{self, ResultType, counts, integers, texts};
use crate::analysis::top::most_frequent;
use crate::analysis::{Analysis, AnalysisError, Input, Parameter, ParameterKind, Parameters};
use crate::event::{CATEGORY_CODE, USER_ID};
use crate::table::Table;

/// `top_interactions`.
#[derive(Debug)]
pub(in crate::analysis) struct TopInteractions;

const LIMIT: Parameter = Parameter {
    name: "limit",
    description: "How many user-category pairs are listed at most.",
    kind: ParameterKind::Rows { default: 10 },
};

impl Analysis for TopInteractions {
    fn name(&self) -> &'static str {
        "top_interactions"
    }

    fn description(&self) -> &'static str {
        "The user-category pairs with the most interactions."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/top_interactions.sql")
    }

    fn file_stem(&self) -> &'static str {
        "top_10_interactions"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[LIMIT]
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("user_id", ResultType::Integer),
            ("category_code", ResultType::Text),
            ("count", ResultType::Integer),
        ])
    }

    fn run(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = input.by_user();
        let events = input.events();
        let layout = Layout::new(vec![Field::offset(events, USER_ID), Field::ranked(events, CATEGORY_CODE)]);
        let top = most_frequent(input, &layout, parameters.rows(&LIMIT));
        let users = top.iter().map(|(key, _)| layout.field(0).value(layout.ordinal(*key, 0)));
        let codes = top.iter().map(|(key, _)| layout.ordinal(*key, 1));
        let counted = top.iter().map(|(_, count)| *count);
        result::table(self, vec![Some(integers(users)), texts(layout.field(1), codes), Some(counts(counted))])
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Last, count_by};

        let pairs = count_by(events, |event| (event.user_id, Last::from(&event.category_code)));
        let mut top: Vec<_> = pairs.into_iter().map(|((user, code), count)| (-count, user, code)).collect();
        top.sort();
        top.truncate(parameters.rows(&LIMIT));
        top.into_iter().map(|(count, user, code)| vec![user.into(), code.into(), (-count).into()]).collect()
    }
}
