//! A broker for tests: the cluster that `CARTLOG_TEST_BROKERS` names.

use std::sync::atomic::{AtomicU32, Ordering};

/// The addresses of the brokers to test against, if any.
pub(crate) fn brokers() -> Option<Vec<String>> {
    let brokers = std::env::var("CARTLOG_TEST_BROKERS").ok()?;
    Some(brokers.split(',').map(str::to_owned).collect())
}

/// A topic name that no other test, in this run or another, uses.
pub(crate) fn unique_topic(test: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    format!("test-{test}-{since}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}
