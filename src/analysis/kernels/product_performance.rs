//! Each product's reach and sales.
//!
//! Keys are (product, time, price, kind): a product's last key is its latest event, of several the dearest. Its visitors
//! are the distinct (product, user) keys.

use std::cmp::Reverse;

use arrow_schema::SchemaRef;
use rayon::slice::ParallelSliceMut;

use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::kinds::{self, KINDS, PURCHASE};
use crate::analysis::result::{self, ResultType, counts, decimals, integers};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TIME, PRICE, PRODUCT_ID, USER_ID};
use crate::table::Table;

/// `product_performance`.
#[derive(Debug)]
pub(in crate::analysis) struct ProductPerformance;

/// One product, in ordinals.
#[derive(Debug, Clone, Copy)]
struct Product {
    product: u64,
    events: [u64; KINDS],
    /// In units of `10^-4`, as the price.
    revenue: i128,
    last_price: i64,
}

struct Products<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Products<'_> {
    type Partial = Vec<Product>;

    fn start(&self) -> Self::Partial {
        Vec::new()
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, _part: usize, keys: &[K]) {
        let (below, kind_bits) = (self.layout.bits_below(1), self.layout.bits_below(3));
        for events in keys.chunk_by(|left, right| left.differing(*right).significant_bits() <= below) {
            let Some(last) = events.last() else { continue };
            let price = |key: &K| self.layout.field(2).value(self.layout.ordinal(*key, 2));
            let (mut counted, mut revenue) = ([0; KINDS], 0);
            for key in events {
                let kind = key.bits(0, kind_bits);
                counted[index(kind) % KINDS] += 1;
                if kind == PURCHASE {
                    revenue += i128::from(price(key));
                }
            }
            let product = self.layout.ordinal(*last, 0);
            partial.push(Product { product, events: counted, revenue, last_price: price(last) });
        }
    }
}

/// Distinct users by product.
struct Visitors<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Visitors<'_> {
    type Partial = Vec<(u64, u64)>;

    fn start(&self) -> Self::Partial {
        Vec::new()
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, _part: usize, keys: &[K]) {
        let below = self.layout.bits_below(1);
        for events in keys.chunk_by(|left, right| left.differing(*right).significant_bits() <= below) {
            let Some(first) = events.first() else { continue };
            partial.push((self.layout.ordinal(*first, 0), events.chunk_by(PartialEq::eq).count() as u64));
        }
    }
}

impl Analysis for ProductPerformance {
    fn name(&self) -> &'static str {
        "product_performance"
    }

    fn description(&self) -> &'static str {
        "Each product's reach and sales, with the price of its latest event."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/product_performance.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("product_id", ResultType::Integer),
            ("views", ResultType::Integer),
            ("carts", ResultType::Integer),
            ("purchases", ResultType::Integer),
            ("visitors", ResultType::Integer),
            ("revenue", ResultType::Money),
            ("last_price", ResultType::Price),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let events = input.events();
        let product = || Field::offset(events, PRODUCT_ID);
        let layout = Layout::fitted(
            events,
            vec![product(), Field::scaled(events, EVENT_TIME), Field::scaled(events, PRICE), kinds::field(events)],
        );
        let mut products: Vec<Product> =
            group(input, &layout, 1, &Products { layout: &layout }).into_iter().flatten().collect();
        let pairs = Layout::new(vec![product(), Field::offset(events, USER_ID)]);
        let mut visitors: Vec<(u64, u64)> =
            group(input, &pairs, 1, &Visitors { layout: &pairs }).into_iter().flatten().collect();
        // Both hold every product once: in the same order they stand side by side.
        products.par_sort_unstable_by_key(|product| product.product);
        visitors.par_sort_unstable();
        let mut rows: Vec<(Product, u64)> =
            products.into_iter().zip(visitors).map(|(product, (_, visitors))| (product, visitors)).collect();
        rows.par_sort_unstable_by_key(|(product, _)| {
            (Reverse(product.revenue), Reverse(product.events[0]), product.product)
        });
        let counted = |kind: usize| Some(counts(rows.iter().map(|(product, _)| product.events[kind])));
        result::table(
            self,
            vec![
                Some(integers(rows.iter().map(|(product, _)| layout.field(0).value(product.product)))),
                counted(0),
                counted(1),
                counted(2),
                Some(counts(rows.iter().map(|(_, visitors)| *visitors))),
                Some(decimals(ResultType::Money, rows.iter().map(|(product, _)| product.revenue))),
                Some(decimals(ResultType::Price, rows.iter().map(|(product, _)| i128::from(product.last_price)))),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, count_of, distinct, group_by, revenue_of};

        let mut products: Vec<(i64, Vec<&_>)> = group_by(events, |event| event.product_id).into_iter().collect();
        products.sort_by_key(|(product, events)| {
            let views = events.iter().filter(|event| event.event_type == "view").count();
            (Reverse(revenue_of(events)), Reverse(views), *product)
        });
        let row = |(product, events): (i64, Vec<&crate::analysis::testing::Event>)| {
            let [views, carts, purchases] = ["view", "cart", "purchase"].map(|kind| count_of(&events, kind));
            let latest = events.iter().max_by_key(|event| (event.event_time, event.price)).unwrap();
            vec![
                Cell::Integer(product),
                views,
                carts,
                purchases,
                Cell::Integer(distinct(events.iter().map(|event| event.user_id))),
                Cell::Decimal(revenue_of(&events)),
                Cell::money(latest.price),
            ]
        };
        products.into_iter().map(row).collect()
    }
}
