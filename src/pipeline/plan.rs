//! Plans: everything a job needs to know, validated and with the defaults filled in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::share::Share;
use crate::kafka::{ClientOptions, Compression};

/// The topic that is used when none is named.
pub const DEFAULT_TOPIC: &str = "csv-event-data";

/// The consumer group whose committed offsets show how far a store is, unless another is named.
pub const DEFAULT_GROUP: &str = "cartlog";

/// Rows in one record, unless told otherwise: about 650 KB of the public data, well under the 1 MiB that a topic
/// takes by default, and large enough that neither requests nor record headers show in a profile.
pub const DEFAULT_ROWS_PER_RECORD: usize = 5000;

/// Partitions of a topic that a job creates.
///
/// A broker handles the requests of one connection one after the other, and each partition has a connection of its
/// own, so partitions are what lets checksums, writes and flushes of several blocks run at once. Four keep the cores
/// of an ordinary machine busy on both sides; more would only cut the group commits into smaller ones.
pub const DEFAULT_PARTITIONS: i32 = 4;

/// Where the columnar store of a `--store` directory stands.
#[must_use]
pub fn store_directory(directory: &Path) -> PathBuf {
    directory.join("store")
}

/// Where the embedded log of a `--store` directory stands.
#[must_use]
pub fn log_directory(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// Which log a job talks to, and how.
#[derive(Debug, Clone)]
pub struct LogPlan {
    /// The log.
    pub target: LogTarget,
    /// The topic; created if it is not there and the job writes to it.
    pub topic: String,
    /// Partitions of the topic, if it is to be created.
    pub partitions: i32,
    /// How what the job writes is compressed.
    pub compression: Compression,
    /// The consumer group whose offsets show Kafka's tools what the store has committed; `None` shows nothing. It is a
    /// display: where a job goes on is what its store says.
    pub group: Option<String>,
    /// Timeouts, retries and authentication.
    pub client: ClientOptions,
}

impl LogPlan {
    /// The log at this target with every default.
    ///
    /// ```
    /// use cartlog::pipeline::{LogPlan, LogTarget};
    ///
    /// let plan = LogPlan::new(LogTarget::Brokers(vec!["127.0.0.1:9092".to_owned()]));
    /// assert_eq!((plan.topic.as_str(), plan.partitions), ("csv-event-data", 4));
    /// ```
    #[must_use]
    pub fn new(target: LogTarget) -> Self {
        Self {
            target,
            topic: DEFAULT_TOPIC.to_owned(),
            partitions: DEFAULT_PARTITIONS,
            compression: Compression::default(),
            group: Some(DEFAULT_GROUP.to_owned()),
            client: ClientOptions::default(),
        }
    }
}

/// A log to talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// cartlog's own log in this directory (see [`log_directory`]), served inside the process on a free loopback port.
    Embedded(PathBuf),
    /// A Kafka cluster: addresses as `host:port`.
    Brokers(Vec<String>),
}

/// Sources into the store, through a log or without one.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Files, globs, or `-` for standard input.
    pub inputs: Vec<String>,
    /// The store's directory (see [`store_directory`]).
    pub store: PathBuf,
    /// The log; `None` fills the store alone.
    pub log: Option<LogPlan>,
    /// Rows in one record of the log.
    pub rows_per_record: usize,
    /// Threads that parse.
    pub threads: usize,
    /// Whether sources that are known already are loaded once more.
    pub again: bool,
    /// The rejected rows at which the load stops.
    pub max_rejected: Option<RejectLimit>,
    /// Whether to go on behind records that the log has dropped before they were read.
    pub skip_lost: bool,
}

impl LoadPlan {
    /// A load of these inputs with every default and the log given.
    #[must_use]
    pub fn new(inputs: Vec<String>, store: PathBuf, log: Option<LogPlan>) -> Self {
        Self {
            inputs,
            store,
            log,
            rows_per_record: DEFAULT_ROWS_PER_RECORD,
            threads: default_threads(),
            again: false,
            max_rejected: None,
            skip_lost: false,
        }
    }
}

/// Sources into a log, without a store.
#[derive(Debug, Clone)]
pub struct ProducePlan {
    /// Files, globs, or `-` for standard input.
    pub inputs: Vec<String>,
    /// The log.
    pub log: LogPlan,
    /// Rows in one record.
    pub rows_per_record: usize,
    /// Whether sources that the topic holds already are produced once more.
    pub again: bool,
}

impl ProducePlan {
    /// These inputs into this log with every default.
    #[must_use]
    pub fn new(inputs: Vec<String>, log: LogPlan) -> Self {
        Self { inputs, log, rows_per_record: DEFAULT_ROWS_PER_RECORD, again: false }
    }
}

/// A log into the store.
#[derive(Debug, Clone)]
pub struct IngestPlan {
    /// The store's directory (see [`store_directory`]).
    pub store: PathBuf,
    /// The log.
    pub log: LogPlan,
    /// The partitions that are read.
    pub share: Share,
    /// Whether to go on as the log grows; `None` stops at the end that each partition has at the start.
    pub follow: Option<Follow>,
    /// Threads that parse.
    pub threads: usize,
    /// The rejected rows at which the ingest stops.
    pub max_rejected: Option<RejectLimit>,
    /// Whether to go on behind records that the log has dropped before they were read.
    pub skip_lost: bool,
}

impl IngestPlan {
    /// All of this log into this store with every default, up to the present end.
    #[must_use]
    pub fn new(store: PathBuf, log: LogPlan) -> Self {
        Self {
            store,
            log,
            share: Share::All,
            follow: None,
            threads: default_threads(),
            max_rejected: None,
            skip_lost: false,
        }
    }
}

/// When a following ingest commits: at whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow {
    /// The longest that rows read stay uncommitted.
    pub commit_interval: Duration,
    /// The most rows read that stay uncommitted.
    pub commit_rows: u64,
}

impl Default for Follow {
    fn default() -> Self {
        Self { commit_interval: Duration::from_secs(2), commit_rows: 1 << 20 }
    }
}

/// The rejected rows at which a load stops: a number, or a share of the rows read.
///
/// ```
/// use cartlog::pipeline::RejectLimit;
///
/// assert_eq!("12".parse(), Ok(RejectLimit::Rows(12)));
/// assert_eq!("0.5%".parse(), Ok(RejectLimit::Percent(0.5)));
/// assert!("-1".parse::<RejectLimit>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RejectLimit {
    /// At most so many rows.
    Rows(u64),
    /// At most this percentage of the rows read, judged at the end and, on the way, from 10,000 rows on.
    Percent(f64),
}

impl RejectLimit {
    /// Rows read before a percentage means anything.
    const MEANINGFUL_ROWS: u64 = 10_000;

    /// Whether `rejected` of `read` rows go beyond the limit; `finished` once all are read.
    #[must_use]
    pub fn is_exceeded(self, rejected: u64, read: u64, finished: bool) -> bool {
        match self {
            Self::Rows(limit) => rejected > limit,
            Self::Percent(limit) => {
                (finished || read >= Self::MEANINGFUL_ROWS) && rejected as f64 * 100.0 > limit * read as f64
            }
        }
    }
}

impl FromStr for RejectLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is no limit; use a number of rows (100) or a percentage (0.5%), or leave it out to take any number"
            )
        };
        match text.strip_suffix('%') {
            None => text.parse().map(Self::Rows).map_err(|_| wrong()),
            Some(percent) => {
                let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
                if (0.0..=100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(wrong()) }
            }
        }
    }
}

impl fmt::Display for RejectLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(formatter, "{rows} rows"),
            Self::Percent(percent) => write!(formatter, "{percent} % of the rows"),
        }
    }
}

/// As many as the machine runs at once.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_rows_is_a_limit_at_once() {
        assert!(!RejectLimit::Rows(0).is_exceeded(0, 5, false));
        assert!(RejectLimit::Rows(0).is_exceeded(1, 5, false));
    }

    #[test]
    fn a_percentage_waits_for_enough_rows() {
        let limit: RejectLimit = "1%".parse().unwrap();
        assert!(!limit.is_exceeded(5, 10, false));
        assert!(limit.is_exceeded(5, 10, true));
        assert!(limit.is_exceeded(101, 10_000, false));
        assert!(!limit.is_exceeded(100, 10_000, true));
        assert!(!RejectLimit::Percent(0.0).is_exceeded(0, 0, true));
    }

    #[test]
    fn nonsense_is_no_limit() {
        for text in ["", "%", "-1", "1.5", "101%", "NaN%", "five"] {
            assert!(text.parse::<RejectLimit>().unwrap_err().contains("0.5%"), "{text}");
        }
    }
}
