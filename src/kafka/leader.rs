//! The leader of one partition, asked under the retry policy for offsets and records, and given records.
//!
//! rskafka neither tells a reader the transactions that were aborted nor where a batch without records ends, and a writer
//! can't tell it how to compress; so what is read and written goes over a connection of our own. All requests about the
//! partition share it. One that failed is dropped, and the next try finds out anew who leads.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, ListOffsetsResponse, TopicName};

use super::cluster::{Cluster, text};
use super::connection::{Ask, Connection};
use super::error::KafkaError;
use super::retry::{FinalFailure, RetryPolicy};

/// Only what stands before the first transaction that is still open, without what was aborted (KIP-98).
pub(super) const READ_COMMITTED: i8 = 1;
/// The times that stand for the ends of a log.
pub(super) const LATEST: i64 = -1;
pub(super) const EARLIEST: i64 = -2;

/// One partition, by a connection of its own to its leader.
#[derive(Debug)]
pub(super) struct Leader {
    cluster: Arc<Cluster>,
    policy: RetryPolicy,
    topic: Arc<str>,
    partition: i32,
    current: Mutex<Option<Arc<Connection>>>,
    /// Held by the one who looks for the leader.
    connecting: tokio::sync::Mutex<()>,
}

/// Why an answer can't be used.
pub(super) enum Unusable {
    /// It says no.
    Denied(ResponseError),
    /// It says what the protocol forbids.
    Nonsense(String),
}

impl Unusable {
    /// Turns an error code of an answer into the reason.
    pub(super) fn check(code: i16) -> Result<(), Self> {
        ResponseError::try_from_code(code).map_or(Ok(()), |error| Err(Self::Denied(error)))
    }
}

impl Leader {
    /// A leader that is looked for with the first request.
    pub(super) fn new(cluster: Arc<Cluster>, policy: RetryPolicy, topic: Arc<str>, partition: i32) -> Self {
        let (current, connecting) = Default::default();
        Self { cluster, policy, topic, partition, current, connecting }
    }

    pub(super) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    pub(super) fn partition(&self) -> i32 {
        self.partition
    }

    /// The addresses, for messages.
    pub(super) fn brokers(&self) -> String {
        self.policy.brokers.to_string()
    }

    /// The topic's name in a request.
    pub(super) fn topic_name(&self) -> TopicName {
        TopicName(text(&self.topic))
    }

    /// The first offset that the log holds, and the one behind the last that can be read.
    ///
    /// # Errors
    /// [`KafkaError::UnknownPartition`], [`KafkaError::Request`].
    pub(super) async fn offsets(&self) -> Result<Range<i64>, KafkaError> {
        let earliest = self.offset_at(EARLIEST).await.map_err(|failure| self.error(failure))?;
        let latest = self.offset_at(LATEST).await.map_err(|failure| self.error(failure))?;
        Ok(earliest..latest)
    }

    async fn offset_at(&self, time: i64) -> Result<i64, FinalFailure> {
        let partition = ListOffsetsPartition::default().with_partition_index(self.partition).with_timestamp(time);
        let topic = ListOffsetsTopic::default().with_name(self.topic_name()).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(READ_COMMITTED)
            .with_topics(vec![topic]);
        let answer = |answer: ListOffsetsResponse| {
            let mut partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
            let partition = partitions.next().ok_or_else(|| Unusable::Nonsense("it names no partition".to_owned()))?;
            Unusable::check(partition.error_code)?;
            Ok(partition.offset)
        };
        self.ask("asking for the offsets of", &request, answer).await
    }

    /// Asks the leader. `verb` names the request for messages (`fetching from`); `take` gets what was asked for out of
    /// the answer.
    pub(super) async fn ask<R: Ask, T>(
        &self,
        verb: &str,
        request: &R,
        take: impl Fn(R::Response) -> Result<T, Unusable>,
    ) -> Result<T, FinalFailure> {
        let take = &take;
        let abandon = || {
            *self.current() = None;
            self.cluster.doubt();
        };
        self.policy.run(|| self.named(verb), || self.ask_once(request, take), abandon).await
    }

    /// A request to this partition, for messages.
    pub(super) fn named(&self, verb: &str) -> String {
        format!("{verb} {}/{}", self.topic, self.partition)
    }

    async fn ask_once<R: Ask, T>(
        &self,
        request: &R,
        take: impl Fn(R::Response) -> Result<T, Unusable>,
    ) -> Result<T, KafkaError> {
        let connection = self.connection().await.inspect_err(|_| self.cluster.doubt())?;
        let answer = connection.ask(request).await.and_then(|answer| {
            take(answer).map_err(|unusable| match unusable {
                Unusable::Denied(error) => connection.denied::<R>(error, None),
                Unusable::Nonsense(reason) => connection.nonsense::<R>(reason),
            })
        });
        // Of several requests that fail together the first one says so.
        if answer.is_err() && self.current().take_if(|current| Arc::ptr_eq(current, &connection)).is_some() {
            self.cluster.doubt();
        }
        answer
    }

    async fn connection(&self) -> Result<Arc<Connection>, KafkaError> {
        let known = || self.current().clone();
        if let Some(connection) = known() {
            return Ok(connection);
        }
        // Those that come meanwhile share what the first one finds.
        let _turn = self.connecting.lock().await;
        if let Some(connection) = known() {
            return Ok(connection);
        }
        let connection = Arc::new(self.cluster.leader(&self.topic, self.partition).await?);
        *self.current() = Some(Arc::clone(&connection));
        Ok(connection)
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error for a failure that nothing more specific fits.
    pub(super) fn error(&self, failure: FinalFailure) -> KafkaError {
        self.policy.partition_error(failure, &self.topic, self.partition)
    }
}
