//! Texts to dictionary codes, through a small cache of this thread.
//!
//! The dictionaries of the store are shared by all threads behind a lock; the few thousand texts of real data fit a
//! cache that each parser keeps for itself, so that the lock is met once a text and not once a row. The cache is two
//! slots wide and never grows: a text that finds both slots of its hash taken displaces one. A slot is a cache line
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

    #[inline]
    fn hash(&self) -> u64 {
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let [a, b, c, d, e, f] = self.words;
        let low = (a.wrapping_mul(MIX) ^ b).wrapping_mul(MIX) ^ c;
        let high = (d.wrapping_mul(MIX) ^ e).wrapping_mul(MIX) ^ f;
        let mixed = (low ^ low >> 32).wrapping_mul(MIX) ^ high.rotate_left(29);
        (mixed ^ mixed >> 29).wrapping_mul(MIX)
    }
}

/// A cache of one dictionary's codes.
#[derive(Debug)]
pub(super) struct CodeCache {
    slots: Box<[Slot]>,
    shift: u32,
    latest: Slot,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    /// The text's code, or 0 in a free slot.
    code: u32,
}

impl Slot {
    const FREE: Self = Self { key: Key { words: [0; WORDS], length: 0 }, code: 0 };
}

impl CodeCache {
    /// A cache of `1 << bits` texts, at least two.
    pub(super) fn new(bits: u32) -> Self {
        Self { slots: vec![Slot::FREE; 1 << bits].into(), shift: 64 - bits, latest: Slot::FREE }
    }

    /// The code of a text that is not empty, if it is here.
    #[inline]
    pub(super) fn find(&mut self, key: &Key) -> Option<u32> {
        if self.latest.key == *key {
            return Some(self.latest.code);
        }
        let at = (key.hash() >> self.shift) as usize;
        let slot = [at, at ^ 1].into_iter().filter_map(|at| self.slots.get(at)).find(|slot| slot.key == *key)?;
        self.latest = *slot;
        Some(slot.code)
    }

    /// The code of a text that is not empty: from here, or from `dictionary`, and then it is here.
    pub(super) fn find_or<E>(&mut self, text: &[u8], dictionary: impl FnOnce() -> Result<u32, E>) -> Result<u32, E> {
        let Some(key) = Key::of(text) else { return dictionary() };
        if let Some(code) = self.find(&key) {
            return Ok(code);
        }
        let code = dictionary()?;
        let at = (key.hash() >> self.shift) as usize;
        let at = if self.slots[at].code != 0 && self.slots[at ^ 1].code == 0 { at ^ 1 } else { at };
        self.slots[at] = Slot { key, code };
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
            let mut cache = CodeCache::new(2);
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
