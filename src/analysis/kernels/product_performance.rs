//! Each product's reach and sales.
//!
//! Where rows lie in order of their users, nothing is brought together: each event adds to its product's place in a table (see
//! [`products`](crate::analysis::products)).
//!
//! Otherwise keys are (product, user, time, price, kind), brought together by product: one walk over a product's events adds up, keeps
//! the latest, of several the dearest, and counts the users in a table of their own.

use std::cmp::Reverse;

use arrow_schema::SchemaRef;
use rayon::slice::ParallelSliceMut;

use crate::analysis::decode::{CHUNK_ROWS, Scratch, index, scratch};
use crate::analysis::driver::Chunk;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::kinds::{self, KINDS, PURCHASE};
use crate::analysis::products::{COUNTED, Products, Touched, Touches};
use crate::analysis::result::{self, ResultType, counts, decimals, integers};
use crate::analysis::tally::Tally;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{EVENT_TIME, PRICE, PRODUCT_ID, USER_ID};
use crate::table::Table;

/// `product_performance`.
#[derive(Debug)]
pub(in crate::analysis) struct ProductPerformance;

/// One product.
#[derive(Debug, Clone, Copy)]
struct Product {
    product_id: i64,
    events: [u64; COUNTED],
    visitors: u64,
    /// In units of `10^-4`, as the price.
    revenue: i128,
    last_price: i64,
}

struct ByProduct<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for ByProduct<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = (Vec<Product>, Tally);

    fn start(&self) -> Self::Partial {
        Default::default()
    }

    fn part<K: Key>(&self, (products, tally): &mut Self::Partial, _part: usize, keys: &[K]) {
        let below = |fields: usize| self.layout.bits_below(fields);
        let [user, time, price, kind] = [below(2), below(3), below(4), 0];
        let [user_bits, latest_bits, price_bits] = [below(1) - user, user - price, time - price];
        let prices = self.layout.field(3);
        for events in keys.chunk_by(|left, right| left.is_alike(*right, below(1))) {
            let (mut counted, mut revenue) = ([0; KINDS], 0);
            let mut latest = K::default();
            for key in events {
                // Time and price together: of several events at the last moment, the dearest.
                if key.range(price, latest_bits) >= latest.range(price, latest_bits) {
                    latest = *key;
                }
                let of_kind = key.bits(kind, price);
                counted[index(of_kind) % KINDS] += 1;
                if of_kind == PURCHASE {
                    revenue += i128::from(prices.value(key.bits(price, price_bits)));
                }
            }
            let visitors = tally.count(events.iter().map(|key| key.bits(user, user_bits))).len() as u64;
            products.push(Product {
                product_id: self.layout.field(0).value(self.layout.ordinal(events[0], 0)),
                events: std::array::from_fn(|kind| counted[kind]),
                visitors,
                revenue,
                last_price: prices.value(latest.bits(price, price_bits)),
            });
        }
    }
}

/// The events of each product, user by user. Fields are (user, product, time, price, kind).
struct Visits<'a> {
    layout: &'a Layout<'a>,
}

struct Visited {
    products: Products,
    /// Ordinals of some events, by field.
    fields: [Scratch<u64>; 5],
}

impl<'a> Visits<'a> {
    /// The fields, if rows lie in order of their users and a product's place in a table has room for all of them.
    fn layout(input: &Input<'a>) -> Option<Layout<'a>> {
        if u32::try_from(input.events().rows()).is_err() || !input.is_by_user() {
            return None;
        }
        let events = input.events();
        let layout = Layout::new(vec![
            Field::offset(events, USER_ID),
            Field::offset(events, PRODUCT_ID),
            Field::scaled(events, EVENT_TIME),
            Field::scaled(events, PRICE),
            kinds::field(events),
        ]);
        let moment_bits = layout.field(2).bits() + layout.field(3).bits();
        let fits = layout.bits() <= u128::BITS && moment_bits <= u64::BITS && layout.field(1).bits() <= u32::BITS;
        fits.then_some(layout)
    }

    /// The products that have events; `None` if they are too many for a table.
    fn products(&self, input: &Input<'_>) -> Option<Vec<Product>> {
        let visited = group(input, self.layout, 1, self).into_iter().map(|visited| visited.products);
        let visited = visited.reduce(|mut into, other| {
            into.merge(&other);
            into
        });
        let (ids, prices) = (self.layout.field(1), self.layout.field(3));
        let product = |touched: Touched| Product {
            product_id: ids.value(touched.product.into()),
            events: touched.events.map(u64::from),
            visitors: touched.visitors.into(),
            revenue: touched.revenue,
            last_price: prices.value(touched.moment.bits(0, prices.bits())),
        };
        visited.map_or(Some(Vec::new()), |visited| Some(visited.touched()?.map(product).collect()))
    }

    /// Takes in the events whose fields are there.
    fn visit(&self, visited: &mut Visited, events: usize) {
        let Visited { products, fields: [users, of_events, times, price, kinds] } = visited;
        let prices = self.layout.field(3);
        for (time, price) in times[..events].iter_mut().zip(&price[..events]) {
            // Where prices have 64 bits, all times are one, of ordinal 0.
            *time = time.wrapping_shl(prices.bits()) | price;
        }
        let touches = Touches {
            users: &users[..events],
            products: &of_events[..events],
            moments: &times[..events],
            kinds: &kinds[..events],
        };
        products.add(touches, |event| (kinds[event] == PURCHASE).then(|| prices.value(price[event]).into()));
    }
}

impl Parts for Visits<'_> {
    const LEADING_ONLY: bool = true;
    const TAKES_ROWS: bool = true;
    type Partial = Visited;

    fn start(&self) -> Visited {
        Visited { products: Products::new(), fields: std::array::from_fn(|_| scratch()) }
    }

    fn part<K: Key>(&self, visited: &mut Visited, _part: usize, keys: &[K]) {
        for keys in keys.chunks(CHUNK_ROWS) {
            for (field, ordinals) in visited.fields.iter_mut().enumerate() {
                for (ordinal, key) in ordinals.iter_mut().zip(keys) {
                    *ordinal = self.layout.ordinal(*key, field);
                }
            }
            self.visit(visited, keys.len());
        }
    }

    fn rows(&self, visited: &mut Visited, chunk: &Chunk<'_>) {
        for (field, ordinals) in visited.fields.iter_mut().enumerate() {
            chunk.ordinals(self.layout.field(field), ordinals);
        }
        self.visit(visited, chunk.len());
    }
}

/// The products that have events, brought together by product.
fn by_product(input: &Input<'_>) -> Vec<Product> {
    let events = input.events();
    let layout = Layout::fitted(
        events,
        vec![
            Field::offset(events, PRODUCT_ID),
            Field::offset(events, USER_ID),
            Field::scaled(events, EVENT_TIME),
            Field::scaled(events, PRICE),
            kinds::field(events),
        ],
    );
    group(input, &layout, 1, &ByProduct { layout: &layout }).into_iter().flat_map(|(found, _)| found).collect()
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
        let by_user = input.by_user();
        let layout = Visits::layout(by_user);
        let visited = layout.and_then(|layout| Visits { layout: &layout }.products(by_user));
        let mut rows = visited.unwrap_or_else(|| by_product(input));
        rows.par_sort_unstable_by_key(|product| {
            (Reverse(product.revenue), Reverse(product.events[0]), product.product_id)
        });
        let counted = |kind: usize| Some(counts(rows.iter().map(|product| product.events[kind])));
        result::table(
            self,
            vec![
                Some(integers(rows.iter().map(|product| product.product_id))),
                counted(0),
                counted(1),
                counted(2),
                Some(counts(rows.iter().map(|product| product.visitors))),
                Some(decimals(ResultType::Money, rows.iter().map(|product| product.revenue))),
                Some(decimals(ResultType::Price, rows.iter().map(|product| i128::from(product.last_price)))),
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
