//! Topics and partitions as record batches in Kafka's own file layout.
//!
//! A log is a folder. Each partition is a folder in it, `TOPIC-PARTITION`, whose `.log` files hold record batches byte
//! for byte as producers sent them; only the base offset and the leader epoch, which stand outside the checksum, are
//! filled in. Beside each `.log` stand its sparse `.index` (offset → position) and `.timeindex` (time → offset), in
//! Kafka's encoding, so that Kafka's own tools read a stopped log.
//!
//! Deliberately absent: sockets and protocol messages (they are the broker's), and record decoding on the way in or out:
//! a batch is opaque but for its 61-byte header. Only a search by time looks inside, and an append where the topic asks
//! for it by its settings (keys for `cleanup.policy=compact`, another `compression.type`).
//!
//! Durability: [`Partition::append`] leaves a batch in the page cache, where it survives the death of the process.
//! [`Partition::wait_durable`] returns when it is on disk; one `fsync` serves all who wait at that moment.
//!
//! ```
//! use std::sync::Arc;
//! use cartlog_storage::io::OsDirectory;
//! use cartlog_storage::log::{Log, LogOptions, TopicConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let log = Log::open(Arc::new(OsDirectory::open(folder.path())?), LogOptions::default())?;
//! let topic = log.create_topic("events", 2, TopicConfig::default())?;
//! assert_eq!(topic.partitions().len(), 2);
//! log.close()?;
//! # Ok(())
//! # }
//! ```

mod administration;
mod batch;
mod catalogue;
mod checkpoint;
mod compress;
#[cfg(test)]
mod crash_tests;
mod error;
mod flush;
mod folders;
mod index;
mod keeper;
mod options;
mod partition;
#[cfg(test)]
mod producer_tests;
mod producers;
mod records;
mod recovery;
mod root;
mod segment;
mod settings;
mod slice;
mod topic;
mod verify;
mod writer;

#[cfg(test)]
pub(crate) use batch::tests::batch as batch_for_tests;
pub use batch::{Attributes, BatchError, BatchHeader, Compression, HEADER_LENGTH, Offset};
pub use compress::compress;
pub use error::LogError;
pub use options::{LogOptions, MAXIMUM_PARTITIONS, TimestampType};
pub use partition::{Appended, Partition, Read, Subscription, TimedOffset, Traffic};
pub use producers::ProducerError;
pub use records::{decompress, put_varint, read_varint};
pub use root::Log;
pub use settings::{SETTINGS, Setting, SettingKind, SettingValue, TopicConfig};
pub use slice::LogSlice;
pub use topic::{Topic, TopicId};
pub use verify::{LogFault, LogReport, Remedy, repair, verify};
