//! The distinct keys among many rows that have few: a product and its brand.
//!
//! Bringing a product's rows together to see its brands moves every row. But products are far fewer than their events: a table of the
//! keys met so far stays in cache, and a row costs a look into it, most often at a key that is there. Where keys turn out to be many,
//! the table would leave the caches and then the memory; whoever asks then brings rows together after all.

use super::ahead::{AHEAD, ask_for};
use super::decode::index;
use super::driver::{Chunk, Input, Scan, scan};
use super::keys::{KeyScratch, Layout};
use super::room::Room;

/// The most keys that a worker's table holds: 16 MiB of them, with as much room again.
const MOST_KEYS: usize = 2 << 20;

/// A table's first room, in keys.
const FIRST_ROOM: usize = 1 << 10;

/// The distinct keys of the covered rows, in no order; `None` if they are very many or wider than 64 bits.
pub(crate) fn distinct(input: &Input<'_>, layout: &Layout<'_>) -> Option<Vec<u64>> {
    if layout.bits() > u64::BITS {
        return None;
    }
    let (table, _) = scan(input, &Distinct { layout });
    (!table.is_overfull).then(|| table.into_keys())
}

struct Distinct<'a> {
    layout: &'a Layout<'a>,
}

/// An open-addressing table; at most half of it is taken.
#[derive(Debug)]
struct Table {
    slots: Room<u64>,
    taken: usize,
    /// The key that marks a free slot is remembered here.
    has_free: bool,
    is_overfull: bool,
}

/// Marks a free slot.
const FREE: u64 = 0;

impl Table {
    fn new() -> Self {
        Self { slots: Room::new(FIRST_ROOM), taken: 0, has_free: false, is_overfull: false }
    }

    /// Inserts keys.
    fn insert_all(&mut self, keys: &[u64]) {
        for (place, key) in keys.iter().enumerate() {
            if let Some(ahead) = keys.get(place + AHEAD) {
                ask_for(&self.slots, self.first(*ahead));
            }
            // Most keys are where they are looked for first.
            if self.slots[self.first(*key)] != *key || *key == FREE {
                self.insert(*key);
            }
        }
    }

    /// Where the search for a key begins.
    #[inline]
    fn first(&self, key: u64) -> usize {
        // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4).
        index(key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - self.slots.len().ilog2()))
    }

    fn insert(&mut self, key: u64) {
        let mask = self.slots.len() - 1;
        let mut at = self.first(key);
        loop {
            match self.slots[at] {
                known if known == key => {
                    self.has_free |= key == FREE;
                    return;
                }
                FREE => {
                    self.slots[at] = key;
                    self.taken += 1;
                    if self.taken * 2 > self.slots.len() {
                        self.grow();
                    }
                    return;
                }
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        if self.taken >= MOST_KEYS {
            self.is_overfull = true;
            self.clear();
            return;
        }
        let room = self.slots.len() * 2;
        let known = std::mem::replace(&mut self.slots, Room::new(room));
        self.taken = 0;
        known.iter().filter(|key| **key != FREE).for_each(|key| self.insert(*key));
    }

    fn clear(&mut self) {
        self.slots = Room::new(FIRST_ROOM);
        self.taken = 0;
    }

    fn into_keys(self) -> Vec<u64> {
        let free = self.has_free.then_some(FREE);
        self.slots.iter().copied().filter(|key| *key != FREE).chain(free).collect()
    }
}

impl Scan for Distinct<'_> {
    type Partial = (Table, KeyScratch<u64>);

    fn start(&self) -> Self::Partial {
        (Table::new(), self.layout.scratch())
    }

    fn scan(&self, (table, scratch): &mut Self::Partial, chunk: &Chunk<'_>) {
        if !table.is_overfull {
            table.insert_all(self.layout.keys(chunk, scratch));
        }
    }

    fn merge(&self, (into, _): &mut Self::Partial, (other, _): Self::Partial) {
        into.is_overfull |= other.is_overfull;
        if !into.is_overfull {
            other.into_keys().into_iter().for_each(|key| into.insert(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_table_has_each_key_once(keys in prop::collection::vec(prop_oneof![0..99_u64, any::<u64>(), Just(FREE)], 0..5000)) {
            let mut table = Table::new();
            table.insert_all(&keys);
            let mut found = table.into_keys();
            found.sort_unstable();
            prop_assert_eq!(found, keys.into_iter().collect::<BTreeSet<u64>>().into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn too_many_keys_are_given_up() {
        let mut table = Table::new();
        (0..=MOST_KEYS as u64 + 1).for_each(|key| table.insert(key));
        assert!(table.is_overfull && table.slots.len() == FIRST_ROOM);
    }
}
