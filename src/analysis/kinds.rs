//! The event types that most analyses count apart.

use super::events::Events;
use super::field::Field;
use crate::event::EVENT_TYPE;

/// Views, carts, purchases, and all others together.
pub(crate) const KINDS: usize = 4;

/// The place of views.
pub(crate) const VIEW: u64 = 0;

/// The place of carts.
pub(crate) const CART: u64 = 1;

/// The place of purchases.
pub(crate) const PURCHASE: u64 = 2;

/// The event type as one of [`KINDS`] places.
pub(crate) fn field<'a>(events: &Events<'a>) -> Field<'a> {
    Field::classified(events, EVENT_TYPE, &["view", "cart", "purchase"])
}
