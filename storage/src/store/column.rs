//! Columns as a kernel reads them: slices of the memory map, as narrow as the values allow.

/// One column of a segment, read in place.
#[derive(Debug, Clone, Copy)]
pub enum ColumnView<'a> {
    /// Timestamps, integers and decimals.
    Integers(Integers<'a>),
    /// Codes into the store-wide dictionary: 0 is missing, code `n` is the dictionary's entry `n - 1`.
    Codes(Packed<'a>),
    /// UUIDs and other identifiers.
    Identifiers(Identifiers<'a>),
}

/// Unsigned integers of one width, one a row.
#[derive(Debug, Clone, Copy)]
pub enum Packed<'a> {
    /// Every row is zero; the number of rows.
    Zero(usize),
    /// One byte a row.
    U8(&'a [u8]),
    /// Two bytes a row.
    U16(&'a [u16]),
    /// Four bytes a row.
    U32(&'a [u32]),
    /// Eight bytes a row.
    U64(&'a [u64]),
}

/// 64-bit integers, kept narrower than that.
#[derive(Debug, Clone, Copy)]
pub enum Integers<'a> {
    /// Frame of reference: row `i` is `base + multiplier * packed[i]` (wrapping 64-bit arithmetic).
    Frame {
        /// The smallest value.
        base: i64,
        /// The common divisor of all distances from `base`, at least 1.
        multiplier: i64,
        /// The distances divided by `multiplier`.
        packed: Packed<'a>,
    },
    /// A dictionary of this segment alone: row `i` is `values[codes[i]]`.
    Dictionary {
        /// The distinct values, ascending.
        values: &'a [i64],
        /// Indexes into `values`.
        codes: Packed<'a>,
    },
}

/// Identifiers of one segment: each distinct one is kept once.
///
/// Code 0 is missing, codes `1..=uuids.len()` are UUIDs, larger ones are texts in order.
#[derive(Debug, Clone, Copy)]
pub struct Identifiers<'a> {
    /// One code a row.
    pub codes: Packed<'a>,
    /// The distinct UUIDs, in order of first appearance.
    pub uuids: &'a [u128],
    /// The end of each distinct other text in `text`; the first starts at 0.
    pub text_ends: &'a [u64],
    /// The other texts, one after the other.
    pub text: &'a [u8],
}
