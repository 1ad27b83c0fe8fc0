//! How the share of sessions that buy moves with the price band, inside each category.
//!
//! A category and a band are a slot together, which reaches sessions as that of other analyses reaches users.
//!
//! The interval is Wilson's (E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927):
//! unlike the share plus and minus its standard error, it stays within 0 and 1 and holds for few sessions and small
//! shares, which most bands have. An elasticity isn't estimated: bands hold different products, so that a slope over
//! them would be taken for what a change of price does.

use arrow_schema::SchemaRef;

use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::reach::{Reach, reach_unpriced};
use crate::analysis::result::{self, ResultType, averages, counts, integers, optional_averages, texts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameter, ParameterKind, Parameters};
use crate::event::{CATEGORY_CODE, PRICE, PRICE_SCALE, USER_SESSION};
use crate::table::Table;

/// `price_elasticity`.
#[derive(Debug)]
pub(in crate::analysis) struct PriceElasticity;

const BANDS: Parameter = Parameter {
    name: "bands",
    description: "The bands' lower bounds, in whole units of money.",
    kind: ParameterKind::PriceBounds { default: &[0, 10, 25, 50, 100, 250, 500, 1000] },
};

/// The square of 1.96, the quantile of the normal distribution for 95 %.
const Z_SQUARED: f64 = 3.8416;

/// Sessions that touched a category and band, and those that bought in it.
#[derive(Debug, Clone, Copy, Default)]
struct Sessions {
    all: u64,
    purchasing: u64,
}

impl Sessions {
    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.purchasing += other.purchasing;
    }

    fn share(self) -> f64 {
        self.purchasing as f64 / self.all as f64
    }

    /// The lower and the upper end of Wilson's interval, by the operations of the definition in its order.
    fn interval(self) -> (f64, f64) {
        let (n, k) = (self.all as f64, self.purchasing as f64);
        let root = (Z_SQUARED * (Z_SQUARED + 4.0 * k * (n - k) / n)).sqrt();
        let end = |successes: f64| (2.0 * successes + Z_SQUARED - root) / (2.0 * (n + Z_SQUARED));
        (end(k), 1.0 - end(n - k))
    }

    /// The share by that of a whole.
    fn relative_to(self, whole: Self) -> Option<f64> {
        let above = self.purchasing as f64 * whole.all as f64;
        (whole.purchasing > 0).then(|| above / (self.all as f64 * whole.purchasing as f64))
    }
}

impl Analysis for PriceElasticity {
    fn name(&self) -> &'static str {
        "price_elasticity"
    }

    fn description(&self) -> &'static str {
        "How the share of sessions that buy moves with the price band, inside each category, with confidence intervals."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/price_elasticity.sql")
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[BANDS]
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("band_from", ResultType::Integer),
            ("sessions", ResultType::Integer),
            ("purchasing_sessions", ResultType::Integer),
            ("purchase_share", ResultType::Average),
            ("share_low", ResultType::Average),
            ("share_high", ResultType::Average),
            ("relative_share", ResultType::OptionalAverage),
        ])
    }

    fn run(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = input.by_user();
        let events = input.events();
        let bounds = parameters.price_bounds(&BANDS);
        let units: Vec<i64> = bounds.iter().map(|bound| bound * 10_i64.pow(PRICE_SCALE.into())).collect();
        let categories_and_bands = vec![Field::ranked(events, CATEGORY_CODE), Field::banded(events, PRICE, &units)];
        let reached = reach_unpriced(input, Field::identified(input, USER_SESSION), categories_and_bands);
        let of = |reach: &Reach| Sessions { all: reach.users(), purchasing: reach.buyers() };
        let rows: Vec<(u64, Sessions)> = reached.with_events().iter().map(|(slot, reach)| (*slot, of(reach))).collect();
        let mut wholes = vec![Sessions::default(); reached.field(0).count()];
        let category = |slot: u64| index(reached.ordinal(slot, 0));
        rows.iter().for_each(|(slot, sessions)| wholes[category(*slot)].add(*sessions));
        result::table(
            self,
            vec![
                texts(reached.field(0), rows.iter().map(|(slot, _)| reached.ordinal(*slot, 0))),
                Some(integers(rows.iter().map(|(slot, _)| bounds[index(reached.ordinal(*slot, 1))]))),
                Some(counts(rows.iter().map(|(_, sessions)| sessions.all))),
                Some(counts(rows.iter().map(|(_, sessions)| sessions.purchasing))),
                Some(averages(rows.iter().map(|(_, sessions)| sessions.share()))),
                Some(averages(rows.iter().map(|(_, sessions)| sessions.interval().0))),
                Some(averages(rows.iter().map(|(_, sessions)| sessions.interval().1))),
                Some(optional_averages(
                    rows.iter().map(|(slot, sessions)| sessions.relative_to(wholes[category(*slot)])),
                )),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Last, in_sessions};
        use std::collections::BTreeMap;

        let bounds = parameters.price_bounds(&BANDS);
        // Whether a session bought, by category, band and session.
        let mut bought: BTreeMap<(Last, i64), BTreeMap<u128, bool>> = BTreeMap::new();
        for event in &in_sessions(events) {
            let band = bounds.iter().rfind(|bound| **bound * 10_000 <= event.price).unwrap_or(&0);
            let sessions = bought.entry((Last::from(&event.category_code), *band)).or_default();
            *sessions.entry(event.user_session.unwrap()).or_default() |= event.event_type == "purchase";
        }
        let counted: Vec<(Last, i64, f64, f64)> = bought
            .into_iter()
            .map(|((category, band), sessions)| {
                let purchasing = sessions.values().filter(|bought| **bought).count();
                (category, band, sessions.len() as f64, purchasing as f64)
            })
            .collect();
        let row = |(category, band, n, k): &(Last, i64, f64, f64)| {
            let of_category = || counted.iter().filter(|(other, ..)| other == category);
            let all: f64 = of_category().map(|(_, _, n, _)| n).sum();
            let all_purchasing: f64 = of_category().map(|(_, _, _, k)| k).sum();
            let root = (3.8416 * (3.8416 + 4.0 * k * (n - k) / n)).sqrt();
            vec![
                category.clone().into(),
                Cell::Integer(*band),
                Cell::Integer(*n as i64),
                Cell::Integer(*k as i64),
                Cell::Double(k / n),
                Cell::Double((2.0 * k + 3.8416 - root) / (2.0 * (n + 3.8416))),
                Cell::Double(1.0 - (2.0 * (n - k) + 3.8416 - root) / (2.0 * (n + 3.8416))),
                if all_purchasing > 0.0 { Cell::Double(k * all / (n * all_purchasing)) } else { Cell::Missing },
            ]
        };
        counted.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(purchasing: u64, all: u64) -> (f64, f64) {
        Sessions { all, purchasing }.interval()
    }

    /// What the formula gives with 1.959964, which is nearer to the quantile.
    #[test]
    fn intervals_are_wilsons() {
        for (purchasing, all, low, high) in
            [(5, 10, 0.236_593, 0.763_407), (1, 20, 0.008_881, 0.236_131), (15, 1000, 0.009_111, 0.024_601)]
        {
            let got = interval(purchasing, all);
            assert!((got.0 - low).abs() < 1e-5 && (got.1 - high).abs() < 1e-5, "{purchasing} of {all}: {got:?}");
        }
    }

    #[test]
    fn nothing_and_everything_have_an_end_of_their_own() {
        for all in [1, 2, 3, 7, 1000, 123_456_789] {
            assert_eq!(interval(0, all).0, 0.0);
            assert_eq!(interval(all, all).1, 1.0);
            assert!(interval(0, all).1 > 0.0 && interval(all, all).0 < 1.0);
        }
    }
}
