//! How the store grows while somebody looks: rows a second, and how far it is behind its topic.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cartlog_storage::store::LogPosition;

/// The time over which a rate is told.
const WINDOW: Duration = Duration::from_secs(10);

/// One partition of the topic that the store is filled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset that is there.
    pub earliest: i64,
    /// The offset behind the last one.
    pub latest: i64,
}

/// What was seen of a store, and when.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// Rows at the moments when they were seen to be more.
    seen: VecDeque<(Instant, u64)>,
    /// The log's ends, as last told.
    ends: Option<Vec<LogEnd>>,
}

impl Growth {
    /// Notes how many rows there are.
    pub(super) fn note(&mut self, now: Instant, rows: u64) {
        if self.seen.back().is_none_or(|(_, known)| *known != rows) {
            self.seen.push_back((now, rows));
        }
        // One moment before the window stays: what came since then is told.
        while self.seen.get(1).is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Rows a second of late; 0 if none came.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        let (Some((first, before)), Some((last, rows))) = (self.seen.front(), self.seen.back()) else { return 0.0 };
        let since = now.duration_since((*first).max(now.checked_sub(WINDOW).unwrap_or(*first))).as_secs_f64();
        if now.duration_since(*last) > WINDOW || since <= 0.0 {
            return 0.0;
        }
        rows.saturating_sub(*before) as f64 / since
    }

    /// Takes in where the log ends now; `None` when that can't be told.
    pub(super) fn log_ends(&mut self, ends: Option<Vec<LogEnd>>) {
        self.ends = ends;
    }

    /// Records in the log that the store hasn't read; `None` if the log isn't known.
    pub(super) fn behind(&self, positions: &[LogPosition]) -> Option<u64> {
        let behind = |end: &LogEnd| {
            let read = positions
                .iter()
                .filter(|position| position.topic == end.topic && position.partition == end.partition)
                .map(|position| position.next_offset);
            let next = read.max().unwrap_or(end.earliest).max(end.earliest);
            u64::try_from(end.latest.saturating_sub(next)).unwrap_or_default()
        };
        self.ends.as_ref().map(|ends| ends.iter().map(behind).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn a_rate_is_of_the_last_seconds() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut growth = Growth::default();
        assert!(close(growth.rate(at(0)), 0.0));
        growth.note(at(0), 1000);
        assert!(close(growth.rate(at(5)), 0.0), "one look tells no rate");
        growth.note(at(5), 2000);
        assert!(close(growth.rate(at(5)), 200.0));
        growth.note(at(8), 2000);
        assert!(close(growth.rate(at(10)), 100.0));
        assert!(close(growth.rate(at(16)), 0.0), "nothing came for ten seconds");
        growth.note(at(100), 3000);
        assert!(close(growth.rate(at(100)), 100.0), "spread over the window, not over the time before");
    }

    #[test]
    fn what_is_not_read_is_behind() {
        let end = |partition, earliest, latest| LogEnd { topic: "t".to_owned(), partition, earliest, latest };
        let position = |topic: &str, partition, next_offset| LogPosition {
            topic: topic.to_owned(),
            topic_id: None,
            partition,
            next_offset,
        };
        let mut growth = Growth::default();
        assert_eq!(growth.behind(&[]), None);
        growth.log_ends(Some(vec![end(0, 5, 20), end(1, 0, 7)]));
        assert_eq!(growth.behind(&[]), Some(22));
        assert_eq!(growth.behind(&[position("t", 0, 18), position("other", 1, 7)]), Some(9));
        assert_eq!(growth.behind(&[position("t", 0, 2), position("t", 1, 9)]), Some(15));
    }
}
