//! Each brand's reach and sales.
//!
//! Events and revenue add up in an array; distinct users and products are the distinct keys of (brand, user) and (brand,
//! product).

use std::cmp::Reverse;

use arrow_schema::SchemaRef;

use crate::analysis::decode::{Scratch, index, scratch};
use crate::analysis::driver::{Chunk, Scan, scan};
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::kinds::{self, Engagement};
use crate::analysis::result::{self, ResultType, counts, decimals, texts};
use crate::analysis::sort::runs;
use crate::analysis::totals::money;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{BRAND, PRICE, PRODUCT_ID, USER_ID};
use crate::table::Table;

/// `brand_performance`.
#[derive(Debug)]
pub(in crate::analysis) struct BrandPerformance;

struct Sales<'a> {
    brands: Field<'a>,
    kinds: Field<'a>,
    prices: Field<'a>,
}

struct Brands {
    brands: Vec<Engagement>,
    ordinals: Scratch<u64>,
    kinds: Scratch<u64>,
    prices: Scratch<u64>,
}

impl Scan for Sales<'_> {
    type Partial = Brands;

    fn start(&self) -> Brands {
        let brands = vec![Engagement::default(); self.brands.count()];
        Brands { brands, ordinals: scratch(), kinds: scratch(), prices: scratch() }
    }

    fn scan(&self, partial: &mut Brands, chunk: &Chunk<'_>) {
        let brands = chunk.ordinals(&self.brands, &mut partial.ordinals);
        let kinds = chunk.ordinals(&self.kinds, &mut partial.kinds);
        let prices = chunk.ordinals(&self.prices, &mut partial.prices);
        for ((brand, kind), price) in brands.iter().zip(kinds).zip(prices) {
            partial.brands[index(*brand)].add(*kind, *price, 1);
        }
    }

    fn merge(&self, into: &mut Brands, other: Brands) {
        into.brands.iter_mut().zip(&other.brands).for_each(|(into, other)| into.merge(other));
    }
}

/// Counts distinct keys by their first field.
struct Distinct<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Distinct<'_> {
    type Partial = Vec<u64>;

    fn start(&self) -> Vec<u64> {
        vec![0; self.layout.field(0).count()]
    }

    fn part<K: Key>(&self, partial: &mut Vec<u64>, _part: usize, keys: &[K]) {
        for (key, _) in runs(keys) {
            partial[index(self.layout.ordinal(key, 0))] += 1;
        }
    }
}

fn distinct(input: &Input<'_>, column: usize) -> Vec<u64> {
    let events = input.events();
    let layout = Layout::new(vec![Field::ranked(events, BRAND), Field::offset(events, column)]);
    let counting = Distinct { layout: &layout };
    let mut all = counting.start();
    for partial in group(input, &layout, 2, &counting) {
        all.iter_mut().zip(partial).for_each(|(into, other)| *into += other);
    }
    all
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
        let events = input.events();
        let sales = Sales {
            brands: Field::ranked(events, BRAND),
            kinds: kinds::field(events),
            prices: Field::scaled(events, PRICE),
        };
        let brands = scan(input, &sales).brands;
        let (visitors, products) = (distinct(input, USER_ID), distinct(input, PRODUCT_ID));
        let (base, step) = sales.prices.base_and_step();
        let revenue = |brand: &Engagement| money(base, step, brand.events[2], brand.revenue);
        let mut rows: Vec<(usize, Engagement)> =
            brands.into_iter().enumerate().filter(|(_, brand)| !brand.is_empty()).collect();
        rows.sort_unstable_by_key(|(place, brand)| (Reverse(revenue(brand)), *place));
        let counted = |kind: usize| Some(counts(rows.iter().map(|(_, brand)| brand.events[kind])));
        result::table(
            self,
            vec![
                texts(&sales.brands, rows.iter().map(|(place, _)| *place as u64)),
                counted(0),
                counted(1),
                counted(2),
                Some(counts(rows.iter().map(|(place, _)| visitors[*place]))),
                Some(counts(rows.iter().map(|(place, _)| products[*place]))),
                Some(decimals(ResultType::Money, rows.iter().map(|(_, brand)| revenue(brand)))),
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
