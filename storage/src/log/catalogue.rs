//! The whole log: which topics there are.
//!
//! `cartlog.topics` is the commit point of creating and deleting topics. It is a line with the format's version and the
//! CRC-32C of what follows, then JSON:
//!
//! ```text
//! cartlog topics 1 5f2b8e1c
//! {"cluster_id":"…","topics":[{"name":"events","id":"…","partitions":4,"config":{}}],"deleting":[]}
//! ```
//!
//! Creating: folders first, then the file. Deleting: the file names the topic as being deleted, then the folders go, then
//! the file forgets it. A folder that the file doesn't know is set aside under another name, never removed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Checkpoint};
use super::error::{IoContext as _, LogError};
use super::flush::{FlushQueue, Flusher};
use super::options::{LogOptions, MAXIMUM_PARTITIONS, TopicConfig};
use super::partition::{Partition, PartitionLimits, partition_folder};
use super::topic::{Topic, TopicId, check_name};
use crate::io::{Directory, LockGuard};

const PATH: &str = "cartlog.topics";
const TEMPORARY_PATH: &str = "cartlog.topics.tmp";
const LOCK_PATH: &str = ".lock";
const FORMAT: &str = "cartlog topics 1";
const METADATA_FILE: &str = "partition.metadata";

/// A log: a set of topics in one folder, held by one process at a time.
#[derive(Debug)]
pub struct Log {
    directory: Arc<dyn Directory>,
    options: LogOptions,
    catalogue: Mutex<Catalogue>,
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
    checkpoint: Arc<Checkpoint>,
    queue: Arc<FlushQueue>,
    _flusher: Flusher,
    _lock: Box<dyn LockGuard>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Catalogue {
    cluster_id: TopicId,
    topics: Vec<TopicEntry>,
    deleting: Vec<TopicEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TopicEntry {
    name: String,
    id: TopicId,
    partitions: i32,
    config: TopicConfig,
}

impl Log {
    /// Opens the log in `directory`, creating it if the folder is empty, and recovers every partition.
    ///
    /// # Errors
    /// [`LogError::InUse`] if another holder has it, [`LogError::Corrupt`] or [`LogError::Io`] if it can't be read.
    pub fn open(directory: Arc<dyn Directory>, options: LogOptions) -> Result<Self, LogError> {
        let lock = directory.lock(LOCK_PATH).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => LogError::InUse,
            _ => LogError::io("lock", LOCK_PATH, error),
        })?;
        let mut catalogue = if directory.exists(PATH).at("look for", PATH)? {
            Catalogue::decode(&directory.map(PATH).at("read", PATH)?)?
        } else {
            Catalogue { cluster_id: TopicId::random(), topics: Vec::new(), deleting: Vec::new() }
        };
        for entry in &catalogue.deleting {
            remove_folders(&*directory, entry)?;
        }
        catalogue.deleting.clear();
        set_strays_aside(&*directory, &catalogue)?;
        catalogue.write(&*directory)?;

        let checkpoint = Arc::new(Checkpoint::open(Arc::clone(&directory)));
        let queue = Arc::new(FlushQueue::default());
        let flusher = Flusher::start(&queue, &checkpoint, options.sync_threads)?;
        let log = Self {
            directory,
            options,
            catalogue: Mutex::new(catalogue.clone()),
            topics: RwLock::default(),
            checkpoint,
            queue,
            _flusher: flusher,
            _lock: lock,
        };
        for entry in &catalogue.topics {
            let topic = log.open_topic(entry)?;
            log.topics.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(&topic.name), topic);
        }
        Ok(log)
    }

    /// The id of this log, as Kafka's cluster id: the same at every start.
    #[must_use]
    pub fn cluster_id(&self) -> String {
        self.lock_catalogue().cluster_id.to_string()
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn options(&self) -> &LogOptions {
        &self.options
    }

    /// All topics, by name.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The topic of this name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The topic of this id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().find(|topic| topic.id == id).cloned()
    }

    /// Says whether a topic could be created, and creates nothing.
    ///
    /// # Errors
    /// As [`Log::create_topic`].
    pub fn check_new_topic(&self, name: &str, partitions: i32) -> Result<(), LogError> {
        check_name(name)?;
        if !(1..=MAXIMUM_PARTITIONS).contains(&partitions) {
            return Err(LogError::InvalidPartitionCount { got: partitions, maximum: MAXIMUM_PARTITIONS });
        }
        if self.topic(name).is_some() { Err(LogError::TopicExists(name.to_owned())) } else { Ok(()) }
    }

    /// Creates a topic; when this returns it is there for good.
    ///
    /// # Errors
    /// [`LogError::TopicExists`], [`LogError::InvalidTopicName`], [`LogError::InvalidPartitionCount`], or
    /// [`LogError::Io`].
    pub fn create_topic(&self, name: &str, partitions: i32, config: TopicConfig) -> Result<Arc<Topic>, LogError> {
        let mut catalogue = self.lock_catalogue();
        self.check_new_topic(name, partitions)?;
        let entry = TopicEntry { name: name.to_owned(), id: TopicId::random(), partitions, config };
        for index in 0..partitions {
            self.create_folder(&entry, index)?;
        }
        let topic = self.open_topic(&entry)?;
        let mut changed = catalogue.clone();
        changed.topics.push(entry);
        changed.write(&*self.directory)?;
        *catalogue = changed;
        self.topics.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(&topic.name), Arc::clone(&topic));
        Ok(topic)
    }

    /// Deletes a topic and all its records.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`] or [`LogError::Io`]; after the latter the next start goes on deleting.
    pub fn delete_topic(&self, name: &str) -> Result<TopicId, LogError> {
        let mut catalogue = self.lock_catalogue();
        let unknown = || LogError::UnknownTopic(name.to_owned());
        let topic = self.topic(name).ok_or_else(unknown)?;
        let mut changed = catalogue.clone();
        let at = changed.topics.iter().position(|entry| entry.name == name).ok_or_else(unknown)?;
        let entry = changed.topics.remove(at);
        changed.deleting.push(entry.clone());
        changed.write(&*self.directory)?;
        *catalogue = changed;
        self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        for partition in topic.partitions() {
            partition.retire();
        }
        self.checkpoint.forget(name);
        remove_folders(&*self.directory, &entry)?;
        let mut changed = catalogue.clone();
        changed.deleting.retain(|deleting| deleting.id != entry.id);
        changed.write(&*self.directory)?;
        *catalogue = changed;
        Ok(entry.id)
    }

    /// Writes everything to disk, so that the next start needs no recovery. The log may be used further.
    ///
    /// # Errors
    /// The first [`LogError`] met; all partitions are tried.
    pub fn close(&self) -> Result<(), LogError> {
        let mut first = Ok(());
        for topic in self.topics() {
            for partition in topic.partitions() {
                let synced = partition.sync().and_then(|offset| {
                    self.checkpoint.note(&topic.name, partition.index(), offset);
                    partition.write_indexes()
                });
                if first.is_ok() {
                    first = synced;
                }
            }
        }
        first.and(self.checkpoint.write())
    }

    fn open_topic(&self, entry: &TopicEntry) -> Result<Arc<Topic>, LogError> {
        let name: Arc<str> = entry.name.as_str().into();
        let limits = PartitionLimits {
            index_interval_bytes: self.options.index_interval_bytes,
            segment_bytes: entry.config.segment_bytes.unwrap_or(self.options.segment_bytes),
            max_batch_bytes: entry.config.max_batch_bytes.unwrap_or(self.options.max_batch_bytes),
        };
        let partitions = (0..entry.partitions)
            .map(|index| {
                let directory = Arc::clone(&self.directory);
                let point = self.checkpoint.point(&name, index);
                let queue = Arc::clone(&self.queue);
                Partition::open(directory, Arc::clone(&name), index, limits, point, queue).map(Arc::new)
            })
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(Topic { name, id: entry.id, config: entry.config.clone(), partitions }))
    }

    fn create_folder(&self, entry: &TopicEntry, index: i32) -> Result<(), LogError> {
        let folder = partition_folder(&entry.name, index);
        if self.directory.exists(&folder).at("look for", &folder)? {
            set_aside(&*self.directory, &folder)?;
        }
        self.directory.create_all(&folder).at("create", &folder)?;
        let path = format!("{folder}/{METADATA_FILE}");
        let file = self.directory.create(&path).at("create", &path)?;
        file.append(format!("version: 0\ntopic_id: {}", entry.id).as_bytes()).at("write", &path)?;
        file.sync().at("sync", &path)?;
        self.directory.sync_directory(&folder).at("sync", &folder)
    }

    fn lock_catalogue(&self) -> MutexGuard<'_, Catalogue> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Catalogue {
    fn encode(&self) -> Result<String, LogError> {
        let json = serde_json::to_string(self)
            .map_err(|error| LogError::io("encode", PATH, std::io::Error::new(ErrorKind::InvalidData, error)))?;
        Ok(format!("{FORMAT} {:08x}\n{json}\n", crc32c::crc32c(json.as_bytes())))
    }

    fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let corrupt = |position: usize, detail: String| LogError::Corrupt {
            path: PATH.to_owned(),
            position: position as u64,
            detail,
        };
        let text = std::str::from_utf8(bytes).map_err(|error| corrupt(error.valid_up_to(), error.to_string()))?;
        let (header, json) = text.split_once('\n').ok_or_else(|| corrupt(0, "it has no header line".to_owned()))?;
        let checksum = header
            .strip_prefix(FORMAT)
            .and_then(|rest| rest.strip_prefix(' '))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| corrupt(0, format!("its first line is {header:?}, expected {FORMAT:?} and a checksum")))?;
        let json = json.strip_suffix('\n').unwrap_or(json);
        let computed = crc32c::crc32c(json.as_bytes());
        if checksum != computed {
            let detail = format!("its checksum is {checksum:08x}, the content has {computed:08x}");
            return Err(corrupt(header.len() + 1, detail));
        }
        serde_json::from_str(json).map_err(|error| corrupt(header.len() + error.column(), error.to_string()))
    }

    fn write(&self, directory: &dyn Directory) -> Result<(), LogError> {
        checkpoint::replace(directory, PATH, TEMPORARY_PATH, self.encode()?.as_bytes())
    }

    /// Whether a folder holds a partition of one of the topics.
    fn knows_folder(&self, folder: &str) -> bool {
        folder.rsplit_once('-').is_some_and(|(name, index)| {
            let index: i32 = index.parse().unwrap_or(-1);
            self.topics.iter().any(|entry| entry.name == name && (0..entry.partitions).contains(&index))
        })
    }
}

fn remove_folders(directory: &dyn Directory, entry: &TopicEntry) -> Result<(), LogError> {
    for index in 0..entry.partitions {
        let folder = partition_folder(&entry.name, index);
        // A folder of the same name may belong to a later topic.
        let metadata = directory.map(&format!("{folder}/{METADATA_FILE}")).unwrap_or_default();
        let ours = std::str::from_utf8(&metadata).is_ok_and(|text| text.contains(&entry.id.to_string()));
        if ours {
            directory.remove_all(&folder).at("remove", &folder)?;
        }
    }
    directory.sync_directory("").at("sync", "the log's folder")
}

/// Renames partition folders that no topic owns: the leftovers of a creation that was cut short.
fn set_strays_aside(directory: &dyn Directory, catalogue: &Catalogue) -> Result<(), LogError> {
    for name in directory.list("").at("list", "the log's folder")? {
        let metadata = format!("{name}/{METADATA_FILE}");
        let is_partition = directory.exists(&metadata).unwrap_or(false);
        if is_partition && !name.ends_with("-stray") && !catalogue.knows_folder(&name) {
            set_aside(directory, &name)?;
        }
    }
    Ok(())
}

fn set_aside(directory: &dyn Directory, folder: &str) -> Result<(), LogError> {
    let stray = format!("{folder}.{}-stray", TopicId::random());
    tracing::warn!(folder, stray, "a folder that belongs to no topic is set aside");
    directory.rename(folder, &stray).at("set aside", folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Catalogue {
        let entry = |name: &str| TopicEntry {
            name: name.to_owned(),
            id: TopicId::random(),
            partitions: 3,
            config: TopicConfig::default().with_max_batch_bytes(7),
        };
        Catalogue { cluster_id: TopicId::random(), topics: vec![entry("a"), entry("b-1")], deleting: vec![entry("c")] }
    }

    #[test]
    fn roundtrip() {
        let catalogue = sample();
        assert_eq!(Catalogue::decode(catalogue.encode().unwrap().as_bytes()).unwrap(), catalogue);
        assert!(catalogue.knows_folder("b-1-2") && !catalogue.knows_folder("b-1") && !catalogue.knows_folder("a-3"));
    }

    #[test]
    fn detects_corruption() {
        let sound = sample().encode().unwrap().into_bytes();
        for at in 0..sound.len() - 1 {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            // A digit of the checksum may differ in case alone.
            assert!(Catalogue::decode(&damaged).is_err(), "byte {at}");
            assert!(Catalogue::decode(&sound[..at]).is_err(), "cut at {at}");
        }
    }
}
