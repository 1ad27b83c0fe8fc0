//! What an operator asks a cluster: topics with offsets and sizes, their settings, groups with members and lag.
//!
//! rskafka has no requests for groups, sizes and settings. This is a client for those few, over one connection a broker,
//! with the same addresses, TLS and login. It asks the leaders for offsets, each broker for the groups that it
//! coordinates, and what a broker doesn't tell stays open instead of failing the rest.

mod groups;
mod topics;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};

pub use self::groups::{GroupMember, GroupPartition, GroupReport};
pub use self::topics::{PartitionReport, TopicReport, TopicSetting};
use super::client::KafkaClient;
use super::cluster::{about, addresses_of};
use super::connection::{Connection, Connector};
use super::error::KafkaError;
use super::options::ClientOptions;

/// How long a broker may go on saying that it isn't ready yet.
const GETS_READY: Duration = Duration::from_secs(10);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// An operator's view of a cluster.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cartlog::kafka::{Admin, ClientOptions, EmbeddedLog, runtime};
///
/// let directory = tempfile::tempdir()?;
/// runtime(2)?.block_on(async {
///     let log = EmbeddedLog::start(directory.path()).await?;
///     let mut admin = Admin::connect(&[log.address().to_string()], &ClientOptions::default()).await?;
///     admin.create_topic("clicks", 4, &[("retention.ms".to_owned(), "1000".to_owned())]).await?;
///     let topic = admin.topic("clicks").await?;
///     assert_eq!((topic.partitions.len(), topic.records(), topic.bytes()), (4, 0, Some(0)));
///     assert!(admin.groups().await?.is_empty());
///     drop(admin);
///     log.shutdown().await?;
///     Ok(())
/// })
/// # }
/// ```
pub struct Admin {
    client: KafkaClient,
    connector: Connector,
    /// The addresses of brokers by number.
    addresses: BTreeMap<i32, String>,
    connections: BTreeMap<i32, Connection>,
    controller: i32,
}

impl fmt::Debug for Admin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Admin").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Admin {
    /// Connects to the first of the brokers that answers.
    ///
    /// # Errors
    /// As [`KafkaClient::connect`], and those of the requests.
    pub async fn connect(brokers: &[String], options: &ClientOptions) -> Result<Self, KafkaError> {
        // It waits for a broker that is starting, and knows what is wrong with addresses, certificates and logins.
        let client = KafkaClient::connect(brokers, options).await?;
        let connector = client.connector().clone();
        let mut failure = None;
        for address in brokers {
            match Self::start(&connector, address).await {
                Ok((controller, addresses)) => {
                    return Ok(Self { client, connector, addresses, connections: BTreeMap::new(), controller });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| KafkaError::Address { address: String::new() }))
    }

    /// Learns the cluster's brokers from one of them.
    async fn start(connector: &Connector, address: &str) -> Result<(i32, BTreeMap<i32, String>), KafkaError> {
        let connection = connector.connect(address).await?;
        let answer = connection.ask(&about(Some(&[]))).await?;
        let addresses = addresses_of(&answer);
        if addresses.is_empty() {
            return Err(connection.nonsense::<MetadataRequest>("it names no broker".to_owned()));
        }
        Ok((answer.controller_id.0, addresses))
    }

    /// The addresses this was given, separated by commas.
    #[must_use]
    pub fn brokers(&self) -> &str {
        self.client.brokers()
    }

    /// Deletes a topic with all it holds.
    ///
    /// # Errors
    /// [`KafkaError::UnknownTopic`], [`KafkaError::Request`].
    pub async fn delete_topic(&self, name: &str) -> Result<(), KafkaError> {
        self.client.delete_topic(name).await
    }

    /// The connection to a broker, made if there is none.
    async fn broker(&mut self, number: i32) -> Result<&mut Connection, KafkaError> {
        if !self.connections.contains_key(&number) {
            let address = self.addresses.get(&number).cloned();
            let address = address.ok_or_else(|| KafkaError::Address { address: format!("broker {number}") })?;
            let connection = self.connector.connect(&address).await?;
            self.connections.insert(number, connection);
        }
        self.connections.get_mut(&number).ok_or_else(|| KafkaError::Address { address: format!("broker {number}") })
    }

    /// Any of the brokers that are there.
    async fn any(&mut self) -> Result<&mut Connection, KafkaError> {
        let mut there = self.addresses.keys().next().copied().unwrap_or_default();
        let numbers: Vec<_> = self.addresses.keys().copied().collect();
        for number in numbers {
            if self.broker(number).await.is_ok() {
                there = number;
                break;
            }
        }
        self.broker(there).await
    }

    /// The broker that creates topics; any other passes it on, in clusters that don't tell which it is.
    async fn controller(&mut self) -> Result<&mut Connection, KafkaError> {
        if self.addresses.contains_key(&self.controller) {
            self.broker(self.controller).await
        } else {
            self.any().await
        }
    }

    /// Metadata of these topics, of all if it is `None`.
    async fn metadata(&mut self, names: Option<&[&str]>) -> Result<MetadataResponse, KafkaError> {
        self.any().await?.ask(&about(names)).await
    }
}

/// An answer, or nothing from a broker that is away: what the others tell is worth showing.
fn unless_away<T>(answer: Result<T, KafkaError>) -> Result<Option<T>, KafkaError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(KafkaError::Connect { brokers, reason, .. }) => {
            tracing::info!(brokers, reason, "a broker is away; what it alone could tell stays open");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether an error code passes by itself: a leader or coordinator is being chosen or is starting.
fn is_temporary(code: i16) -> bool {
    use kafka_protocol::ResponseError::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, LeaderNotAvailable, NotLeaderOrFollower,
    };
    [CoordinatorLoadInProgress, CoordinatorNotAvailable, LeaderNotAvailable, NotLeaderOrFollower]
        .iter()
        .any(|error| error.code() == code)
}

/// The name of a topic in an answer.
fn name_of(topic: &MetadataResponseTopic) -> &str {
    topic.name.as_ref().map_or("", |name| name.as_str())
}
