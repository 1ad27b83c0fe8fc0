//! Values of a column, whatever format they were read from.

use std::sync::Arc;

use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};

/// What a column of a file holds, as far as it matters for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Text,
    Integer,
    Float,
    Decimal,
    Instant,
    Uuid,
    /// No value at all, as where a writer found nothing to see a type by.
    Nothing,
    /// Anything that no column of an event can be: lists, structures, flags, dates, times of day.
    Other,
}

/// Some values and which of them are missing.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) values: Values,
    pub(super) nulls: Option<NullBuffer>,
}

/// As many values as there are rows; those of missing ones mean nothing.
#[derive(Debug, Clone)]
pub(super) enum Values {
    /// Value `n` is the bytes between offsets `n` and `n + 1`.
    Text(Texts),
    /// Value `n` is text `codes[n]`.
    Codes {
        codes: Vec<u32>,
        texts: Arc<Texts>,
    },
    Integers(Vec<i64>),
    Unsigned(Vec<u64>),
    Doubles(Vec<f64>),
    Singles(Vec<f32>),
    /// Value `n` is `units[n] / 10^scale`.
    Decimals {
        units: Vec<i128>,
        scale: u8,
    },
    /// Milliseconds since 1970 in UTC; what is finer has been cut.
    Instants(Vec<i64>),
    Uuids(Vec<u128>),
}

/// Texts, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    pub(super) offsets: OffsetBuffer<i32>,
    pub(super) bytes: Buffer,
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }
}

impl Column {
    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Text(texts) => texts.len(),
            Values::Codes { codes, .. } => codes.len(),
            Values::Integers(values) | Values::Instants(values) => values.len(),
            Values::Unsigned(values) => values.len(),
            Values::Doubles(values) => values.len(),
            Values::Singles(values) => values.len(),
            Values::Decimals { units, .. } => units.len(),
            Values::Uuids(values) => values.len(),
        }
    }
}
