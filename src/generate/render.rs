//! Events as lines of CSV in the public layout.

use super::catalogue::Catalogue;
use super::random::hash;
use super::session::{Event, Kind};

/// The header line of the public layout.
pub(super) const HEADER: &[u8] =
    b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n";

/// Days from 1970-01-01 to 2019-10-01, when the data starts.
const FIRST_DAY: u32 = 18_170;
const SECONDS_PER_DAY: u32 = 86_400;
/// What most lines stay below; only a hint for the buffer.
const LINE_BYTES: usize = 150;

/// Two digits of every number below 100, one after the other.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The two hexadecimal digits of every byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut number = 0;
    while number < 256 {
        pairs[number] = [digits[number >> 4], digits[number & 15]];
        number += 1;
    }
    pairs
};

/// Writes the events, which are in order, as CSV lines.
pub(super) fn render(key: u64, catalogue: &Catalogue, events: &[Event]) -> Vec<u8> {
    let mut out = Vec::with_capacity(events.len() * LINE_BYTES);
    let mut time = (u32::MAX, *b"0000-00-00 00:00:00 UTC");
    for event in events {
        if event.second != time.0 {
            time = (event.second, time_text(event.second));
        }
        out.extend_from_slice(&time.1);
        out.extend_from_slice(match event.kind {
            Kind::View => b",view",
            Kind::Cart => b",cart",
            Kind::Purchase => b",purchase",
        });
        out.extend_from_slice(catalogue.text(event.product));
        push_price(&mut out, catalogue.price_cents(event.product, event.second / SECONDS_PER_DAY));
        out.push(b',');
        push_number(&mut out, event.user_id);
        out.push(b',');
        if event.has_session {
            out.extend_from_slice(&uuid_text(key, event.session));
        }
        out.push(b'\n');
    }
    out
}

fn push_number(out: &mut Vec<u8>, mut number: u32) {
    let mut digits = [b'0'; 10];
    let mut at = digits.len();
    while number >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    at -= 2;
    digits[at..at + 2].copy_from_slice(&PAIRS[number as usize]);
    if number < 10 {
        at += 1;
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_price(out: &mut Vec<u8>, cents: u32) {
    push_number(out, cents / 100);
    out.push(b'.');
    out.extend_from_slice(&PAIRS[(cents % 100) as usize]);
}

/// `YYYY-MM-DD HH:MM:SS UTC` of a second of the data.
fn time_text(second: u32) -> [u8; 23] {
    let (year, month, day) = date(FIRST_DAY + second / SECONDS_PER_DAY);
    let of_day = second % SECONDS_PER_DAY;
    let mut text = *b"0000-00-00 00:00:00 UTC";
    let pairs = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, of_day / 3600),
        (14, of_day / 60 % 60),
        (17, of_day % 60),
    ];
    for (at, number) in pairs {
        text[at..at + 2].copy_from_slice(&PAIRS[number as usize]);
    }
    text
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms",
/// for days after the epoch).
fn date(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u32::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

/// The UUID (version 4, canonical lower case) of a session.
fn uuid_text(key: u64, session: u64) -> [u8; 36] {
    let high = (hash(key, session) & !0xf000) | 0x4000;
    let low = (hash(!key, session) >> 2) | (1 << 63);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at..at + 2].copy_from_slice(&HEX[usize::from(byte)]);
        at += 2;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn times_cross_months_and_leap_days() {
        assert_eq!(text(&time_text(0)), "2019-10-01 00:00:00 UTC");
        assert_eq!(text(&time_text(31 * 86_400 - 1)), "2019-10-31 23:59:59 UTC");
        assert_eq!(text(&time_text(92 * 86_400 + 3723)), "2020-01-01 01:02:03 UTC");
        assert_eq!(text(&time_text((92 + 59) * 86_400)), "2020-02-29 00:00:00 UTC");
        assert_eq!(text(&time_text((92 + 60) * 86_400)), "2020-03-01 00:00:00 UTC");
    }

    #[test]
    fn numbers_have_no_leading_zeros() {
        for number in [0, 7, 10, 99, 100, 101, 12_345, 999_999_999, u32::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(text(&out), number.to_string());
        }
    }

    #[test]
    fn prices_have_two_decimals() {
        for (cents, expected) in [(0, "0.00"), (5, "0.05"), (100, "1.00"), (257_407, "2574.07")] {
            let mut out = Vec::new();
            push_price(&mut out, cents);
            assert_eq!(text(&out), expected);
        }
    }

    #[test]
    fn sessions_are_canonical_uuids_of_version_4() {
        for session in 0..1000 {
            let uuid = uuid_text(5, session);
            let uuid = text(&uuid);
            let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{uuid}");
            assert!(uuid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{uuid}");
            assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
            assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{uuid}");
        }
    }
}
