//! Whom the events of each slot reach, what those do there and what they bring in: a slot is a day, a brand, or a category and price band.
//!
//! Events and revenue add up; distinct users don't, and would cost a set a slot. Brought together by user, they add up
//! too: a slot that the present user has not touched yet gains one user. So all of it comes from one grouping by user, with keys (user,
//! slot, kind, price), which mostly fit 64 bits. Sessions are reached as users are.
//!
//! A slot knows whose events it had last, and which kinds of them. When another's event comes, that set of kinds is counted: nothing has to
//! be done at a user's end, and a row costs no branch that depends on the data but the one for purchases, which are few; their prices
//! alone are read. A row takes 2 to 3 ns besides reading its columns.

use super::decode::{CHUNK_ROWS, Scratch, index, scratch};
use super::driver::{Chunk, Input};
use super::field::Field;
use super::group::{Parts, group};
use super::keys::{Key, Layout};
use super::kinds::{self, KINDS, PURCHASE};
use crate::event::PRICE;

/// Sets of views, carts and purchases.
const SETS: usize = 8;

/// Where at most one of so many rows is a purchase, the prices of the others are not read.
const FEW_PURCHASES: usize = 8;

/// A set of views, carts and purchases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KindSet(usize);

impl KindSet {
    /// Whether it has events of this kind.
    pub(crate) fn has(self, kind: u64) -> bool {
        self.0 >> kind & 1 == 1
    }
}

/// The events of one slot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reach {
    /// By kind.
    pub(crate) events: [u64; KINDS],
    /// The sum of the purchases' prices, in units of `10^-4`; zero where that wasn't asked for.
    pub(crate) revenue: i128,
    /// How many users, or whoever is to be reached, have each set of kinds here: view 1, cart 2, purchase 4.
    sets: [u64; SETS],
}

impl Reach {
    /// Distinct users, or whoever is to be reached.
    pub(crate) fn users(&self) -> u64 {
        self.sets.iter().sum()
    }

    /// Those of them who bought.
    pub(crate) fn buyers(&self) -> u64 {
        self.who(|did| did.has(PURCHASE))
    }

    /// Those of them of whose kinds of events this is true.
    pub(crate) fn who(&self, fits: impl Fn(KindSet) -> bool) -> u64 {
        let sets = self.sets.iter().enumerate();
        sets.filter(|(set, _)| fits(KindSet(*set))).map(|(_, count)| count).sum()
    }

    fn merge(&mut self, other: &Self) {
        self.events.iter_mut().zip(other.events).for_each(|(into, other)| *into += other);
        self.revenue += other.revenue;
        self.sets.iter_mut().zip(other.sets).for_each(|(into, other)| *into += other);
    }
}

/// What was reached, by slot.
#[derive(Debug)]
pub(crate) struct Slots<'a> {
    layout: Layout<'a>,
    slots: usize,
    reaches: Vec<Reach>,
}

impl<'a> Slots<'a> {
    /// The slots that have events, in the order of their ordinals.
    pub(crate) fn with_events(&self) -> Vec<(u64, Reach)> {
        (0..).zip(&self.reaches).filter(|(_, reach)| reach.users() > 0).map(|(slot, reach)| (slot, *reach)).collect()
    }

    /// A slot field.
    pub(crate) fn field(&self, place: usize) -> &Field<'a> {
        self.layout.field(1 + place)
    }

    /// The ordinal of a slot field.
    pub(crate) fn ordinal(&self, slot: u64, place: usize) -> u64 {
        let below: u32 = (2 + place..=self.slots).map(|field| self.layout.field(field).bits()).sum();
        slot.bits(below, self.field(place).bits())
    }
}

/// Groups the covered events by slot, which these fields together are, the first the highest, and tells whom each reaches: `who` is the
/// users' field or the sessions'. Events of none, of a missing session, count nowhere.
///
/// Memory: the keys of all covered rows that don't lie in order, and 128 bytes a slot and worker.
pub(crate) fn reach<'a>(input: &Input<'a>, who: Field<'a>, slots: Vec<Field<'a>>) -> Slots<'a> {
    let prices = Some(Field::scaled(input.events(), PRICE));
    reach_by(input, who, slots, prices)
}

/// The same without the revenue.
pub(crate) fn reach_unpriced<'a>(input: &Input<'a>, who: Field<'a>, slots: Vec<Field<'a>>) -> Slots<'a> {
    reach_by(input, who, slots, None)
}

fn reach_by<'a>(input: &Input<'a>, who: Field<'a>, slots: Vec<Field<'a>>, prices: Option<Field<'a>>) -> Slots<'a> {
    let events = input.events();
    let (missing, slot_fields, is_priced) = (who.numbers_identifiers(), slots.len(), prices.is_some());
    let fields = [who].into_iter().chain(slots).chain([kinds::field(events)]).chain(prices);
    let layout = Layout::fitted(events, fields.collect());
    let slot_bits = layout.bits_below(1) - layout.bits_below(1 + slot_fields);
    let users = Users { layout: &layout, slot_bits, slots: slot_fields, is_priced, missing };
    let mut reaches = vec![Reach::default(); 1 << slot_bits];
    for mut partial in group(input, &layout, 1, &users) {
        partial.counted.slots.iter_mut().for_each(Slot::settle);
        reaches.iter_mut().zip(&partial.counted.slots).for_each(|(into, slot)| into.merge(&slot.reach));
    }
    Slots { layout, slots: slot_fields, reaches }
}

struct Users<'a> {
    layout: &'a Layout<'a>,
    slot_bits: u32,
    slots: usize,
    is_priced: bool,
    /// The ordinal of no user, if there is one: rows of it lie in no order, so that they come as keys.
    missing: Option<u64>,
}

struct Reached {
    counted: Counted,
    /// Users as far as 32 bits hold them.
    users: Scratch<u32>,
    slots: Scratch<u32>,
    kinds: Scratch<u8>,
    /// Which rows of a chunk are purchases.
    purchases: Scratch<u16>,
    ordinals: Scratch<u64>,
}

/// What was reached so far.
struct Counted {
    slots: Vec<Slot>,
    /// The present user, and how many came so far, so that no two are the same number; above zero.
    user: u64,
    number: u32,
}

/// One slot, and what whoever had the last event in it has done there.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The number of that user; zero before there was one.
    user: u32,
    /// The kinds of its events, as a set.
    did: u8,
    /// Besides one too many without any kind, counted when the first user came.
    reach: Reach,
}

impl Counted {
    /// Whose events come next.
    #[inline]
    fn set_user(&mut self, user: u64) {
        self.number += u32::from(user != self.user);
        self.user = user;
    }

    /// Takes in an event of the present user.
    #[inline]
    fn add(&mut self, slot: usize, kind: u64) {
        let slot = &mut self.slots[slot];
        let is_new = slot.user != self.number;
        slot.reach.sets[usize::from(slot.did) % SETS] += u64::from(is_new);
        slot.did = if is_new { 0 } else { slot.did } | (1 << kind) & (SETS as u8 - 1);
        slot.user = self.number;
        slot.reach.events[index(kind) % KINDS] += 1;
    }

    /// Takes in the events of a chunk's users, and puts the places of those that are purchases into `purchases`; how many they are.
    #[inline]
    fn add_rows(
        &mut self,
        users: impl Iterator<Item = u64>,
        (slots, kinds): (&[u32], &[u8]),
        purchases: &mut Scratch<u16>,
    ) -> usize {
        self.make_room();
        let mut bought = 0;
        for (row, ((user, slot), kind)) in (0..).zip(users.zip(slots).zip(kinds)) {
            self.set_user(user);
            self.add(*slot as usize, u64::from(*kind));
            if u64::from(*kind) == PURCHASE {
                purchases[bought] = row;
                bought += 1;
            }
        }
        bought
    }

    /// Leaves room for the numbers of as many users as a chunk can have: the present one becomes the first.
    fn make_room(&mut self) {
        if self.number > u32::MAX - CHUNK_ROWS as u32 {
            let present = self.number;
            for slot in &mut self.slots {
                if slot.user == present {
                    slot.user = 1;
                } else {
                    slot.settle();
                }
            }
            self.number = 1;
        }
    }
}

impl Slot {
    /// Counts what was done by whoever did something here last.
    fn settle(&mut self) {
        if self.user > 0 {
            self.reach.sets[0] -= 1;
            self.reach.sets[usize::from(self.did)] += 1;
            (self.user, self.did) = (0, 0);
        }
    }
}

impl Parts for Users<'_> {
    const LEADING_ONLY: bool = true;
    const TAKES_ROWS: bool = true;
    type Partial = Reached;

    fn start(&self) -> Reached {
        let counted = Counted { slots: vec![Slot::default(); 1 << self.slot_bits], user: 0, number: 1 };
        let (users, slots, kinds) = (scratch(), scratch(), scratch());
        Reached { counted, users, slots, kinds, purchases: scratch(), ordinals: scratch() }
    }

    fn part<K: Key>(&self, Reached { counted, .. }: &mut Reached, _part: usize, keys: &[K]) {
        let (below_user, below_slot) = (self.layout.bits_below(1), self.layout.bits_below(1 + self.slots));
        let price_bits = self.layout.bits_below(2 + self.slots);
        let kind_bits = below_slot - price_bits;
        for user in keys.chunk_by(|left, right| left.is_alike(*right, below_user)) {
            let ordinal = self.layout.ordinal(user[0], 0);
            if Some(ordinal) == self.missing {
                continue;
            }
            counted.make_room();
            counted.set_user(ordinal);
            for key in user {
                let (slot, kind) = (index(key.bits(below_slot, self.slot_bits)), key.bits(price_bits, kind_bits));
                counted.add(slot, kind);
                if kind == PURCHASE && self.is_priced {
                    let price = self.layout.field(2 + self.slots).value(key.bits(0, price_bits));
                    counted.slots[slot].reach.revenue += i128::from(price);
                }
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "slots are those of a table in memory, and kinds are few")]
    fn rows(&self, partial: &mut Reached, chunk: &Chunk<'_>) {
        let rows = chunk.len();
        let Reached { counted, users, slots, kinds, purchases, ordinals } = partial;
        let (slots, kinds) = (&mut slots[..rows], &mut kinds[..rows]);
        chunk.put_ordinals(self.layout.field(1 + self.slots), ordinals, kinds, |kind, ordinal| *kind = ordinal as u8);
        slots.fill(0);
        for field in (1..=self.slots).map(|place| self.layout.field(place)) {
            let bits = field.bits();
            chunk.put_ordinals(field, ordinals, slots, |slot, ordinal| *slot = *slot << bits | ordinal as u32);
        }
        let field = self.layout.field(0);
        let bought = if u32::try_from(field.maximum()).is_ok() {
            let users = &mut users[..rows];
            chunk.put_ordinals(field, ordinals, users, |user, ordinal| *user = ordinal as u32);
            counted.add_rows(users.iter().map(|user| u64::from(*user)), (slots, kinds), purchases)
        } else {
            counted.add_rows(chunk.ordinals(field, ordinals).iter().copied(), (slots, kinds), purchases)
        };
        if self.is_priced && bought > 0 {
            self.add_revenue(counted, chunk, (slots, &purchases[..bought]), ordinals);
        }
    }
}

impl Users<'_> {
    /// Adds the prices of some rows of a chunk to their slots' revenues.
    fn add_revenue(
        &self,
        counted: &mut Counted,
        chunk: &Chunk<'_>,
        (slots, purchases): (&[u32], &[u16]),
        ordinals: &mut Scratch<u64>,
    ) {
        let field = self.layout.field(2 + self.slots);
        let mut add = |row: u16, ordinal: u64| {
            let slot = slots[usize::from(row)];
            counted.slots[slot as usize].reach.revenue += i128::from(field.value(ordinal));
        };
        if purchases.len() * FEW_PURCHASES > chunk.len() {
            let ordinals = chunk.ordinals(field, ordinals);
            purchases.iter().for_each(|row| add(*row, ordinals[usize::from(*row)]));
        } else {
            purchases.iter().for_each(|row| add(*row, chunk.ordinal(field, *row)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::kinds::CART;

    #[test]
    fn users_are_told_apart_beyond_the_last_number() {
        // The number of user 1 is the last before they begin anew, in the middle of its events.
        let number = u32::MAX - CHUNK_ROWS as u32 - 1;
        let mut counted = Counted { slots: vec![Slot::default(); 2], user: 7, number };
        for (user, slot, kind) in
            [(0, 0, 0), (1, 0, 0), (1, 0, PURCHASE), (1, 1, 1), (1, 1, 1), (2, 0, 3), (2, 0, 0), (0, 0, 3)]
        {
            counted.make_room();
            counted.set_user(user);
            counted.add(slot, kind);
        }
        assert_eq!(counted.number, 3);
        counted.slots.iter_mut().for_each(Slot::settle);
        let [first, second] = [counted.slots[0].reach, counted.slots[1].reach];
        assert_eq!((first.users(), first.buyers(), first.events), (4, 1, [3, 0, 1, 2]));
        assert_eq!(
            (second.users(), second.who(|did| did.has(CART) && !did.has(PURCHASE)), second.events),
            (1, 1, [0, 2, 0, 0])
        );
    }
}
