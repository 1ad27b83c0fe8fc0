//! The Kafka client side: producing and consuming with timeouts and retries.
//!
//! rskafka finds the cluster and makes topics; this module makes it dependable. rskafka retries without end, has no request
//! timeout and reports errors without saying what to do, so every call here has a deadline ([`ClientOptions`]), a retry
//! policy with backoff, and an error ([`KafkaError`]) that names the broker, topic, partition or offset it is about.
//!
//! What rskafka doesn't speak goes over connections of our own: the records of committed transactions ([`Consumer`]), and
//! what an operator sees, sizes, settings, groups and their lag ([`Admin`]). So do blocks on their way to the log
//! ([`Producer`]): rskafka's batches cost a load through the log a third of its processor time, which is twice what ours
//! do (docs/BENCHMARKS.md, "Loading beside other engines").
//!
//! A block of rows is one record: its value is the exact bytes of a range of a source, its headers ([`BlockHeaders`])
//! say which. This module knows blocks and offsets; it knows no rows, no store and no command line.

mod admin;
mod advice;
mod batch;
mod client;
mod cluster;
mod connection;
mod consumer;
mod embedded;
mod error;
mod group;
mod header;
mod leader;
mod notices;
mod options;
mod producer;
mod retry;
mod tls;

pub use admin::{Admin, GroupMember, GroupPartition, GroupReport, PartitionReport, TopicReport, TopicSetting};
pub use client::{KafkaClient, PartitionOffsets, Topic, runtime};
pub use consumer::{Consumer, Fetched, LogRecord};
pub use embedded::EmbeddedLog;
pub use error::KafkaError;
pub use group::GroupOffsets;
pub use header::{BlockHeaders, HEADER_LINE, HEADER_NAME, HEADER_RANGE, HEADER_SOURCE};
pub use notices::Notices;
pub use options::{ClientOptions, Compression, Mechanism, Sasl};
pub use producer::{IN_FLIGHT_PER_PARTITION, Producer};
pub use tls::Tls;
