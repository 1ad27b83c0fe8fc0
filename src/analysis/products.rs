//! Products as their users touch them, one user after the other: a table that every event adds to.
//!
//! A shop has some hundred thousand products, each with an id anywhere among a hundred million. What is known of one takes 32 bytes, so that
//! the table is some megabytes of an open-addressing one, and an event costs an access to one of its cache lines, which is asked for some
//! events ahead. A place among the ids that occur, from a bit for each possible one, took a second access and several times the memory.
//!
//! Distinct users need no set: a product that the present user has not touched yet gains a visitor.

use std::ops::Range;

use super::ahead::{AHEAD, ask_for};
use super::decode::index;
use super::room::Room;

/// Kinds of events that are counted.
pub(crate) const COUNTED: usize = 3;

/// Events for which there is room before the first of them is looked at.
const LANES: usize = 32;

/// Bits of a table's first number of slots.
const FIRST_BITS: u32 = 12;

/// Bits of the largest one: 64 MiB, and 32 MiB of revenues.
const MOST_BITS: u32 = 21;

/// One product: its ordinal, events by kind, visitors, the last user (by number from 1), and the latest moment, the low half first. Free
/// without visitors. Plain numbers, for a table in large pages.
type Slot = [u32; 8];

const PRODUCT: usize = 0;
const EVENTS: usize = 1;
const VISITORS: usize = EVENTS + COUNTED;
const USER: usize = VISITORS + 1;
const MOMENT: usize = USER + 1;

/// What is known of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Its ordinal.
    pub(crate) product: u32,
    /// Events by kind.
    pub(crate) events: [u32; COUNTED],
    /// Distinct users.
    pub(crate) visitors: u32,
    /// The largest moment.
    pub(crate) moment: u64,
    /// What was added as revenue.
    pub(crate) revenue: i128,
}

/// The products of some users' events.
#[derive(Debug)]
pub(crate) struct Products {
    slots: Room<Slot>,
    revenues: Room<i128>,
    bits: u32,
    most_bits: u32,
    taken: usize,
    is_overfull: bool,
    /// Users so far, and the last of them.
    users: u32,
    user: Option<u64>,
}

/// Events side by side: ordinals of users and products, moments and kinds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touches<'a> {
    pub(crate) users: &'a [u64],
    pub(crate) products: &'a [u64],
    pub(crate) moments: &'a [u64],
    pub(crate) kinds: &'a [u64],
}

impl Products {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::with_bits(FIRST_BITS, MOST_BITS)
    }

    fn with_bits(bits: u32, most_bits: u32) -> Self {
        let (slots, revenues) = (Room::new(1 << bits), Room::new(1 << bits));
        Self { slots, revenues, bits, most_bits, taken: 0, is_overfull: false, users: 0, user: None }
    }

    /// Adds events, of each user one after the other; ordinals of products are below 2^32. `revenue` is what an event brings in, if it does.
    pub(crate) fn add(&mut self, touches: Touches<'_>, revenue: impl Fn(usize) -> Option<i128>) {
        let events = touches.products.len();
        for start in (0..events).step_by(LANES) {
            if self.is_overfull {
                return;
            }
            self.add_lanes(touches, start..events.min(start + LANES), &revenue);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "ordinals of products are below 2^32")]
    fn add_lanes(&mut self, touches: Touches<'_>, lanes: Range<usize>, revenue: impl Fn(usize) -> Option<i128>) {
        self.make_room(LANES);
        for event in lanes {
            if let Some(product) = touches.products.get(event + AHEAD) {
                let first = self.first(*product as u32);
                ask_for(&self.slots, first);
                if revenue(event + AHEAD).is_some() {
                    ask_for(&self.revenues, first);
                }
            }
            let user = touches.users[event];
            self.users += u32::from(self.user != Some(user));
            self.user = Some(user);
            let at = self.find(touches.products[event] as u32);
            let slot = &mut self.slots[at];
            let kind = index(touches.kinds[event]);
            slot[EVENTS + kind.min(COUNTED - 1)] += u32::from(kind < COUNTED);
            slot[VISITORS] += u32::from(slot[USER] != self.users);
            slot[USER] = self.users;
            set_moment(slot, moment(slot).max(touches.moments[event]));
            if let Some(revenue) = revenue(event) {
                self.revenues[at] += revenue;
            }
        }
    }

    /// Takes in the products of other users.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.is_overfull |= other.is_overfull;
        for (slot, revenue) in other.taken_slots() {
            if self.is_overfull {
                return;
            }
            self.make_room(1);
            let at = self.find(slot[PRODUCT]);
            let into = &mut self.slots[at];
            into[EVENTS..=VISITORS].iter_mut().zip(&slot[EVENTS..=VISITORS]).for_each(|(into, other)| *into += other);
            set_moment(into, moment(into).max(moment(slot)));
            self.revenues[at] += revenue;
        }
    }

    /// What is known of each product, in no order; `None` if they were too many for a table.
    pub(crate) fn touched(&self) -> Option<impl Iterator<Item = Touched>> {
        let touched = |(slot, revenue): (&Slot, i128)| Touched {
            product: slot[PRODUCT],
            events: std::array::from_fn(|kind| slot[EVENTS + kind]),
            visitors: slot[VISITORS],
            moment: moment(slot),
            revenue,
        };
        (!self.is_overfull).then(|| self.taken_slots().map(touched))
    }

    fn taken_slots(&self) -> impl Iterator<Item = (&Slot, i128)> {
        self.slots.iter().zip(self.revenues.iter().copied()).filter(|(slot, _)| slot[VISITORS] > 0)
    }

    /// Where the search for a product begins.
    #[inline]
    fn first(&self, product: u32) -> usize {
        // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4).
        (product.wrapping_mul(0x9E37_79B9) >> (u32::BITS - self.bits)) as usize
    }

    /// The product's slot, its own from now on.
    #[inline]
    fn find(&mut self, product: u32) -> usize {
        let mask = (1 << self.bits) - 1;
        let mut at = self.first(product);
        loop {
            let slot = &mut self.slots[at];
            if slot[VISITORS] == 0 {
                slot[PRODUCT] = product;
                self.taken += 1;
                return at;
            }
            if slot[PRODUCT] == product {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    /// Leaves room for some more products, so that at most half of the table is taken; drops all if they are too many.
    fn make_room(&mut self, more: usize) {
        if (self.taken + more) * 2 <= 1 << self.bits {
            return;
        }
        self.is_overfull = self.bits == self.most_bits;
        let bits = if self.is_overfull { FIRST_BITS } else { self.bits + 1 };
        let mut grown = Self { users: self.users, user: self.user, ..Self::with_bits(bits, self.most_bits) };
        if !self.is_overfull {
            for (slot, revenue) in self.taken_slots() {
                let at = grown.find(slot[PRODUCT]);
                (grown.slots[at], grown.revenues[at]) = (*slot, revenue);
            }
        }
        *self = Self { is_overfull: self.is_overfull, ..grown };
    }
}

fn moment(slot: &Slot) -> u64 {
    u64::from(slot[MOMENT]) | u64::from(slot[MOMENT + 1]) << 32
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
fn set_moment(slot: &mut Slot, moment: u64) {
    (slot[MOMENT], slot[MOMENT + 1]) = (moment as u32, (moment >> 32) as u32);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    type Event = (u64, u64, u64, u64);

    fn added(products: &mut Products, events: &[Event]) {
        let column = |field: fn(&Event) -> u64| events.iter().map(field).collect::<Vec<_>>();
        let (users, ids) = (column(|event| event.0), column(|event| event.1));
        let (moments, kinds) = (column(|event| event.2), column(|event| event.3));
        let touches = Touches { users: &users, products: &ids, moments: &moments, kinds: &kinds };
        products.add(touches, |event| (kinds[event] == 2).then(|| moments[event].into()));
    }

    fn expected(events: &[Event]) -> Vec<Touched> {
        let mut of_product: BTreeMap<u64, Vec<&Event>> = BTreeMap::new();
        events.iter().for_each(|event| of_product.entry(event.1).or_default().push(event));
        let touched = |(product, events): (&u64, &Vec<&Event>)| Touched {
            product: *product as u32,
            events: [0, 1, 2].map(|kind| events.iter().filter(|event| event.3 == kind).count() as u32),
            visitors: events.iter().map(|event| event.0).collect::<BTreeSet<_>>().len() as u32,
            moment: events.iter().map(|event| event.2).max().unwrap(),
            revenue: events.iter().filter(|event| event.3 == 2).map(|event| i128::from(event.2)).sum(),
        };
        of_product.iter().map(touched).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn products_are_counted_user_by_user(
            mut events in prop::collection::vec((0..40_u64, prop_oneof![0..60_u64, 0..=u64::from(u32::MAX)], any::<u64>(), 0..4_u64), 0..600),
            cut in 0..40_u64, calls in 1..70_usize,
        ) {
            events.sort_by_key(|event| event.0);
            // Small tables, so that they grow; the users of each are others.
            let (few, rest) = events.split_at(events.partition_point(|event| event.0 < cut));
            let mut tables = [few, rest].map(|events| {
                let mut products = Products::with_bits(6, 11);
                events.chunks(calls).for_each(|events| added(&mut products, events));
                products
            });
            let [products, other] = &mut tables;
            products.merge(other);
            let mut touched: Vec<_> = products.touched().unwrap().collect();
            touched.sort_unstable_by_key(|touched| touched.product);
            prop_assert_eq!(touched, expected(&events));
        }
    }

    #[test]
    fn more_products_than_a_table_holds_are_told() {
        let events: Vec<Event> = (0..200).map(|product| (7, product, 0, 0)).collect();
        let (mut full, mut fits) = (Products::with_bits(6, 8), Products::with_bits(6, 9));
        added(&mut full, &events);
        added(&mut fits, &events);
        assert!(full.touched().is_none());
        assert_eq!(fits.touched().unwrap().count(), 200);
        fits.merge(&full);
        assert!(fits.touched().is_none());
    }
}
