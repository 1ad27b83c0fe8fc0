//! How prices spread inside each category: count, average, extremes and quartiles.

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::quantiles::quantiles;
use crate::analysis::result::{self, ResultType, averages, counts, decimals, texts};
use crate::analysis::summary::PRICES;
use crate::analysis::totals::totals;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{CATEGORY_CODE, PRICE};
use crate::table::Table;

/// `price_sensitivity`.
#[derive(Debug)]
pub(in crate::analysis) struct PriceSensitivity;

const QUARTILES: [u64; 3] = [25, 50, 75];

impl Analysis for PriceSensitivity {
    fn name(&self) -> &'static str {
        "price_sensitivity"
    }

    fn description(&self) -> &'static str {
        "How prices spread inside each category: count, average, extremes and quartiles."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/price_sensitivity.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("interaction_count", ResultType::Integer),
            ("average_price", ResultType::Average),
            ("max_price", ResultType::Price),
            ("min_price", ResultType::Price),
            ("p25_price", ResultType::Price),
            ("median_price", ResultType::Price),
            ("p75_price", ResultType::Price),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = &input.summarised(&PRICES);
        let events = input.events();
        let (categories, prices) = (Field::ranked(events, CATEGORY_CODE), Field::scaled(events, PRICE));
        let totals = totals(input, &categories, &prices);
        let quartiles = quantiles(input, &categories, &prices, QUARTILES);
        let all = (0_u64..).zip(totals.iter().zip(&quartiles));
        let mut rows: Vec<_> = all.filter_map(|(category, (totals, q))| Some((category, (*totals)?, (*q)?))).collect();
        rows.sort_by(|left, right| right.1.average.total_cmp(&left.1.average).then(left.0.cmp(&right.0)));
        let quartile = |place: usize| {
            let values = rows.iter().map(|(_, _, quartiles)| prices.value(quartiles[place]).into());
            Some(decimals(ResultType::Price, values))
        };
        result::table(
            self,
            vec![
                texts(&categories, rows.iter().map(|(category, _, _)| *category)),
                Some(counts(rows.iter().map(|(_, totals, _)| totals.count))),
                Some(averages(rows.iter().map(|(_, totals, _)| totals.average))),
                Some(decimals(ResultType::Price, rows.iter().map(|(_, totals, _)| totals.largest.into()))),
                Some(decimals(ResultType::Price, rows.iter().map(|(_, totals, _)| totals.smallest.into()))),
                quartile(0),
                quartile(1),
                quartile(2),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Last, average, prices_by};

        let prices = prices_by(events, |event| Last::from(&event.category_code));
        let mut rows: Vec<_> = prices.into_iter().collect();
        rows.sort_by(|left, right| average(&right.1).total_cmp(&average(&left.1)).then(left.0.cmp(&right.0)));
        let row = |(category, prices): (Last, Vec<i64>)| {
            // The first price that at least this share of the group's prices don't exceed.
            let quartile = |percent: usize| {
                let reaches = |place: &usize| (place + 1) * 100 >= percent * prices.len();
                Cell::money(prices[(0..prices.len()).find(reaches).unwrap()])
            };
            vec![
                category.into(),
                Cell::Integer(prices.len() as i64),
                Cell::Double(average(&prices)),
                Cell::money(prices[prices.len() - 1]),
                Cell::money(prices[0]),
                quartile(25),
                quartile(50),
                quartile(75),
            ]
        };
        rows.into_iter().map(row).collect()
    }
}
