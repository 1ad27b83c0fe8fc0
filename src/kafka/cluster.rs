//! The brokers of a cluster, and which of them leads a partition.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::connection::{Connection, Connector};
use super::error::KafkaError;

/// How the brokers of a cluster are reached.
#[derive(Debug)]
pub(super) struct Cluster {
    connector: Connector,
    /// Those that the user has named, in that order.
    named: Vec<String>,
    /// Those that the cluster has named since, for when none of the others is there any more.
    learned: Mutex<Vec<String>>,
}

impl Cluster {
    /// A cluster that is asked with the first need.
    pub(super) fn new(connector: Connector, named: Vec<String>) -> Self {
        Self { connector, named, learned: Mutex::default() }
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
        let request = about(Some(&[topic]));
        let mut failure = KafkaError::Address { address: String::new() };
        for address in self.addresses() {
            let answer = async {
                let mut connection = self.connector.connect(&address).await?;
                Ok((connection.ask(&request).await?, connection))
            };
            match answer.await {
                Ok((metadata, connection)) => {
                    *self.learned.lock().unwrap_or_else(PoisonError::into_inner) =
                        addresses_of(&metadata).into_values().collect();
                    return Ok((metadata, connection));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// All known addresses, those that the user has named first.
    fn addresses(&self) -> Vec<String> {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let new = learned.iter().filter(|address| !self.named.contains(address));
        self.named.iter().chain(new).cloned().collect()
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
    let addresses = metadata.brokers.iter().map(|broker| {
        let host = if broker.host.contains(':') { format!("[{}]", broker.host) } else { broker.host.to_string() };
        (broker.node_id.0, format!("{host}:{}", broker.port))
    });
    addresses.collect()
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
