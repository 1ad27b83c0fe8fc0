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

/// Days beyond which the day of the month says nothing any longer: two years.
const MANY_DAYS: i64 = 730;

/// How an axis writes its days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// `7 Oct`, and the year with the first of January: all days are of one year.
    OfYear,
    /// `7 Oct 2019`: there are several years.
    OfYears,
    /// `Oct 2019`: there are many.
    Months,
}

impl Dates {
    /// How days from the first to the last are written.
    pub(super) fn of(first: i32, last: i32) -> Self {
        if i64::from(last) - i64::from(first) > MANY_DAYS {
            Self::Months
        } else if date(first).get(..4) == date(last).get(..4) {
            Self::OfYear
        } else {
            Self::OfYears
        }
    }

    /// The room that a label takes, and some between two.
    pub(super) fn room(self) -> f64 {
        match self {
            Self::OfYear => 74.0,
            Self::OfYears => 116.0,
            Self::Months => 92.0,
        }
    }

    /// A day as the axis has room for it.
    pub(super) fn label(self, day: i32) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let date = date(day);
        let mut parts = date.rsplit('-');
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok()).unwrap_or_default();
        let (of_month, month) = (number(parts.next()), number(parts.next()));
        let name = MONTHS.get(month.wrapping_sub(1)).copied().unwrap_or_default();
        let year = date.get(..4).unwrap_or_default();
        match self {
            Self::OfYear if (of_month, month) != (1, 1) => format!("{of_month} {name}"),
            Self::OfYears => format!("{of_month} {name} {year}"),
            Self::OfYear | Self::Months => format!("{name} {year}"),
        }
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
    fn days_are_named_and_so_are_their_years_where_there_are_several() {
        assert_eq!((date(0), weekday(0)), ("1970-01-01".to_owned(), 3));
        assert_eq!((weekday(18_170), weekday(-1)), (1, 2));
        let of = |days: i32| Dates::of(18_170, 18_170 + days);
        assert_eq!(
            [of(0), of(91), of(92), of(730), of(731)].map(|dates| dates.label(18_170)),
            ["1 Oct", "1 Oct", "1 Oct 2019", "1 Oct 2019", "Oct 2019"]
        );
        assert_eq!(Dates::of(0, 1).label(0), "Jan 1970");
    }
}
