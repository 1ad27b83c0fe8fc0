//! Creating, altering and deleting topics. Each is there for good when its call returns.

use std::sync::{Arc, PoisonError, RwLock};

use super::catalogue::{Catalogue, TopicEntry};
use super::error::LogError;
use super::folders;
use super::options::MAXIMUM_PARTITIONS;
use super::partition::Partition;
use super::root::Log;
use super::settings::{PartitionLimits, TopicConfig};
use super::topic::{Topic, TopicId, check_name};
use crate::threads::on_threads;

/// From so many partitions on, several threads make them: most of that is waiting for the disk.
const MANY: usize = 32;
/// How many threads.
const MAKERS: usize = 16;

impl Log {
    /// Says whether a topic could be created, and creates nothing.
    ///
    /// # Errors
    /// As [`Log::create_topic`].
    pub fn check_new_topic(&self, name: &str, partitions: i32) -> Result<(), LogError> {
        check_name(name)?;
        if !(1..=MAXIMUM_PARTITIONS).contains(&partitions) {
            return Err(LogError::InvalidPartitionCount { got: partitions, maximum: MAXIMUM_PARTITIONS });
        }
        if self.topic(name).is_some() {
            return Err(LogError::TopicExists(name.to_owned()));
        }
        // Kafka's metrics write one for the other, so that no Kafka takes both names.
        let same = |byte: u8| if byte == b'.' { b'_' } else { byte };
        let collides = |topic: &Arc<Topic>| topic.name().bytes().map(same).eq(name.bytes().map(same));
        match self.topics().iter().find(|topic| collides(topic)) {
            Some(topic) => {
                Err(LogError::TopicNameCollides { name: name.to_owned(), existing: topic.name().to_owned() })
            }
            None => Ok(()),
        }
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// [`LogError::TopicExists`], [`LogError::TopicNameCollides`], [`LogError::InvalidTopicName`],
    /// [`LogError::InvalidPartitionCount`], or [`LogError::Io`].
    pub fn create_topic(&self, name: &str, partitions: i32, config: TopicConfig) -> Result<Arc<Topic>, LogError> {
        let mut catalogue = self.lock_catalogue();
        self.check_new_topic(name, partitions)?;
        let limits = Arc::new(RwLock::new(PartitionLimits::of(&config, &self.options)));
        let entry = TopicEntry { name: name.to_owned(), id: TopicId::random(), partitions, config: config.clone() };
        let name: Arc<str> = name.into();
        let partitions = self.create_partition_range(&entry, &name, &limits, 0)?;
        let topic = Topic { name, id: entry.id, config, limits, partitions };
        self.commit(&mut catalogue, |changed| changed.topics.push(entry))?;
        Ok(self.show(topic))
    }

    /// Says whether a topic could get `count` partitions in all, and changes nothing.
    ///
    /// # Errors
    /// As [`Log::create_partitions`].
    pub fn check_more_partitions(&self, name: &str, count: i32) -> Result<Arc<Topic>, LogError> {
        let topic = self.topic(name).ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
        if count > MAXIMUM_PARTITIONS {
            return Err(LogError::InvalidPartitionCount { got: count, maximum: MAXIMUM_PARTITIONS });
        }
        let present = i32::try_from(topic.partitions.len()).unwrap_or(MAXIMUM_PARTITIONS);
        if count <= present {
            return Err(LogError::NotMorePartitions { topic: name.to_owned(), present, got: count });
        }
        Ok(topic)
    }

    /// Adds partitions to a topic until it has `count`.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`], [`LogError::NotMorePartitions`], [`LogError::InvalidPartitionCount`], or
    /// [`LogError::Io`].
    pub fn create_partitions(&self, name: &str, count: i32) -> Result<Arc<Topic>, LogError> {
        let mut catalogue = self.lock_catalogue();
        let topic = self.check_more_partitions(name, count)?;
        let at = catalogue.position(name)?;
        let entry = TopicEntry { partitions: count, ..catalogue.topics[at].clone() };
        let mut partitions = topic.partitions.clone();
        let present = i32::try_from(partitions.len()).unwrap_or(MAXIMUM_PARTITIONS);
        partitions.extend(self.create_partition_range(&entry, &topic.name, &topic.limits, present)?);
        self.commit(&mut catalogue, |changed| changed.topics[at] = entry)?;
        Ok(self.show(Topic { partitions, ..topic.sharing() }))
    }

    /// Changes a topic's settings by `alter`; they take effect at once.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`], [`LogError::Io`], or what `alter` refuses, and then nothing is changed.
    pub fn alter_topic(
        &self,
        name: &str,
        alter: impl FnOnce(&mut TopicConfig) -> Result<(), LogError>,
    ) -> Result<Arc<Topic>, LogError> {
        let mut catalogue = self.lock_catalogue();
        let topic = self.topic(name).ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
        let at = catalogue.position(name)?;
        let mut config = topic.config.clone();
        alter(&mut config)?;
        self.commit(&mut catalogue, |changed| changed.topics[at].config = config.clone())?;
        *topic.limits.write().unwrap_or_else(PoisonError::into_inner) = PartitionLimits::of(&config, &self.options);
        Ok(self.show(Topic { config, ..topic.sharing() }))
    }

    /// Deletes a topic and all its records.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`] or [`LogError::Io`]; after the latter the next start goes on deleting.
    pub fn delete_topic(&self, name: &str) -> Result<TopicId, LogError> {
        let mut catalogue = self.lock_catalogue();
        let topic = self.topic(name).ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
        let at = catalogue.position(name)?;
        let entry = catalogue.topics[at].clone();
        self.commit(&mut catalogue, |changed| changed.deleting.push(changed.topics.remove(at)))?;
        self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        for partition in topic.partitions() {
            partition.retire();
        }
        self.services.remove_topic(&entry)?;
        self.commit(&mut catalogue, |changed| changed.deleting.retain(|deleting| deleting.id != entry.id))?;
        Ok(entry.id)
    }

    /// Creates the partitions of `entry` from number `from` on.
    fn create_partition_range(
        &self,
        entry: &TopicEntry,
        name: &Arc<str>,
        limits: &Arc<RwLock<PartitionLimits>>,
        from: i32,
    ) -> Result<Vec<Arc<Partition>>, LogError> {
        let directory = &*self.services.directory;
        let numbers: Vec<i32> = (from..entry.partitions).collect();
        let threads = if numbers.len() < MANY { 1 } else { MAKERS };
        let opened = on_threads(numbers.len(), threads, |place| {
            folders::create(directory, entry, numbers[place])?;
            Partition::open(self.services.clone(), Arc::clone(name), numbers[place], Arc::clone(limits))
        });
        opened.into_iter().collect::<Result<_, _>>().inspect_err(|_| {
            if let Err(error) = folders::remove(directory, entry, from) {
                tracing::warn!("the next start sets aside what is left of a topic that couldn't be created: {error}");
            }
        })
    }

    /// Makes a change of the catalogue durable.
    fn commit(&self, catalogue: &mut Catalogue, change: impl FnOnce(&mut Catalogue)) -> Result<(), LogError> {
        let mut changed = catalogue.clone();
        change(&mut changed);
        changed.write(&*self.services.directory)?;
        *catalogue = changed;
        Ok(())
    }

    /// Shows a new or changed topic to everybody.
    fn show(&self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        topic
    }
}
