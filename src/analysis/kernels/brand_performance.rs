//! Each brand's reach and sales.
//!
//! A brand is a slot whose reach is known from one grouping by user. Its products are counted among the distinct pairs of product and
//! brand, or, where those are too many for a table, by bringing each product's rows together.

use std::cmp::Reverse;

use arrow_schema::SchemaRef;

use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::pairs::distinct;
use crate::analysis::reach::reach;
use crate::analysis::result::{self, ResultType, counts, decimals, texts};
use crate::analysis::tally::Seen;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{BRAND, PRODUCT_ID, USER_ID};
use crate::table::Table;

/// `brand_performance`.
#[derive(Debug)]
pub(in crate::analysis) struct BrandPerformance;

/// Distinct products by brand.
struct Products<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Products<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = (Vec<u64>, Seen);

    fn start(&self) -> Self::Partial {
        let brands = self.layout.field(1).count();
        (vec![0; brands], Seen::new(brands))
    }

    fn part<K: Key>(&self, (products, brands): &mut Self::Partial, _part: usize, keys: &[K]) {
        let below = self.layout.bits_below(1);
        for product in keys.chunk_by(|left, right| left.is_alike(*right, below)) {
            brands.next_group();
            for key in product {
                let brand = index(key.bits(0, below));
                products[brand] += u64::from(brands.is_new(brand));
            }
        }
    }
}

/// How many products each brand has, by the ordinal that it has as the layout's second field.
fn products(input: &Input<'_>, layout: &Layout<'_>) -> Vec<u64> {
    let mut products = vec![0; layout.field(1).count()];
    if let Some(pairs) = distinct(input, layout) {
        pairs.into_iter().for_each(|pair| products[index(layout.ordinal(pair, 1))] += 1);
    } else {
        for (found, _) in group(input, layout, 1, &Products { layout }) {
            products.iter_mut().zip(found).for_each(|(into, other)| *into += other);
        }
    }
    products
}

impl Analysis for BrandPerformance {
    fn name(&self) -> &'static str {
        "brand_performance"
    }

    fn description(&self) -> &'static str {
        "Each brand's reach and sales, the missing brand included."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/brand_performance.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("brand", ResultType::Text),
            ("views", ResultType::Integer),
            ("carts", ResultType::Integer),
            ("purchases", ResultType::Integer),
            ("visitors", ResultType::Integer),
            ("products", ResultType::Integer),
            ("revenue", ResultType::Money),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = input.by_user();
        let events = input.events();
        let reached = reach(input, Field::offset(events, USER_ID), vec![Field::ranked(events, BRAND)]);
        let layout = Layout::new(vec![Field::offset(events, PRODUCT_ID), Field::ranked(events, BRAND)]);
        let products = products(input, &layout);
        let mut rows = reached.with_events();
        rows.sort_unstable_by_key(|(brand, reach)| (Reverse(reach.revenue), *brand));
        let counted = |kind: usize| Some(counts(rows.iter().map(|(_, reach)| reach.events[kind])));
        result::table(
            self,
            vec![
                texts(reached.field(0), rows.iter().map(|(brand, _)| *brand)),
                counted(0),
                counted(1),
                counted(2),
                Some(counts(rows.iter().map(|(_, reach)| reach.users()))),
                Some(counts(rows.iter().map(|(brand, _)| products[index(*brand)]))),
                Some(decimals(ResultType::Money, rows.iter().map(|(_, reach)| reach.revenue))),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Last, count_of, distinct, group_by, revenue_of};

        let mut brands: Vec<(Last, Vec<&_>)> = group_by(events, |event| Last::from(&event.brand)).into_iter().collect();
        brands.sort_by_key(|(brand, events)| (Reverse(revenue_of(events)), brand.clone()));
        let row = |(brand, events): (Last, Vec<&crate::analysis::testing::Event>)| {
            let [views, carts, purchases] = ["view", "cart", "purchase"].map(|kind| count_of(&events, kind));
            vec![
                brand.into(),
                views,
                carts,
                purchases,
                Cell::Integer(distinct(events.iter().map(|event| event.user_id))),
                Cell::Integer(distinct(events.iter().map(|event| event.product_id))),
                Cell::Decimal(revenue_of(&events)),
            ]
        };
        brands.into_iter().map(row).collect()
    }
}
