//! Axes: round numbers to measure by, and days to find oneself by.

use crate::event::time;

/// The round steps from zero until the largest value is covered, about `count` of them.
pub(super) fn steps(largest: f64, count: usize) -> Vec<f64> {
    let rough = largest / count.max(1) as f64;
    if !rough.is_normal() {
        return vec![0.0, 1.0];
    }
    let unit = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|times| times * unit).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(rough);
    let last = (largest / step * 0.999_999).ceil().max(1.0) as usize;
    (0..=last).map(|place| place as f64 * step).collect()
}

/// The date of a day, counted from 1970-01-01.
pub(super) fn date(day: i32) -> String {
    time::format(i64::from(day) * 86_400_000).get(..10).unwrap_or_default().to_owned()
}

/// The weekday of a day: 0 is Monday.
pub(super) fn weekday(day: i32) -> usize {
    (i64::from(day) + 3).rem_euclid(7) as usize
}

/// A day as an axis has room for it: `7 Oct`, and the year with the first of January.
pub(super) fn short_date(day: i32) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = date(day);
    let mut parts = date.rsplit('-');
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok()).unwrap_or_default();
    let (of_month, month) = (number(parts.next()), number(parts.next()));
    let name = MONTHS.get(month.wrapping_sub(1)).copied().unwrap_or_default();
    if (of_month, month) == (1, 1) {
        format!("{name} {}", date.get(..4).unwrap_or_default())
    } else {
        format!("{of_month} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_cover_the_largest() {
        assert_eq!(steps(10.0, 4), [0.0, 2.5, 5.0, 7.5, 10.0]);
        assert_eq!(steps(7.0, 4), [0.0, 2.0, 4.0, 6.0, 8.0]);
        for largest in [1e-9, 0.3, 1.0, 99.0, 101.0, 12_345.6, 7.7e11] {
            let steps = steps(largest, 4);
            assert!(
                steps.last().is_some_and(|last| *last >= largest * 0.999) && steps.len() <= 7,
                "{largest}: {steps:?}"
            );
        }
        assert_eq!(steps(0.0, 4), [0.0, 1.0]);
        assert_eq!(steps(f64::MIN_POSITIVE, 4), [0.0, 1.0]);
    }

    #[test]
    fn days_are_named() {
        assert_eq!((date(0), short_date(0), weekday(0)), ("1970-01-01".to_owned(), "Jan 1970".to_owned(), 3));
        assert_eq!((short_date(18_170), weekday(18_170), weekday(-1)), ("1 Oct".to_owned(), 1, 2));
    }
}
