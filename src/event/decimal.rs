//! Exact decimal numbers as text: prices in units of a ten-thousandth.
//!
//! No float comes near a price: `489.07` is 4,890,700 units, and sums of units never drift.

use super::PRICE_SCALE;
use super::integer;
use super::words::{self, POWERS};

/// Why a text is not a price. The message goes on after the text: `"abc" is not a decimal number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// Something else than digits and at most one point after an optional sign.
    #[error("is not a decimal number")]
    NotDecimal,
    /// A number as spreadsheets write large and small ones.
    #[error("is in scientific notation; the digits are lost")]
    Scientific,
    /// A comma within the number.
    #[error("has a comma; a decimal number has one point and no separators")]
    Comma,
    /// Spaces before or after the digits.
    #[error("has spaces around it")]
    Spaces,
    /// A digit other than zero beyond the fourth after the point.
    #[error("has more than 4 digits after the point")]
    TooFine,
    /// More than 14 digits before the point, which with four behind it are all that a `decimal(18, 4)` has.
    #[error("is outside the range -99999999999999.9999 to 99999999999999.9999")]
    OutOfRange,
}

/// The largest price, in units: what eighteen digits hold, as every format that prices are exported to has them.
const LARGEST: u64 = 999_999_999_999_999_999;

/// Parses a decimal number to units of a ten-thousandth: `489.07`, `-3`, `.5`, `12.345000`.
///
/// # Errors
/// [`DecimalError`], as precise as a person would say it.
///
/// ```
/// use cartlog::event::decimal;
/// assert_eq!(decimal::parse(b"489.07"), Ok(4_890_700));
/// ```
pub fn parse(text: &[u8]) -> Result<i64, DecimalError> {
    let (negative, number) = match text {
        [b'-', number @ ..] => (true, number),
        [b'+', number @ ..] => (false, number),
        number => (false, number),
    };
    let point = number.iter().position(|byte| *byte == b'.').unwrap_or(number.len());
    let (whole, fraction) = (&number[..point], number.get(point + 1..).unwrap_or(&[]));
    let digits = || whole.iter().chain(fraction);
    if digits().next().is_none() || !digits().all(u8::is_ascii_digit) {
        return Err(diagnose(text));
    }
    let (kept, beyond) = fraction.split_at(fraction.len().min(usize::from(PRICE_SCALE)));
    if beyond.iter().any(|digit| *digit != b'0') {
        return Err(DecimalError::TooFine);
    }
    let padding = std::iter::repeat_n(&b'0', usize::from(PRICE_SCALE) - kept.len());
    whole
        .iter()
        .chain(kept)
        .chain(padding)
        .try_fold(0i64, |value, digit| {
            let digit = i64::from(digit - b'0');
            value.checked_mul(10)?.checked_add(if negative { -digit } else { digit })
        })
        .filter(|units| units.unsigned_abs() <= LARGEST)
        .ok_or(DecimalError::OutOfRange)
}

/// Writes units of a ten-thousandth with at least two digits after the point and no further trailing zeros: `489.07`,
/// `12.345`, `0.00`.
pub fn write(text: &mut Vec<u8>, units: i64) {
    if units < 0 {
        text.push(b'-');
    }
    let units = units.unsigned_abs();
    let mut digits = [b'0'; 24];
    let mut rest = units;
    let mut start = digits.len();
    while rest > 0 || start > digits.len() - usize::from(PRICE_SCALE) - 1 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let (whole, fraction) = digits[start..].split_at(digits.len() - start - usize::from(PRICE_SCALE));
    text.extend_from_slice(whole);
    text.push(b'.');
    let kept = fraction.iter().rposition(|digit| *digit != b'0').map_or(2, |last| (last + 1).max(2));
    text.extend_from_slice(&fraction[..kept]);
}

/// Units as [`write`](write()) writes them.
#[must_use]
pub fn format(units: i64) -> String {
    let mut text = Vec::with_capacity(22);
    write(&mut text, units);
    String::from_utf8_lossy(&text).into_owned()
}

fn diagnose(text: &[u8]) -> DecimalError {
    let trimmed = text.trim_ascii();
    let is_number = |text: &[u8], also: &[u8]| {
        text.iter().any(u8::is_ascii_digit) && text.iter().all(|byte| byte.is_ascii_digit() || also.contains(byte))
    };
    if integer::is_scientific(text) {
        DecimalError::Scientific
    } else if trimmed.len() < text.len() && is_number(trimmed, b".-+") {
        DecimalError::Spaces
    } else if text.contains(&b',') && is_number(text, b".,-+") {
        DecimalError::Comma
    } else {
        DecimalError::NotDecimal
    }
}

/// The longest price that is taken here. The general path knows how long a line may be.
const LONGEST: u32 = 64;

/// The units of the price that stands from `start` to `end`; `None` if it is no decimal number, and for a very long one.
#[inline(always)]
pub(super) fn between(bytes: &[u8], start: usize, end: usize) -> Option<i64> {
    const POINT: u64 = (b'.' as u64) << 40;
    let length = end.checked_sub(start)? as u32;
    let word = words::load_before(bytes, end)?;
    if (4..=8).contains(&length) && word & 0xFF << 40 == POINT {
        // Two digits after the point, and at most five before it, as nearly always: the point is taken out by moving
        // what stands before it.
        let digits = (word & 0xFFFF << 48) | (word & ((1 << 40) - 1)) << 8;
        return Some((words::last_decimal(digits, length - 1)? * POWERS[2]) as i64);
    }
    if length > LONGEST { None } else { parse(&bytes[start..end]).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn damaged_decimals() {
        for (text, error) in [
            ("", DecimalError::NotDecimal),
            ("-", DecimalError::NotDecimal),
            (".", DecimalError::NotDecimal),
            ("abc", DecimalError::NotDecimal),
            ("12.3.4", DecimalError::NotDecimal),
            ("$35.79", DecimalError::NotDecimal),
            ("35.79 USD", DecimalError::NotDecimal),
            ("NaN", DecimalError::NotDecimal),
            ("inf", DecimalError::NotDecimal),
            ("--5", DecimalError::NotDecimal),
            ("1e3", DecimalError::Scientific),
            ("4.8907E+02", DecimalError::Scientific),
            ("35,79", DecimalError::Comma),
            ("1,234.56", DecimalError::Comma),
            (" 35.79", DecimalError::Spaces),
            ("35.79 ", DecimalError::Spaces),
            ("0.00001", DecimalError::TooFine),
            ("35.790000000000006", DecimalError::TooFine),
            ("100000000000000", DecimalError::OutOfRange),
            ("-100000000000000.0000", DecimalError::OutOfRange),
            ("922337203685477.5808", DecimalError::OutOfRange),
            ("99999999999999999999", DecimalError::OutOfRange),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn known_decimals() {
        for (text, units, written) in [
            ("489.07", 4_890_700, "489.07"),
            ("0.00", 0, "0.00"),
            ("0", 0, "0.00"),
            ("-0.0001", -1, "-0.0001"),
            (".5", 5000, "0.50"),
            ("5.", 50_000, "5.00"),
            ("+12.345000000", 123_450, "12.345"),
            ("99999999999999.9999", 999_999_999_999_999_999, "99999999999999.9999"),
            ("-0099999999999999.99990", -999_999_999_999_999_999, "-99999999999999.9999"),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(units), "{text}");
            assert_eq!(format(units), written);
        }
    }

    proptest! {
        #[test]
        fn written_units_read_back(units: i64) {
            let expected = if units.unsigned_abs() <= LARGEST { Ok(units) } else { Err(DecimalError::OutOfRange) };
            prop_assert_eq!(parse(format(units).as_bytes()), expected);
            let units = units % (LARGEST as i64 + 1);
            prop_assert_eq!(parse(format(units).as_bytes()), Ok(units));
        }

        #[test]
        fn words_equal_the_loop(before in "[0-9a.,]{8,16}", text in "[-+]?[0-9]{0,9}[.]?[0-9]{0,5}[a:]?") {
            let bytes = format!("{before}{text}").into_bytes();
            let (value, expected) = (between(&bytes, before.len(), bytes.len()), parse(text.as_bytes()).ok());
            prop_assert!(value == expected || value.is_none() && text.starts_with(['-', '+']), "{:?}", value);
        }
    }
}
