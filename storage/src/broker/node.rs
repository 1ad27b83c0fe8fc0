//! What every request handler may use: the log, the settings and the address told to clients.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Semaphore, watch};

use super::addresses::Addresses;
use super::metrics::Metrics;
use super::options::BrokerOptions;
use crate::groups::Coordinator;
use crate::log::{BatchError, Log, LogError, ProducerError};

/// The id of the only node.
pub(super) const NODE_ID: BrokerId = BrokerId(1);

/// Passwords hashed at the same time.
const HASHING_TOGETHER: usize = 2;
/// Requests up to this size need no permit.
const SMALL_REQUEST: usize = 1 << 20;

/// The one node of the cluster.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) log: Arc<Log>,
    pub(super) groups: Coordinator,
    pub(super) options: BrokerOptions,
    /// Host and port told to clients.
    pub(super) host: StrBytes,
    pub(super) port: i32,
    /// One permit for each KiB of large requests that may be in memory.
    pub(super) large_requests: Arc<Semaphore>,
    /// A permit for each password that may be hashed at the same time.
    pub(super) hashing: Semaphore,
    /// Who is connected from where.
    pub(super) addresses: Arc<Addresses>,
    /// What has been done so far.
    pub(super) metrics: Metrics,
    /// Becomes true when the broker shuts down.
    pub(super) closing: watch::Receiver<bool>,
}

impl Node {
    /// A node that tells clients to connect to `host` and `port`.
    pub(super) fn new(
        log: Arc<Log>,
        groups: Coordinator,
        options: BrokerOptions,
        (host, port): (String, u16),
        closing: watch::Receiver<bool>,
    ) -> Self {
        let permits = (options.max_inflight_bytes >> 10).min(Semaphore::MAX_PERMITS);
        let large_requests = Arc::new(Semaphore::new(permits));
        Self {
            log,
            groups,
            options,
            host: text(host),
            port: i32::from(port),
            large_requests,
            hashing: Semaphore::new(HASHING_TOGETHER),
            addresses: Arc::default(),
            metrics: Metrics::default(),
            closing,
        }
    }

    /// The permits that a request of this size needs before its bytes are read.
    pub(super) fn permits_for(&self, request_bytes: usize) -> u32 {
        if request_bytes <= SMALL_REQUEST {
            return 0;
        }
        // A request larger than all permits together gets them all.
        let permits = (request_bytes >> 10).min(self.options.max_inflight_bytes >> 10);
        u32::try_from(permits).unwrap_or(u32::MAX)
    }
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
            BatchError::Truncated { .. }
            | BatchError::Length(_)
            | BatchError::Checksum { .. }
            | BatchError::Records(_) => ResponseError::CorruptMessage,
            BatchError::TooLarge { .. } => ResponseError::MessageTooLarge,
            BatchError::Transactional => ResponseError::InvalidTxnState,
            BatchError::Compression(_) => ResponseError::UnsupportedCompressionType,
            BatchError::Timestamp(_) => ResponseError::InvalidTimestamp,
            _ => ResponseError::InvalidRecord,
        },
        LogError::Producer(producer) => match producer {
            ProducerError::OutOfOrder { .. } => ResponseError::OutOfOrderSequenceNumber,
            ProducerError::Fenced { .. } => ResponseError::InvalidProducerEpoch,
            ProducerError::Invalid { .. } => ResponseError::InvalidRecord,
        },
        LogError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        LogError::TopicExists(_) => ResponseError::TopicAlreadyExists,
        LogError::UnknownTopic(_) => ResponseError::UnknownTopicOrPartition,
        LogError::InvalidTopicName { .. } | LogError::TopicNameCollides { .. } => ResponseError::InvalidTopicException,
        LogError::InvalidPartitionCount { .. } | LogError::NotMorePartitions { .. } => ResponseError::InvalidPartitions,
        LogError::UnknownSetting(_) | LogError::InvalidSetting { .. } => ResponseError::InvalidConfig,
        LogError::Io { .. }
        | LogError::Latched { .. }
        | LogError::Offline { .. }
        | LogError::Corrupt { .. }
        | LogError::NoCatalogue { .. } => ResponseError::KafkaStorageError,
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
