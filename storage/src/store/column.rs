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

impl<'a> ColumnView<'a> {
    /// The numbers behind the values, one a row.
    #[must_use]
    pub fn packed(&self) -> Packed<'a> {
        match *self {
            Self::Integers(Integers::Frame { packed, .. }) => packed,
            Self::Integers(Integers::Dictionary { codes, .. }) | Self::Codes(codes) => codes,
            Self::Identifiers(identifiers) => identifiers.codes,
        }
    }

    /// Whether no row's number is below that of the row before; of integers, whether no value is.
    #[must_use]
    pub fn ascends(&self) -> bool {
        let rises = !matches!(self, Self::Integers(Integers::Frame { multiplier: ..1, .. }));
        rises
            && match self.packed() {
                Packed::Zero(_) => true,
                Packed::U8(numbers) => numbers.is_sorted(),
                Packed::U16(numbers) => numbers.is_sorted(),
                Packed::U32(numbers) => numbers.is_sorted(),
                Packed::U64(numbers) => numbers.is_sorted(),
            }
    }
}

impl Packed<'_> {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Zero(rows) => *rows,
            Self::U8(numbers) => numbers.len(),
            Self::U16(numbers) => numbers.len(),
            Self::U32(numbers) => numbers.len(),
            Self::U64(numbers) => numbers.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that a number takes.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Zero(_) => 0,
            Self::U8(_) => 1,
            Self::U16(_) => 2,
            Self::U32(_) => 4,
            Self::U64(_) => 8,
        }
    }

    /// The number of one row: for single rows; a loop matches the width once and reads the slice.
    ///
    /// # Panics
    /// If there is no such row (unless every row is zero).
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> u64 {
        match self {
            Self::Zero(_) => 0,
            Self::U8(numbers) => u64::from(numbers[row]),
            Self::U16(numbers) => u64::from(numbers[row]),
            Self::U32(numbers) => u64::from(numbers[row]),
            Self::U64(numbers) => numbers[row],
        }
    }

    /// Appends what `value` makes of the numbers of some rows.
    pub(crate) fn gather<T: Clone>(&self, rows: &[u32], into: &mut Vec<T>, value: impl Fn(u64) -> T) {
        match self {
            Self::Zero(_) => into.resize(into.len() + rows.len(), value(0)),
            Self::U8(numbers) => into.extend(rows.iter().map(|row| value(numbers[*row as usize].into()))),
            Self::U16(numbers) => into.extend(rows.iter().map(|row| value(numbers[*row as usize].into()))),
            Self::U32(numbers) => into.extend(rows.iter().map(|row| value(numbers[*row as usize].into()))),
            Self::U64(numbers) => into.extend(rows.iter().map(|row| value(numbers[*row as usize]))),
        }
    }

    /// The largest number; 0 without rows.
    pub(crate) fn largest(&self) -> u64 {
        /// Compares as many at once as a vector holds, which the iterator's own `max` does not.
        fn of<T: Copy + Default + Ord + Into<u64>>(numbers: &[T]) -> u64 {
            numbers.iter().fold(T::default(), |largest, number| largest.max(*number)).into()
        }
        match self {
            Self::Zero(_) => 0,
            Self::U8(numbers) => of(numbers),
            Self::U16(numbers) => of(numbers),
            Self::U32(numbers) => of(numbers),
            Self::U64(numbers) => of(numbers),
        }
    }
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

impl Integers<'_> {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Frame { packed, .. } => packed.len(),
            Self::Dictionary { codes, .. } => codes.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the values of some rows.
    pub(crate) fn gather(&self, rows: &[u32], into: &mut Vec<i64>) {
        match *self {
            Self::Frame { base, multiplier, packed } => {
                packed.gather(rows, into, |packed| base.wrapping_add(multiplier.wrapping_mul(packed as i64)));
            }
            Self::Dictionary { values, codes } => codes.gather(rows, into, |code| values[code as usize]),
        }
    }

    /// The value of one row: for single rows; a loop matches the encoding once and reads the slices.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> i64 {
        match self {
            Self::Frame { base, multiplier, packed } => {
                base.wrapping_add(multiplier.wrapping_mul(packed.get(row) as i64))
            }
            Self::Dictionary { values, codes } => values[codes.get(row) as usize],
        }
    }
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

/// One identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier<'a> {
    /// A UUID's 128 bits.
    Uuid(u128),
    /// Another text.
    Text(&'a str),
}

impl<'a> Identifiers<'a> {
    /// The distinct identifiers; the largest code.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.uuids.len() + self.text_ends.len()
    }

    /// The identifier of a code; `None` for 0 (missing) and for what no sound segment holds.
    #[must_use]
    pub fn get(&self, code: u64) -> Option<Identifier<'a>> {
        let index = usize::try_from(code.checked_sub(1)?).ok()?;
        if let Some(&uuid) = self.uuids.get(index) {
            return Some(Identifier::Uuid(uuid));
        }
        let index = index - self.uuids.len();
        let end = usize::try_from(*self.text_ends.get(index)?).ok()?;
        let start = index.checked_sub(1).map_or(Some(0), |before| usize::try_from(self.text_ends[before]).ok())?;
        std::str::from_utf8(self.text.get(start..end)?).ok().map(Identifier::Text)
    }
}
