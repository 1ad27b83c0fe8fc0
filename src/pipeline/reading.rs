//! All partitions of a topic read at once, each ahead of who takes the records.

use std::ops::Range;

use tokio::sync::mpsc;

use super::session::LogSession;
use super::stall::Stall;
use crate::kafka::{Consumer, Fetched, KafkaError};

/// From where to where a partition is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadRange {
    /// The first offset.
    pub(super) start: i64,
    /// The offset to stop at; `None` reads on as the log grows.
    pub(super) end: Option<i64>,
}

/// What came of a fetch, with the lane it belongs to.
pub(super) type Answer = (usize, Result<Read, KafkaError>);

/// What a partition gave.
#[derive(Debug)]
pub(super) enum Read {
    /// Records, or word that there are none yet.
    Fetched(Fetched),
    /// Offsets that the log has dropped before they were read, and that the reader has stepped over.
    Lost(Range<i64>),
}

/// Reads each partition over its range, in tasks of their own that end when their range or the receiver does.
///
/// Each task fetches one answer ahead; another waits in the channel. The last answer of a partition may reach beyond
/// its end. With `skip_lost`, records that the log has dropped before they were read are stepped over.
pub(super) fn read_partitions(
    session: &LogSession,
    consumers: Vec<Consumer>,
    ranges: &[ReadRange],
    skip_lost: bool,
) -> mpsc::Receiver<Answer> {
    let (sender, receiver) = mpsc::channel(ranges.len().max(1));
    for (lane, (mut consumer, range)) in consumers.into_iter().zip(ranges).enumerate() {
        consumer.seek(range.start);
        let stall = Stall::new(session.client.notices(), &session.topic, consumer.partition());
        session.runtime.spawn(read(lane, consumer, range.end, skip_lost, stall, sender.clone()));
    }
    receiver
}

async fn read(
    lane: usize,
    mut consumer: Consumer,
    end: Option<i64>,
    skip_lost: bool,
    mut stall: Stall,
    answers: mpsc::Sender<Answer>,
) {
    while end.is_none_or(|end| consumer.next_offset() < end) {
        let answer = tokio::select! {
            answer = consumer.fetch() => answer,
            () = answers.closed() => return,
        };
        let read = match answer {
            Err(KafkaError::OffsetOutOfRange { lost, topic, partition, .. }) if skip_lost && !lost.is_empty() => {
                tracing::warn!(topic, partition, ?lost, "skipping records that the log has dropped");
                consumer.seek(lost.end);
                Ok(Read::Lost(lost))
            }
            answer => answer.inspect(|fetched| stall.look(fetched)).map(Read::Fetched),
        };
        let is_last = read.is_err();
        if answers.send((lane, read)).await.is_err() || is_last {
            return;
        }
    }
}
