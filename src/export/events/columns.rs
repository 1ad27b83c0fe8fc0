//! Columns of a segment as plain values of selected rows.
//!
//! A segment's bytes are mapped, and their checksums are not looked at on every read: codes are compared with the
//! number of values there are before they are used as indexes, so that damage ends in a message.

use std::collections::BTreeMap;
use std::ops::Range;

use cartlog_storage::store::{Integers, Packed};

use crate::event;
use crate::export::ExportError;

/// Rows of a segment, ascending.
#[derive(Debug)]
pub(super) enum Rows<'a> {
    Range(Range<usize>),
    List(&'a [usize]),
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::List(rows) => rows.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn gather<T: Copy, U>(&self, values: &[T], convert: impl Fn(T) -> U) -> Vec<U> {
        match self {
            Self::Range(range) => values[range.clone()].iter().map(|&value| convert(value)).collect(),
            Self::List(rows) => rows.iter().map(|&row| convert(values[row])).collect(),
        }
    }
}

/// The name of a column in messages.
pub(super) fn name(column: usize) -> &'static str {
    event::HEADER.split(',').nth(column).unwrap_or("?")
}

fn packed<U: Clone>(packed: Packed<'_>, rows: &Rows<'_>, convert: impl Fn(u64) -> U) -> Vec<U> {
    match packed {
        Packed::Zero(_) => vec![convert(0); rows.len()],
        Packed::U8(values) => rows.gather(values, |value| convert(u64::from(value))),
        Packed::U16(values) => rows.gather(values, |value| convert(u64::from(value))),
        Packed::U32(values) => rows.gather(values, |value| convert(u64::from(value))),
        Packed::U64(values) => rows.gather(values, convert),
    }
}

/// The 64-bit integers of the rows.
///
/// # Errors
/// [`ExportError::Code`] for a code beyond the segment's own dictionary.
pub(super) fn integers(column: usize, integers: Integers<'_>, rows: &Rows<'_>) -> Result<Vec<i64>, ExportError> {
    match integers {
        Integers::Frame { base, multiplier, packed: distances } => {
            Ok(packed(distances, rows, |distance| base.wrapping_add(multiplier.wrapping_mul(distance as i64))))
        }
        Integers::Dictionary { values, codes } => {
            let codes = packed(codes, rows, |code| code);
            check_codes(column, codes.iter().copied().max(), values.len() as u64)?;
            Ok(codes.into_iter().map(|code| values[code as usize]).collect())
        }
    }
}

/// The codes of the rows as indexes of texts, `None` for missing.
///
/// # Errors
/// [`ExportError::Code`] for a code beyond the last text.
pub(super) fn codes(
    column: usize,
    codes: Packed<'_>,
    rows: &Rows<'_>,
    texts: usize,
) -> Result<Vec<Option<u32>>, ExportError> {
    let codes = packed(codes, rows, |code| code);
    let largest = codes.iter().copied().max().and_then(|largest| largest.checked_sub(1));
    check_codes(column, largest, texts as u64)?;
    Ok(codes.into_iter().map(|code| u32::try_from(code).ok()?.checked_sub(1)).collect())
}

fn check_codes(column: usize, largest: Option<u64>, entries: u64) -> Result<(), ExportError> {
    match largest {
        Some(code) if code >= entries => Err(ExportError::Code { column: name(column), code, entries }),
        _ => Ok(()),
    }
}

/// The rows of each day (UTC), given the instants of the rows in milliseconds.
pub(super) fn split_by_day(times: &[i64], rows: &Rows<'_>) -> BTreeMap<i64, Vec<usize>> {
    const DAY_MS: i64 = 86_400_000;
    let mut days: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    let mut add = |(time, row): (&i64, usize)| days.entry(time.div_euclid(DAY_MS)).or_default().push(row);
    match rows {
        Rows::Range(range) => times.iter().zip(range.clone()).for_each(&mut add),
        Rows::List(rows) => times.iter().zip(rows.iter().copied()).for_each(&mut add),
    }
    days
}
