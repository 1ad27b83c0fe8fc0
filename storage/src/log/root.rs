//! The log as a whole: opening, finding topics, closing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::catalogue::{Catalogue, TopicEntry};
use super::checkpoint::Checkpoint;
use super::error::LogError;
use super::flush::{FlushQueue, Flusher};
use super::folders;
use super::keeper::Keeper;
use super::options::LogOptions;
use super::partition::{Partition, Services};
use super::settings::PartitionLimits;
use super::topic::{Topic, TopicId};
use crate::histogram::Histogram;
use crate::io::{Directory, LockGuard};

/// The file whose lock is the right to the folder.
pub(super) const LOCK_PATH: &str = ".lock";

/// Topics by name.
pub(super) type Topics = BTreeMap<Arc<str>, Arc<Topic>>;

/// A log: a set of topics in one folder, held by one process at a time.
#[derive(Debug)]
pub struct Log {
    pub(super) services: Services,
    pub(super) options: LogOptions,
    cluster_id: TopicId,
    /// Held by the one that creates, alters or deletes topics, for as long as the disk takes: nothing that every client waits for may
    /// ask for it.
    pub(super) catalogue: Mutex<Catalogue>,
    pub(super) topics: Arc<RwLock<Topics>>,
    _keeper: Keeper,
    _flusher: Flusher,
    _lock: Box<dyn LockGuard>,
}

impl Log {
    /// Opens the log in `directory`, creating it if the folder is empty, and recovers every partition. A partition that
    /// can't be opened is [offline](Partition::offline); the others work.
    ///
    /// # Errors
    /// [`LogError::InUse`] if another holder has it, [`LogError::Corrupt`] or [`LogError::Io`] if what all partitions
    /// need can't be read.
    pub fn open(directory: Arc<dyn Directory>, options: LogOptions) -> Result<Self, LogError> {
        let lock = directory.lock(LOCK_PATH).map_err(|error| LogError::of_lock(LOCK_PATH, error))?;
        let services = Services {
            recovery_points: Arc::new(Checkpoint::of_recovery_points(Arc::clone(&directory))),
            log_starts: Arc::new(Checkpoint::of_log_starts(Arc::clone(&directory))?),
            queue: Arc::new(FlushQueue::default()),
            syncs: Arc::default(),
            directory,
        };
        let mut catalogue = Catalogue::read(&*services.directory)?;
        for entry in std::mem::take(&mut catalogue.deleting) {
            services.remove_topic(&entry)?;
        }
        folders::set_strays_aside(&*services.directory, &catalogue)?;
        catalogue.write(&*services.directory)?;

        let flusher = Flusher::start(&services.queue, &services.recovery_points, options.sync_threads)?;
        let mut topics = Topics::new();
        for entry in &catalogue.topics {
            let topic = services.open_topic(entry, &options)?;
            topics.insert(Arc::clone(&topic.name), topic);
        }
        let topics = Arc::new(RwLock::new(topics));
        let keeper = Keeper::start(&topics, &services.recovery_points, options.retention_check)?;
        Ok(Self {
            services,
            options,
            cluster_id: catalogue.cluster_id,
            catalogue: Mutex::new(catalogue),
            topics,
            _keeper: keeper,
            _flusher: flusher,
            _lock: lock,
        })
    }

    /// The id of this log, as Kafka's cluster id: the same at every start.
    #[must_use]
    pub fn cluster_id(&self) -> String {
        self.cluster_id.to_string()
    }

    /// The folder it is in.
    pub(crate) fn directory(&self) -> &Arc<dyn Directory> {
        &self.services.directory
    }

    /// How long the syncs of partitions took.
    pub(crate) fn syncs(&self) -> &Histogram {
        &self.services.syncs
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

    /// Writes everything to disk, so that the next start needs no recovery. The log may be used further.
    ///
    /// # Errors
    /// The first [`LogError`] met; all partitions are tried.
    pub fn close(&self) -> Result<(), LogError> {
        let mut first = Ok(());
        for topic in self.topics() {
            for partition in topic.partitions().iter().filter(|partition| partition.offline().is_none()) {
                let point = self.services.recovery_points.point(partition.shared_topic(), partition.index());
                let on_disk = if partition.is_unchanged_since(point) { Ok(point) } else { partition.sync() };
                let synced = on_disk.and_then(|offset| {
                    self.services.recovery_points.note(partition, offset);
                    partition.settle()
                });
                if first.is_ok() {
                    first = synced;
                }
            }
        }
        first.and(self.services.recovery_points.write())
    }

    pub(super) fn lock_catalogue(&self) -> MutexGuard<'_, Catalogue> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Services {
    /// Opens a topic's partitions; those that can't be opened are offline.
    fn open_topic(&self, entry: &TopicEntry, options: &LogOptions) -> Result<Arc<Topic>, LogError> {
        let name: Arc<str> = entry.name.as_str().into();
        let limits = Arc::new(RwLock::new(PartitionLimits::of(&entry.config, options)));
        let partitions = (0..entry.partitions)
            .map(|index| {
                let open = Partition::open(self.clone(), Arc::clone(&name), index, Arc::clone(&limits));
                open.or_else(|error| {
                    tracing::error!(topic = entry.name, partition = index, "offline: {error}");
                    Partition::stand_in(self, Arc::clone(&name), index, Arc::clone(&limits), &error)
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(Topic { name, id: entry.id, config: entry.config.clone(), limits, partitions }))
    }

    /// Removes what there is of a topic beside its entry: a later topic of its name must find nothing of it.
    pub(super) fn remove_topic(&self, entry: &TopicEntry) -> Result<(), LogError> {
        self.recovery_points.forget(&entry.name);
        self.log_starts.forget(&entry.name);
        folders::remove(&*self.directory, entry, 0)?;
        self.recovery_points.write()?;
        self.log_starts.write()
    }
}
