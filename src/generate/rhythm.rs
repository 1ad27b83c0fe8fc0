//! When shoppers come: the rate of a day's hours, and the way between a count of sessions and an instant.

use super::random::unit;

/// Seconds of an hour.
const HOUR: f64 = 3600.0;
/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// How busy each hour (UTC) is beside the others: a quiet night, a long day, a peak in the late afternoon.
const HOURS: [u32; 24] = [8, 10, 20, 31, 40, 46, 49, 50, 49, 48, 47, 46, 46, 49, 55, 61, 63, 58, 46, 32, 21, 14, 10, 8];

/// A clock on which shoppers arrive evenly: it counts arrivals, not seconds.
#[derive(Debug)]
pub(super) struct Rhythm {
    arrivals_per_day: f64,
    /// The part of a day's arrivals before each hour; the last is 1.
    before: [f64; 25],
}

impl Rhythm {
    /// The rhythm of days with so many arrivals each.
    pub(super) fn new(arrivals_per_day: f64) -> Self {
        let total: u32 = HOURS.iter().sum();
        let mut before = [0.0; 25];
        let mut sum = 0;
        for (hour, weight) in HOURS.iter().enumerate() {
            sum += weight;
            before[hour + 1] = f64::from(sum) / f64::from(total);
        }
        Self { arrivals_per_day, before }
    }

    /// How many arrivals there are before `seconds` after the start.
    pub(super) fn arrivals(&self, seconds: f64) -> f64 {
        let days = (seconds / DAY).floor();
        let hours = (seconds - days * DAY) / HOUR;
        let hour = (hours as usize).min(23);
        let part = self.before[hour] + (hours - hour as f64) * (self.before[hour + 1] - self.before[hour]);
        (days + part) * self.arrivals_per_day
    }

    /// When arrival number `arrivals` comes, in seconds after the start: the inverse of [`Self::arrivals`].
    pub(super) fn seconds(&self, arrivals: f64) -> f64 {
        let place = arrivals / self.arrivals_per_day;
        let days = place.floor();
        let part = place - days;
        let hour = self.before.partition_point(|&before| before <= part).clamp(1, 24) - 1;
        let hours = hour as f64 + (part - self.before[hour]) / (self.before[hour + 1] - self.before[hour]);
        days * DAY + hours * HOUR
    }

    /// A random instant, in seconds, between two counts of arrivals.
    pub(super) fn instant_between(&self, first: f64, count: f64, bits: u64) -> f64 {
        self.seconds(first + unit(bits) * count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_is_the_inverse_of_arrivals() {
        let rhythm = Rhythm::new(288_000.0);
        for second in (0..400_000).step_by(977) {
            let there = rhythm.arrivals(f64::from(second));
            assert!((rhythm.seconds(there) - f64::from(second)).abs() < 0.001, "at {second} s");
        }
        assert_eq!(rhythm.arrivals(DAY), 288_000.0);
    }

    #[test]
    fn afternoons_are_busier_than_nights() {
        let rhythm = Rhythm::new(24.0);
        let in_hour = |hour: f64| rhythm.arrivals((hour + 1.0) * HOUR) - rhythm.arrivals(hour * HOUR);
        assert!(in_hour(16.0) > 5.0 * in_hour(0.0));
    }
}
