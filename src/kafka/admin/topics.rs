//! Topics: partitions with their leaders, offsets and sizes; settings; creating and altering.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DescribeConfigsRequest, DescribeLogDirsRequest, IncrementalAlterConfigsRequest,
    ListOffsetsRequest, MetadataRequest, TopicName,
};

use super::{Admin, name_of, unless_away};
use crate::kafka::client::Topic;
use crate::kafka::cluster::text;
use crate::kafka::error::KafkaError;
use crate::kafka::leader::{EARLIEST, LATEST};

/// The kind of resource that a topic is, in requests about settings.
const TOPIC: i8 = 2;
/// The source of a value that was set for the topic itself.
const TOPIC_SOURCE: i8 = 1;
/// The source of a value that nobody has set.
const DEFAULT_SOURCE: i8 = 5;
/// The operations on a setting.
const SET: i8 = 0;
const UNSET: i8 = 1;
/// How long a cluster may take to create a topic.
const CREATE_TIMEOUT_MS: i32 = 10_000;

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TopicReport {
    /// Its name.
    pub name: String,
    /// Its partitions, ascending.
    pub partitions: Vec<PartitionReport>,
}

/// A partition. What the cluster doesn't tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PartitionReport {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it.
    pub leader: Option<i32>,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub in_sync: Vec<i32>,
    /// The first offset that is kept.
    pub earliest: Option<i64>,
    /// The offset behind the last record that can be read.
    pub latest: Option<i64>,
    /// Its size at the leader.
    pub bytes: Option<u64>,
}

/// A setting of a topic.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TopicSetting {
    /// Its name.
    pub name: String,
    /// Its value; `None` if the broker keeps it secret.
    pub value: Option<String>,
    /// Whether it was set for this topic, rather than for the whole cluster.
    pub is_own: bool,
}

/// A value of each partition.
type ByPartition<T> = BTreeMap<(String, i32), T>;

impl TopicReport {
    /// The records in all partitions; with transactions or compaction, the offsets that they span.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.partitions.iter().filter_map(PartitionReport::records).sum()
    }

    /// The size of all partitions, where all are known.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.partitions.iter().map(|partition| partition.bytes).sum()
    }
}

impl PartitionReport {
    /// The offsets from the first to the last.
    #[must_use]
    pub fn records(&self) -> Option<u64> {
        u64::try_from(self.latest?.saturating_sub(self.earliest?)).ok()
    }
}

impl Admin {
    /// All topics by name, without the cluster's internal ones.
    ///
    /// # Errors
    /// [`KafkaError`] of the requests; what only a part of the cluster doesn't tell stays open.
    pub async fn topics(&mut self) -> Result<Vec<TopicReport>, KafkaError> {
        let mut topics = self.metadata(None).await?.topics;
        topics.retain(|topic| !topic.is_internal && topic.error_code == 0);
        self.report(&topics).await
    }

    /// One topic.
    ///
    /// # Errors
    /// [`KafkaError::UnknownTopic`], and as [`Admin::topics`].
    pub async fn topic(&mut self, name: &str) -> Result<TopicReport, KafkaError> {
        let mut topics = self.metadata(Some(&[name])).await?.topics;
        topics.retain(|topic| name_of(topic) == name);
        let error = topics.first().and_then(|topic| ResponseError::try_from_code(topic.error_code));
        match error {
            Some(ResponseError::UnknownTopicOrPartition | ResponseError::InvalidTopicException) => topics.clear(),
            Some(error) => {
                self.any().await?.check::<MetadataRequest>(error.code(), None)?;
            }
            None => {}
        }
        let mut reports = self.report(&topics).await?;
        reports.pop().ok_or_else(|| self.unknown_topic(name))
    }

    fn unknown_topic(&self, name: &str) -> KafkaError {
        KafkaError::UnknownTopic { topic: name.to_owned(), brokers: self.brokers().to_owned() }
    }

    /// The settings of a topic whose values are not the defaults.
    ///
    /// # Errors
    /// [`KafkaError`] of the request.
    pub async fn settings(&mut self, name: &str) -> Result<Vec<TopicSetting>, KafkaError> {
        let resource = DescribeConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text(name));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None)]);
        let connection = self.any().await?;
        let answer = connection.ask(&request).await?;
        let mut settings = Vec::new();
        for result in answer.results {
            connection.check::<DescribeConfigsRequest>(result.error_code, result.error_message.as_deref())?;
            settings.extend(result.configs.into_iter().filter(|config| config.config_source != DEFAULT_SOURCE).map(
                |config| TopicSetting {
                    name: config.name.to_string(),
                    value: config.value.map(|value| value.to_string()).filter(|_| !config.is_sensitive),
                    is_own: config.config_source == TOPIC_SOURCE,
                },
            ));
        }
        settings.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(settings)
    }

    /// Creates a topic with these settings and waits until its partitions can be written to. The cluster decides how
    /// often it is replicated.
    ///
    /// # Errors
    /// [`KafkaError::TopicExists`], [`KafkaError::Denied`] with the broker's reason, and those of the request.
    pub async fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        settings: &[(String, String)],
    ) -> Result<Topic, KafkaError> {
        let configs = settings
            .iter()
            .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))));
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(CREATE_TIMEOUT_MS);
        let connection = self.controller().await?;
        let answer = connection.ask(&request).await?;
        for result in answer.topics {
            if ResponseError::try_from_code(result.error_code) == Some(ResponseError::TopicAlreadyExists) {
                return Err(KafkaError::TopicExists { topic: name.to_owned(), brokers: self.brokers().to_owned() });
            }
            connection.check::<CreateTopicsRequest>(result.error_code, result.error_message.as_deref())?;
        }
        self.client.settled(name, partitions).await
    }

    /// Sets and unsets settings of a topic; the others stay as they are (KIP-339).
    ///
    /// # Errors
    /// [`KafkaError::UnknownTopic`], [`KafkaError::Denied`] with the broker's reason, and those of the request.
    pub async fn alter_topic(&mut self, name: &str, settings: &[(String, Option<String>)]) -> Result<(), KafkaError> {
        let configs = settings.iter().map(|(name, value)| {
            let operation = if value.is_some() { SET } else { UNSET };
            let config = AlterableConfig::default().with_name(text(name)).with_config_operation(operation);
            config.with_value(value.as_deref().map(text))
        });
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(name))
            .with_configs(configs.collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let connection = self.controller().await?;
        let answer = connection.ask(&request).await?;
        for result in answer.responses {
            if ResponseError::try_from_code(result.error_code) == Some(ResponseError::UnknownTopicOrPartition) {
                return Err(self.unknown_topic(name));
            }
            connection.check::<IncrementalAlterConfigsRequest>(result.error_code, result.error_message.as_deref())?;
        }
        Ok(())
    }

    async fn report(&mut self, topics: &[MetadataResponseTopic]) -> Result<Vec<TopicReport>, KafkaError> {
        let mut led: BTreeMap<i32, Vec<(String, i32)>> = BTreeMap::new();
        for topic in topics {
            for partition in &topic.partitions {
                let place = (name_of(topic).to_owned(), partition.partition_index);
                led.entry(partition.leader_id.0).or_default().push(place);
            }
        }
        let (mut earliest, mut latest, mut bytes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (&leader, places) in led.iter().filter(|(leader, _)| **leader >= 0) {
            if unless_away(self.broker(leader).await)?.is_some() {
                earliest.append(&mut self.offsets_at(leader, places, EARLIEST).await?);
                latest.append(&mut self.offsets_at(leader, places, LATEST).await?);
                bytes.append(&mut self.sizes_at(leader, places).await?);
            }
        }
        let mut reports: Vec<_> = topics
            .iter()
            .map(|topic| {
                let mut partitions: Vec<_> = topic
                    .partitions
                    .iter()
                    .map(|partition| {
                        let place = (name_of(topic).to_owned(), partition.partition_index);
                        PartitionReport {
                            partition: partition.partition_index,
                            leader: (partition.leader_id.0 >= 0).then_some(partition.leader_id.0),
                            replicas: numbers(&partition.replica_nodes),
                            in_sync: numbers(&partition.isr_nodes),
                            earliest: earliest.get(&place).copied(),
                            latest: latest.get(&place).copied(),
                            bytes: bytes.get(&place).copied(),
                        }
                    })
                    .collect();
                partitions.sort_by_key(|partition| partition.partition);
                TopicReport { name: name_of(topic).to_owned(), partitions }
            })
            .collect();
        reports.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(reports)
    }

    /// The offsets behind the last records of these partitions, where they can be told.
    pub(super) async fn ends(&mut self, places: &[(String, i32)]) -> Result<ByPartition<i64>, KafkaError> {
        let mut names: Vec<_> = places.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut led: BTreeMap<i32, Vec<(String, i32)>> = BTreeMap::new();
        for topic in &self.metadata(Some(&names)).await?.topics {
            for partition in topic.partitions.iter().filter(|partition| partition.leader_id.0 >= 0) {
                let place = (name_of(topic).to_owned(), partition.partition_index);
                if places.contains(&place) {
                    led.entry(partition.leader_id.0).or_default().push(place);
                }
            }
        }
        let mut ends = BTreeMap::new();
        for (leader, places) in led {
            let told = unless_away(self.offsets_at(leader, &places, LATEST).await)?;
            ends.extend(told.into_iter().flatten());
        }
        Ok(ends)
    }

    /// The offsets at one end of partitions, from their leader; those that it doesn't tell are left out.
    async fn offsets_at(
        &mut self,
        leader: i32,
        places: &[(String, i32)],
        end: i64,
    ) -> Result<ByPartition<i64>, KafkaError> {
        let topics = by_topic(places).into_iter().map(|(name, partitions)| {
            let partitions = partitions
                .into_iter()
                .map(|partition| ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(end));
            ListOffsetsTopic::default().with_name(TopicName(text(name))).with_partitions(partitions.collect())
        });
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(topics.collect());
        let answer = self.broker(leader).await?.ask(&request).await?;
        let mut offsets = BTreeMap::new();
        for topic in &answer.topics {
            for partition in topic.partitions.iter().filter(|partition| partition.error_code == 0) {
                offsets.insert((topic.name.to_string(), partition.partition_index), partition.offset);
            }
        }
        Ok(offsets)
    }

    /// The sizes of partitions, from their leader; none if it doesn't tell.
    async fn sizes_at(&mut self, leader: i32, places: &[(String, i32)]) -> Result<ByPartition<u64>, KafkaError> {
        let topics = by_topic(places).into_iter().map(|(name, partitions)| {
            DescribableLogDirTopic::default().with_topic(TopicName(text(name))).with_partitions(partitions)
        });
        let request = DescribeLogDirsRequest::default().with_topics(Some(topics.collect()));
        let connection = self.broker(leader).await?;
        if connection.version_of::<DescribeLogDirsRequest>().is_none() {
            return Ok(BTreeMap::new());
        }
        let answer = connection.ask(&request).await?;
        let mut sizes = BTreeMap::new();
        for folder in answer.results.iter().filter(|folder| folder.error_code == 0) {
            for topic in &folder.topics {
                // A future log is a copy that is on its way to another disk.
                for partition in topic.partitions.iter().filter(|partition| !partition.is_future_key) {
                    if let Ok(size) = u64::try_from(partition.partition_size) {
                        sizes.insert((topic.name.to_string(), partition.partition_index), size);
                    }
                }
            }
        }
        Ok(sizes)
    }
}

fn by_topic(places: &[(String, i32)]) -> BTreeMap<&str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (name, partition) in places {
        topics.entry(name).or_default().push(*partition);
    }
    topics
}

fn numbers(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}
