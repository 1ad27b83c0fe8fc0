//! A job's progress as the committed offsets of a consumer group, so that Kafka's own tools show its lag.
//!
//! It is a display and nothing else: where a job goes on is what its store says, and nobody reads these offsets back. So
//! they are committed by a task of their own, the newest only, without joining the group (generation -1, as tools do), and
//! whatever goes wrong is told and then forgotten: no row waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, TopicName};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cluster::{Cluster, text};
use super::connection::Connection;
use super::error::KafkaError;
use super::notices::Notices;
use super::retry::{Failure, Verdict};

/// How long the end of a job waits for its last offsets to be committed.
const LAST_COMMIT: Duration = Duration::from_secs(5);
/// The pause before a commit that failed for now is tried again, with what is the newest then.
const PAUSE: Duration = Duration::from_millis(250);
/// How long commits may go on failing before that is told.
const WORRYING: Duration = Duration::from_secs(30);
/// Neither the generation of any group nor the member of one: a commit from outside.
const NO_GENERATION: i32 = -1;

/// The offsets of a topic's partitions to be read next, each with its partition.
type Offsets = Vec<(i32, i64)>;

/// Shows progress in a topic as the committed offsets of a consumer group.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cartlog::kafka::{Admin, ClientOptions, EmbeddedLog, KafkaClient, runtime};
///
/// let directory = tempfile::tempdir()?;
/// runtime(2)?.block_on(async {
///     let log = EmbeddedLog::start(directory.path()).await?;
///     let (brokers, options) = ([log.address().to_string()], ClientOptions::default());
///     let client = KafkaClient::connect(&brokers, &options).await?;
///     client.create_topic("clicks", 2).await?;
///     let progress = client.group_offsets("reports", "clicks");
///     progress.commit(vec![(0, 0), (1, 0)]);
///     progress.finish().await;
///     let group = Admin::connect(&brokers, &options).await?.group("reports").await?;
///     assert_eq!((group.partitions.len(), group.lag()), (2, 0));
///     drop(client);
///     log.shutdown().await?;
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct GroupOffsets {
    newest: watch::Sender<Offsets>,
    committing: JoinHandle<()>,
}

impl GroupOffsets {
    /// Starts the task that commits.
    pub(super) fn start(cluster: Arc<Cluster>, notices: Notices, group: &str, topic: &str) -> Self {
        let (newest, offsets) = watch::channel(Offsets::new());
        let committer = Committer { cluster, group: group.into(), topic: topic.into(), coordinator: None };
        Self { newest, committing: tokio::spawn(commit_all(committer, offsets, notices)) }
    }

    /// Has these offsets committed soon, unless they are what was given last. Never waits.
    pub fn commit(&self, offsets: Vec<(i32, i64)>) {
        self.newest.send_if_modified(|newest| {
            let is_new = *newest != offsets;
            *newest = offsets;
            is_new
        });
    }

    /// Waits until the last offsets are committed, for some seconds at most.
    pub async fn finish(self) {
        let Self { newest, committing } = self;
        drop(newest);
        let abort = committing.abort_handle();
        if tokio::time::timeout(LAST_COMMIT, committing).await.is_err() {
            tracing::debug!("the last offsets of the group could not be committed in time");
            abort.abort();
        }
    }
}

/// Commits the newest offsets whenever there are some, until their sender is gone or commits are refused.
async fn commit_all(mut committer: Committer, mut offsets: watch::Receiver<Offsets>, notices: Notices) {
    let mut failing_since: Option<Instant> = None;
    while offsets.changed().await.is_ok() {
        loop {
            let newest = offsets.borrow_and_update().clone();
            let Err(error) = committer.commit(&newest).await else {
                failing_since = None;
                break;
            };
            committer.coordinator = None;
            committer.cluster.doubt();
            let failure = Failure::from(error);
            let is_final = failure.verdict() == Verdict::Fatal;
            if is_final || failing_since.get_or_insert_with(Instant::now).elapsed() > WORRYING {
                let group = &committer.group;
                notices.tell("group", || {
                    format!(
                        "progress can't be shown as offsets of group `{group}` ({failure}); the load is not concerned. \
                         Another name (--group NAME) or none (--group none) helps"
                    )
                });
            }
            if is_final {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What commits.
#[derive(Debug)]
struct Committer {
    cluster: Arc<Cluster>,
    group: Arc<str>,
    topic: Arc<str>,
    coordinator: Option<Connection>,
}

impl Committer {
    async fn commit(&mut self, offsets: &[(i32, i64)]) -> Result<(), KafkaError> {
        let coordinator = match &mut self.coordinator {
            Some(coordinator) => coordinator,
            none => none.insert(self.cluster.coordinator(&self.group).await?),
        };
        let answer = coordinator.ask(&request(&self.group, &self.topic, offsets)).await?;
        let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        for code in codes {
            let reason = match ResponseError::try_from_code(code) {
                Some(ResponseError::UnknownMemberId | ResponseError::IllegalGeneration) => {
                    Some("the group has members of its own")
                }
                _ => None,
            };
            coordinator.check::<OffsetCommitRequest>(code, reason)?;
        }
        Ok(())
    }
}

fn request(group: &str, topic: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partitions = offsets.iter().map(|&(partition, offset)| {
        OffsetCommitRequestPartition::default().with_partition_index(partition).with_committed_offset(offset)
    });
    let topic = OffsetCommitRequestTopic::default().with_name(TopicName(text(topic)));
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(NO_GENERATION)
        .with_topics(vec![topic.with_partitions(partitions.collect())])
}
