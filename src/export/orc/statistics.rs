//! Column statistics: what lets a reader skip a row group, a stripe or a file.
//!
//! Collected once per row group and merged upwards. Bounds always hold: text beyond [`LONGEST_BOUND`] bytes is cut
//! to a lower and an upper bound, a column with a NaN gets bounds that exclude nothing, and a sum that overflows is
//! left out.

use super::protobuf::Message;
use crate::export::text::append_decimal;

/// Bytes of text that a bound holds at most, as in the reference writer.
const LONGEST_BOUND: usize = 1024;

/// Statistics of one column over some rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Statistics {
    /// Rows that have a value.
    pub(super) values: u64,
    /// Whether a row has none.
    pub(super) has_missing: bool,
    /// Bounds and sums; `None` without values and for structs.
    pub(super) range: Option<Range>,
}

/// Bounds and sums by type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Range {
    Integers { least: i64, most: i64, sum: Option<i64> },
    Doubles { least: f64, most: f64, sum: f64 },
    Text { least: Vec<u8>, most: Vec<u8>, bytes: i64 },
    Decimals { least: i128, most: i128, sum: Option<i128>, scale: i8 },
    Days { least: i64, most: i64 },
    Instants { least: i64, most: i64 },
}

impl Range {
    pub(super) fn integers(values: &[i64]) -> Option<Self> {
        let (least, most) = bounds(values)?;
        let sum = values.iter().try_fold(0_i64, |sum, &value| sum.checked_add(value));
        Some(Self::Integers { least, most, sum })
    }

    pub(super) fn days(values: &[i64]) -> Option<Self> {
        bounds(values).map(|(least, most)| Self::Days { least, most })
    }

    pub(super) fn instants(values: &[i64]) -> Option<Self> {
        bounds(values).map(|(least, most)| Self::Instants { least, most })
    }

    pub(super) fn decimals(values: &[i128], scale: i8) -> Option<Self> {
        let (least, most) = bounds(values)?;
        let sum = values.iter().try_fold(0_i128, |sum, &value| sum.checked_add(value));
        Some(Self::Decimals { least, most, sum, scale })
    }

    pub(super) fn doubles(values: &[f64]) -> Option<Self> {
        let sum: f64 = values.iter().sum();
        if values.is_empty() {
            None
        } else if values.iter().any(|value| value.is_nan()) {
            // Readers that know see the sum and look no further; for the others the bounds exclude nothing.
            Some(Self::Doubles { least: f64::NEG_INFINITY, most: f64::INFINITY, sum: f64::NAN })
        } else {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Some(Self::Doubles { least, most, sum })
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Integers { least, most, sum }, Self::Integers { least: low, most: high, sum: more }) => {
                (*least, *most) = ((*least).min(*low), (*most).max(*high));
                *sum = sum.zip(*more).and_then(|(sum, more)| sum.checked_add(more));
            }
            (Self::Doubles { least, most, sum }, Self::Doubles { least: low, most: high, sum: more }) => {
                (*least, *most, *sum) = (least.min(*low), most.max(*high), *sum + more);
            }
            (Self::Text { least, most, bytes }, Self::Text { least: low, most: high, bytes: more }) => {
                if low < least {
                    least.clone_from(low);
                }
                if high > most {
                    most.clone_from(high);
                }
                *bytes += more;
            }
            (Self::Decimals { least, most, sum, .. }, Self::Decimals { least: low, most: high, sum: more, .. }) => {
                (*least, *most) = ((*least).min(*low), (*most).max(*high));
                *sum = sum.zip(*more).and_then(|(sum, more)| sum.checked_add(more));
            }
            (Self::Days { least, most }, Self::Days { least: low, most: high })
            | (Self::Instants { least, most }, Self::Instants { least: low, most: high }) => {
                (*least, *most) = ((*least).min(*low), (*most).max(*high));
            }
            (left, right) => debug_assert!(false, "one column has one type, not {left:?} and {right:?}"),
        }
    }
}

fn bounds<T: Copy + Ord>(values: &[T]) -> Option<(T, T)> {
    let (&first, rest) = values.split_first()?;
    Some(rest.iter().fold((first, first), |(least, most), &value| (least.min(value), most.max(value))))
}

impl Statistics {
    /// Statistics of the root struct: rows, and nothing else.
    pub(super) fn rows(rows: usize) -> Self {
        Self { values: rows as u64, has_missing: false, range: None }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.values += other.values;
        self.has_missing |= other.has_missing;
        match (&mut self.range, &other.range) {
            (Some(range), Some(more)) => range.merge(more),
            (range @ None, Some(more)) => *range = Some(more.clone()),
            (_, None) => {}
        }
    }

    /// The message `ColumnStatistics`.
    pub(super) fn message(&self) -> Message {
        const NUMBER_OF_VALUES: u64 = 1;
        const HAS_NULL: u64 = 10;
        let mut message = Message::new();
        message.unsigned(NUMBER_OF_VALUES, self.values);
        if let Some(range) = &self.range {
            let (field, typed) = range.message();
            message.message(field, &typed);
        }
        message.unsigned(HAS_NULL, u64::from(self.has_missing));
        message
    }
}

impl Range {
    /// The field of `ColumnStatistics` that holds the typed statistics, and its message.
    fn message(&self) -> (u64, Message) {
        const MINIMUM: u64 = 1;
        const MAXIMUM: u64 = 2;
        const SUM: u64 = 3;
        let mut message = Message::new();
        let field = match self {
            Self::Integers { least, most, sum } => {
                message.signed(MINIMUM, *least).signed(MAXIMUM, *most);
                if let Some(sum) = sum {
                    message.signed(SUM, *sum);
                }
                2
            }
            Self::Doubles { least, most, sum } => {
                message.double(MINIMUM, *least).double(MAXIMUM, *most).double(SUM, *sum);
                3
            }
            Self::Text { least, most, bytes } => {
                append_text_bounds(least, most, &mut message);
                message.signed(SUM, *bytes);
                4
            }
            Self::Decimals { least, most, sum, scale } => {
                for (field, value) in [(MINIMUM, Some(least)), (MAXIMUM, Some(most)), (SUM, sum.as_ref())] {
                    if let Some(value) = value {
                        let mut text = Vec::new();
                        append_decimal(*value, *scale, &mut text);
                        message.bytes(field, &text);
                    }
                }
                6
            }
            Self::Days { least, most } => {
                message.signed(MINIMUM, *least).signed(MAXIMUM, *most);
                7
            }
            Self::Instants { least, most } => {
                const MINIMUM_UTC: u64 = 3;
                const MAXIMUM_UTC: u64 = 4;
                message.signed(MINIMUM_UTC, *least).signed(MAXIMUM_UTC, *most);
                9
            }
        };
        (field, message)
    }
}

/// Writes bounds of text: exact ones, or cut ones in the fields that say so.
fn append_text_bounds(least: &[u8], most: &[u8], message: &mut Message) {
    const MINIMUM: u64 = 1;
    const MAXIMUM: u64 = 2;
    const LOWER_BOUND: u64 = 4;
    const UPPER_BOUND: u64 = 5;
    match cut(least) {
        None => message.bytes(MINIMUM, least),
        Some(start) => message.bytes(LOWER_BOUND, start.as_bytes()),
    };
    match cut(most) {
        None => message.bytes(MAXIMUM, most),
        Some(start) => message.bytes(UPPER_BOUND, successor(start).as_bytes()),
    };
}

/// The longest start of whole characters within the limit; `None` if the text fits.
fn cut(text: &[u8]) -> Option<&str> {
    let start = text.get(..LONGEST_BOUND).filter(|_| text.len() > LONGEST_BOUND)?;
    match std::str::from_utf8(start) {
        Ok(start) => Some(start),
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).ok(),
    }
}

/// A text that is greater than every text with this start.
fn successor(start: &str) -> String {
    let mut kept = start.to_owned();
    while let Some(last) = kept.pop() {
        let after = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(after) = after {
            kept.push(after);
            return kept;
        }
    }
    // Only the greatest characters: the greatest text of more of them than were cut off would not be shorter.
    char::MAX.to_string().repeat(LONGEST_BOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_equals_collecting_at_once() {
        let values = [5, -7, 0, i64::MAX, i64::MIN, 3];
        for split in 0..=values.len() {
            let (left, right) = values.split_at(split);
            let part = |part: &[i64]| Statistics {
                values: part.len() as u64,
                has_missing: false,
                range: Range::integers(part).map(|range| match range {
                    Range::Integers { least, most, .. } => Range::Days { least, most },
                    other => other,
                }),
            };
            let mut merged = part(left);
            merged.merge(&part(right));
            assert_eq!(merged, part(&values));
        }
    }

    #[test]
    fn a_sum_that_overflows_is_left_out() {
        let mut range = Range::integers(&[i64::MAX]).unwrap();
        range.merge(&Range::integers(&[1]).unwrap());
        assert_eq!(range, Range::Integers { least: 1, most: i64::MAX, sum: None });
    }

    #[test]
    fn bounds_of_long_text_hold() {
        let long = "é".repeat(2000);
        let start = cut(long.as_bytes()).unwrap();
        assert_eq!(start.len(), LONGEST_BOUND);
        assert!(start < long.as_str() && successor(start) > long);
        let odd = format!("x{long}");
        let start = cut(odd.as_bytes()).unwrap();
        assert_eq!(start.len(), LONGEST_BOUND - 1);
        assert!(successor(start) > odd);
        assert_eq!(successor("a\u{d7ff}"), "a\u{e000}");
        assert_eq!(successor("a\u{10ffff}"), "b");
        assert_eq!(cut(b"short"), None);
    }

    #[test]
    fn a_column_with_nan_excludes_nothing() {
        let range = Range::doubles(&[1.0, f64::NAN]).unwrap();
        assert!(matches!(range, Range::Doubles { least: f64::NEG_INFINITY, most: f64::INFINITY, .. }));
    }
}
