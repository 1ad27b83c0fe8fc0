//! One shopper's visit: which products, in which order, what is done with each, and when.
//!
//! A visit is a walk: a view leads to another view, now and then to a cart or a purchase of what was just seen; a cart
//! leads to a purchase of the same product or back to looking around. So every purchase has a view before it in its
//! session. The odds below are set so that 95 % of all events are views, 3.6 % carts and 1.5 % purchases.

use super::catalogue::Catalogue;
use super::random::{Random, Scatter, hash, quantile, unit};

/// From a view: to the cart, straight to a purchase, to the same product again; otherwise to another product.
const CART_AFTER_VIEW: f64 = 0.0475;
const PURCHASE_AFTER_VIEW: f64 = 0.0100;
const SAME_AGAIN: f64 = 0.35;
/// From a cart to the purchase.
const PURCHASE_AFTER_CART: f64 = 0.26;
/// How often another product is of the visit's own category, and how often that is the shopper's favourite.
const SAME_CATEGORY: f64 = 0.8;
const FAVOURITE: f64 = 0.5;
/// Events of a visit, by quantile: half of all visits have one or two, few have hundreds; the mean is 4.8.
const LENGTHS: [(f64, f64); 14] = [
    (0.0, 1.0),
    (0.38, 2.0),
    (0.55, 3.0),
    (0.655, 4.0),
    (0.725, 5.0),
    (0.77, 6.0),
    (0.86, 9.0),
    (0.93, 14.0),
    (0.97, 23.0),
    (0.99, 37.0),
    (0.999, 80.0),
    (0.9999, 180.0),
    (0.99999, 400.0),
    (1.0, 2000.0),
];
/// Seconds from one event of a visit to its next, by quantile.
const PAUSES: [(f64, f64); 8] =
    [(0.0, 1.0), (0.05, 7.0), (0.25, 18.0), (0.5, 33.0), (0.75, 62.0), (0.9, 115.0), (0.99, 377.0), (1.0, 3000.0)];
/// One cart of so many has lost its session's name, as a few of the public data have.
const NAMELESS_CARTS: u64 = 16_384;

/// What was done to a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    View,
    Cart,
    Purchase,
}

/// One event, without its texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// Number of the session, from which its UUID follows.
    pub(super) session: u64,
    /// Seconds after the start of the data.
    pub(super) second: u32,
    pub(super) product: u32,
    pub(super) user_id: u32,
    pub(super) kind: Kind,
    pub(super) has_session: bool,
}

/// The people who come to the shop.
#[derive(Debug)]
pub(super) struct Shoppers {
    key: u64,
    count: u32,
    order: Scatter,
}

impl Shoppers {
    /// So many people.
    pub(super) fn new(seed: u64, count: u32) -> Self {
        Self { key: hash(seed, 0x5553_4552), count, order: Scatter::new(u64::from(count)) }
    }

    /// The shopper of a visit: a few come again and again, most once or twice.
    fn pick(&self, random: &mut Random) -> u32 {
        let place = random.unit();
        (f64::from(self.count) * (place * place.sqrt())) as u32
    }

    /// A shopper's id: 8 digits for one of a hundred, 9 for the others; no two are the same.
    fn id(&self, shopper: u32) -> u32 {
        let place = self.order.place(u64::from(shopper));
        let short = u64::from(self.count / 100);
        let (place, count, low, room) = if place < short {
            (place, short, 20_000_000, 80_000_000)
        } else {
            (place - short, u64::from(self.count) - short, 400_000_000, 200_000_000)
        };
        let step = room / count;
        let jitter = hash(self.key, u64::from(shopper)) % step;
        (low + place * step + jitter) as u32
    }
}

/// Walks through session number `number`, which starts at `start` (seconds), and hands each event to `emit`.
pub(super) fn walk(
    key: u64,
    number: u64,
    start: impl FnOnce(u64) -> f64,
    shoppers: &Shoppers,
    catalogue: &Catalogue,
    mut emit: impl FnMut(Event),
) {
    let mut random = Random::new(key, number);
    // Upwards, so that the second does not fall before the instant.
    let mut seconds = start(random.next()).ceil();
    let shopper = shoppers.pick(&mut random);
    let user_id = shoppers.id(shopper);
    let home = if random.unit() < FAVOURITE {
        catalogue.category(hash(shoppers.key ^ 1, u64::from(shopper)))
    } else {
        catalogue.category(random.next())
    };
    let length = quantile(&LENGTHS, random.unit()) as u32;
    let mut product = catalogue.product(home, random.next());
    let mut kind = Kind::View;
    for step in 0..length {
        let bits = random.next();
        let has_session = kind != Kind::Cart || !bits.is_multiple_of(NAMELESS_CARTS);
        emit(Event { session: number, second: seconds as u32, product, user_id, kind, has_session });
        if step + 1 == length {
            break;
        }
        seconds += quantile(&PAUSES, random.unit()).floor();
        let turn = unit(bits);
        let (to_cart, to_purchase) = match kind {
            Kind::View => (CART_AFTER_VIEW, PURCHASE_AFTER_VIEW),
            Kind::Cart => (0.0, PURCHASE_AFTER_CART),
            Kind::Purchase => (0.0, 0.0),
        };
        if turn < to_cart {
            kind = Kind::Cart;
        } else if turn < to_cart + to_purchase {
            kind = Kind::Purchase;
        } else {
            kind = Kind::View;
            if turn >= to_cart + to_purchase + SAME_AGAIN {
                let choice = random.unit();
                let category = if choice < SAME_CATEGORY { home } else { catalogue.category(random.next()) };
                product = catalogue.product(category, random.next());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn user_ids_are_distinct_and_of_eight_or_nine_digits() {
        for count in [1, 5, 99, 100, 250_000] {
            let shoppers = Shoppers::new(3, count);
            let ids: HashSet<u32> = (0..count).map(|shopper| shoppers.id(shopper)).collect();
            assert_eq!(ids.len(), count as usize);
            assert!(ids.iter().all(|id| (10_000_000..1_000_000_000).contains(id)));
        }
    }

    #[test]
    fn a_purchase_follows_a_view_of_its_product() {
        let (shoppers, catalogue) = (Shoppers::new(3, 100), Catalogue::new(3, 2000));
        let mut purchases = 0;
        for number in 0..20_000 {
            let mut seen = HashSet::new();
            let mut last = 0;
            walk(
                9,
                number,
                |_| 10.0,
                &shoppers,
                &catalogue,
                |event| {
                    assert!(event.second >= last && event.second >= 10);
                    last = event.second;
                    match event.kind {
                        Kind::View => _ = seen.insert(event.product),
                        Kind::Cart | Kind::Purchase => assert!(seen.contains(&event.product)),
                    }
                    purchases += u32::from(event.kind == Kind::Purchase);
                },
            );
        }
        assert!(purchases > 500);
    }
}
