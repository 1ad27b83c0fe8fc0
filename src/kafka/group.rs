//! A job's progress as the committed offsets of a consumer group, so that Kafka's own tools show its lag.
//!
//! It is a display and nothing else: where a job goes on is what its store says, and nobody reads these offsets back. So
//! they are committed by a task of their own, the newest only, without joining the group (generation -1, as tools do), and
//! whatever goes wrong is told and then forgotten: no row waits for it.

use std::sync::{Arc, OnceLock};
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
/// The same for a job that was told to stop, once a commit has failed: somebody waits for its end.
const LAST_COMMIT_OF_STOPPED: Duration = Duration::from_secs(1);
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
    /// Whether the last commit has failed.
    failing: watch::Receiver<bool>,
    /// Set once the job is to stop.
    given_up: Arc<OnceLock<Instant>>,
    committing: JoinHandle<()>,
}

impl GroupOffsets {
    /// Starts the task that commits.
    pub(super) fn start(
        cluster: Arc<Cluster>,
        notices: Notices,
        given_up: Arc<OnceLock<Instant>>,
        group: &str,
        topic: &str,
    ) -> Self {
        let (newest, offsets) = watch::channel(Offsets::new());
        let (is_failing, failing) = watch::channel(false);
        let committer = Committer { cluster, group: group.into(), topic: topic.into(), coordinator: None };
        let committing = tokio::spawn(commit_all(committer, offsets, is_failing, notices));
        Self { newest, failing, given_up, committing }
    }

    /// Has these offsets committed soon, unless they are what was given last. Never waits.
    pub fn commit(&self, offsets: Vec<(i32, i64)>) {
        self.newest.send_if_modified(|newest| {
            let is_new = *newest != offsets;
            *newest = offsets;
            is_new
        });
    }

    /// Waits until the last offsets are committed, for some seconds at most; for one if the job was told to stop and commits fail.
    pub async fn finish(self) {
        let Self { newest, failing, given_up, mut committing } = self;
        drop(newest);
        let is_over = tokio::select! {
            _ = &mut committing => true,
            () = tokio::time::sleep(LAST_COMMIT) => false,
            () = out_of_patience(failing, &given_up) => false,
        };
        if !is_over {
            tracing::debug!("the last offsets of the group could not be committed in time");
            committing.abort();
        }
    }
}

/// Ends a moment after a commit has failed, if the job was told to stop; else never.
async fn out_of_patience(mut failing: watch::Receiver<bool>, given_up: &OnceLock<Instant>) {
    if given_up.get().is_none() || failing.wait_for(|is_failing| *is_failing).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LAST_COMMIT_OF_STOPPED).await;
}

/// Commits the newest offsets whenever there are some, until their sender is gone or commits are refused.
async fn commit_all(
    mut committer: Committer,
    mut offsets: watch::Receiver<Offsets>,
    is_failing: watch::Sender<bool>,
    notices: Notices,
) {
    let mut failing_since: Option<Instant> = None;
    while offsets.changed().await.is_ok() {
        loop {
            let newest = offsets.borrow_and_update().clone();
            let committed = committer.commit(&newest).await;
            is_failing.send_replace(committed.is_err());
            let Err(error) = committed else {
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

#[cfg(test)]
mod tests {
    use super::super::connection::Connector;
    use super::*;

    /// How long the end takes of a job whose broker is gone.
    async fn end_without_a_broker(given_up: Arc<OnceLock<Instant>>) -> Duration {
        // A port that was free a moment ago: bound and dropped again.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let second = Duration::from_secs(1);
        let connector = Connector { tls: None, sasl: None, name: None, connect: second, timeout: second };
        let cluster = Arc::new(Cluster::new(connector, vec![address]));
        let offsets = GroupOffsets::start(cluster, Notices::default(), given_up, "reports", "clicks");
        offsets.commit(vec![(0, 1)]);
        let start = Instant::now();
        offsets.finish().await;
        start.elapsed()
    }

    #[tokio::test]
    async fn a_job_that_was_told_to_stop_does_not_wait_long_for_a_broker_that_is_gone() {
        let stopped = Arc::new(OnceLock::from(Instant::now()));
        let (stopped, ended) = tokio::join!(end_without_a_broker(stopped), end_without_a_broker(Arc::default()));
        assert!(stopped >= LAST_COMMIT_OF_STOPPED && stopped < LAST_COMMIT - Duration::from_secs(1), "{stopped:?}");
        assert!(ended >= LAST_COMMIT, "nobody waits: it is tried on for {ended:?}");
    }
}
