//! Texts to dictionary codes, through a small cache of this thread.
//!
//! The dictionaries of the store are shared by all threads behind a lock; the few thousand texts of real data fit a
//! cache that each parser keeps for itself, so that the lock is met once a text and not once a row. The cache is four
//! slots wide and never grows: a text that finds all slots of its hash taken displaces one. A slot is a cache line
//! that holds the text itself, up to 48 bytes, as words: comparing is six words side by side, no pointer is followed.
//! Longer texts are rare and go to the dictionary every time.

use super::words;

/// Words of a cached text.
const WORDS: usize = 6;

/// A text of at most 48 bytes as words, zero after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    words: [u64; WORDS],
    length: u32,
    hash: u64,
}

impl Key {
    /// The key of a text, or `None` if it is too long for one.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 8 * WORDS];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        let mut last = [0; 8];
        let rest = &text[text.len().saturating_sub(8)..];
        last[8 - rest.len()..].copy_from_slice(rest);
        Some(Self { words, length: text.len() as u32, hash: hash(words[0], u64::from_le_bytes(last), text.len()) })
    }

    /// The key of the text that stands from `start` to `end`. `None` also where the bytes end soon, or have started only
    /// now: 48 of them are looked at, and the eight before the end.
    #[inline(always)]
    pub(super) fn at(bytes: &[u8], start: usize, end: usize) -> Option<Self> {
        let text: &[u8; 8 * WORDS] = bytes.get(start..)?.first_chunk()?;
        let length = end.checked_sub(start)?;
        let mask = MASKS.get(length)?;
        let mut words = [0; WORDS];
        for ((word, chunk), mask) in words.iter_mut().zip(text.as_chunks().0).zip(mask) {
            *word = u64::from_le_bytes(*chunk) & mask;
        }
        let first = words::load(text, 0)? & mask[0];
        // Of a text shorter than a word, the last word starts before it.
        let last = words::load_before(bytes, end)? & mask[0].swap_bytes();
        Some(Self { words, length: length as u32, hash: hash(first, last, length) })
    }

    /// Whether the text starts with this byte.
    #[inline]
    pub(super) const fn starts_with(&self, byte: u8) -> bool {
        self.words[0] as u8 == byte
    }
}

/// A hash whose high bits are good, of the first and the last eight bytes of a text. Texts of a shop that agree in both
/// are few (a slot holds the text itself, so that they are told apart), and two words are a third of the work of six.
/// (The constants are those of wyhash and SplitMix64; a file made to collide only makes itself slow.)
#[inline(always)]
fn hash(first: u64, last: u64, length: usize) -> u64 {
    let product =
        (first ^ length as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ last.wrapping_mul(0xA076_1D64_78BD_642F);
    // What the upper half of a word says reaches the high bits only by being brought down.
    (product ^ product >> 32).wrapping_mul(0xE703_7ED1_A0B4_28DB)
}

/// For each length of a text, which bits of its words belong to it.
static MASKS: [[u64; WORDS]; 8 * WORDS + 1] = masks();

const fn masks() -> [[u64; WORDS]; 8 * WORDS + 1] {
    let mut masks = [[0; WORDS]; 8 * WORDS + 1];
    let mut length = 0;
    while length < masks.len() {
        let mut byte = 0;
        while byte < length {
            masks[length][byte / 8] |= 0xFF << (8 * (byte % 8));
            byte += 1;
        }
        length += 1;
    }
    masks
}

/// A cache of one dictionary's codes.
#[derive(Debug)]
pub(super) struct CodeCache {
    slots: Box<[Slot]>,
    shift: u32,
    displaced: usize,
}

/// Slots that a text may be in.
const WAYS: usize = 4;

/// A text and its code, on a cache line of its own: looking a text up is one miss at most.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Slot {
    words: [u64; WORDS],
    /// Bytes of the text, or [`Slot::FREE`].
    length: u32,
    /// The text's code.
    code: u32,
}

impl Slot {
    /// The length where there is no text.
    const FREE: u32 = u32::MAX;

    /// Whether the text is this one: six comparisons and no branch, where the derived way calls `memcmp`.
    #[inline(always)]
    fn is(&self, key: &Key) -> bool {
        let differing = self.words.iter().zip(&key.words).fold(0, |differing, (a, b)| differing | (a ^ b));
        differing | u64::from(self.length ^ key.length) == 0
    }
}

impl CodeCache {
    /// A cache in which the empty text has code 0: it stands for a missing value and is found like any other text.
    pub(super) fn of_optional(bits: u32) -> Self {
        let mut cache = Self::new(bits);
        cache.insert(&Key { words: [0; WORDS], length: 0, hash: hash(0, 0, 0) }, 0);
        cache
    }

    /// A cache of `1 << bits` texts, at least four.
    pub(super) fn new(bits: u32) -> Self {
        let free = Slot { words: [0; WORDS], length: Slot::FREE, code: 0 };
        Self { slots: vec![free; 1 << bits].into(), shift: 64 - bits, displaced: 0 }
    }

    /// The code of a text, if it is here.
    #[inline(always)]
    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let at = (key.hash >> self.shift) as usize;
        let first = &self.slots[at];
        if first.is(key) { Some(first.code) } else { self.find_further(key, at) }
    }

    /// Looks into the other slots. Few texts of real data are there.
    #[cold]
    fn find_further(&self, key: &Key, at: usize) -> Option<u32> {
        let slots = (1..WAYS).map(|way| &self.slots[at ^ way]);
        slots.filter(|slot| slot.is(key)).map(|slot| slot.code).next()
    }

    /// The code of a text: from here, or from `dictionary`, and then it is here.
    pub(super) fn find_or<E>(&mut self, text: &[u8], dictionary: impl FnOnce() -> Result<u32, E>) -> Result<u32, E> {
        let Some(key) = Key::of(text) else { return dictionary() };
        if let Some(code) = self.find(&key) {
            return Ok(code);
        }
        let code = dictionary()?;
        self.insert(&key, code);
        Ok(code)
    }

    fn insert(&mut self, key: &Key, code: u32) {
        let at = (key.hash >> self.shift) as usize;
        let free = (0..WAYS).find(|way| self.slots[at ^ way].length == Slot::FREE);
        let way = free.unwrap_or_else(|| {
            self.displaced = (self.displaced + 1) % WAYS;
            // The missing value stays: it is in many rows, and the general path never asks for its code.
            if self.slots[at ^ self.displaced].code == 0 { (self.displaced + 1) % WAYS } else { self.displaced }
        });
        self.slots[at ^ way] = Slot { words: key.words, length: key.length, code };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_equal_a_map(texts in proptest::collection::vec("[a-c\0]{1,3}|[a-b.]{40,50}", 1..100)) {
            let mut cache = CodeCache::new(3);
            let mut dictionary = HashMap::new();
            for text in &texts {
                let next = dictionary.len() as u32 + 1;
                let code = *dictionary.entry(text.clone()).or_insert(next);
                prop_assert_eq!(cache.find_or(text.as_bytes(), || Ok::<_, Infallible>(code)), Ok(code));
                if let Some(key) = Key::of(text.as_bytes()) {
                    prop_assert_eq!(cache.find(&key), Some(code));
                }
            }
        }

        #[test]
        fn a_missing_value_stays(texts in proptest::collection::vec("[a-z]{1,3}", 0..100)) {
            let mut cache = CodeCache::of_optional(2);
            for (number, text) in texts.iter().enumerate() {
                cache.find_or(text.as_bytes(), || Ok::<_, Infallible>(number as u32 + 1)).unwrap();
            }
            prop_assert_eq!(cache.find(&Key::of(b"").unwrap()), Some(0));
        }

        #[test]
        fn keys_in_place_equal_made_keys(bytes in proptest::collection::vec(any::<u8>(), 100), at in 0..=60_usize, length in 0..=40_usize) {
            let expected = (at <= 52 && at + length >= 8).then(|| Key::of(&bytes[at..at + length])).flatten();
            prop_assert_eq!(Key::at(&bytes, at, at + length), expected);
        }
    }
}
