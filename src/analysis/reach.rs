//! Whom the events of each slot reach and what they bring in: a slot is a day, a brand, or a category and price band.
//!
//! Events and revenue add up; distinct users don't, and would cost a set a slot. Brought together by user, they add up
//! too: a slot that the present user has not touched yet gains one user. So all of it comes from one grouping by user, with keys (user,
//! slot, kind, price), which mostly fit 64 bits. Sessions are reached as users are.

use super::decode::{Scratch, index, scratch};
use super::driver::{Chunk, Input};
use super::field::Field;
use super::group::{Parts, group};
use super::keys::{Key, Layout};
use super::kinds::{self, KINDS, PURCHASE};
use super::tally::Seen;
use crate::event::PRICE;

/// The events of one slot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reach {
    /// By kind.
    pub(crate) events: [u64; KINDS],
    /// The sum of the purchases' prices, in units of `10^-4`.
    pub(crate) revenue: i128,
    /// Distinct users, or whoever is to be reached.
    pub(crate) users: u64,
    /// Those of them who bought.
    pub(crate) buyers: u64,
}

impl Reach {
    /// Whether no event is in the slot.
    pub(crate) fn is_empty(&self) -> bool {
        self.users == 0
    }

    fn merge(&mut self, other: &Self) {
        self.events.iter_mut().zip(other.events).for_each(|(into, other)| *into += other);
        self.revenue += other.revenue;
        self.users += other.users;
        self.buyers += other.buyers;
    }
}

/// What was reached, by slot.
#[derive(Debug)]
pub(crate) struct Slots<'a> {
    layout: Layout<'a>,
    reaches: Vec<Reach>,
}

impl<'a> Slots<'a> {
    /// The slots that have events, in the order of their ordinals.
    pub(crate) fn with_events(&self) -> Vec<(u64, Reach)> {
        (0..).zip(&self.reaches).filter(|(_, reach)| !reach.is_empty()).map(|(slot, reach)| (slot, *reach)).collect()
    }

    /// A slot field.
    pub(crate) fn field(&self, place: usize) -> &Field<'a> {
        self.layout.field(1 + place)
    }

    /// The ordinal of a slot field.
    pub(crate) fn ordinal(&self, slot: u64, place: usize) -> u64 {
        let below: u32 = (2 + place..self.layout.fields() - 2).map(|field| self.layout.field(field).bits()).sum();
        slot.bits(below, self.field(place).bits())
    }
}

/// Groups the covered events by slot, which these fields together are, the first the highest, and tells whom each reaches: `who` is the
/// users' field or the sessions'. Events of none, of a missing session, count nowhere.
///
/// Memory: the keys of all covered rows, and 72 bytes a slot and worker.
pub(crate) fn reach<'a>(input: &Input<'a>, who: Field<'a>, slots: Vec<Field<'a>>) -> Slots<'a> {
    let events = input.events();
    let missing = who.numbers_identifiers();
    let mut fields = vec![who];
    fields.extend(slots);
    fields.extend([kinds::field(events), Field::scaled(events, PRICE)]);
    let layout = Layout::fitted(events, fields);
    let slots = layout.fields() - 3;
    let slot_bits = layout.bits_below(1) - layout.bits_below(1 + slots);
    let users = Users { layout: &layout, slot_bits, slots, missing };
    let mut reaches = vec![Reach::default(); 1 << slot_bits];
    for partial in group(input, &layout, 1, &users) {
        reaches.iter_mut().zip(&partial.counted.reaches).for_each(|(into, other)| into.merge(other));
    }
    Slots { layout, reaches }
}

struct Users<'a> {
    layout: &'a Layout<'a>,
    slot_bits: u32,
    slots: usize,
    /// The ordinal of no user, if there is one: rows of it lie in no order, so that they come as keys.
    missing: Option<u64>,
}

struct Reached {
    counted: Counted,
    /// What some rows hold: users, slots, kinds and prices.
    fields: [Scratch<u64>; 4],
    ordinals: Scratch<u64>,
}

/// What was reached so far, and whom the present user's events have reached.
struct Counted {
    reaches: Vec<Reach>,
    users: Seen,
    buyers: Seen,
    user: Option<u64>,
}

impl Counted {
    fn set_user(&mut self, user: u64) {
        if self.user != Some(user) {
            self.user = Some(user);
            self.users.next_group();
            self.buyers.next_group();
        }
    }

    /// Takes in an event of the present user.
    #[inline]
    fn add(&mut self, slot: usize, kind: u64, price: impl Fn() -> i128) {
        let reach = &mut self.reaches[slot];
        reach.events[index(kind) % KINDS] += 1;
        reach.users += u64::from(self.users.is_new(slot));
        if kind == PURCHASE {
            reach.revenue += price();
            reach.buyers += u64::from(self.buyers.is_new(slot));
        }
    }
}

impl Parts for Users<'_> {
    const LEADING_ONLY: bool = true;
    const TAKES_ROWS: bool = true;
    type Partial = Reached;

    fn start(&self) -> Reached {
        let count = 1 << self.slot_bits;
        let (users, buyers) = (Seen::new(count), Seen::new(count));
        let counted = Counted { reaches: vec![Reach::default(); count], users, buyers, user: None };
        Reached { counted, fields: std::array::from_fn(|_| scratch()), ordinals: scratch() }
    }

    fn part<K: Key>(&self, Reached { counted, .. }: &mut Reached, _part: usize, keys: &[K]) {
        let (below_user, below_slot) = (self.layout.bits_below(1), self.layout.bits_below(1 + self.slots));
        let price_bits = self.layout.bits_below(2 + self.slots);
        let (kind_bits, prices) = (below_slot - price_bits, self.layout.field(2 + self.slots));
        for user in keys.chunk_by(|left, right| left.differing(*right).significant_bits() <= below_user) {
            let ordinal = self.layout.ordinal(user[0], 0);
            if Some(ordinal) == self.missing {
                continue;
            }
            counted.set_user(ordinal);
            for key in user {
                let slot = index(key.bits(below_slot, self.slot_bits));
                let price = || prices.value(key.bits(0, price_bits)).into();
                counted.add(slot, key.bits(price_bits, kind_bits), price);
            }
        }
    }

    fn rows(&self, partial: &mut Reached, chunk: &Chunk<'_>) {
        let rows = chunk.len();
        let Reached { counted, fields: [users, slots, kinds, prices], ordinals } = partial;
        let price_field = self.layout.field(2 + self.slots);
        let users = chunk.ordinals(self.layout.field(0), users);
        let kinds = chunk.ordinals(self.layout.field(1 + self.slots), kinds);
        let prices = chunk.ordinals(price_field, prices);
        let slots = &mut slots[..rows];
        slots.fill(0);
        for field in (1..=self.slots).map(|place| self.layout.field(place)) {
            let put = |slot: &mut u64, ordinal| *slot = slot.append(field.bits(), ordinal);
            chunk.put_ordinals(field, ordinals, slots, put);
        }
        for (((user, slot), kind), price) in users.iter().zip(slots).zip(kinds).zip(prices) {
            counted.set_user(*user);
            counted.add(index(*slot), *kind, || price_field.value(*price).into());
        }
    }
}
