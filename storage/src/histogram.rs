//! How long things take, counted in steps by atomics: measuring costs two relaxed additions, whoever measures at the same
//! time, and nothing is computed until somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the steps, in microseconds; one more step holds what is above.
const BOUNDS_US: [u64; 13] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// Durations since the program was started.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    total_us: AtomicU64,
    /// Those of each step; the last is beyond all bounds.
    steps: [AtomicU64; BOUNDS_US.len() + 1],
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn observe(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.steps[BOUNDS_US.partition_point(|bound| *bound < took_us)].fetch_add(1, Ordering::Relaxed);
        self.total_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// The sum of all durations, in microseconds.
    pub(crate) fn total_us(&self) -> u64 {
        self.total_us.load(Ordering::Relaxed)
    }

    /// How many durations were at most so many microseconds, by rising bounds; the last has none and counts all.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = BOUNDS_US.iter().copied().map(Some).chain([None]);
        bounds.zip(&self.steps).scan(0, |count, (bound, step)| {
            *count += step.load(Ordering::Relaxed);
            Some((bound, *count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_counts_what_is_at_most_it() {
        let histogram = Histogram::default();
        for took_us in [0, 100, 101, 5_000_000, 5_000_001] {
            histogram.observe(Duration::from_micros(took_us));
        }
        let counts: Vec<_> = histogram.counts().collect();
        assert_eq!(counts.len(), BOUNDS_US.len() + 1);
        assert_eq!(counts[..2], [(Some(100), 2), (Some(250), 3)]);
        assert_eq!(counts[12..], [(Some(5_000_000), 4), (None, 5)]);
        assert_eq!(histogram.total_us(), 10_000_202);
        histogram.observe(Duration::MAX);
        assert_eq!(histogram.counts().last(), Some((None, 6)));
    }
}
