//! What can go wrong between this process and the brokers, said so that the reader knows where and what to do.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// An error of the Kafka client side.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// A broker address is not `host:port`.
    #[error("`{address}` is no broker address; write host:port, several separated by commas")]
    Address {
        /// What was given.
        address: String,
    },

    /// None of the brokers could be reached.
    #[error(
        "no Kafka broker answers at {brokers} within {:.1} s: {reason}; check that it runs and that the address is \
         right, or leave --brokers away to use the embedded log",
        waited.as_secs_f64()
    )]
    Connect {
        /// The addresses tried.
        brokers: String,
        /// For how long.
        waited: Duration,
        /// The last error.
        reason: String,
    },

    /// A broker was reached and refuses the connection, or speaks something else.
    #[error("can't connect to {brokers}: {reason}")]
    Refused {
        /// The addresses tried.
        brokers: String,
        /// What the broker said, and what to do.
        reason: String,
    },

    /// A topic that has to be there is not.
    #[error("topic `{topic}` does not exist at {brokers}; `cartlog topics list` shows those that do")]
    UnknownTopic {
        /// The topic.
        topic: String,
        /// The brokers asked.
        brokers: String,
    },

    /// A partition that has to be there is not.
    #[error("topic `{topic}` at {brokers} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The brokers asked.
        brokers: String,
    },

    /// A topic to be created is there already.
    #[error("topic `{topic}` exists already at {brokers}")]
    TopicExists {
        /// The topic.
        topic: String,
        /// The brokers asked.
        brokers: String,
    },

    /// Records to be read are no longer, or not yet, in the log.
    #[error(
        "{topic}/{partition}: offsets {}..{} are asked for, but the log at {brokers} holds {}..{}; {}",
        lost.start, lost.end, available.start, available.end, advice_for_range(lost, available)
    )]
    OffsetOutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offsets that cannot be had: from the one asked for to where the log has records again.
        lost: Range<i64>,
        /// What the log holds.
        available: Range<i64>,
        /// The brokers asked.
        brokers: String,
    },

    /// A block is larger than the topic takes.
    #[error(
        "{topic}/{partition}: a record of {bytes} bytes is larger than the topic takes; lower --rows-per-record or \
         raise the topic's max.message.bytes"
    )]
    TooLarge {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The size of the record's value.
        bytes: usize,
    },

    /// A request went wrong in a way that another try cannot mend, or all tries were used up.
    #[error("{what} at {brokers} failed after {attempts} attempt(s) in {:.1} s: {reason}", waited.as_secs_f64())]
    Request {
        /// What was asked, with its topic and partition.
        what: String,
        /// The brokers asked.
        brokers: String,
        /// How often it was tried.
        attempts: u32,
        /// How long it was tried.
        waited: Duration,
        /// The last error.
        reason: String,
    },

    /// The broker says no.
    #[error("{what} at {brokers} was refused: {reason}")]
    Denied {
        /// What was asked.
        what: String,
        /// The broker.
        brokers: String,
        /// Kafka's number of the error.
        code: i16,
        /// The broker's reason.
        reason: String,
    },

    /// A consumer group that has to be there is not.
    #[error("there is no consumer group `{group}` at {brokers}; `cartlog topics groups` shows those there are")]
    UnknownGroup {
        /// The group.
        group: String,
        /// The brokers asked.
        brokers: String,
    },

    /// The broker sent something that the protocol forbids.
    #[error("{what} at {brokers} was answered with nonsense: {reason}")]
    Protocol {
        /// What was asked, with its topic and partition.
        what: String,
        /// The broker.
        brokers: String,
        /// What is wrong about the answer.
        reason: String,
    },

    /// The files that TLS needs can't be used.
    #[error("TLS can't be set up: {0}")]
    Tls(String),

    /// The threads of the client could not be started.
    #[error("cannot start the threads of the Kafka client: {0}")]
    Runtime(#[source] Arc<std::io::Error>),

    /// The embedded log could not be opened or served.
    #[error("the embedded log in {directory}: {reason}")]
    Embedded {
        /// The log's directory.
        directory: String,
        /// What went wrong and what to do.
        reason: String,
    },
}

fn advice_for_range(lost: &Range<i64>, available: &Range<i64>) -> &'static str {
    if lost.start < available.start {
        "the log's retention has removed them before they were read; --skip-lost goes on where the log begins now"
    } else {
        "the topic was deleted and created anew, or this is another cluster; use the brokers and the topic that this \
         store was filled from, or another --store"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out_of_range(lost: Range<i64>, available: Range<i64>) -> String {
        KafkaError::OffsetOutOfRange {
            topic: "clicks".to_owned(),
            partition: 3,
            lost,
            available,
            brokers: "127.0.0.1:9092".to_owned(),
        }
        .to_string()
    }

    #[test]
    fn a_lost_range_is_named_with_what_to_do() {
        let removed = out_of_range(5..9, 9..20);
        assert!(
            removed.contains("clicks/3") && removed.contains("5..9") && removed.contains("--skip-lost"),
            "{removed}"
        );
        let recreated = out_of_range(50..50, 0..20);
        assert!(recreated.contains("created anew") && recreated.contains("127.0.0.1:9092"), "{recreated}");
    }
}
