//! A connection to a cluster, and what can be asked of it as a whole: its topics.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rskafka::client::error::ProtocolError;
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use tokio::runtime::{Builder, Runtime};

use super::advice::guess;
use super::cluster::Cluster;
use super::connection::Connector;
use super::consumer::Consumer;
use super::error::KafkaError;
use super::group::GroupOffsets;
use super::leader::Leader;
use super::notices::Notices;
use super::options::{ClientOptions, Compression, Mechanism, Sasl};
use super::producer::Producer;
use super::retry::{FinalFailure, RetryPolicy, without_inner_retries};
use super::tls::Tls;

/// How long a broker may take to create or delete a topic, in milliseconds.
const ADMIN_TIMEOUT_MS: i32 = 10_000;
/// Brokers without an answer that one request goes past.
const BROKERS_TRIED: u32 = 4;
/// How long a new topic's partitions, or a topic's end, may take to be known to the broker asked.
const TOPIC_SETTLES: Duration = Duration::from_secs(10);
/// How long to wait before asking for it again.
const SETTLING: Duration = Duration::from_millis(20);

/// A topic and the partitions it has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Topic {
    /// The name.
    pub name: String,
    /// The partitions' numbers, ascending.
    pub partitions: Vec<i32>,
}

/// A partition and the offsets it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PartitionOffsets {
    /// The partition's number.
    pub partition: i32,
    /// The first offset that the log still holds.
    pub earliest: i64,
    /// The offset behind the last one that can be read.
    pub latest: i64,
}

/// A connection to a Kafka cluster. Cloning is cheap and shares the connection.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cartlog::kafka::{ClientOptions, KafkaClient, runtime};
///
/// runtime(2)?.block_on(async {
///     let brokers = ["127.0.0.1:9092".to_owned()];
///     let client = KafkaClient::connect(&brokers, &ClientOptions::default()).await?;
///     for topic in client.topics().await? {
///         println!("{} has {} partitions", topic.name, topic.partitions.len());
///     }
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KafkaClient {
    client: Arc<Client>,
    cluster: Arc<Cluster>,
    policy: RetryPolicy,
}

/// The threads that a client's requests run on; drop it only when they are done.
///
/// # Errors
///
/// [`KafkaError::Runtime`] if the threads cannot be started.
pub fn runtime(threads: usize) -> Result<Runtime, KafkaError> {
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .thread_name("cartlog-kafka")
        .enable_all()
        .build()
        .map_err(|error| KafkaError::Runtime(Arc::new(error)))
}

impl KafkaClient {
    /// Connects to the first of the brokers that answers, trying them all until the connect timeout.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Address`] for an address that is not `host:port`, [`KafkaError::Connect`] if none answers,
    /// [`KafkaError::Refused`] if one does and the login or the certificates are at fault, [`KafkaError::Tls`].
    pub async fn connect(brokers: &[String], options: &ClientOptions) -> Result<Self, KafkaError> {
        Self::connect_until(Arc::default(), brokers, options).await
    }

    /// The same for a job that may be told to stop. Two seconds after `given_up`, a request that fails is not tried again,
    /// be it this client's or a clone's: time enough for a partition that changes its leader, and none for a broker that
    /// is gone. Requests that work go on.
    ///
    /// # Errors
    ///
    /// As [`KafkaClient::connect`].
    pub async fn connect_until(
        given_up: Arc<OnceLock<Instant>>,
        brokers: &[String],
        options: &ClientOptions,
    ) -> Result<Self, KafkaError> {
        for address in brokers {
            check_address(address)?;
        }
        let addresses: Arc<str> = options.name.clone().unwrap_or_else(|| brokers.join(",")).into();
        if brokers.is_empty() {
            return Err(KafkaError::Address { address: String::new() });
        }
        let policy = RetryPolicy {
            request_timeout: options.request_timeout,
            deadline: options.retry_deadline,
            storage_deadline: options.storage_deadline.min(options.retry_deadline),
            brokers: Arc::clone(&addresses),
            notices: Notices::default(),
            given_up,
        };
        let first = RetryPolicy {
            request_timeout: options.connect_timeout,
            deadline: options.connect_timeout,
            ..policy.clone()
        };
        let start = Instant::now();
        let tls = options.tls.as_ref().map(Tls::config).transpose()?;
        if let Some(address) = brokers.iter().find(|address| tls.is_some() && address.starts_with('[')) {
            // rskafka keeps the brackets when it asks for the certificate's name.
            return Err(KafkaError::Tls(format!(
                "{address} has no name to check a certificate by; use one in --brokers"
            )));
        }
        let build = || builder(brokers, options, tls.clone()).build();
        let client = first.run(|| "connecting".to_owned(), build, || {}).await;
        let client = client.map_err(|failure| {
            let (brokers, reason) = (addresses.to_string(), failure.failure.to_string());
            if failure.failure.advice().is_some() {
                return KafkaError::Refused { brokers, reason };
            }
            let reason = match guess(&reason, options.tls.is_some()) {
                Some(guess) => format!("{reason}; {guess}"),
                None => reason,
            };
            KafkaError::Connect { brokers, waited: start.elapsed(), reason }
        })?;
        // Several brokers are to be tried within the time of one request.
        let connect = options.connect_timeout.min(options.request_timeout / BROKERS_TRIED);
        let (sasl, name) = (options.sasl.clone(), options.name.as_deref().map(Arc::from));
        let connector = Connector { tls, sasl, name, connect, timeout: options.request_timeout };
        let cluster = Cluster::new(connector, brokers.to_vec());
        Ok(Self { client: Arc::new(client), cluster: Arc::new(cluster), policy })
    }

    /// What messages call the brokers: the addresses this client was given, separated by commas, unless they have a name.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.policy.brokers
    }

    /// All topics, by name, without the cluster's internal ones.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Request`].
    pub async fn topics(&self) -> Result<Vec<Topic>, KafkaError> {
        let answer = self.policy.run(|| "listing the topics".to_owned(), || self.client.list_topics(), || {}).await;
        let topics = answer.map_err(|failure| self.policy.error(failure))?;
        let mut topics: Vec<Topic> = topics
            .into_iter()
            .map(|topic| Topic { name: topic.name, partitions: topic.partitions.into_iter().collect() })
            .collect();
        topics.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(topics)
    }

    /// One topic.
    ///
    /// # Errors
    ///
    /// [`KafkaError::UnknownTopic`] if it does not exist, [`KafkaError::Request`].
    pub async fn topic(&self, name: &str) -> Result<Topic, KafkaError> {
        let topic = self.topics().await?.into_iter().find(|topic| topic.name == name);
        topic.ok_or_else(|| KafkaError::UnknownTopic { topic: name.to_owned(), brokers: self.brokers().to_owned() })
    }

    /// Creates a topic and waits until its partitions can be written to. The cluster decides how often it is
    /// replicated.
    ///
    /// # Errors
    ///
    /// [`KafkaError::TopicExists`], [`KafkaError::Request`].
    pub async fn create_topic(&self, name: &str, partitions: i32) -> Result<Topic, KafkaError> {
        self.try_create(name, partitions).await.map_err(|failure| match failure.code() {
            Some(ProtocolError::TopicAlreadyExists) => {
                KafkaError::TopicExists { topic: name.to_owned(), brokers: self.brokers().to_owned() }
            }
            _ => self.policy.error(failure),
        })?;
        self.settled(name, partitions).await
    }

    /// The topic, created with so many partitions if it is not there.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Request`].
    pub async fn ensure_topic(&self, name: &str, partitions: i32) -> Result<Topic, KafkaError> {
        match self.topic(name).await {
            Err(KafkaError::UnknownTopic { .. }) => match self.create_topic(name, partitions).await {
                Err(KafkaError::TopicExists { .. }) => self.settled(name, 1).await,
                other => other,
            },
            other => other,
        }
    }

    /// Deletes a topic with all it holds, and waits until it is no longer listed.
    ///
    /// # Errors
    ///
    /// [`KafkaError::UnknownTopic`], [`KafkaError::Request`].
    pub async fn delete_topic(&self, name: &str) -> Result<(), KafkaError> {
        self.topic(name).await?;
        let request = || async { self.client.controller_client()?.delete_topic(name, ADMIN_TIMEOUT_MS).await };
        let answer = self.policy.run(|| format!("deleting topic `{name}`"), request, || {}).await;
        answer.map_err(|failure| self.policy.error(failure))?;
        match self.settling(name, |topic| topic.is_none()).await {
            Ok(_) | Err(KafkaError::UnknownTopic { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The id of a topic: another one for a topic that was deleted and created anew under the same name. `None` from
    /// clusters that don't tell (before Kafka 2.8, KIP-516).
    ///
    /// # Errors
    ///
    /// [`KafkaError::Request`].
    pub async fn topic_id(&self, name: &str) -> Result<Option<[u8; 16]>, KafkaError> {
        let answer =
            self.policy.run(|| format!("asking for topic `{name}`"), || self.cluster.topic_id(name), || {}).await;
        answer.map_err(|failure| self.policy.error(failure))
    }

    /// The offsets that each partition of a topic holds.
    ///
    /// # Errors
    ///
    /// [`KafkaError::UnknownTopic`], [`KafkaError::Request`].
    pub async fn describe_topic(&self, name: &str) -> Result<Vec<PartitionOffsets>, KafkaError> {
        let topic = self.topic(name).await?;
        let mut offsets = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let held = self.offsets(name, partition).await?;
            offsets.push(PartitionOffsets { partition, earliest: held.start, latest: held.end });
        }
        Ok(offsets)
    }

    /// The offsets that one partition holds.
    ///
    /// # Errors
    ///
    /// [`KafkaError::UnknownPartition`], [`KafkaError::Request`].
    pub async fn offsets(&self, topic: &str, partition: i32) -> Result<std::ops::Range<i64>, KafkaError> {
        self.leader(topic, partition).offsets().await
    }

    /// A producer of blocks for one partition, with a connection of its own.
    #[must_use]
    pub fn producer(&self, topic: &str, partition: i32, compression: Compression) -> Producer {
        Producer::new(self.leader(topic, partition), compression)
    }

    /// A consumer of one partition's records from `offset` on, with a connection of its own.
    #[must_use]
    pub fn consumer(&self, topic: &str, partition: i32, offset: i64) -> Consumer {
        Consumer::new(self.leader(topic, partition), offset)
    }

    /// Shows progress in a topic as the committed offsets of a consumer group, from a task on the current Tokio runtime.
    #[must_use]
    pub fn group_offsets(&self, group: &str, topic: &str) -> GroupOffsets {
        let (cluster, given_up) = (Arc::clone(&self.cluster), Arc::clone(&self.policy.given_up));
        GroupOffsets::start(cluster, self.policy.notices.clone(), given_up, group, topic)
    }

    /// What there is to tell while requests go on: that one keeps failing, say.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.policy.notices
    }

    /// How the cluster's brokers are connected to.
    pub(super) fn connector(&self) -> &Connector {
        self.cluster.connector()
    }

    fn leader(&self, topic: &str, partition: i32) -> Leader {
        Leader::new(Arc::clone(&self.cluster), self.policy.clone(), topic.into(), partition)
    }

    async fn try_create(&self, name: &str, partitions: i32) -> Result<(), FinalFailure> {
        // -1 leaves the replication factor to the cluster (KIP-464).
        let request =
            || async { self.client.controller_client()?.create_topic(name, partitions, -1, ADMIN_TIMEOUT_MS).await };
        self.policy.run(|| format!("creating topic `{name}`"), request, || {}).await
    }

    /// Waits until the topic is listed with at least so many partitions.
    pub(super) async fn settled(&self, name: &str, partitions: i32) -> Result<Topic, KafkaError> {
        let has_all = |topic: &Topic| topic.partitions.len() as i64 >= i64::from(partitions);
        self.settling(name, |topic| topic.is_some_and(has_all)).await
    }

    /// Waits until the topic, or that there is none, is as wanted, and gives what was found last.
    async fn settling(&self, name: &str, is_settled: impl Fn(Option<&Topic>) -> bool) -> Result<Topic, KafkaError> {
        let start = Instant::now();
        loop {
            let found = self.topic(name).await;
            let is_told = matches!(found, Ok(_) | Err(KafkaError::UnknownTopic { .. }));
            if !is_told || is_settled(found.as_ref().ok()) || start.elapsed() > TOPIC_SETTLES {
                return found;
            }
            tokio::time::sleep(SETTLING).await;
        }
    }
}

fn builder(brokers: &[String], options: &ClientOptions, tls: Option<Arc<rustls::ClientConfig>>) -> ClientBuilder {
    let builder = ClientBuilder::new(brokers.to_vec()).client_id("cartlog").backoff_config(without_inner_retries());
    let builder = match tls {
        None => builder,
        Some(tls) => builder.tls_config(tls),
    };
    match &options.sasl {
        None => builder,
        Some(sasl) => builder.sasl_config(sasl_config(sasl)),
    }
}

fn sasl_config(sasl: &Sasl) -> SaslConfig {
    let credentials = Credentials::new(sasl.username.clone(), sasl.password.clone());
    match sasl.mechanism {
        Mechanism::Plain => SaslConfig::Plain(credentials),
        Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
        Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
    }
}

/// Checks that an address is `host:port`, an IPv6 host in brackets.
fn check_address(address: &str) -> Result<(), KafkaError> {
    let is_valid = address.rsplit_once(':').is_some_and(|(host, port)| {
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (is_bracketed || !host.contains(':')) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if is_valid { Ok(()) } else { Err(KafkaError::Address { address: address.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        for good in ["127.0.0.1:9092", "kafka.example:1", "[::1]:9092"] {
            check_address(good).unwrap();
        }
        for bad in ["", "kafka", "kafka:", ":9092", "kafka:0", "kafka:65536", "::1:9092", "http://kafka"] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn brokers_that_are_not_there_are_named() {
        // A port that was free a moment ago: bound and dropped again.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let brokers = [format!("127.0.0.1:{port}")];
        let options = ClientOptions { connect_timeout: Duration::from_millis(200), ..ClientOptions::default() };
        let message = KafkaClient::connect(&brokers, &options).await.unwrap_err().to_string();
        assert!(message.contains(&brokers[0]) && message.contains("--brokers"), "{message}");
        assert!(message.contains("refused"), "{message}");
    }

    #[tokio::test]
    async fn a_broker_that_never_answers_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let brokers = [listener.local_addr().unwrap().to_string()];
        let options = ClientOptions { connect_timeout: Duration::from_millis(200), ..ClientOptions::default() };
        let message = KafkaClient::connect(&brokers, &options).await.unwrap_err().to_string();
        assert!(message.contains(&brokers[0]) && message.contains("no answer in time"), "{message}");
    }
}
