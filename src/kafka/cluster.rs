//! The brokers of a cluster, and which of them leads a partition.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::connection::{Ask, Connection, Connector};
use super::error::KafkaError;

/// How the brokers of a cluster are reached.
#[derive(Debug)]
pub(super) struct Cluster {
    connector: Connector,
    /// Those that the user has named, in that order.
    named: Vec<String>,
    heard: Mutex<Heard>,
}

/// What the cluster's answers have told.
#[derive(Debug, Default)]
struct Heard {
    /// The broker that answered last: it is asked first, so that one that is gone costs its timeout once.
    answered: Option<String>,
    /// How often an answer has led nowhere. Another broker is then the first: one that has just come back, or that is cut
    /// off, may go on telling what was true once.
    doubts: usize,
    /// Those that the cluster has named, for when none of the others is there any more.
    learned: Vec<String>,
}

impl Cluster {
    /// A cluster that is asked with the first need.
    pub(super) fn new(connector: Connector, named: Vec<String>) -> Self {
        Self { connector, named, heard: Mutex::default() }
    }

    /// How its brokers are connected to.
    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The id of a topic: another one for a topic that was deleted and created anew under the same name. `None` from
    /// clusters that don't tell (before Kafka 2.8, KIP-516).
    ///
    /// # Errors
    /// Those of [`Cluster::leader`].
    pub(super) async fn topic_id(&self, topic: &str) -> Result<Option<[u8; 16]>, KafkaError> {
        let (metadata, connection) = self.metadata(topic).await?;
        let known = described(&metadata, &connection)?;
        Ok(Some(known.topic_id.into_bytes()).filter(|id| *id != [0; 16]))
    }

    /// A connection to the leader of a partition.
    ///
    /// # Errors
    /// [`KafkaError::Denied`] with Kafka's code if the topic, the partition or its leader is not there (for now);
    /// [`KafkaError::Connect`], [`KafkaError::Refused`], [`KafkaError::Request`], [`KafkaError::Protocol`].
    pub(super) async fn leader(&self, topic: &str, partition: i32) -> Result<Connection, KafkaError> {
        let (metadata, connection) = self.metadata(topic).await?;
        let known = described(&metadata, &connection)?;
        let known = known.partitions.iter().find(|known| known.partition_index == partition);
        let known =
            known.ok_or_else(|| connection.denied::<MetadataRequest>(ResponseError::UnknownTopicOrPartition, None))?;
        // That a replica is away is no hindrance to reading from the leader.
        if known.error_code != ResponseError::ReplicaNotAvailable.code() {
            connection.check::<MetadataRequest>(known.error_code, None)?;
        }
        let addresses = addresses_of(&metadata);
        let leader = addresses.get(&known.leader_id.0);
        let leader =
            leader.ok_or_else(|| connection.denied::<MetadataRequest>(ResponseError::LeaderNotAvailable, None))?;
        if leader == connection.address() { Ok(connection) } else { self.connector.connect(leader).await }
    }

    /// Metadata of a topic from the first broker that answers, and the connection to it.
    async fn metadata(&self, topic: &str) -> Result<(MetadataResponse, Connection), KafkaError> {
        let (metadata, connection) = self.first_answer(&about(Some(&[topic]))).await?;
        self.heard().learned = addresses_of(&metadata).into_values().collect();
        Ok((metadata, connection))
    }

    /// A connection to the broker that coordinates a group.
    ///
    /// # Errors
    /// [`KafkaError::Denied`] with Kafka's code if there is none (for now); those of [`Cluster::leader`].
    pub(super) async fn coordinator(&self, group: &str) -> Result<Connection, KafkaError> {
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let (answer, connection) = self.first_answer(&request).await?;
        connection.check::<FindCoordinatorRequest>(answer.error_code, answer.error_message.as_deref())?;
        let address = address(&answer.host, answer.port);
        if address == connection.address() { Ok(connection) } else { self.connector.connect(&address).await }
    }

    /// What the first broker that answers says, and the connection to it.
    async fn first_answer<R: Ask>(&self, request: &R) -> Result<(R::Response, Connection), KafkaError> {
        let mut failure = KafkaError::Address { address: String::new() };
        for address in self.addresses() {
            let answer = async {
                let connection = self.connector.connect(&address).await?;
                Ok((connection.ask(request).await?, connection))
            };
            match answer.await {
                Ok(answer) => {
                    self.heard().answered = Some(address);
                    return Ok(answer);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// What the last answer told has turned out to be wrong, or its broker to be gone.
    pub(super) fn doubt(&self) {
        let mut heard = self.heard();
        heard.answered = None;
        heard.doubts = heard.doubts.wrapping_add(1);
    }

    /// All known addresses: the one that answered last, those that the user has named, those that were learned.
    fn addresses(&self) -> Vec<String> {
        let heard = self.heard();
        let new = heard.learned.iter().filter(|address| !self.named.contains(address));
        let mut addresses: Vec<String> = self.named.iter().chain(new).cloned().collect();
        let turns = heard.doubts % addresses.len().max(1);
        addresses.rotate_left(turns);
        if let Some(place) = addresses.iter().position(|address| Some(address) == heard.answered.as_ref()) {
            addresses[..=place].rotate_right(1);
        }
        addresses
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request for what is known of these topics, of all if it is `None`; none of them is created by asking.
pub(super) fn about(names: Option<&[&str]>) -> MetadataRequest {
    let named = |name: &&str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
    let topics = names.map(|names| names.iter().map(named).collect());
    MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false)
}

/// The addresses of the brokers in an answer, by their numbers.
pub(super) fn addresses_of(metadata: &MetadataResponse) -> BTreeMap<i32, String> {
    metadata.brokers.iter().map(|broker| (broker.node_id.0, address(&broker.host, broker.port))).collect()
}

fn address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A text for a request.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The one topic that was asked for, if it is there.
fn described<'a>(
    metadata: &'a MetadataResponse,
    connection: &Connection,
) -> Result<&'a MetadataResponseTopic, KafkaError> {
    let [topic] = &metadata.topics[..] else {
        let topics = metadata.topics.len();
        return Err(connection.nonsense::<MetadataRequest>(format!("{topics} topics where one was asked for")));
    };
    connection.check::<MetadataRequest>(topic.error_code, None)?;
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_broker_that_answered_is_asked_first_until_its_answer_was_wrong() {
        let connect = Duration::from_secs(1);
        let connector = Connector { tls: None, sasl: None, name: None, connect, timeout: connect };
        let cluster = Cluster::new(connector, vec!["a:1".to_owned(), "b:1".to_owned()]);
        assert_eq!(cluster.addresses(), ["a:1", "b:1"]);
        cluster.heard().learned = vec!["b:1".to_owned(), "c:1".to_owned()];
        cluster.heard().answered = Some("c:1".to_owned());
        assert_eq!(cluster.addresses(), ["c:1", "a:1", "b:1"]);
        cluster.doubt();
        assert_eq!(cluster.addresses(), ["b:1", "c:1", "a:1"]);
        cluster.doubt();
        cluster.doubt();
        assert_eq!(cluster.addresses(), ["a:1", "b:1", "c:1"]);
    }
}
