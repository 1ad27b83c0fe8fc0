//! Values as text: the one place that says how a decimal, a double, a date or an instant is written.
//!
//! CSV, JSON and the terminal print through [`Cells`], a column that is downcast once a batch and then appends row
//! after row to a byte buffer without allocating. Numbers are written by hand because `fmt` costs several times the
//! digits themselves, and an export of events writes six numbers a row.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMillisecondType, UInt32Type};
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
    UInt32Array,
};
use arrow_schema::{DataType, TimeUnit};

/// The type with a dictionary's values in the dictionary's place.
pub(super) fn plain_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

/// Whether [`Cells`] can print columns of this type.
pub(super) fn is_printable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8
        | DataType::Int64
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Date32
        | DataType::Timestamp(TimeUnit::Millisecond, _) => true,
        DataType::Dictionary(codes, values) => **codes == DataType::UInt32 && **values == DataType::Utf8,
        _ => false,
    }
}

/// One column of a batch, ready to be printed row by row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cells<'a> {
    Text(&'a StringArray),
    Dictionary(&'a UInt32Array, &'a StringArray),
    Integer(&'a Int64Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array, i8),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMillisecondArray),
}

impl<'a> Cells<'a> {
    /// The column as cells; `None` for a type that [`is_printable`] denies.
    pub(super) fn of(column: &'a ArrayRef) -> Option<Self> {
        if !is_printable(column.data_type()) {
            return None;
        }
        Some(match column.data_type() {
            DataType::Utf8 => Self::Text(column.as_string()),
            DataType::Dictionary(..) => {
                let dictionary = column.as_dictionary::<UInt32Type>();
                Self::Dictionary(dictionary.keys(), dictionary.values().as_string())
            }
            DataType::Int64 => Self::Integer(column.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Double(column.as_primitive::<Float64Type>()),
            DataType::Decimal128(_, scale) => Self::Decimal(column.as_primitive::<Decimal128Type>(), *scale),
            DataType::Date32 => Self::Date(column.as_primitive::<Date32Type>()),
            _ => Self::Timestamp(column.as_primitive::<TimestampMillisecondType>()),
        })
    }

    /// Whether the row has no value.
    pub(super) fn is_missing(self, row: usize) -> bool {
        match self {
            Self::Text(values) => values.is_null(row),
            Self::Dictionary(codes, values) => codes.is_null(row) || values.is_null(codes.value(row) as usize),
            Self::Integer(values) => values.is_null(row),
            Self::Double(values) => values.is_null(row),
            Self::Decimal(values, _) => values.is_null(row),
            Self::Date(values) => values.is_null(row),
            Self::Timestamp(values) => values.is_null(row),
        }
    }

    /// The row's text if this is a text column; meaningless for a missing row.
    pub(super) fn text(self, row: usize) -> Option<&'a str> {
        match self {
            Self::Text(values) => Some(values.value(row)),
            Self::Dictionary(codes, values) => Some(values.value(codes.value(row) as usize)),
            _ => None,
        }
    }

    /// Whether the column is read from right to left on paper.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Integer(_) | Self::Double(_) | Self::Decimal(..))
    }

    /// Appends the row's value as plain text: no quotes, an instant as the public layout writes it. Appends the null
    /// slot's meaningless value for a missing row.
    pub(super) fn append(self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Self::Dictionary(codes, values) => {
                out.extend_from_slice(values.value(codes.value(row) as usize).as_bytes());
            }
            Self::Integer(values) => append_integer(values.value(row), out),
            Self::Double(values) => append_double(values.value(row), out),
            Self::Decimal(values, scale) => append_decimal(values.value(row), scale, out),
            Self::Date(values) => append_date(i64::from(values.value(row)), out),
            Self::Timestamp(values) => append_timestamp(values.value(row), TimestampStyle::Public, out),
        }
    }
}

/// How an instant is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimestampStyle {
    /// `2019-10-01 00:00:00 UTC`, as in the public files.
    Public,
    /// `2019-10-01T00:00:00Z` (RFC 3339), as JavaScript reads it.
    Rfc3339,
}

/// Appends a 64-bit integer in decimal digits.
pub(super) fn append_integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    append_digits(value.unsigned_abs(), 1, out);
}

/// Appends the shortest digits that read back to the same double, always recognisable as one: `12.0`, `1e16`, `NaN`.
pub(super) fn append_double(value: f64, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // Writing to a vector can't fail.
    let _ = write!(out, "{value:?}");
}

/// Appends a decimal of `10^-scale` units exactly: at least two digits after the point (as many as the scale has if
/// fewer), and no zeros beyond them.
pub(super) fn append_decimal(units: i128, scale: i8, out: &mut Vec<u8>) {
    if units < 0 {
        out.push(b'-');
    }
    let magnitude = units.unsigned_abs();
    let Ok(digits @ 1..) = usize::try_from(scale) else {
        append_wide_digits(magnitude, 1, out);
        if magnitude > 0 {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        return;
    };
    let unit = 10_u128.pow(u32::from(scale.unsigned_abs()));
    match (u64::try_from(magnitude), u64::try_from(unit)) {
        (Ok(magnitude), Ok(unit)) => {
            append_digits(magnitude / unit, 1, out);
            out.push(b'.');
            append_digits(magnitude % unit, digits, out);
        }
        _ => {
            append_wide_digits(magnitude / unit, 1, out);
            out.push(b'.');
            append_wide_digits(magnitude % unit, digits, out);
        }
    }
    let mut shown = digits;
    while shown > 2 && out.last() == Some(&b'0') {
        out.pop();
        shown -= 1;
    }
}

/// Appends a day, counted from 1970-01-01, as `2019-10-01`.
pub(super) fn append_date(day: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(day);
    if year < 0 {
        out.push(b'-');
    }
    append_digits(year.unsigned_abs(), 4, out);
    out.push(b'-');
    append_digits(month, 2, out);
    out.push(b'-');
    append_digits(day, 2, out);
}

/// Appends an instant in milliseconds since 1970; the milliseconds are written only if there are any.
pub(super) fn append_timestamp(milliseconds: i64, style: TimestampStyle, out: &mut Vec<u8>) {
    const DAY_MS: i64 = 86_400_000;
    append_date(milliseconds.div_euclid(DAY_MS), out);
    let within = milliseconds.rem_euclid(DAY_MS).unsigned_abs();
    out.push(if style == TimestampStyle::Public { b' ' } else { b'T' });
    append_digits(within / 3_600_000, 2, out);
    out.push(b':');
    append_digits(within / 60_000 % 60, 2, out);
    out.push(b':');
    append_digits(within / 1000 % 60, 2, out);
    if !within.is_multiple_of(1000) {
        out.push(b'.');
        append_digits(within % 1000, 3, out);
    }
    out.extend_from_slice(if style == TimestampStyle::Public { b" UTC" } else { b"Z" });
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar without beginning.
///
/// Howard Hinnant's `civil_from_days`: years counted from March make the leap day the last of the year, and 400
/// years repeat exactly.
fn civil(day: i64) -> (i64, u64, u64) {
    const ERA_DAYS: i64 = 146_097;
    let shifted = day + 719_468;
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

const PAIRS: &[u8; 200] = b"\
    0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// Appends a number in decimal, with zeros in front to make at least `least` digits (at most 20).
fn append_digits(mut value: u64, least: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value >= 100 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value >= 10 {
        let pair = value as usize * 2;
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else if value > 0 {
        start -= 1;
        digits[start] = b'0' + value as u8;
    }
    let start = start.min(digits.len() - least.min(digits.len()));
    out.extend_from_slice(&digits[start..]);
}

/// As [`append_digits`] for 128 bits.
fn append_wide_digits(value: u128, least: usize, out: &mut Vec<u8>) {
    const CHUNK: u128 = 10_000_000_000_000_000_000;
    const CHUNK_DIGITS: usize = 19;
    if value < CHUNK && least <= CHUNK_DIGITS {
        append_digits((value % CHUNK) as u64, least, out);
    } else {
        append_wide_digits(value / CHUNK, least.saturating_sub(CHUNK_DIGITS).max(1), out);
        append_digits((value % CHUNK) as u64, CHUNK_DIGITS, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(append: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        append(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_two_digits_and_no_zeros_beyond() {
        for (units, scale, expected) in [
            (4_890_700, 4, "489.07"),
            (123_450, 4, "12.345"),
            (332_000, 4, "33.20"),
            (1, 4, "0.0001"),
            (-500, 4, "-0.05"),
            (0, 4, "0.00"),
            (10_000, 4, "1.00"),
            (7, 1, "0.7"),
            (70, 0, "70"),
            (7, -2, "700"),
            (i128::MAX, 38, "1.70141183460469231731687303715884105727"),
            (i128::MIN, 4, "-17014118346046923173168730371588410.5728"),
        ] {
            assert_eq!(text(|out| append_decimal(units, scale, out)), expected);
        }
    }

    #[test]
    fn doubles_read_as_doubles() {
        for (value, expected) in
            [(12.0, "12.0"), (0.1 + 0.2, "0.30000000000000004"), (-0.0, "-0.0"), (1e300, "1e300"), (f64::NAN, "NaN")]
        {
            assert_eq!(text(|out| append_double(value, out)), expected);
        }
    }

    #[test]
    fn instants_and_days() {
        for (milliseconds, expected) in [
            (1_569_888_000_000, "2019-10-01 00:00:00 UTC"),
            (1_569_888_000_007, "2019-10-01 00:00:00.007 UTC"),
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59.999 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (i64::MAX, "292278994-08-17 07:12:55.807 UTC"),
            (i64::MIN, "-292275055-05-16 16:47:04.192 UTC"),
        ] {
            assert_eq!(text(|out| append_timestamp(milliseconds, TimestampStyle::Public, out)), expected);
        }
        assert_eq!(
            text(|out| append_timestamp(1_569_888_061_000, TimestampStyle::Rfc3339, out)),
            "2019-10-01T00:01:01Z"
        );
        assert_eq!(text(|out| append_date(-719_529, out)), "-0001-12-31");
    }

    #[test]
    fn days_follow_each_other() {
        let mut previous = civil(-800_000);
        for day in -799_999..800_000 {
            let (year, month, of_month) = civil(day);
            let next_day = (previous.0, previous.1, previous.2 + 1);
            let next_month = (previous.0, previous.1 + 1, 1);
            let next_year = (previous.0 + 1, 1, 1);
            let got = (year, month, of_month);
            assert!(
                (got == next_day && of_month <= 31)
                    || (got == next_month && previous.2 >= 28)
                    || (got == next_year && (previous.1, previous.2) == (12, 31)),
                "day {day}: {previous:?} is followed by {got:?}"
            );
            previous = got;
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(18_170), (2019, 10, 1));
    }

    proptest! {
        #[test]
        fn integers_equal_the_standard_library(value: i64, wide: u128) {
            prop_assert_eq!(text(|out| append_integer(value, out)), value.to_string());
            prop_assert_eq!(text(|out| append_wide_digits(wide, 1, out)), wide.to_string());
            prop_assert_eq!(text(|out| append_wide_digits(wide, 38, out)), format!("{wide:038}"));
        }
    }
}
