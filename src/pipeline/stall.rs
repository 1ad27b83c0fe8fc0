//! Noticing that reading waits for somebody else's transaction.
//!
//! Nothing behind an open transaction is read, and nothing in Kafka's answers calls that an error: the records are there,
//! and the end of what can be read stands still before them.

use std::time::{Duration, Instant};

use crate::kafka::{Fetched, Notices};

/// How long the wait may take before it is told; most transactions are over sooner.
const WORRYING: Duration = Duration::from_secs(5);

/// Looks at what the fetches of one partition bring.
#[derive(Debug)]
pub(super) struct Stall {
    notices: Notices,
    partition: String,
    /// Since when the partition stands still.
    since: Option<Instant>,
}

impl Stall {
    pub(super) fn new(notices: &Notices, topic: &str, partition: i32) -> Self {
        Self { notices: notices.clone(), partition: format!("{topic}/{partition}"), since: None }
    }

    /// Tells if the partition has stood still before records for a while.
    pub(super) fn look(&mut self, fetched: &Fetched) {
        let stands = fetched.records.is_empty()
            && fetched.next_offset == fetched.log_end
            && fetched.high_watermark > fetched.log_end;
        if !stands {
            self.since = None;
            return;
        }
        let offset = fetched.next_offset;
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= WORRYING {
            let Self { notices, partition, .. } = self;
            notices.tell("transaction", || {
                format!(
                    "waiting at {partition}, offset {offset}: another producer has had a transaction open there for {} s, and \
                     the records behind it can't be read before that is over",
                    since.elapsed().as_secs()
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(next_offset: i64, log_end: i64, high_watermark: i64) -> Fetched {
        Fetched { records: Vec::new(), next_offset, log_end, high_watermark }
    }

    #[test]
    fn only_a_long_wait_before_records_is_told() {
        let notices = Notices::default();
        let mut stall = Stall::new(&notices, "clicks", 3);
        stall.look(&fetched(7, 7, 7));
        assert!(stall.since.is_none(), "the end of the log is no stall");
        stall.look(&fetched(7, 7, 9));
        assert!(notices.take().is_empty(), "not at once");
        stall.since = Instant::now().checked_sub(WORRYING);
        stall.look(&fetched(7, 7, 9));
        let told = notices.take();
        assert!(
            told[0].contains("clicks/3") && told[0].contains("offset 7") && told[0].contains("transaction"),
            "{told:?}"
        );
        stall.look(&fetched(9, 9, 9));
        assert!(stall.since.is_none());
    }
}
