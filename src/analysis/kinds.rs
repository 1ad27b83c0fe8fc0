//! The event types that most analyses count apart, and what adds up by them.

use super::events::Events;
use super::field::Field;
use crate::event::EVENT_TYPE;

/// Views, carts, purchases, and all others together.
pub(crate) const KINDS: usize = 4;

/// The place of purchases.
pub(crate) const PURCHASE: u64 = 2;

/// The event type as one of [`KINDS`] places.
pub(crate) fn field<'a>(events: &Events<'a>) -> Field<'a> {
    Field::classified(events, EVENT_TYPE, &["view", "cart", "purchase"])
}

/// Events by kind, and the sum of the purchases' prices in steps of the price field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Engagement {
    pub(crate) events: [u64; KINDS],
    pub(crate) revenue: u128,
}

impl Engagement {
    /// Takes in `count` events of a kind and price.
    #[inline]
    pub(crate) fn add(&mut self, kind: u64, price: u64, count: u64) {
        self.events[super::decode::index(kind) % KINDS] += count;
        if kind == PURCHASE {
            self.revenue += u128::from(price) * u128::from(count);
        }
    }

    /// Takes in another's events.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.events.iter_mut().zip(other.events).for_each(|(into, other)| *into += other);
        self.revenue += other.revenue;
    }

    /// Whether nothing was taken in.
    pub(crate) fn is_empty(&self) -> bool {
        self.events == [0; KINDS]
    }
}
