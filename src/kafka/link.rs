//! rskafka's connection to the leader of one partition, replaced when it is found dead.

use std::sync::{Arc, Mutex, PoisonError};

use rskafka::client::Client;
use rskafka::client::error::Error;
use rskafka::client::partition::{PartitionClient, UnknownTopicHandling};

use super::error::KafkaError;
use super::retry::{FinalFailure, RetryPolicy};

/// One partition, by a connection of its own. Cloning shares the connection.
#[derive(Debug, Clone)]
pub(super) struct Link {
    client: Arc<Client>,
    policy: RetryPolicy,
    topic: Arc<str>,
    partition: i32,
    current: Arc<Mutex<Option<Arc<PartitionClient>>>>,
}

impl Link {
    /// A link that connects with its first request.
    pub(super) fn new(client: Arc<Client>, policy: RetryPolicy, topic: Arc<str>, partition: i32) -> Self {
        Self { client, policy, topic, partition, current: Arc::default() }
    }

    pub(super) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    pub(super) fn partition(&self) -> i32 {
        self.partition
    }

    /// Runs a request against the leader under the retry policy. `verb` names it for messages (`producing to`).
    pub(super) async fn request<T, R: Future<Output = Result<T, Error>>>(
        &self,
        verb: &str,
        request: impl Fn(Arc<PartitionClient>) -> R,
    ) -> Result<T, FinalFailure> {
        let request = &request;
        self.policy
            .run(
                || format!("{verb} {}/{}", self.topic, self.partition),
                || async move { request(self.leader().await?).await },
                || self.disconnect(),
            )
            .await
    }

    /// The error for a failure that nothing more specific fits.
    pub(super) fn error(&self, failure: FinalFailure) -> KafkaError {
        self.policy.partition_error(failure, &self.topic, self.partition)
    }

    /// The addresses, for messages.
    pub(super) fn brokers(&self) -> String {
        self.policy.brokers.to_string()
    }

    async fn leader(&self) -> Result<Arc<PartitionClient>, Error> {
        if let Some(leader) = self.connected() {
            return Ok(leader);
        }
        let topic = self.topic.to_string();
        let leader = self.client.partition_client(topic, self.partition, UnknownTopicHandling::Error).await?;
        let leader = Arc::new(leader);
        // Two requests may have connected at once; all later ones share the connection that came first.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(current.get_or_insert(leader)))
    }

    fn connected(&self) -> Option<Arc<PartitionClient>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn disconnect(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
