//! Whom the events of each slot reach and what they bring in: a slot is a day, a brand, or a category and price band.
//!
//! Events and revenue add up; distinct users don't, and would cost a set a slot. Brought together by user, they add up
//! too: a slot that the present user has not touched yet gains one user. So all of it comes from one grouping by user, with keys (user,
//! slot, kind, price), which mostly fit 64 bits.

use super::decode::index;
use super::driver::Input;
use super::field::Field;
use super::group::{Parts, group};
use super::keys::{Key, Layout};
use super::kinds::{self, KINDS, PURCHASE};
use super::tally::Seen;
use crate::event::{PRICE, USER_ID};

/// The events of one slot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reach {
    /// By kind.
    pub(crate) events: [u64; KINDS],
    /// The sum of the purchases' prices, in units of `10^-4`.
    pub(crate) revenue: i128,
    /// Distinct users.
    pub(crate) users: u64,
    /// Distinct users who bought.
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

/// Groups the covered events by slot, which these fields together are; the first is the highest.
///
/// Memory: the keys of all covered rows, and 72 bytes a slot and worker.
pub(crate) fn reach<'a>(input: &Input<'a>, slots: Vec<Field<'a>>) -> Slots<'a> {
    let events = input.events();
    let mut fields = vec![Field::offset(events, USER_ID)];
    fields.extend(slots);
    fields.extend([kinds::field(events), Field::scaled(events, PRICE)]);
    let layout = Layout::fitted(events, fields);
    let slots = layout.fields() - 3;
    let slot_bits = layout.bits_below(1) - layout.bits_below(1 + slots);
    let users = Users { layout: &layout, slot_bits, slots };
    let mut reaches = vec![Reach::default(); 1 << slot_bits];
    for partial in group(input, &layout, 1, &users) {
        reaches.iter_mut().zip(&partial.reaches).for_each(|(into, other)| into.merge(other));
    }
    Slots { layout, reaches }
}

struct Users<'a> {
    layout: &'a Layout<'a>,
    slot_bits: u32,
    slots: usize,
}

struct Reached {
    reaches: Vec<Reach>,
    users: Seen,
    buyers: Seen,
}

impl Parts for Users<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = Reached;

    fn start(&self) -> Reached {
        let count = 1 << self.slot_bits;
        Reached { reaches: vec![Reach::default(); count], users: Seen::new(count), buyers: Seen::new(count) }
    }

    fn part<K: Key>(&self, partial: &mut Reached, _part: usize, keys: &[K]) {
        let (below_user, below_slot) = (self.layout.bits_below(1), self.layout.bits_below(1 + self.slots));
        let price_bits = self.layout.bits_below(2 + self.slots);
        let (kind_bits, prices) = (below_slot - price_bits, self.layout.field(2 + self.slots));
        let Reached { reaches, users, buyers } = partial;
        for user in keys.chunk_by(|left, right| left.differing(*right).significant_bits() <= below_user) {
            users.next_group();
            buyers.next_group();
            for key in user {
                let slot = index(key.bits(below_slot, self.slot_bits));
                let kind = key.bits(price_bits, kind_bits);
                let reach = &mut reaches[slot];
                reach.events[index(kind) % KINDS] += 1;
                reach.users += u64::from(users.is_new(slot));
                if kind == PURCHASE {
                    reach.revenue += i128::from(prices.value(key.bits(0, price_bits)));
                    reach.buyers += u64::from(buyers.is_new(slot));
                }
            }
        }
    }
}
