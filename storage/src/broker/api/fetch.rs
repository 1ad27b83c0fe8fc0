//! `Fetch`: reads batches, waiting for them if asked to.
//!
//! The response is written by hand, so that the batches go to the socket from the file they stand in: an answer holds
//! no batch in memory, whatever its size.

use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut as _;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, check_epoch, closed, error_code};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape::{self, Part};
use crate::log::{LogError, LogSlice, Offset, Partition, TopicId};

const PARTITION: &[Part] = &[
    shape::fixed(4),
    shape::fixed(4).since(9),
    shape::fixed(8),
    shape::fixed(4).since(12),
    shape::fixed(8).since(5),
    shape::fixed(4),
];
const TOPIC: &[Part] = &[shape::text().until(BY_NAME), shape::fixed(16).since(BY_NAME + 1), shape::structs(PARTITION)];
const FORGOTTEN: &[Part] = &[shape::text().until(BY_NAME), shape::fixed(16).since(BY_NAME + 1), shape::values(4)];

/// The last version that names topics; later ones give their ids (KIP-516).
const BY_NAME: i16 = 12;
/// The last version in which every request says whether a replica asks.
const OF_REPLICAS: i16 = 14;

pub(super) static API: Api = Api {
    key: 1,
    name: "Fetch",
    announced: (4, 17),
    least_implemented: 4,
    flexible_since: 12,
    flexible_response_header: true,
    shape: &[
        shape::fixed(4).until(OF_REPLICAS),
        shape::fixed(4),
        shape::fixed(4),
        shape::fixed(4),
        shape::fixed(1),
        shape::fixed(4).since(7),
        shape::fixed(4).since(7),
        shape::structs(TOPIC),
        shape::structs(FORGOTTEN).since(7),
        shape::text().since(11),
    ],
    handle,
    unknown_version: refuse,
};

/// One partition of a request, looked up.
struct Wanted<'a> {
    request: &'a FetchPartition,
    /// Whether the topic is there, if the partition isn't.
    is_of_a_topic: bool,
    partition: Option<Arc<Partition>>,
    /// Bytes of the log before the offset asked for.
    bytes_before: u64,
}

/// What is answered for one partition.
struct Fetched {
    index: i32,
    error: Option<ResponseError>,
    start: Offset,
    end: Offset,
    batches: LogSlice,
}

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: FetchRequest = request.decode()?;
    let version = request.version;
    if version >= 7 && (message.session_id != 0 || !matches!(message.session_epoch, 0 | -1)) {
        // No sessions are kept; the client goes on without.
        return Ok(Response::Ready(encode(version, Some(ResponseError::FetchSessionIdNotFound), Vec::new())));
    }
    let node = Arc::clone(node);
    // It counts from now, though those before it may be held as well. A client that wants to wait for longer than this
    // broker keeps silent connections is told earlier that there is nothing.
    let patience = Duration::from_millis(u64::try_from(message.max_wait_ms).unwrap_or_default());
    let deadline = Instant::now() + patience.min(node.options.patience);
    Ok(Response::Later(Box::pin(async move { Ok(answer(&node, &message, version, deadline).await) })))
}

async fn answer(node: &Node, message: &FetchRequest, version: i16, deadline: Instant) -> Body {
    let mut failed = false;
    let mut wanted = Vec::with_capacity(message.topics.len());
    for topic in &message.topics {
        let found = if version <= BY_NAME {
            node.log.topic(&topic.topic)
        } else {
            node.log.topic_by_id(TopicId(*topic.topic_id.as_bytes()))
        };
        let partitions: Vec<_> = topic
            .partitions
            .iter()
            .map(|request| {
                let partition = found.as_ref().and_then(|found| found.partition(request.partition)).cloned();
                let bytes_before = partition.as_ref().and_then(|partition| {
                    check_epoch(request.current_leader_epoch).ok()?;
                    partition.bytes_before(Offset(request.fetch_offset)).ok()
                });
                failed |= bytes_before.is_none();
                Wanted {
                    request,
                    is_of_a_topic: found.is_some(),
                    partition,
                    bytes_before: bytes_before.unwrap_or_default(),
                }
            })
            .collect();
        wanted.push(partitions);
    }
    if !failed {
        wait(node, message, &wanted, deadline).await;
    }
    let mut budget = usize::try_from(message.max_bytes).unwrap_or_default().min(node.options.max_fetch_bytes);
    let mut empty = true;
    let topics = message
        .topics
        .iter()
        .zip(&wanted)
        .map(|(topic, wanted)| {
            let fetched = wanted
                .iter()
                .map(|wanted| {
                    let mut fetched = read(wanted, budget, empty);
                    if version > BY_NAME && !wanted.is_of_a_topic {
                        fetched.error = Some(ResponseError::UnknownTopicId);
                    }
                    empty &= fetched.batches.is_empty();
                    budget = budget.saturating_sub(fetched.batches.len());
                    fetched
                })
                .collect();
            (topic, fetched)
        })
        .collect();
    encode(version, None, topics)
}

/// Waits until enough bytes are there, the client's patience ends, a topic goes away or the broker shuts down.
async fn wait(node: &Node, message: &FetchRequest, wanted: &[Vec<Wanted<'_>>], deadline: Instant) {
    let partitions =
        || wanted.iter().flatten().filter_map(|wanted| Some((wanted.partition.as_ref()?, wanted.bytes_before)));
    let enough = u64::try_from(message.min_bytes).unwrap_or_default();
    let is_enough = || {
        let there: u64 =
            partitions().map(|(partition, before)| partition.bytes_before_end().saturating_sub(before)).sum();
        there >= enough || partitions().any(|(partition, _)| partition.is_deleted())
    };
    if message.max_wait_ms <= 0 || is_enough() {
        return;
    }
    let deadline = tokio::time::sleep_until(deadline);
    let mut closing = node.closing.clone();
    let appended = Arc::new(Notify::new());
    let _subscriptions: Vec<_> = partitions().map(|(partition, _)| partition.subscribe(&appended)).collect();
    tokio::pin!(deadline);
    while !is_enough() {
        tokio::select! {
            () = appended.notified() => {}
            () = &mut deadline => return,
            () = closed(&mut closing) => return,
        }
    }
}

fn read(wanted: &Wanted<'_>, budget: usize, at_least_one: bool) -> Fetched {
    let index = wanted.request.partition;
    let failed = |error, start, end| Fetched { index, error: Some(error), start, end, batches: LogSlice::default() };
    let Some(partition) = wanted.partition.as_ref().filter(|partition| !partition.is_deleted()) else {
        return failed(ResponseError::UnknownTopicOrPartition, Offset(-1), Offset(-1));
    };
    if let Err(error) = check_epoch(wanted.request.current_leader_epoch) {
        return failed(error, partition.start(), partition.end());
    }
    let limit = usize::try_from(wanted.request.partition_max_bytes).unwrap_or_default().min(budget);
    match partition.read(Offset(wanted.request.fetch_offset), limit, at_least_one) {
        Ok(read) => Fetched { index, error: None, start: read.start, end: read.end, batches: read.batches },
        Err(error) => {
            if !matches!(error, LogError::OffsetOutOfRange { .. }) {
                tracing::error!("a fetch failed: {error}");
            }
            failed(error_code(&error), partition.start(), partition.end())
        }
    }
}

/// Writes the response by the message format of `FetchResponse`, versions 4 to 17.
fn encode(version: i16, error: Option<ResponseError>, topics: Vec<(&FetchTopic, Vec<Fetched>)>) -> Body {
    let flexible = version >= API.flexible_since;
    let mut body = Body::default();
    let code = |error: Option<ResponseError>| error.map_or(0, |error| error.code());
    body.tail().put_i32(0);
    if version >= 7 {
        body.tail().put_i16(code(error));
        body.tail().put_i32(0);
    }
    put_length(&mut body, flexible, topics.len());
    for (topic, partitions) in topics {
        let name = topic.topic.as_bytes();
        if version > BY_NAME {
            body.tail().put_slice(topic.topic_id.as_bytes());
        } else if flexible {
            put_varint(&mut body, name.len() + 1);
            body.tail().put_slice(name);
        } else {
            // A name that reached us in 16 bits of length fits into them.
            body.tail().put_i16(i16::try_from(name.len()).unwrap_or(i16::MAX));
            body.tail().put_slice(name);
        }
        put_length(&mut body, flexible, partitions.len());
        for fetched in partitions {
            let tail = body.tail();
            tail.put_i32(fetched.index);
            tail.put_i16(code(fetched.error));
            tail.put_i64(fetched.end.0);
            tail.put_i64(fetched.end.0);
            if version >= 5 {
                tail.put_i64(fetched.start.0);
            }
            // No transactions were aborted: null.
            if flexible {
                tail.put_u8(0);
            } else {
                tail.put_i32(-1);
            }
            if version >= 11 {
                tail.put_i32(-1);
            }
            put_length(&mut body, flexible, fetched.batches.len());
            body.splice(fetched.batches);
            put_tags(&mut body, flexible);
        }
        put_tags(&mut body, flexible);
    }
    put_tags(&mut body, flexible);
    body
}

fn put_length(body: &mut Body, flexible: bool, length: usize) {
    if flexible {
        put_varint(body, length + 1);
    } else {
        body.tail().put_i32(i32::try_from(length).unwrap_or(i32::MAX));
    }
}

fn put_tags(body: &mut Body, flexible: bool) {
    if flexible {
        body.tail().put_u8(0);
    }
}

fn put_varint(body: &mut Body, value: usize) {
    let mut rest = value;
    while rest >= 0x80 {
        body.tail().put_u8(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    body.tail().put_u8(rest.to_le_bytes()[0]);
}
