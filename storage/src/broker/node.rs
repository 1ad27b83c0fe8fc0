//! What every request handler may use: the log, the settings and the address told to clients.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::watch;

use super::options::BrokerOptions;
use crate::log::{BatchError, Log, LogError};

/// The id of the only node.
pub(super) const NODE_ID: BrokerId = BrokerId(1);

/// The one node of the cluster.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) log: Arc<Log>,
    pub(super) options: BrokerOptions,
    /// Host and port told to clients.
    pub(super) host: StrBytes,
    pub(super) port: i32,
    /// Becomes true when the broker shuts down.
    pub(super) closing: watch::Receiver<bool>,
}

/// Returns when the broker shuts down.
pub(super) async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the broker's handle is gone, which is a shutdown too.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// The protocol's code for an error of the log.
pub(super) fn error_code(error: &LogError) -> ResponseError {
    match error {
        LogError::Batch(batch) => match batch {
            BatchError::Truncated { .. } | BatchError::Length(_) | BatchError::Checksum { .. } => {
                ResponseError::CorruptMessage
            }
            BatchError::TooLarge { .. } => ResponseError::MessageTooLarge,
            BatchError::Transactional => ResponseError::InvalidTxnState,
            BatchError::Compression(_) => ResponseError::UnsupportedCompressionType,
            BatchError::Timestamp(_) => ResponseError::InvalidTimestamp,
            _ => ResponseError::InvalidRecord,
        },
        LogError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        LogError::TopicExists(_) => ResponseError::TopicAlreadyExists,
        LogError::UnknownTopic(_) => ResponseError::UnknownTopicOrPartition,
        LogError::InvalidTopicName { .. } => ResponseError::InvalidTopicException,
        LogError::InvalidPartitionCount { .. } => ResponseError::InvalidPartitions,
        LogError::Io { .. } | LogError::Latched { .. } | LogError::Corrupt { .. } => ResponseError::KafkaStorageError,
        LogError::InUse => ResponseError::UnknownServerError,
    }
}

/// A text for a protocol message.
pub(super) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// Checks the leader epoch that a client believes in; ours is always 0.
pub(super) fn check_epoch(current: i32) -> Result<(), ResponseError> {
    match current {
        -1 | 0 => Ok(()),
        epoch if epoch < 0 => Err(ResponseError::FencedLeaderEpoch),
        _ => Err(ResponseError::UnknownLeaderEpoch),
    }
}
