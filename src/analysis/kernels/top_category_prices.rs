//! The categories with the highest average price; the missing category is left out.

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::result::{self, ResultType, averages, decimals, texts};
use crate::analysis::summary::PRICES;
use crate::analysis::totals::totals;
use crate::analysis::{Analysis, AnalysisError, Input, Parameter, ParameterKind, Parameters};
use crate::event::{CATEGORY_CODE, PRICE};
use crate::table::Table;

/// `top_category_prices`.
#[derive(Debug)]
pub(in crate::analysis) struct TopCategoryPrices;

const LIMIT: Parameter = Parameter {
    name: "limit",
    description: "How many categories are listed at most.",
    kind: ParameterKind::Rows { default: 10 },
};

impl Analysis for TopCategoryPrices {
    fn name(&self) -> &'static str {
        "top_category_prices"
    }

    fn description(&self) -> &'static str {
        "The categories with the highest average price; the missing category is left out."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/top_category_prices.sql")
    }

    fn file_stem(&self) -> &'static str {
        "top_10_categories_prices"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[LIMIT]
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("average_price", ResultType::Average),
            ("max_price", ResultType::Price),
            ("min_price", ResultType::Price),
        ])
    }

    fn run(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = &input.summarised(&PRICES);
        let events = input.events();
        let (categories, prices) = (Field::ranked(events, CATEGORY_CODE), Field::scaled(events, PRICE));
        let totals = totals(input, &categories, &prices);
        let named = (0_u64..categories.maximum()).zip(&totals);
        let mut top: Vec<_> = named.filter_map(|(category, totals)| Some((category, (*totals)?))).collect();
        top.sort_by(|(left_category, left), (right_category, right)| {
            right.average.total_cmp(&left.average).then(left_category.cmp(right_category))
        });
        top.truncate(parameters.rows(&LIMIT));
        result::table(
            self,
            vec![
                texts(&categories, top.iter().map(|(category, _)| *category)),
                Some(averages(top.iter().map(|(_, totals)| totals.average))),
                Some(decimals(ResultType::Price, top.iter().map(|(_, totals)| totals.largest.into()))),
                Some(decimals(ResultType::Price, top.iter().map(|(_, totals)| totals.smallest.into()))),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Last, average, prices_by};

        let prices = prices_by(events, |event| Last::from(&event.category_code));
        let mut top: Vec<_> = prices.into_iter().filter(|(category, _)| *category != Last::Missing).collect();
        top.sort_by(|left, right| average(&right.1).total_cmp(&average(&left.1)).then(left.0.cmp(&right.0)));
        top.truncate(parameters.rows(&LIMIT));
        let row = |(category, prices): (Last, Vec<i64>)| {
            let (lowest, highest) = (prices[0], prices[prices.len() - 1]);
            vec![category.into(), Cell::Double(average(&prices)), Cell::money(highest), Cell::money(lowest)]
        };
        top.into_iter().map(row).collect()
    }
}
