//! What a job holds open: the log with its topic, and the store.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cartlog_storage::io::OsDirectory;
use tokio::runtime::Runtime;

use super::error::PipelineError;
use super::plan::{LogPlan, LogTarget, RejectLimit};
use super::progress::{Interrupt, Progress};
use super::share::Share;
use super::summary::RowCounts;
use crate::event::schema;
use crate::kafka::{
    ClientOptions, Compression, Consumer, EmbeddedLog, GroupOffsets, KafkaClient, KafkaError, Producer, Topic, runtime,
};
use cartlog_storage::store::{LogPosition, StoreWriter, Totals, WriterOptions};

/// A log and one of its topics.
#[derive(Debug)]
pub(super) struct LogSession {
    pub(super) client: KafkaClient,
    pub(super) topic: Arc<str>,
    /// The partitions of the topic that the job is about, ascending; a lane's number is a place in this list.
    pub(super) partitions: Vec<i32>,
    /// The topic's id, if the cluster tells it.
    pub(super) topic_id: Option<[u8; 16]>,
    compression: Compression,
    /// Where Kafka's tools see how far the store is, if it is to be seen.
    group: Option<GroupOffsets>,
    embedded: Option<EmbeddedLog>,
    pub(super) interrupt: Interrupt,
    /// Dropped last: everything above runs on it.
    pub(super) runtime: Runtime,
}

/// A log that can be connected to.
#[derive(Debug)]
pub(crate) struct ReachedLog {
    /// The embedded one, if it is that: served until it is shut down.
    pub(crate) embedded: Option<EmbeddedLog>,
    /// The addresses.
    pub(crate) brokers: Vec<String>,
    /// How to connect.
    pub(crate) options: ClientOptions,
}

impl ReachedLog {
    /// Starts the log of a plan on the current Tokio runtime if it is the embedded one; others run by themselves.
    pub(crate) async fn of(plan: &LogPlan) -> Result<Self, KafkaError> {
        match &plan.target {
            LogTarget::Brokers(brokers) => {
                Ok(Self { embedded: None, brokers: brokers.clone(), options: plan.client.clone() })
            }
            LogTarget::Embedded(directory) => {
                let log = EmbeddedLog::start(directory).await?;
                let (brokers, options) = (vec![log.address().to_string()], log.options(&plan.client));
                Ok(Self { embedded: Some(log), brokers, options })
            }
        }
    }
}

/// How long a job tries on when the disk of its own log fails.
const PATIENCE_WITH_OWN_DISK: Duration = Duration::from_secs(3);

impl LogSession {
    /// Connects to the log of a plan, starting it if it is the embedded one. With `create`, a topic that is not there
    /// is created. Once the job is to stop, what fails is not tried again.
    pub(super) fn open(
        plan: &LogPlan,
        threads: usize,
        create: bool,
        interrupt: &Interrupt,
    ) -> Result<Self, PipelineError> {
        let runtime = runtime(threads)?;
        let ReachedLog { embedded, brokers, mut options } = runtime.block_on(ReachedLog::of(plan))?;
        if let Some(embedded) = &embedded {
            options.storage_deadline = PATIENCE_WITH_OWN_DISK;
            embedded.check(&plan.topic)?;
        }
        let connected = runtime.block_on(connect(&brokers, plan, &options, create, interrupt));
        let (client, topic, topic_id) = connected.map_err(|error| PipelineError::before_start(error, interrupt))?;
        Ok(Self {
            client,
            topic: topic.name.into(),
            partitions: topic.partitions,
            topic_id,
            compression: plan.compression,
            group: None,
            embedded,
            interrupt: interrupt.clone(),
            runtime,
        })
    }

    /// The session with a share of its partitions.
    pub(super) fn only(self, share: &Share) -> Result<Self, PipelineError> {
        let of_topic = |reason| PipelineError::Share { topic: self.topic.to_string(), reason };
        let partitions = share.of(&self.partitions).map_err(of_topic)?;
        Ok(Self { partitions, ..self })
    }

    /// The session with the group of a plan, for a job that fills a store.
    pub(super) fn shown_as(self, group: Option<&str>) -> Self {
        let group = group.map(|group| {
            let _runtime = self.runtime.enter();
            self.client.group_offsets(group, &self.topic)
        });
        Self { group, ..self }
    }

    /// Shows Kafka's tools what the store has committed.
    pub(super) fn show(&self, store: &StoreWriter) {
        let Some(group) = &self.group else { return };
        let committed = store.committed_positions().into_iter().filter(|position| {
            position.topic == *self.topic && self.is_of_topic(position) && self.partitions.contains(&position.partition)
        });
        let committed: Vec<_> = committed.map(|position| (position.partition, position.next_offset)).collect();
        if !committed.is_empty() {
            group.commit(committed);
        }
    }

    /// Tells the user what the client has to tell, and Kafka's tools how far the store is.
    pub(super) fn report(&self, progress: &dyn Progress, store: Option<&StoreWriter>) {
        for notice in self.client.notices().take() {
            progress.notice(&notice);
        }
        if let Some(store) = store {
            self.show(store);
        }
    }

    /// Whether a position is one in this topic, and not in another one of the same name.
    pub(super) fn is_of_topic(&self, position: &LogPosition) -> bool {
        position.topic_id.zip(self.topic_id).is_none_or(|(known, present)| known == present)
    }

    /// A reader of each partition, in order, with the offsets that the partition holds. All are asked at once, and each
    /// reader goes on over the connection that it has asked by.
    pub(super) fn readers(&self) -> Result<Vec<(Consumer, Range<i64>)>, PipelineError> {
        let ask = |&partition: &i32| {
            let consumer = self.client.consumer(&self.topic, partition, 0);
            self.runtime.spawn(async move {
                let held = consumer.offsets().await;
                (consumer, held)
            })
        };
        let asked: Vec<_> = self.partitions.iter().map(ask).collect();
        let mut readers = Vec::with_capacity(asked.len());
        for answer in asked {
            let answer = self.runtime.block_on(answer);
            let (consumer, held) = answer.map_err(|error| PipelineError::Worker(error.to_string()))?;
            let held = held.map_err(|error| PipelineError::before_start(error, &self.interrupt))?;
            readers.push((consumer, held));
        }
        Ok(readers)
    }

    /// A producer for each partition, in order.
    pub(super) fn producers(&self) -> Vec<Producer> {
        let producer = |&partition| self.client.producer(&self.topic, partition, self.compression);
        self.partitions.iter().map(producer).collect()
    }

    /// Stops the embedded log, if it is one, once everything in it is on disk.
    pub(super) fn close(self, progress: &dyn Progress) -> Result<(), PipelineError> {
        let Self { embedded, runtime, client, group, .. } = self;
        if let Some(group) = group {
            runtime.block_on(group.finish());
        }
        for notice in client.notices().take() {
            progress.notice(&notice);
        }
        drop(client);
        if let Some(embedded) = embedded {
            runtime.block_on(embedded.shutdown())?;
        }
        Ok(())
    }
}

async fn connect(
    brokers: &[String],
    plan: &LogPlan,
    options: &ClientOptions,
    create: bool,
    interrupt: &Interrupt,
) -> Result<(KafkaClient, Topic, Option<[u8; 16]>), KafkaError> {
    let client = KafkaClient::connect_until(interrupt.time(), brokers, options).await?;
    let topic =
        if create { client.ensure_topic(&plan.topic, plan.partitions).await } else { client.topic(&plan.topic).await };
    let topic = topic?;
    let topic_id = client.topic_id(&topic.name).await?;
    Ok((client, topic, topic_id))
}

/// Opens the store in a directory for writing, creating it if it is not there.
pub(super) fn open_store(directory: &Path) -> Result<StoreWriter, PipelineError> {
    let root = OsDirectory::open(directory)
        .map_err(|reason| PipelineError::Directory { directory: directory.display().to_string(), reason })?;
    Ok(StoreWriter::open(Arc::new(root), schema(), WriterOptions::default())?)
}

/// What the store has counted before a job.
pub(super) fn baseline(store: &StoreWriter) -> Result<RowCounts, PipelineError> {
    // Nothing is appended yet: this only asks.
    Ok(rows_of(&store.commit()?.totals))
}

/// Ends a job that went well or not: commits what the store has taken, stops the log, and gives the first error. What
/// the store has counted since `before` must be what the job has.
pub(super) fn finish<T>(
    store: StoreWriter,
    session: Option<LogSession>,
    outcome: Result<T, PipelineError>,
    before: RowCounts,
    job: RowCounts,
    progress: &dyn Progress,
) -> Result<T, PipelineError> {
    let committed = store.commit();
    if let (Ok(_), Some(session)) = (&committed, &session) {
        session.show(&store);
    }
    drop(store);
    let stopped = session.map_or(Ok(()), |session| session.close(progress));
    let value = outcome?;
    let after = rows_of(&committed?.totals);
    stopped?;
    job.check()?;
    if before + job == after { Ok(value) } else { Err(PipelineError::StoreDisagrees { before, job, after }) }
}

fn rows_of(totals: &Totals) -> RowCounts {
    RowCounts {
        rows_read: totals.rows_read,
        rows_stored: totals.rows_stored,
        rows_rejected: totals.rows_rejected,
        rows_duplicate: totals.rows_duplicate,
    }
}

/// Checks the rejected rows of a whole job.
pub(super) fn check_limit(limit: Option<RejectLimit>, rows: RowCounts) -> Result<(), PipelineError> {
    match limit {
        Some(limit) if limit.is_exceeded(rows.rows_rejected, rows.rows_read, true) => {
            Err(PipelineError::TooManyRejected { limit, rows })
        }
        _ => Ok(()),
    }
}
