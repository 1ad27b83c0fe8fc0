//! Packed keys: several fields side by side in one integer, so that grouping compares, sorts and counts plain numbers.
//!
//! The first field takes the highest bits: keys order as the fields do, first field first. Most keys of real stores fit
//! 64 bits (27 for the user, 8 for the category, 13 for the brand); wider ones take 128, by the same code.

use std::fmt::Debug;

use bytemuck::Pod;

use super::decode::{Scratch, scratch};
use super::driver::Chunk;
use super::events::Events;
use super::field::Field;

/// An unsigned integer that holds a packed key.
pub(crate) trait Key: Pod + Ord + Debug + Default + Send + Sync {
    /// Bits it has.
    const BITS: u32;

    /// An ordinal alone.
    fn from_ordinal(ordinal: u64) -> Self;
    /// The key in 128 bits.
    fn wide(self) -> u128;
    /// Bits `shift..shift + bits`, with `bits` at most 64.
    fn bits(self, shift: u32, bits: u32) -> u64;
    /// Bits `shift..shift + bits` of any number of bits.
    fn range(self, shift: u32, bits: u32) -> Self;
    /// Bits `shift..` under a mask, for a shift below [`Key::BITS`].
    fn digit(self, shift: u32, mask: usize) -> usize;
    /// The key moved up by `bits`, less than [`Key::BITS`], with an ordinal put below.
    fn append(self, bits: u32, ordinal: u64) -> Self;
    /// The bits in which two keys differ.
    fn differing(self, other: Self) -> Self;
    /// Whether two keys have the same bits from bit `below` on.
    fn is_alike(self, other: Self, below: u32) -> bool;
    /// The bits set in either.
    fn either(self, other: Self) -> Self;
    /// Bits up to the highest one set.
    fn significant_bits(self) -> u32;
    /// Bits below the lowest one set.
    fn trailing_zeros(self) -> u32;
}

macro_rules! key {
    ($integer:ty) => {
        impl Key for $integer {
            const BITS: u32 = <$integer>::BITS;

            fn from_ordinal(ordinal: u64) -> Self {
                ordinal as $integer
            }

            fn wide(self) -> u128 {
                self.into()
            }

            #[inline]
            fn bits(self, shift: u32, bits: u32) -> u64 {
                self.range(shift, bits.min(u64::BITS)) as u64
            }

            #[inline]
            fn digit(self, shift: u32, mask: usize) -> usize {
                self.wrapping_shr(shift) as usize & mask
            }

            #[inline]
            fn range(self, shift: u32, bits: u32) -> Self {
                let low = self.checked_shr(shift).unwrap_or_default();
                if bits >= Self::BITS { low } else { low & ((1 << bits) - 1) }
            }

            #[inline]
            fn append(self, bits: u32, ordinal: u64) -> Self {
                (self << bits) | Self::from_ordinal(ordinal)
            }

            #[inline]
            fn differing(self, other: Self) -> Self {
                self ^ other
            }

            #[inline]
            fn is_alike(self, other: Self, below: u32) -> bool {
                below >= Self::BITS || (self ^ other) >> below == 0
            }

            #[inline]
            fn either(self, other: Self) -> Self {
                self | other
            }

            fn significant_bits(self) -> u32 {
                Self::BITS - self.leading_zeros()
            }

            fn trailing_zeros(self) -> u32 {
                <$integer>::trailing_zeros(self)
            }
        }
    };
}

key!(u64);
key!(u128);

/// Which fields a key holds, the first one highest.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    fields: Vec<Field<'a>>,
}

impl<'a> Layout<'a> {
    /// Fields side by side, at most 128 bits of them.
    pub(crate) fn new(fields: Vec<Field<'a>>) -> Self {
        Self { fields }
    }

    /// Fields side by side, the widest of them narrowed (see [`Field::narrowed`]) if together they took more than 128 bits:
    /// ids and prices from all of 64 bits. What an ordinal stands for, [`Field::value`] then still knows, and only that.
    pub(crate) fn fitted(events: &Events<'a>, fields: Vec<Field<'a>>) -> Self {
        let mut layout = Self::new(fields);
        while layout.bits() > u128::BITS {
            let narrowed = layout.fields.iter().enumerate().filter_map(|(place, field)| {
                let narrowed = field.narrowed(events)?;
                (narrowed.bits() < field.bits()).then_some((place, narrowed))
            });
            let saved = |(place, narrowed): &(usize, Field<'_>)| layout.fields[*place].bits() - narrowed.bits();
            let Some((place, narrowed)) = narrowed.max_by_key(saved) else { break };
            layout.fields[place] = narrowed;
        }
        layout
    }

    /// A field by its place.
    pub(crate) fn field(&self, index: usize) -> &Field<'a> {
        &self.fields[index]
    }

    /// How many fields there are.
    pub(crate) fn fields(&self) -> usize {
        self.fields.len()
    }

    /// Bits of all fields.
    pub(crate) fn bits(&self) -> u32 {
        self.fields.iter().map(Field::bits).sum()
    }

    /// Bits below the first `fields` fields.
    pub(crate) fn bits_below(&self, fields: usize) -> u32 {
        self.fields[fields..].iter().map(Field::bits).sum()
    }

    /// The ordinal of a field in a key.
    #[inline]
    pub(crate) fn ordinal<K: Key>(&self, key: K, field: usize) -> u64 {
        key.bits(self.bits_below(field + 1), self.fields[field].bits())
    }

    /// Buffers for [`Layout::keys`].
    pub(crate) fn scratch<K: Key>(&self) -> KeyScratch<K> {
        KeyScratch { ordinals: scratch(), keys: scratch() }
    }

    /// The keys of a chunk's selected rows.
    pub(crate) fn keys<'s, K: Key>(&self, chunk: &Chunk<'_>, scratch: &'s mut KeyScratch<K>) -> &'s [K] {
        let keys = &mut scratch.keys[..chunk.len()];
        self.pack(chunk, &mut scratch.ordinals, keys);
        keys
    }

    /// Puts the keys of a chunk's selected rows into `keys`, which has as many.
    pub(crate) fn pack<K: Key>(&self, chunk: &Chunk<'_>, ordinals: &mut Scratch<u64>, keys: &mut [K]) {
        keys.fill(K::default());
        for field in &self.fields {
            let bits = field.bits();
            if bits == K::BITS {
                chunk.put_ordinals(field, ordinals, keys, |key, ordinal| *key = K::from_ordinal(ordinal));
            } else {
                chunk.put_ordinals(field, ordinals, keys, |key, ordinal| *key = key.append(bits, ordinal));
            }
        }
    }
}

/// Buffers of one worker.
#[derive(Debug)]
pub(crate) struct KeyScratch<K> {
    ordinals: Scratch<u64>,
    keys: Scratch<K>,
}
