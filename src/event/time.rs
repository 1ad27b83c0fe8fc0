//! Instants as text: the public files' fixed form fast, ISO 8601 in general.
//!
//! An instant is a count of milliseconds since 1970-01-01T00:00:00Z, between the years 1 and 9999. Accepted are a date
//! `YYYY-MM-DD`, then a space or `T`, a time of day `hh:mm:ss` with an optional fraction, and an optional zone: ` UTC`,
//! `Z`, or an offset `+hh:mm`, `+hhmm`, `+hh` (a space before it is allowed). Without a zone the time is UTC, as the
//! column is.
//!
//! Two decisions: a fraction finer than a millisecond is cut, never rounded (rounding could move an event into the next
//! second, hour or day, and rejecting would lose events of every producer that writes microseconds); a time without
//! seconds is refused, because only spreadsheets write it, and the seconds were there before.

use super::words;

const MINUTE: i64 = 60 * 1000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// 0001-01-01T00:00:00Z.
const FIRST: i64 = days_from_civil(1, 1, 1) * DAY;
/// 9999-12-31T23:59:59.999Z.
const LAST: i64 = (days_from_civil(9999, 12, 31) + 1) * DAY - 1;

/// Why a text is not an instant. The message goes on after the text: `"2019-13-01 00:00:00 UTC" has month 13, …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// It has none of the accepted forms.
    #[error("is not a time like 2019-10-01 00:00:00 UTC or 2019-10-01T00:00:00Z")]
    NotATime,
    /// It is a date alone.
    #[error("has no time of day")]
    NoTimeOfDay,
    /// It is hours and minutes alone, as spreadsheets save times.
    #[error("has no seconds; a spreadsheet may have dropped them")]
    NoSeconds,
    /// One of its parts is too large or too small.
    #[error("has {part} {got}, expected {smallest} to {largest}")]
    OutOfRange {
        /// Which part.
        part: &'static str,
        /// What it is.
        got: u32,
        /// The smallest accepted value.
        smallest: u32,
        /// The largest accepted value.
        largest: u32,
    },
    /// What follows the time of day is not a zone.
    #[error("does not end with UTC, Z or an offset like +02:00")]
    UnknownZone,
    /// Its offset moves it out of the years 1 to 9999.
    #[error("is outside the years 1 to 9999 in UTC")]
    OutsideCalendar,
}

/// Parses an instant to milliseconds UTC.
///
/// # Errors
/// [`TimeError`] when the text has none of the accepted forms or a part out of its range.
///
/// ```
/// use cartlog::event::time;
/// assert_eq!(time::parse(b"2019-10-01 00:00:00 UTC"), Ok(1_569_888_000_000));
/// assert_eq!(time::parse(b"2019-10-01T02:00:00.250+02:00"), Ok(1_569_888_000_250));
/// ```
pub fn parse(text: &[u8]) -> Result<i64, TimeError> {
    if text.len() < 10 || text[4] != b'-' || text[7] != b'-' {
        return Err(TimeError::NotATime);
    }
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let date = date(year, month, day)?;
    let (separator, text) = text[10..].split_first().ok_or(TimeError::NoTimeOfDay)?;
    if !matches!(separator, b' ' | b'T' | b't') {
        return Err(TimeError::NotATime);
    }
    if text.len() < 5 || text[2] != b':' {
        return Err(TimeError::NotATime);
    }
    let (hour, minute) = (within("hour", &text[..2], 23)?, within("minute", &text[3..5], 59)?);
    let (Some(b':'), Some(second)) = (text.get(5), text.get(6..8)) else { return Err(TimeError::NoSeconds) };
    let second = within("second", second, 59)?;
    let (fraction, zone) = fraction(&text[8..])?;
    let local = date * DAY + i64::from(hour) * HOUR + i64::from(minute) * MINUTE + i64::from(second) * 1000 + fraction;
    let instant = local - offset(zone)?;
    if (FIRST..=LAST).contains(&instant) { Ok(instant) } else { Err(TimeError::OutsideCalendar) }
}

/// Parses a date `YYYY-MM-DD` to days since 1970-01-01.
///
/// # Errors
/// [`TimeError`] when it is not one.
pub fn parse_date(text: &[u8]) -> Result<i32, TimeError> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return Err(TimeError::NotATime);
    }
    let days = date(number(&text[..4])?, number(&text[5..7])?, number(&text[8..])?)?;
    i32::try_from(days).map_err(|_| TimeError::OutsideCalendar)
}

/// Parses an instant, which may go without its seconds here, or a date alone for its midnight UTC, to milliseconds UTC.
///
/// # Errors
/// [`TimeError`] when it is neither.
///
/// ```
/// use cartlog::event::time;
/// assert_eq!(time::parse_or_midnight(b"2019-10-01 01:30"), time::parse(b"2019-10-01 01:30:00 UTC"));
/// assert_eq!(time::parse_or_midnight(b"2019-10-01T01:30+02:00"), time::parse(b"2019-10-01T01:30:00+02:00"));
/// assert_eq!(time::parse_or_midnight(b"2019-10-01"), time::parse(b"2019-10-01 00:00:00 UTC"));
/// ```
pub fn parse_or_midnight(text: &[u8]) -> Result<i64, TimeError> {
    let parsed = parse_date(text).map(|days| i64::from(days) * DAY).or_else(|_| parse(text));
    match parsed {
        Err(TimeError::NoSeconds) => {
            let (minute, zone) = text.split_at("2019-10-01 00:00".len());
            parse(&[minute, b":00", zone].concat())
        }
        parsed => parsed,
    }
}

/// Writes an instant as the public files do, `2019-10-01 00:00:00 UTC`, with milliseconds only where it has any.
pub fn write(text: &mut Vec<u8>, instant: i64) {
    let (days, of_day) = (instant.div_euclid(DAY), instant.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    if let Ok(year @ 0..=9999) = u16::try_from(year) {
        two_digits(text, i64::from(year / 100));
        two_digits(text, i64::from(year % 100));
    } else {
        text.extend_from_slice(format!("{year:+07}").as_bytes());
    }
    text.push(b'-');
    two_digits(text, month);
    text.push(b'-');
    two_digits(text, day);
    text.push(b' ');
    two_digits(text, of_day / HOUR);
    text.push(b':');
    two_digits(text, of_day / MINUTE % 60);
    text.push(b':');
    two_digits(text, of_day / 1000 % 60);
    let fraction = of_day % 1000;
    if fraction != 0 {
        text.extend_from_slice(&[b'.', b'0' + (fraction / 100) as u8]);
        two_digits(text, fraction % 100);
    }
    text.extend_from_slice(b" UTC");
}

/// An instant as [`write`](write()) writes it.
#[must_use]
pub fn format(instant: i64) -> String {
    let mut text = Vec::with_capacity(27);
    write(&mut text, instant);
    String::from_utf8_lossy(&text).into_owned()
}

/// The fixed form `YYYY-MM-DD hh:mm:ss UTC,` read as three words, with the last minute remembered.
///
/// Events come nearly in time order, some twenty a second: the first two words (the minute) are nearly always those of
/// the row before, and the third holds two digits.
#[derive(Debug)]
pub(super) struct FixedForm {
    minute: [u64; 2],
    minute_starts: i64,
}

impl Default for FixedForm {
    fn default() -> Self {
        let minute = [u64::from_le_bytes(*b"1970-01-"), u64::from_le_bytes(*b"01 00:00")];
        Self { minute, minute_starts: 0 }
    }
}

impl FixedForm {
    /// Bytes of the fixed form together with the comma after it.
    pub(super) const LENGTH: usize = 24;

    /// Reads the fixed form and its comma at `at`; anything else is `None`.
    #[inline(always)]
    pub(super) fn read(&mut self, bytes: &[u8], at: usize) -> Option<i64> {
        const DIGITS: u64 = u64::from_le_bytes(*b"\0\xFF\xFF\0\0\0\0\0");
        const ZEROS: u64 = u64::from_le_bytes(*b":00 UTC,");
        let text: &[u8; Self::LENGTH] = bytes.get(at..)?.first_chunk()?;
        let [first, second, third] = [words::load(text, 0)?, words::load(text, 8)?, words::load(text, 16)?];
        let digits = third ^ ZEROS;
        let (tens, ones) = (digits as u16 >> 8, (digits >> 16) as u8);
        if digits & !DIGITS != 0 || tens > 5 || ones > 9 {
            return None;
        }
        if [first, second] != self.minute {
            let instant = parse(&text[..23]).ok()?;
            self.minute_starts = instant - instant.rem_euclid(MINUTE);
            self.minute = [first, second];
        }
        Some(self.minute_starts + (i64::from(tens) * 10 + i64::from(ones)) * 1000)
    }
}

fn number(digits: &[u8]) -> Result<u32, TimeError> {
    digits.iter().try_fold(0, |value, digit| {
        if digit.is_ascii_digit() { Ok(value * 10 + u32::from(digit - b'0')) } else { Err(TimeError::NotATime) }
    })
}

fn within(part: &'static str, digits: &[u8], largest: u32) -> Result<u32, TimeError> {
    let got = number(digits)?;
    if got <= largest { Ok(got) } else { Err(TimeError::OutOfRange { part, got, smallest: 0, largest }) }
}

/// Days since 1970-01-01 of a date whose parts are checked here.
fn date(year: u32, month: u32, day: u32) -> Result<i64, TimeError> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let largest = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    for (part, got, largest) in [("year", year, 9999), ("month", month, 12), ("day", day, largest)] {
        if !(1..=largest).contains(&got) {
            return Err(TimeError::OutOfRange { part, got, smallest: 1, largest });
        }
    }
    Ok(days_from_civil(i64::from(year), i64::from(month), i64::from(day)))
}

/// The milliseconds of a fraction at the start of the text, and what follows it.
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), TimeError> {
    let Some(digits) = text.strip_prefix(b".") else { return Ok((0, text)) };
    let length = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    if length == 0 {
        return Err(TimeError::NotATime);
    }
    let digit = |place: usize| if place < length { i64::from(digits[place] - b'0') } else { 0 };
    Ok((digit(0) * 100 + digit(1) * 10 + digit(2), &digits[length..]))
}

/// The milliseconds that a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Result<i64, TimeError> {
    let zone = zone.strip_prefix(b" ").filter(|rest| !rest.is_empty()).unwrap_or(zone);
    let (sign, digits) = match zone {
        b"" | b"UTC" | b"Z" | b"z" => return Ok(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return Err(TimeError::UnknownZone),
    };
    let (hours, minutes) = match digits {
        [_, _] => (digits, &b"00"[..]),
        [_, _, _, _] => digits.split_at(2),
        [_, _, b':', _, _] => (&digits[..2], &digits[3..]),
        _ => return Err(TimeError::UnknownZone),
    };
    if !hours.iter().chain(minutes).all(u8::is_ascii_digit) {
        return Err(TimeError::UnknownZone);
    }
    let (hours, minutes) = (within("offset hour", hours, 23)?, within("offset minute", minutes, 59)?);
    Ok(sign * (i64::from(hours) * HOUR + i64::from(minutes) * MINUTE))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day since 1970-01-01; the inverse of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + (month <= 2) as i64, month, day)
}

fn two_digits(text: &mut Vec<u8>, value: i64) {
    text.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts the days one by one.
    fn naive_days(year: i64, month: i64, day: i64) -> i64 {
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = |year, month| match month {
            2 => 28 + i64::from(leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let years: i64 = if year >= 1970 {
            (1970..year).map(|year| 365 + i64::from(leap(year))).sum()
        } else {
            -(year..1970).map(|year| 365 + i64::from(leap(year))).sum::<i64>()
        };
        years + (1..month).map(|month| length(year, month)).sum::<i64>() + day - 1
    }

    #[test]
    fn known_instants() {
        for (text, instant) in [
            ("1970-01-01 00:00:00 UTC", 0),
            ("1969-12-31 23:59:59 UTC", -1000),
            ("2019-10-01 00:00:00 UTC", 1_569_888_000_000),
            ("2019-10-01T00:00:00Z", 1_569_888_000_000),
            ("2019-10-01t00:00:00z", 1_569_888_000_000),
            ("2019-10-01T00:00:00", 1_569_888_000_000),
            ("2019-10-01 00:00:00", 1_569_888_000_000),
            ("2019-10-01 00:00:00+00:00", 1_569_888_000_000),
            ("2019-10-01 02:00:00+0200", 1_569_888_000_000),
            ("2019-10-01 02:00:00 +02", 1_569_888_000_000),
            ("2019-09-30 18:30:00-05:30", 1_569_888_000_000),
            ("2019-10-01T00:00:00.5Z", 1_569_888_000_500),
            ("2019-10-01T00:00:00.123456789 UTC", 1_569_888_000_123),
            ("2019-10-01T00:00:00.0009Z", 1_569_888_000_000),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("2000-02-29 00:00:00 UTC", 951_782_400_000),
            ("0001-01-01 00:00:00 UTC", -62_135_596_800_000),
            ("9999-12-31 23:59:59.999 UTC", 253_402_300_799_999),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(instant), "{text}");
        }
    }

    #[test]
    fn damaged_instants() {
        let range = |part, got, smallest, largest| TimeError::OutOfRange { part, got, smallest, largest };
        for (text, error) in [
            ("", TimeError::NotATime),
            ("yesterday, noon", TimeError::NotATime),
            ("01.10.2019 00:00:00", TimeError::NotATime),
            ("10/01/2019 00:00:00", TimeError::NotATime),
            ("2019-1-01 00:00:00 UTC", TimeError::NotATime),
            ("1569888000", TimeError::NotATime),
            ("2019-10-01_00:00:00 UTC", TimeError::NotATime),
            ("2019-10-01 0:00:00 UTC", TimeError::NotATime),
            ("2019-10-01 00:00:00. UTC", TimeError::NotATime),
            ("2019-10-01", TimeError::NoTimeOfDay),
            ("2019-10-01 00:00", TimeError::NoSeconds),
            ("2019-10-01 00:00:0", TimeError::NoSeconds),
            ("2019-10-01 00:00 UTC", TimeError::NoSeconds),
            ("2019-13-01 00:00:00 UTC", range("month", 13, 1, 12)),
            ("2019-00-01 00:00:00 UTC", range("month", 0, 1, 12)),
            ("0000-01-01 00:00:00 UTC", range("year", 0, 1, 9999)),
            ("2019-10-32 00:00:00 UTC", range("day", 32, 1, 31)),
            ("2019-09-31 00:00:00 UTC", range("day", 31, 1, 30)),
            ("2019-02-29 00:00:00 UTC", range("day", 29, 1, 28)),
            ("1900-02-29 00:00:00 UTC", range("day", 29, 1, 28)),
            ("2019-10-01 24:00:00 UTC", range("hour", 24, 0, 23)),
            ("2019-10-01 00:60:00 UTC", range("minute", 60, 0, 59)),
            ("2019-10-01 00:00:60 UTC", range("second", 60, 0, 59)),
            ("2019-10-01 00:00:00 CET", TimeError::UnknownZone),
            ("2019-10-01 00:00:00 ", TimeError::UnknownZone),
            ("2019-10-01 00:00:00 UTCx", TimeError::UnknownZone),
            ("2019-10-01 00:00:00+2", TimeError::UnknownZone),
            ("2019-10-01 00:00:00+02:0x", TimeError::UnknownZone),
            ("2019-10-01 00:00:00+24:00", range("offset hour", 24, 0, 23)),
            ("2019-10-01 00:00:00+02:60", range("offset minute", 60, 0, 59)),
            ("0001-01-01 00:00:00+01:00", TimeError::OutsideCalendar),
            ("9999-12-31 23:59:59-01:00", TimeError::OutsideCalendar),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn dates_alone() {
        assert_eq!(parse_date(b"2019-10-01"), Ok(18_170));
        assert_eq!(parse_date(b"2019-10-01 "), Err(TimeError::NotATime));
        assert!(parse_date(b"2019-02-30").is_err());
    }

    proptest! {
        #[test]
        fn days_equal_counting(year in 1i64..3000, month in 1i64..=12, day in 1i64..=28) {
            let days = days_from_civil(year, month, day);
            prop_assert_eq!(days, naive_days(year, month, day));
            prop_assert_eq!(civil_from_days(days), (year, month, day));
        }

        #[test]
        fn formatted_instants_read_back(instant in FIRST..=LAST) {
            prop_assert_eq!(parse(format(instant).as_bytes()), Ok(instant));
        }

        #[test]
        fn fixed_form_equals_general(seconds in proptest::collection::vec(-2_000_000_000i64..4_000_000_000, 1..20)) {
            let mut fixed = FixedForm::default();
            for instant in seconds.into_iter().flat_map(|second| [second, second + 1, second]) {
                let mut text = Vec::new();
                write(&mut text, instant * 1000);
                text.push(b',');
                let read = fixed.read(&text, 0);
                prop_assert_eq!(read, Some(instant * 1000));
            }
        }

        #[test]
        fn fixed_form_accepts_only_what_the_general_form_does(place in 0usize..24, byte: u8) {
            let mut text = *b"2019-10-01 00:00:00 UTC,";
            let mut fixed = FixedForm::default();
            prop_assert_eq!(fixed.read(&text, 0), Some(1_569_888_000_000));
            text[place] = byte;
            if let Some(instant) = fixed.read(&text, 0) {
                prop_assert_eq!(text[23], b',');
                prop_assert_eq!(parse(&text[..23]), Ok(instant));
            }
        }
    }
}
