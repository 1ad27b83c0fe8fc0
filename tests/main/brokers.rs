//! The log that a test runs against: the cluster that `CARTLOG_TEST_BROKERS` names, or else the embedded one.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use cartlog::kafka::EmbeddedLog;
use cartlog::pipeline::{LogPlan, LogTarget, log_directory};

/// A log with a topic of its own.
pub(crate) struct Log {
    pub(crate) plan: LogPlan,
}

/// A log that is being served.
pub(crate) struct Served {
    pub(crate) brokers: Vec<String>,
    embedded: Option<EmbeddedLog>,
}

impl Log {
    /// Serves the log, for tests that talk to it themselves.
    pub(crate) async fn serve(&self) -> Served {
        match &self.plan.target {
            LogTarget::Brokers(brokers) => Served { brokers: brokers.clone(), embedded: None },
            LogTarget::Embedded(directory) => {
                let embedded = EmbeddedLog::start(directory).await.unwrap();
                Served { brokers: vec![embedded.address().to_string()], embedded: Some(embedded) }
            }
        }
    }
}

impl Served {
    pub(crate) async fn stop(self) {
        if let Some(embedded) = self.embedded {
            embedded.shutdown().await.unwrap();
        }
    }
}

/// The addresses of the brokers to test against, if any.
pub(crate) fn brokers() -> Option<Vec<String>> {
    let brokers = std::env::var("CARTLOG_TEST_BROKERS").ok()?;
    Some(brokers.split(',').map(str::to_owned).collect())
}

/// The log to test against, with a topic of this test's own.
pub(crate) fn log(test: &str, directory: &Path) -> Log {
    let target = brokers().map_or_else(|| LogTarget::Embedded(log_directory(directory)), LogTarget::Brokers);
    Log { plan: LogPlan { topic: unique_topic(test), ..LogPlan::new(target) } }
}

/// A topic name that no other test, in this run or another, uses.
pub(crate) fn unique_topic(test: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    format!("test-{test}-{since}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}
