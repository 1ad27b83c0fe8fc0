//! Numbers as a person reads them on a terminal.

use std::time::Duration;

/// A whole number with thousands separated: `17,434`.
#[must_use]
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 row`, `17,434 rows`.
#[must_use]
pub(crate) fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Some of a number of things: `12 of 17,434 rows`, or `17,434 rows` where it is all of them.
#[must_use]
pub(crate) fn counted_of(some: u64, all: u64, one: &str) -> String {
    let all_of = counted(all, one);
    if some == all { all_of } else { format!("{} of {all_of}", count(some)) }
}

/// An error and what caused it, one after the other; what an error says of its cause itself is not said again.
#[must_use]
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// A size in decimal units with three digits: `132 B`, `2.33 MB`, `14.6 GB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(number: u64) -> String {
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64;
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
        value /= 1000.0;
        if value < 999.5 || unit == "PB" {
            let decimals = if value < 9.995 {
                2
            } else if value < 99.95 {
                1
            } else {
                0
            };
            return format!("{value:.decimals$} {unit}");
        }
    }
    String::new()
}

/// A duration in the unit that suits it: `850 µs`, `12 ms`, `3.42 s`, `2 min 05 s`.
#[must_use]
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        format!("{seconds:.2} s")
    } else {
        let whole = duration.as_secs();
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// So many things a second: `1.94 M`, `512 k`, `87`; empty when no time has passed.
#[must_use]
pub(crate) fn per_second(number: f64) -> String {
    if number >= 1e6 {
        format!("{:.2} M", number / 1e6)
    } else if number >= 1e3 {
        format!("{:.0} k", number / 1e3)
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = || anyhow::anyhow!("no space left");
        assert_eq!(causes(&cause()), "no space left");
        assert_eq!(causes(&cause().context("can't write")), "can't write: no space left");
        assert_eq!(causes(&cause().context("writing: no space left").context("x")), "x: writing: no space left");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (17_434, "17,434"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(2, "row"), "2 rows");
    }

    #[test]
    fn sizes_keep_three_digits_in_the_unit_that_suits_them() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (2_327_166, "2.33 MB"),
            (999_600, "1.00 MB"),
            (14_600_000_000, "14.6 GB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn durations_use_the_unit_that_suits_them() {
        for (duration_us, text) in
            [(850, "850 µs"), (12_000, "12 ms"), (3_420_000, "3.42 s"), (125_000_000, "2 min 05 s")]
        {
            assert_eq!(duration(Duration::from_micros(duration_us)), text);
        }
    }
}
