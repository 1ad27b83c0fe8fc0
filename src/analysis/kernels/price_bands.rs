//! Which price ranges users engage with and buy in, inside each category.
//!
//! Category and band together are a small number: events and revenue add up in arrays. Distinct users are the distinct
//! (user, category, band) keys, grouped by sorting.

use arrow_schema::SchemaRef;

use crate::analysis::decode::{Scratch, index, scratch};
use crate::analysis::driver::{Chunk, Scan, scan};
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::result::{self, ResultType, counts, decimals, integers, texts};
use crate::analysis::totals::money;
use crate::analysis::{Analysis, AnalysisError, Input, Parameter, ParameterKind, Parameters};
use crate::event::{CATEGORY_CODE, EVENT_TYPE, PRICE, PRICE_SCALE, USER_ID};
use crate::table::Table;

/// `price_bands`.
#[derive(Debug)]
pub(in crate::analysis) struct PriceBands;

const BANDS: Parameter = Parameter {
    name: "bands",
    description: "The bands' lower bounds, in whole units of money.",
    kind: ParameterKind::PriceBounds { default: &[0, 10, 25, 50, 100, 250, 500, 1000] },
};

/// The event types counted apart; all others share the last of [`Slot::events`].
const TYPES: [&str; 3] = ["view", "cart", "purchase"];
const PURCHASE: u64 = 2;

/// What happened in one category and band.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    events: [u64; 4],
    /// Of purchases, in steps of the price field.
    revenue: u128,
}

/// Adds events and revenue up.
struct Engagement<'a> {
    categories: Field<'a>,
    bands: Field<'a>,
    types: Field<'a>,
    prices: Field<'a>,
}

struct Slots {
    slots: Vec<Slot>,
    categories: Scratch<u64>,
    bands: Scratch<u64>,
    types: Scratch<u64>,
    prices: Scratch<u64>,
}

impl Scan for Engagement<'_> {
    type Partial = Slots;

    fn start(&self) -> Slots {
        Slots {
            slots: vec![Slot::default(); self.categories.count() * self.bands.count()],
            categories: scratch(),
            bands: scratch(),
            types: scratch(),
            prices: scratch(),
        }
    }

    fn scan(&self, partial: &mut Slots, chunk: &Chunk<'_>) {
        let categories = chunk.ordinals(&self.categories, &mut partial.categories);
        let bands = chunk.ordinals(&self.bands, &mut partial.bands);
        let types = chunk.ordinals(&self.types, &mut partial.types);
        let prices = chunk.ordinals(&self.prices, &mut partial.prices);
        let width = self.bands.count();
        for (((category, band), kind), price) in categories.iter().zip(bands).zip(types).zip(prices) {
            let slot = &mut partial.slots[index(*category) * width + index(*band)];
            slot.events[index(*kind) % 4] += 1;
            if *kind == PURCHASE {
                slot.revenue += u128::from(*price);
            }
        }
    }

    fn merge(&self, into: &mut Slots, other: Slots) {
        for (into, other) in into.slots.iter_mut().zip(other.slots) {
            into.events.iter_mut().zip(other.events).for_each(|(into, other)| *into += other);
            into.revenue += other.revenue;
        }
    }
}

/// Counts distinct users by category and band.
struct Users<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Users<'_> {
    type Partial = Vec<u64>;

    fn start(&self) -> Vec<u64> {
        vec![0; self.layout.field(1).count() * self.layout.field(2).count()]
    }

    fn part<K: Key>(&self, users: &mut Vec<u64>, _part: usize, keys: &[K]) {
        let width = self.layout.field(2).count();
        let (category_shift, category_bits) = (self.layout.bits_below(2), self.layout.field(1).bits());
        let mut before = None;
        for key in keys {
            let slot = index(key.bits(category_shift, category_bits)) * width + index(key.bits(0, category_shift));
            users[slot] += u64::from(before != Some(*key));
            before = Some(*key);
        }
    }
}

impl Analysis for PriceBands {
    fn name(&self) -> &'static str {
        "price_bands"
    }

    fn description(&self) -> &'static str {
        "Which price ranges users engage with and buy in, inside each category."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/price_bands.sql")
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[BANDS]
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("band_from", ResultType::Integer),
            ("views", ResultType::Integer),
            ("carts", ResultType::Integer),
            ("purchases", ResultType::Integer),
            ("users", ResultType::Integer),
            ("revenue", ResultType::Money),
        ])
    }

    fn run(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        let events = input.events();
        let bounds = parameters.price_bounds(&BANDS);
        let units: Vec<i64> = bounds.iter().map(|bound| bound * 10_i64.pow(PRICE_SCALE.into())).collect();
        let engagement = Engagement {
            categories: Field::ranked(events, CATEGORY_CODE),
            bands: Field::banded(events, PRICE, &units),
            types: Field::classified(events, EVENT_TYPE, &TYPES),
            prices: Field::scaled(events, PRICE),
        };
        let slots = scan(input, &engagement).slots;
        let layout = Layout::new(vec![
            Field::offset(events, USER_ID),
            Field::ranked(events, CATEGORY_CODE),
            Field::banded(events, PRICE, &units),
        ]);
        let users = group(input, &layout, 1, &Users { layout: &layout });
        let users = |slot: usize| users.iter().map(|users| users[slot]).sum::<u64>();

        let rows: Vec<(usize, Slot)> =
            slots.into_iter().enumerate().filter(|(_, slot)| slot.events.iter().any(|events| *events > 0)).collect();
        let width = bounds.len();
        let (base, step) = engagement.prices.base_and_step();
        let counted = |kind: usize| Some(counts(rows.iter().map(|(_, slot)| slot.events[kind])));
        let revenue = rows.iter().map(|(_, slot)| money(base, step, slot.events[2], slot.revenue));
        result::table(
            self,
            vec![
                texts(&engagement.categories, rows.iter().map(|(slot, _)| (slot / width) as u64)),
                Some(integers(rows.iter().map(|(slot, _)| bounds[slot % width]))),
                counted(0),
                counted(1),
                counted(2),
                Some(counts(rows.iter().map(|(slot, _)| users(*slot)))),
                Some(decimals(ResultType::Money, revenue)),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Event, Last};
        use std::collections::{BTreeMap, BTreeSet};

        let bounds = parameters.price_bounds(&BANDS);
        let mut bands: BTreeMap<(Last, i64), Vec<&Event>> = BTreeMap::new();
        for event in events {
            let band = bounds.iter().rfind(|bound| **bound * 10_000 <= event.price).unwrap_or(&0);
            bands.entry((Last::from(&event.category_code), *band)).or_default().push(event);
        }
        let row = |((category, band), events): ((Last, i64), Vec<&Event>)| {
            let count =
                |kind: &str| Cell::Integer(events.iter().filter(|event| event.event_type == kind).count() as i64);
            let users: BTreeSet<_> = events.iter().map(|event| event.user_id).collect();
            let purchases = events.iter().filter(|event| event.event_type == "purchase");
            vec![
                category.into(),
                Cell::Integer(band),
                count("view"),
                count("cart"),
                count("purchase"),
                Cell::Integer(users.len() as i64),
                Cell::Decimal(purchases.map(|event| i128::from(event.price)).sum()),
            ]
        };
        bands.into_iter().map(row).collect()
    }
}
