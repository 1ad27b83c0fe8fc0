//! One retry policy for every request.
//!
//! rskafka would retry inside, without end and without a timeout. It is set up not to ([`without_inner_retries`]), so
//! that each error surfaces here: it is judged once, by [`verdict`], and tried again with exponential backoff and
//! jitter until the deadline. A request that goes unanswered is dropped after its timeout, and its connection with it.
//! Requests over connections of our own are judged and tried again in the same way.
//!
//! A dropped or retried produce may have reached the log all the same. That is not prevented here (it cannot be,
//! without idempotent producers): the range in the record's headers makes the second copy a known duplicate.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rskafka::client::error::{Error, ProtocolError, RequestError};
use rskafka::{BackoffConfig, BackoffError};

use super::advice::advice;
use super::error::KafkaError;
use super::notices::Notices;

/// The first pause before another try.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause before another try.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a request may go on failing before the user is told.
const WORRYING: Duration = Duration::from_secs(3);

/// How long requests are tried again after nobody wants to wait any more. What was about to work shall: a partition that
/// is new or changes its leader takes some tenths of a second.
const LAST_TRIES: Duration = Duration::from_secs(2);

/// How long to try.
#[derive(Debug, Clone)]
pub(super) struct RetryPolicy {
    /// How long one try may take.
    pub(super) request_timeout: Duration,
    /// How long to start further tries.
    pub(super) deadline: Duration,
    /// The same while the broker says that its disk fails.
    pub(super) storage_deadline: Duration,
    /// The addresses, for messages.
    pub(super) brokers: Arc<str>,
    /// Where to tell that a request goes on failing.
    pub(super) notices: Notices,
    /// When whoever asks did not want to wait any more: what fails soon after that is not tried again.
    pub(super) given_up: Arc<OnceLock<Instant>>,
}

/// What an error says about another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may work the next time.
    Retry,
    /// It will not.
    Fatal,
}

/// Why a try failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer in time; the connection is not to be used again.
    Timeout,
    /// rskafka's error.
    Client(Error),
    /// The error of a connection of our own.
    Connection(KafkaError),
}

impl Failure {
    /// Whether the broker says that its disk fails.
    fn is_of_storage(&self) -> bool {
        self.code() == Some(ProtocolError::KafkaStorageError)
    }

    /// The broker's error code, if the broker answered with one.
    fn code(&self) -> Option<ProtocolError> {
        match self {
            Self::Client(error) => server_code(error),
            Self::Connection(KafkaError::Denied { code, .. }) => ProtocolError::new(*code),
            Self::Connection(_) | Self::Timeout => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        Self::Connection(error)
    }
}

impl RetryPolicy {
    /// Runs `request` until it succeeds, fails for good or the deadline passes. `abandon` is called after a try that
    /// went unanswered, to drop its connection. `what` names the request for messages.
    pub(super) async fn run<T, E: Into<Failure>, R: Future<Output = Result<T, E>>>(
        &self,
        what: impl Fn() -> String,
        mut request: impl FnMut() -> R,
        mut abandon: impl FnMut(),
    ) -> Result<T, FinalFailure> {
        let start = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match tokio::time::timeout(self.request_timeout, request()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error.into(),
                Err(_) => {
                    abandon();
                    Failure::Timeout
                }
            };
            let pause = pause_after(attempts);
            let deadline = if failure.is_of_storage() { self.storage_deadline } else { self.deadline };
            let is_last = start.elapsed() + pause >= deadline || self.is_given_up(pause);
            if is_last || failure.verdict() == Verdict::Fatal {
                return Err(FinalFailure { failure, what: what(), attempts, waited: start.elapsed() });
            }
            if start.elapsed() >= WORRYING {
                self.notices
                    .tell("retry", || format!("{} at {} fails ({failure}); trying again", what(), self.brokers));
            }
            tracing::debug!(attempts, reason = %failure, "{} failed; trying again", what());
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether nobody wants to wait for another try after such a pause.
    fn is_given_up(&self, pause: Duration) -> bool {
        self.given_up.get().is_some_and(|since| since.elapsed() + pause >= LAST_TRIES)
    }

    /// The error for a failed request about a partition.
    pub(super) fn partition_error(&self, failure: FinalFailure, topic: &str, partition: i32) -> KafkaError {
        match failure.code() {
            Some(ProtocolError::UnknownTopicOrPartition) => {
                KafkaError::UnknownPartition { topic: topic.to_owned(), partition, brokers: self.brokers.to_string() }
            }
            _ => self.error(failure),
        }
    }

    /// The error for a failure that nothing more specific fits.
    pub(super) fn error(&self, failure: FinalFailure) -> KafkaError {
        KafkaError::Request {
            what: failure.what,
            brokers: self.brokers.to_string(),
            attempts: failure.attempts,
            waited: failure.waited,
            reason: failure.failure.to_string(),
        }
    }
}

/// A failure after which there is no other try.
#[derive(Debug)]
pub(super) struct FinalFailure {
    /// The last try's failure.
    pub(super) failure: Failure,
    what: String,
    attempts: u32,
    waited: Duration,
}

impl FinalFailure {
    /// The broker's error code, if the broker answered with one.
    pub(super) fn code(&self) -> Option<ProtocolError> {
        self.failure.code()
    }
}

impl Failure {
    /// What the user can do about a refused connection.
    pub(super) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Timeout | Self::Connection(_) => None,
            Self::Client(error) => advice(&innermost(error).to_string()),
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Timeout => Verdict::Retry,
            Self::Client(error) => verdict(error),
            Self::Connection(error) if advice(&error.to_string()).is_some() => Verdict::Fatal,
            Self::Connection(KafkaError::Denied { code, .. }) => match ProtocolError::new(*code) {
                Some(code) if is_retriable(code) => Verdict::Retry,
                _ => Verdict::Fatal,
            },
            Self::Connection(KafkaError::Connect { .. } | KafkaError::Request { .. } | KafkaError::Protocol { .. }) => {
                Verdict::Retry
            }
            Self::Connection(_) => Verdict::Fatal,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout => formatter.write_str("no answer in time"),
            Self::Client(error) => formatter.write_str(&reason(error)),
            Self::Connection(KafkaError::Denied { reason, .. }) => write!(formatter, "the broker says {reason}"),
            Self::Connection(
                KafkaError::Connect { brokers, reason, .. }
                | KafkaError::Request { brokers, reason, .. }
                | KafkaError::Protocol { brokers, reason, .. },
            ) => write!(formatter, "{brokers}: {reason}"),
            Self::Connection(error) => error.fmt(formatter),
        }
    }
}

/// A backoff that gives up at once: rskafka cleans up a broken connection on its way out, and the policy above decides.
pub(super) fn without_inner_retries() -> BackoffConfig {
    BackoffConfig {
        init_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(2),
        base: 2.0,
        deadline: Some(Duration::ZERO),
    }
}

/// Judges an error: broken connections and the codes that Kafka calls retriable may work the next time.
pub(super) fn verdict(error: &Error) -> Verdict {
    match innermost(error) {
        error if advice(&error.to_string()).is_some() => Verdict::Fatal,
        Error::Connection(_) | Error::Timeout | Error::RetryFailed(_) => Verdict::Retry,
        Error::Request(RequestError::Poisoned(_) | RequestError::IO(_)) => Verdict::Retry,
        // Metadata may lag behind the creation of a topic or the election of a leader.
        Error::InvalidResponse(_) => Verdict::Retry,
        Error::ServerError { protocol_error, .. } if is_retriable(*protocol_error) => Verdict::Retry,
        _ => Verdict::Fatal,
    }
}

fn is_retriable(code: ProtocolError) -> bool {
    matches!(
        code,
        ProtocolError::CorruptMessage
            | ProtocolError::UnknownTopicOrPartition
            | ProtocolError::LeaderNotAvailable
            | ProtocolError::CoordinatorLoadInProgress
            | ProtocolError::CoordinatorNotAvailable
            | ProtocolError::NotCoordinator
            | ProtocolError::NotLeaderOrFollower
            | ProtocolError::RequestTimedOut
            | ProtocolError::BrokerNotAvailable
            | ProtocolError::ReplicaNotAvailable
            | ProtocolError::NetworkException
            | ProtocolError::NotEnoughReplicas
            | ProtocolError::NotEnoughReplicasAfterAppend
            | ProtocolError::NotController
            | ProtocolError::KafkaStorageError
            | ProtocolError::FencedLeaderEpoch
            | ProtocolError::UnknownLeaderEpoch
            | ProtocolError::OffsetNotAvailable
            | ProtocolError::EligibleLeadersNotAvailable
            | ProtocolError::PreferredLeaderNotAvailable
            | ProtocolError::ThrottlingQuotaExceeded
            | ProtocolError::InvalidReplicationFactor
    )
}

/// The broker's error code in an error, if it is one.
pub(super) fn server_code(error: &Error) -> Option<ProtocolError> {
    match innermost(error) {
        Error::ServerError { protocol_error, .. } => Some(*protocol_error),
        _ => None,
    }
}

/// The error below rskafka's word that its retries are used up.
fn innermost(error: &Error) -> &Error {
    match error {
        Error::RetryFailed(BackoffError::DeadlineExceded { source, .. }) => {
            source.downcast_ref::<Error>().map_or(error, innermost)
        }
        other => other,
    }
}

/// What went wrong, in one line without rskafka's wrapping.
fn reason(error: &Error) -> String {
    match innermost(error) {
        Error::ServerError { protocol_error, error_message, .. } => match error_message {
            Some(message) if !message.is_empty() => format!("the broker says {protocol_error:?}: {message}"),
            _ => format!("the broker says {protocol_error:?}"),
        },
        other => {
            let text = other.to_string();
            let inner = ["Retry exceeded deadline. Source: ", "Multiple errors occured: "]
                .iter()
                .filter_map(|wrapping| text.rfind(wrapping).map(|start| start + wrapping.len()))
                .max()
                .unwrap_or(0);
            let text = text.get(inner..).unwrap_or(&text);
            advice(text).map_or_else(|| text.to_owned(), |advice| format!("{advice} ({text})"))
        }
    }
}

/// Doubles from [`FIRST_PAUSE`] to [`LONGEST_PAUSE`]; the upper half of it is random, so that many requests that
/// failed together do not come back together.
fn pause_after(attempts: u32) -> Duration {
    let ceiling = FIRST_PAUSE.saturating_mul(1 << (attempts - 1).min(16)).min(LONGEST_PAUSE);
    let random = RandomState::new().build_hasher().finish();
    let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
    ceiling.mul_f64(0.5 + 0.5 * fraction)
}

#[cfg(test)]
mod tests {
    use rskafka::client::error::RequestContext;

    use super::*;

    fn policy(timeout_ms: u64, deadline_ms: u64) -> RetryPolicy {
        RetryPolicy {
            storage_deadline: Duration::from_millis(deadline_ms),
            request_timeout: Duration::from_millis(timeout_ms),
            deadline: Duration::from_millis(deadline_ms),
            brokers: "broker:9092".into(),
            notices: Notices::default(),
            given_up: Arc::default(),
        }
    }

    fn broker_says(code: ProtocolError) -> Error {
        Error::ServerError {
            protocol_error: code,
            error_message: None,
            request: RequestContext::Topic("clicks".to_owned()),
            response: None,
            is_virtual: false,
        }
    }

    #[test]
    fn pauses_double_to_a_limit_and_vary() {
        for attempts in 1..40 {
            let ceiling = FIRST_PAUSE.saturating_mul(1 << (attempts - 1).min(16)).min(LONGEST_PAUSE);
            let pause = pause_after(attempts);
            assert!(pause <= ceiling && pause >= ceiling / 2, "{attempts}: {pause:?}");
        }
        let several: std::collections::BTreeSet<_> = (0..20).map(|_| pause_after(5)).collect();
        assert!(several.len() > 10, "{several:?}");
    }

    #[tokio::test]
    async fn a_failing_request_is_tried_again_until_it_works() {
        let mut tries = 0;
        let request = || {
            tries += 1;
            let answer = if tries < 3 { Err(broker_says(ProtocolError::LeaderNotAvailable)) } else { Ok(tries) };
            async { answer }
        };
        let answer = policy(1000, 5000).run(|| "asking".to_owned(), request, || {}).await;
        assert_eq!(answer.unwrap(), 3);
    }

    #[tokio::test]
    async fn an_unanswered_request_loses_its_connection_and_ends_at_the_deadline() {
        let mut abandoned = 0;
        let policy = policy(20, 300);
        let request = std::future::pending::<Result<(), Error>>;
        let answer = policy.run(|| "asking".to_owned(), request, || abandoned += 1).await;
        let message = policy.error(answer.unwrap_err()).to_string();
        assert!(abandoned > 1, "{abandoned}");
        assert!(message.contains("broker:9092") && message.contains("no answer in time"), "{message}");
    }

    #[tokio::test]
    async fn soon_nothing_is_tried_again_for_one_who_has_given_up() {
        let policy = policy(1000, 60_000);
        let (mut tries, start) = (0, Instant::now());
        let request = || {
            tries += 1;
            if tries == 2 {
                policy.given_up.get_or_init(Instant::now);
            }
            async { Err::<(), _>(broker_says(ProtocolError::LeaderNotAvailable)) }
        };
        let failure = policy.run(|| "asking".to_owned(), request, || {}).await.unwrap_err();
        assert_eq!(failure.code(), Some(ProtocolError::LeaderNotAvailable));
        assert!(tries > 3 && start.elapsed() < 5 * LAST_TRIES, "{tries} tries in {:?}", start.elapsed());
        tokio::time::sleep(LAST_TRIES).await;
        tries = 0;
        policy.run(|| "asking".to_owned(), request_of(&mut tries), || {}).await.unwrap_err();
        assert_eq!(tries, 1, "the time is over for all requests together");
    }

    fn request_of(tries: &mut u32) -> impl FnMut() -> std::future::Ready<Result<(), Error>> {
        || {
            *tries += 1;
            std::future::ready(Err(broker_says(ProtocolError::LeaderNotAvailable)))
        }
    }

    #[tokio::test]
    async fn a_fatal_error_is_reported_at_once() {
        let mut tries = 0;
        let request = || {
            tries += 1;
            async { Err::<(), _>(broker_says(ProtocolError::MessageTooLarge)) }
        };
        let failure = policy(1000, 5000).run(|| "asking".to_owned(), request, || {}).await.unwrap_err();
        assert_eq!(failure.code(), Some(ProtocolError::MessageTooLarge));
        assert_eq!(tries, 1);
    }

    #[test]
    fn errors_are_judged_as_kafka_judges_them() {
        for code in [ProtocolError::NotLeaderOrFollower, ProtocolError::NotEnoughReplicas] {
            assert_eq!(verdict(&broker_says(code)), Verdict::Retry, "{code:?}");
        }
        for code in
            [ProtocolError::MessageTooLarge, ProtocolError::OffsetOutOfRange, ProtocolError::InvalidTopicException]
        {
            assert_eq!(verdict(&broker_says(code)), Verdict::Fatal, "{code:?}");
        }
    }

    #[test]
    fn an_error_that_rskafka_has_given_up_on_is_judged_by_what_it_was() {
        let inner = Box::new(broker_says(ProtocolError::MessageTooLarge));
        let wrapped = Error::RetryFailed(BackoffError::DeadlineExceded { deadline: Duration::ZERO, source: inner });
        assert_eq!(verdict(&wrapped), Verdict::Fatal);
        assert_eq!(reason(&wrapped), "the broker says MessageTooLarge");
    }
}
