//! Finding distinct values fast: an open-addressing table from hash to index of first appearance.
//!
//! The keys stay with the caller, densely in order of appearance; a slot holds 32 bits of the hash beside the index,
//! so that nearly every probe that ends at another key ends without touching that key. Linear probing, at most half
//! full. Compared with the standard map this saves the SipHash rounds and one copy of each key. The seed is random in
//! each process, so that nobody can prepare a file whose values all collide.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

const SMALLEST: usize = 256;

/// A table of indexes `0..len`, found by the hash of the caller's keys.
#[derive(Debug, Clone)]
pub(crate) struct InternTable {
    /// High half: the hash's high half. Low half: index + 1, or 0 for a free slot.
    slots: Vec<u64>,
    /// Filled slots, which is also the next index.
    len: u32,
}

impl InternTable {
    /// A table that grows from the smallest size.
    pub(crate) fn new() -> Self {
        Self { slots: vec![0; SMALLEST], len: 0 }
    }

    /// A table with room for so many keys before it grows.
    pub(crate) fn with_room(keys: usize) -> Self {
        Self { slots: vec![0; (2 * keys).next_power_of_two().max(SMALLEST)], len: 0 }
    }

    /// The index in the hash's own slot: that of its key, if it is not further on, or any. `u32::MAX` if the slot is free.
    #[inline]
    pub(crate) fn candidate(&self, hash: u64) -> u32 {
        (self.slots[hash as usize & (self.slots.len() - 1)] as u32).wrapping_sub(1)
    }

    /// Finds the index whose key `is_same`, if it was inserted.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        match self.probe(hash, is_same) {
            Probe::Found(index) => Some(index),
            Probe::Free(_) => None,
        }
    }

    /// Finds the index whose key `is_same`, or gives the next index to it; the second value says that it is new, and
    /// then the caller appends the key to its own.
    ///
    /// At most `u32::MAX - 1` keys: the caller has limits below that.
    #[inline]
    pub(crate) fn find_or_insert(&mut self, hash: u64, is_same: impl Fn(u32) -> bool) -> (u32, bool) {
        match self.probe(hash, is_same) {
            Probe::Found(index) => (index, false),
            Probe::Free(slot) => (self.insert_at(slot, hash), true),
        }
    }

    #[inline]
    fn probe(&self, hash: u64, is_same: impl Fn(u32) -> bool) -> Probe {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot as u32 == 0 {
                return Probe::Free(at);
            }
            if slot >> 32 == hash >> 32 && is_same(slot as u32 - 1) {
                return Probe::Found(slot as u32 - 1);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn insert_at(&mut self, slot: usize, hash: u64) -> u32 {
        let index = self.len;
        self.slots[slot] = (hash >> 32 << 32) | u64::from(index + 1);
        self.len += 1;
        if self.len as usize * 2 > self.slots.len() {
            self.grow();
        }
        index
    }

    /// Twice the slots. A slot keeps only the high half of its hash, which [`place`] made the same as the other.
    #[cold]
    fn grow(&mut self) {
        let mut slots = vec![0; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for &slot in self.slots.iter().filter(|&&slot| slot as u32 != 0) {
            let mut at = (slot >> 32) as usize & mask;
            while slots[at] as u32 != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = slot;
        }
        self.slots = slots;
    }
}

enum Probe {
    Found(u32),
    Free(usize),
}

/// Makes both halves of a hash the same 32 bits, so that a slot, which keeps one half, knows its place in any table.
#[inline]
fn place(mixed: u64) -> u64 {
    let half = (mixed ^ (mixed >> 32)) & 0xffff_ffff;
    (half << 32) | half
}

/// The hash of an integer.
#[inline]
pub(crate) fn hash_integer(value: i64, seed: u64) -> u64 {
    place(fold(value as u64 ^ seed, 0x9e37_79b9_7f4a_7c15))
}

/// The hash of a UUID.
#[inline]
pub(crate) fn hash_uuid(value: u128, seed: u64) -> u64 {
    place(fold(value as u64 ^ seed, (value >> 64) as u64 ^ 0x9e37_79b9_7f4a_7c15))
}

/// The hash of a text.
#[inline]
pub(crate) fn hash_text(text: &[u8], seed: u64) -> u64 {
    let mut state = seed ^ text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        state = fold(u64::from_le_bytes(*word) ^ state, 0x9e37_79b9_7f4a_7c15);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    place(fold(u64::from_le_bytes(last) ^ state, 0xd6e8_feb8_6659_fd93))
}

/// This process's seed.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().hash_one(0_u64))
}

/// The two halves of the 128-bit product, folded: one multiplication that lets every input bit reach the result.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn finds_what_a_map_finds(values in prop::collection::vec(0_i64..2000, 0..3000)) {
            let (mut table, mut keys, mut oracle) = (InternTable::new(), Vec::new(), HashMap::new());
            for value in values {
                let hash = hash_integer(value, seed());
                let (index, is_new) = table.find_or_insert(hash, |index| keys[index as usize] == value);
                if is_new {
                    keys.push(value);
                }
                let next = oracle.len() as u32;
                prop_assert_eq!(index, *oracle.entry(value).or_insert(next));
                prop_assert_eq!(table.find(hash, |index| keys[index as usize] == value), Some(index));
            }
            prop_assert_eq!(table.find(hash_integer(-1, seed()), |index| keys[index as usize] == -1), None);
        }
    }

    #[test]
    fn one_hash_for_all_still_finds_each() {
        let mut table = InternTable::new();
        let mut keys = Vec::new();
        for value in 0..500_u32 {
            let (index, is_new) = table.find_or_insert(place(7), |index| keys[index as usize] == value);
            assert_eq!((index, is_new), (value, true));
            keys.push(value);
        }
        assert_eq!(table.find(place(7), |index| keys[index as usize] == 499), Some(499));
    }

    #[test]
    fn texts_of_every_length_differ() {
        let text = [b'a'; 40];
        let hashes: std::collections::HashSet<u64> = (0..40).map(|length| hash_text(&text[..length], seed())).collect();
        assert!(hashes.len() >= 39);
    }
}
