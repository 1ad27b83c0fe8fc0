//! 64-bit ids as text.

use super::fast::Steps;

/// Why a text is not a 64-bit integer. The message goes on after the text: `"12a" is not a whole number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegerError {
    /// Something else than digits after an optional sign.
    #[error("is not a whole number")]
    NotWhole,
    /// A number as spreadsheets write large ids.
    #[error("is in scientific notation; the digits are lost")]
    Scientific,
    /// A number with a point: some program took an id for a measurement.
    #[error("has a decimal point, an id has none; digits may be lost")]
    Point,
    /// Spaces before or after the digits.
    #[error("has spaces around it")]
    Spaces,
    /// Too large for 64 bits with sign.
    #[error("is outside the range of 64-bit integers")]
    OutOfRange,
}

/// Parses decimal digits with an optional sign.
///
/// # Errors
/// [`IntegerError`], as precise as a person would say it.
///
/// ```
/// use cartlog::event::integer;
/// assert_eq!(integer::parse(b"2103807459595387724"), Ok(2_103_807_459_595_387_724));
/// assert!(integer::parse(b"2.05301E+18").is_err());
/// ```
pub fn parse(text: &[u8]) -> Result<i64, IntegerError> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(diagnose(text));
    }
    digits
        .iter()
        .try_fold(0i64, |value, digit| {
            let digit = i64::from(digit - b'0');
            value.checked_mul(10)?.checked_add(if negative { -digit } else { digit })
        })
        .ok_or(IntegerError::OutOfRange)
}

/// Whether a text that is no plain number has the form `1.5E+18`, which spreadsheets write for large numbers.
pub(super) fn is_scientific(text: &[u8]) -> bool {
    let exponent = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    exponent.is_some_and(|at| {
        let digits = text[at + 1..].strip_prefix(b"+").or(text[at + 1..].strip_prefix(b"-")).unwrap_or(&text[at + 1..]);
        at > 0
            && text[..at].iter().any(u8::is_ascii_digit)
            && text[..at].iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'-' | b'+'))
            && !digits.is_empty()
            && digits.iter().all(u8::is_ascii_digit)
    })
}

fn diagnose(text: &[u8]) -> IntegerError {
    if is_scientific(text) {
        return IntegerError::Scientific;
    }
    let trimmed = text.trim_ascii();
    if trimmed.len() < text.len() && !trimmed.is_empty() && trimmed.iter().all(u8::is_ascii_digit) {
        return IntegerError::Spaces;
    }
    let parts: Vec<_> = text.split(|byte| *byte == b'.').collect();
    let is_number = |part: &&[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if parts.len() == 2 && parts.iter().all(is_number) { IntegerError::Point } else { IntegerError::NotWhole }
}

/// The number that stands from `start` to `end` as 1 to 19 digits; anything else is `None`.
#[inline(always)]
pub(super) fn between(bytes: &[u8], start: usize, end: usize, steps: impl Steps) -> Option<i64> {
    const LOW: u32 = 16;
    let length = end.checked_sub(start)? as u32;
    if (1..=LOW).contains(&length) {
        return steps.last_digits(bytes, end, length).map(|value| value as i64);
    }
    if !(LOW + 1..=19).contains(&length) {
        return None;
    }
    let high = steps.last_digits(bytes, end - LOW as usize, length - LOW)?;
    i64::try_from(high * 10u64.pow(LOW) + steps.last_digits(bytes, end, LOW)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fast::Plain;
    use super::*;

    #[test]
    fn damaged_integers() {
        for (text, error) in [
            ("", IntegerError::NotWhole),
            ("-", IntegerError::NotWhole),
            ("+-1", IntegerError::NotWhole),
            ("12a", IntegerError::NotWhole),
            ("0x1F", IntegerError::NotWhole),
            ("1 000", IntegerError::NotWhole),
            ("1,000", IntegerError::NotWhole),
            ("null", IntegerError::NotWhole),
            ("NaN", IntegerError::NotWhole),
            ("E5", IntegerError::NotWhole),
            ("2.05301E+18", IntegerError::Scientific),
            ("2,05301E+18", IntegerError::Scientific),
            ("2e18", IntegerError::Scientific),
            ("541312140.0", IntegerError::Point),
            ("1.2.3", IntegerError::NotWhole),
            (" 5", IntegerError::Spaces),
            ("5 ", IntegerError::Spaces),
            ("9223372036854775808", IntegerError::OutOfRange),
            ("-9223372036854775809", IntegerError::OutOfRange),
            ("99999999999999999999999", IntegerError::OutOfRange),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(parse(b"+5"), Ok(5));
        assert_eq!(parse(b"0000000000000000000000005"), Ok(5));
        assert_eq!(parse(b"-9223372036854775808"), Ok(i64::MIN));
    }

    proptest! {
        #[test]
        fn equals_the_standard_library(text in "[-+]?[0-9]{0,22}") {
            prop_assert_eq!(parse(text.as_bytes()).ok(), text.parse().ok());
        }

        #[test]
        fn words_equal_the_loop(before in "[0-9a,]{0,30}", text in "[-+]?[0-9]{0,22}[.a:/]?", rest in "[,0-9]{8}") {
            let bytes = format!("{before}{text}{rest}").into_bytes();
            let value = between(&bytes, before.len(), before.len() + text.len(), Plain);
            let is_plain = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            if value.is_some() {
                prop_assert!(is_plain);
                prop_assert_eq!(value, parse(text.as_bytes()).ok());
            } else {
                // Near the start of the bytes there may be no whole word.
                prop_assert!(!is_plain || before.len() + text.len() < 24 || text.parse::<i64>().is_err());
            }
        }
    }
}
