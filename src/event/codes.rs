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
        Some(Self { words, length: text.len() as u32 })
    }

    /// Reads a plain text and the comma after it at `at`, as its key and the place after the comma.
    ///
    /// `None` for everything else: a quote, a line end, a text of more than 47 bytes, one with a character below the
    /// comma (a space, say), the end of the bytes. One comparison a word finds them all.
    #[inline]
    pub(super) fn read(bytes: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut words = [0; WORDS];
        for (index, place) in words.iter_mut().enumerate() {
            let word = words::load(bytes, at + 8 * index)?;
            let count = words::leading_at_least(word, b',' + 1);
            if count == 8 {
                *place = word;
                continue;
            }
            if (word >> (8 * count)) as u8 != b',' {
                return None;
            }
            *place = words::first(word, count);
            let length = 8 * index + count as usize;
            return Some((Self { words, length: length as u32 }, at + length + 1));
        }
        None
    }

    /// Whether the text is empty.
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the texts are the same: six comparisons and no branch, where the derived way calls `memcmp`.
    #[inline]
    fn is(&self, other: &Self) -> bool {
        let differing = self.words.iter().zip(&other.words).fold(0, |differing, (a, b)| differing | (a ^ b));
        differing == 0 && self.length == other.length
    }

    /// A hash whose high bits are good: products with odd constants, all at once. (The constants are those of wyhash and
    /// SplitMix64; a file made to collide only makes itself slow.)
    #[inline]
    fn hash(&self) -> u64 {
        const FACTORS: [u64; WORDS] = [
            0x9E37_79B9_7F4A_7C15,
            0xA076_1D64_78BD_642F,
            0xE703_7ED1_A0B4_28DB,
            0x8EBC_6AF0_9C88_C6E3,
            0x5899_65CC_7537_4CC3,
            0xBF58_476D_1CE4_E5B9,
        ];
        let products = self.words.iter().zip(FACTORS).fold(0u64, |sum, (word, factor)| {
            // The upper half of a word reaches the high bits only if it is brought down.
            sum.wrapping_add((word ^ word >> 32).wrapping_mul(factor))
        });
        (products ^ products >> 32).wrapping_mul(FACTORS[0])
    }
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
    key: Key,
    /// The text's code, or 0 in a free slot.
    code: u32,
}

impl CodeCache {
    /// A cache of `1 << bits` texts, at least four.
    pub(super) fn new(bits: u32) -> Self {
        let free = Slot { key: Key { words: [0; WORDS], length: 0 }, code: 0 };
        Self { slots: vec![free; 1 << bits].into(), shift: 64 - bits, displaced: 0 }
    }

    /// The code of a text that is not empty, if it is here.
    #[inline]
    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let at = (key.hash() >> self.shift) as usize;
        let slots = (0..WAYS).filter_map(|way| self.slots.get(at ^ way));
        slots.filter(|slot| slot.key.is(key)).map(|slot| slot.code).next()
    }

    /// The code of a text that is not empty: from here, or from `dictionary`, and then it is here.
    pub(super) fn find_or<E>(&mut self, text: &[u8], dictionary: impl FnOnce() -> Result<u32, E>) -> Result<u32, E> {
        let Some(key) = Key::of(text) else { return dictionary() };
        if let Some(code) = self.find(&key) {
            return Ok(code);
        }
        let code = dictionary()?;
        let at = (key.hash() >> self.shift) as usize;
        let free = (0..WAYS).find(|way| self.slots[at ^ way].code == 0);
        let way = free.unwrap_or_else(|| {
            self.displaced = (self.displaced + 1) % WAYS;
            self.displaced
        });
        self.slots[at ^ way] = Slot { key, code };
        Ok(code)
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
        fn read_keys_equal_made_keys(text in "[-a-zé.\0]{0,50}[ -,\n]?", rest in "[ -z]{8}") {
            let bytes = format!("{text},{rest}").into_bytes();
            let stop = bytes.iter().position(|byte| *byte <= b',').unwrap();
            match Key::read(&bytes, 0) {
                Some((key, next)) => {
                    prop_assert_eq!(bytes[stop], b',');
                    prop_assert_eq!(next, stop + 1);
                    prop_assert_eq!(Some(key), Key::of(&bytes[..stop]));
                }
                None => prop_assert!(bytes[stop] != b',' || stop > 47 || bytes.len() < stop / 8 * 8 + 8),
            }
        }
    }
}
