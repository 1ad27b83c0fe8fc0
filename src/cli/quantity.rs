//! Times and sizes as they are typed: a whole number and its unit.

use super::Usage;

/// The error for a flag whose text isn't understood or is out of range.
pub(super) fn wrong(flag: &str, text: &str, expected: &str) -> anyhow::Error {
    Usage(format!("{flag} is {text:?}; it takes {expected}")).into()
}

/// Milliseconds of a time with its unit; `None` if it is none.
pub(super) fn parse_time_ms(text: &str) -> Option<i64> {
    parse(text, &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)])
}

/// Bytes of a size, with its unit if that isn't bytes; `None` if it is none.
pub(super) fn parse_bytes(text: &str) -> Option<i64> {
    const UNITS: &[(&str, i64)] = &[
        ("", 1),
        ("B", 1),
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    parse(text, UNITS)
}

fn parse(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_carry_their_units() {
        for (text, expected) in
            [("500ms", Some(500)), ("90m", Some(5_400_000)), (" 7 d ", Some(604_800_000)), ("5", None), ("-1s", None)]
        {
            assert_eq!(parse_time_ms(text), expected, "{text}");
        }
        for (text, expected) in [
            ("4096", Some(4096)),
            ("20GB", Some(20_000_000_000)),
            ("1gib", Some(1 << 30)),
            ("9999999999TB", None),
            ("1.5GB", None),
            ("", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
