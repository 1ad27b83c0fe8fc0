//! Unsigned numbers at the narrowest of the widths that can be read in place.

use crate::store::column::Packed;

use super::plain;

/// Bytes a number takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    Zero,
    One,
    Two,
    Four,
    Eight,
}

impl Width {
    /// The narrowest width that holds numbers up to `largest`.
    pub(super) fn for_largest(largest: u64) -> Self {
        match largest {
            0 => Self::Zero,
            1..=0xff => Self::One,
            0x100..=0xffff => Self::Two,
            0x1_0000..=0xffff_ffff => Self::Four,
            _ => Self::Eight,
        }
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Zero => 0,
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    pub(super) fn from_bytes(bytes: u8) -> Option<Self> {
        [Self::Zero, Self::One, Self::Two, Self::Four, Self::Eight]
            .into_iter()
            .find(|width| width.bytes() == usize::from(bytes))
    }

    /// Reads a region of this width in place; `None` if its bytes don't fit it.
    pub(super) fn view(self, bytes: &[u8], rows: usize) -> Option<Packed<'_>> {
        let packed = match self {
            Self::Zero => Packed::Zero(rows),
            Self::One => Packed::U8(bytes),
            Self::Two => Packed::U16(plain::numbers(bytes)?),
            Self::Four => Packed::U32(plain::numbers(bytes)?),
            Self::Eight => Packed::U64(plain::numbers(bytes)?),
        };
        (packed.len() == rows).then_some(packed)
    }
}

/// A region's numbers, on their way to the file.
#[derive(Debug)]
pub(super) enum Numbers {
    Zero,
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    U128(Vec<u128>),
}

impl Numbers {
    /// Packs the numbers that `to_number` makes of each chunk's values; all of them fit the width.
    pub(super) fn pack<T: Copy>(
        width: Width,
        chunks: &[&[T]],
        rows: usize,
        to_number: impl Fn(T) -> u64 + Copy,
    ) -> Self {
        match width {
            Width::Zero => Self::Zero,
            Width::One => Self::U8(collect(chunks, rows, |value| to_number(value) as u8)),
            Width::Two => Self::U16(collect(chunks, rows, |value| to_number(value) as u16)),
            Width::Four => Self::U32(collect(chunks, rows, |value| to_number(value) as u32)),
            Width::Eight => Self::U64(collect(chunks, rows, to_number)),
        }
    }

    /// The bytes as they stand in the file.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Zero => &[],
            Self::U8(numbers) => numbers,
            Self::U16(numbers) => plain::bytes(numbers),
            Self::U32(numbers) => plain::bytes(numbers),
            Self::U64(numbers) => plain::bytes(numbers),
            Self::I64(numbers) => plain::bytes(numbers),
            Self::U128(numbers) => plain::bytes(numbers),
        }
    }
}

fn collect<T: Copy, N>(chunks: &[&[T]], rows: usize, to_number: impl Fn(T) -> N + Copy) -> Vec<N> {
    let mut numbers = Vec::with_capacity(rows);
    for chunk in chunks {
        numbers.extend(chunk.iter().map(|&value| to_number(value)));
    }
    numbers
}
