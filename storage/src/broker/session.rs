//! One request in, one response out: bytes to bytes, without sockets.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::api::{self, Api};
use super::error::ProtocolError;
use super::login::Login;
use super::node::Node;
use super::shape;
use super::transport::Piece;
use crate::log::LogSlice;
use crate::security::Users;

/// A response that is still being made.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = Result<T, ProtocolError>> + Send>>;

/// What a handler gives back. A handler does at once whatever must keep the order of requests (an append), and leaves
/// the rest to a future that is run when the response's turn has come.
pub(super) enum Response<T> {
    /// Nothing is sent.
    Silent,
    /// Sent when its turn comes.
    Ready(T),
    /// Made when its turn comes; later requests are handled meanwhile.
    Later(Pending<T>),
    /// Made when its turn comes; later requests are handled after it.
    Alone(Pending<T>),
}

/// The encoded body of a response: pieces to be sent one after the other.
#[derive(Debug, Default)]
pub(super) struct Body {
    pieces: Vec<Piece>,
    tail: BytesMut,
}

/// A whole response frame: pieces to be sent one after the other.
#[derive(Debug)]
pub(super) struct Answer {
    /// The pieces, none of them empty.
    pub(super) pieces: Vec<Piece>,
}

/// What is known of one connection from request to request.
#[derive(Debug)]
pub(super) struct Session {
    /// Where the client connects from.
    peer: IpAddr,
    /// Who the client is, if that is asked for.
    login: Option<Login>,
}

/// A request whose header has been read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) api: &'static Api,
    pub(super) version: i16,
    /// What the client calls itself; empty if it doesn't say.
    pub(super) client_id: Box<str>,
    /// Where the client connects from.
    pub(super) peer: IpAddr,
    /// Who the client is, if that is asked for.
    pub(super) login: Option<Login>,
    body: Bytes,
}

impl Body {
    /// Encodes a message.
    pub(super) fn of<M: Encodable>(message: &M, api: &'static Api, version: i16) -> Result<Self, ProtocolError> {
        let mut body = Self::default();
        message.encode(&mut body.tail, version).map_err(|error| ProtocolError::Encode {
            api: api.name,
            version,
            detail: error.to_string(),
        })?;
        Ok(body)
    }

    /// Where to write what comes next.
    pub(super) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Appends batches of the log without copying them.
    pub(super) fn splice(&mut self, batches: LogSlice) {
        if !batches.is_empty() {
            let before = Piece::Memory(self.tail.split().freeze());
            self.pieces.extend([before, Piece::File(batches)].into_iter().filter(|piece| piece.len() > 0));
        }
    }

    fn into_answer(mut self, correlation_id: i32, has_tags: bool) -> Answer {
        let tail = self.tail.split().freeze();
        let header_length = 4 + usize::from(has_tags);
        let length = header_length + tail.len() + self.pieces.iter().map(Piece::len).sum::<usize>();
        let alone = if self.pieces.is_empty() { tail.len() } else { 0 };
        let mut first = BytesMut::with_capacity(4 + header_length + alone);
        // The limit on fetched bytes keeps every answer below 2 GiB.
        first.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
        first.put_i32(correlation_id);
        if has_tags {
            first.put_u8(0);
        }
        if self.pieces.is_empty() {
            first.put_slice(&tail);
            return Answer { pieces: vec![Piece::Memory(first.freeze())] };
        }
        let mut pieces = Vec::with_capacity(self.pieces.len() + 2);
        pieces.push(Piece::Memory(first.freeze()));
        pieces.append(&mut self.pieces);
        if !tail.is_empty() {
            pieces.push(Piece::Memory(tail));
        }
        Answer { pieces }
    }
}

impl Request {
    /// Decodes the body, whose outline has been checked, and lets go of it: what waits for its answer holds no bytes
    /// of the request but those it took from the message.
    pub(super) fn decode<M: Decodable>(&mut self) -> Result<M, ProtocolError> {
        let mut body = std::mem::take(&mut self.body);
        M::decode(&mut body, self.version).map_err(|error| self.malformed(error.to_string()))
    }

    /// Encodes the response.
    pub(super) fn respond<M: Encodable>(&self, message: &M) -> Result<Body, ProtocolError> {
        Body::of(message, self.api, self.version)
    }

    fn malformed(&self, detail: String) -> ProtocolError {
        ProtocolError::Malformed { api: self.api.name, version: self.version, detail }
    }
}

impl Session {
    /// The session of a client that has just connected.
    pub(super) fn new(peer: IpAddr, users: Option<&Arc<Users>>) -> Self {
        Self { peer, login: users.map(|users| Login::new(Arc::clone(users), peer)) }
    }

    /// Whether the client may do all that can be asked for.
    pub(super) fn is_admitted(&self) -> bool {
        self.login.as_ref().is_none_or(Login::is_known)
    }

    /// Whether the connection is to be closed because the login has failed.
    pub(super) fn is_refused(&self) -> bool {
        self.login.as_ref().is_some_and(Login::is_refused)
    }

    /// Handles one request frame.
    ///
    /// # Errors
    /// [`ProtocolError`] if the connection must be given up.
    pub(super) fn handle(&mut self, node: &Arc<Node>, mut frame: Bytes) -> Result<Response<Answer>, ProtocolError> {
        if let Some(login) = self.login.as_ref().filter(|login| login.takes_raw_token()) {
            return Ok(raw_token(Arc::clone(node), login.clone(), frame.to_vec()));
        }
        if frame.len() < 8 {
            return Err(ProtocolError::Header);
        }
        let (key, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
        let api = api::find(key).ok_or(ProtocolError::UnknownApi(key))?;
        if self.login.as_ref().is_some_and(|login| !login.admits(key)) {
            return Err(ProtocolError::NotLoggedIn { api: api.name });
        }
        if !api.implemented().contains(&version) {
            let body = (api.unknown_version)(api, version)?;
            return Ok(Response::Ready(body.into_answer(correlation_id, false)));
        }
        let flexible = version >= api.flexible_since;
        let client_id = take_client_id(&mut frame)?;
        if flexible {
            let rest = shape::skip_tags(&frame).map_err(|_| ProtocolError::Header)?.len();
            frame.advance(frame.len() - rest);
        }
        let (peer, login) = (self.peer, self.login.clone());
        let request = Request { api, version, client_id, peer, login, body: frame };
        shape::check(&request.body, api.shape, version, flexible).map_err(|detail| request.malformed(detail))?;
        let has_tags = flexible && api.flexible_response_header;
        let finish = move |body: Body| body.into_answer(correlation_id, has_tags);
        let start = Instant::now();
        let handled = (api.handle)(node, request);
        let counting = Arc::clone(node);
        let later = move |body: Pending<Body>| -> Pending<Answer> {
            Box::pin(async move {
                let answer = body.await.map(finish);
                counting.metrics.handled(api, start.elapsed(), answer.is_ok());
                answer
            })
        };
        Ok(match handled {
            Ok(Response::Later(body)) => Response::Later(later(body)),
            Ok(Response::Alone(body)) => Response::Alone(later(body)),
            at_once => {
                node.metrics.handled(api, start.elapsed(), at_once.is_ok());
                match at_once? {
                    Response::Ready(body) => Response::Ready(finish(body)),
                    _ => Response::Silent,
                }
            }
        })
    }
}

/// Answers a token that has no request around it, as clients of `SaslHandshake` version 0 send them; such a client
/// learns of a failure by the closed connection.
fn raw_token(node: Arc<Node>, login: Login, token: Vec<u8>) -> Response<Answer> {
    Response::Alone(Box::pin(async move {
        let token = login.step(&node, token).await.map_err(|_| ProtocolError::Refused)?;
        let mut bytes = BytesMut::with_capacity(4 + token.len());
        bytes.put_u32(u32::try_from(token.len()).unwrap_or(u32::MAX));
        bytes.put_slice(&token);
        Ok(Answer { pieces: vec![Piece::Memory(bytes.freeze())] })
    }))
}

/// Takes the client's name off the header; what isn't UTF-8 in it is replaced, since it is only shown.
fn take_client_id(frame: &mut Bytes) -> Result<Box<str>, ProtocolError> {
    if frame.len() < 2 {
        return Err(ProtocolError::Header);
    }
    let length = usize::try_from(frame.get_i16().max(0)).unwrap_or_default();
    if frame.len() < length {
        return Err(ProtocolError::Header);
    }
    Ok(String::from_utf8_lossy(&frame.split_to(length)).into())
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
    use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
    use kafka_protocol::protocol::StrBytes;
    use proptest::prelude::*;
    use tempfile::TempDir;
    use tokio::sync::watch;

    use super::super::api::REGISTRY;
    use super::super::options::BrokerOptions;
    use super::super::shape::tests::sample;
    use super::*;
    use crate::groups::Coordinator;
    use crate::io::OsDirectory;
    use crate::log::{BatchHeader, Log, LogOptions, TopicConfig};
    use crate::log::{TopicId, batch_for_tests as batch};

    fn node() -> (TempDir, Arc<Node>) {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(Arc::new(OsDirectory::open(folder.path()).unwrap()), LogOptions::default()).unwrap();
        log.create_topic("t", 1, TopicConfig::default()).unwrap();
        let (_, closing) = watch::channel(false);
        let options = BrokerOptions::default();
        let log = Arc::new(log);
        let groups = Coordinator::open(Arc::clone(&log), options.groups.clone()).unwrap();
        (folder, Arc::new(Node::new(log, groups, options, ("h".to_owned(), 1), closing)))
    }

    fn frame(key: i16, version: i16, flexible: bool, body: &[u8]) -> Bytes {
        let mut frame = Vec::new();
        frame.extend_from_slice(&key.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&77_i32.to_be_bytes());
        frame.extend_from_slice(b"\0\x02me");
        if flexible {
            frame.push(0);
        }
        frame.extend_from_slice(body);
        frame.into()
    }

    /// Runs a request to its end and returns the answer's bytes after the length, which is checked.
    async fn exchange(node: &Arc<Node>, frame: Bytes) -> Result<Option<Vec<u8>>, ProtocolError> {
        let answer = match Session::new(IpAddr::from([127, 0, 0, 1]), None).handle(node, frame)? {
            Response::Silent => return Ok(None),
            Response::Ready(answer) => answer,
            Response::Later(answer) | Response::Alone(answer) => answer.await?,
        };
        assert!(answer.pieces.iter().all(|piece| piece.len() > 0));
        let pieces = answer.pieces.into_iter().map(|piece| match piece {
            Piece::Memory(bytes) => bytes,
            Piece::File(slice) => slice.read_all().unwrap(),
        });
        let bytes = pieces.collect::<Vec<_>>().concat();
        assert_eq!(bytes[..4], i32::try_from(bytes.len() - 4).unwrap().to_be_bytes());
        Ok(Some(bytes[4..].to_vec()))
    }

    #[tokio::test]
    async fn every_version_of_every_api_is_answered_and_nothing_else_is() {
        let (_folder, node) = node();
        for api in REGISTRY {
            for version in -1..=api.announced.1 + 1 {
                let flexible = version >= api.flexible_since;
                for elements in 0..2 {
                    let body = sample(api.shape, version, flexible, elements);
                    let result = exchange(&node, frame(api.key, version, flexible, &body)).await;
                    let named = format!("{} version {version}: {result:?}", api.name);
                    if !api.implemented().contains(&version) && api.key != 18 {
                        assert!(matches!(result, Err(ProtocolError::UnknownVersion { .. })), "{named}");
                        continue;
                    }
                    match result {
                        Ok(Some(bytes)) => assert_eq!(bytes[..4], 77_i32.to_be_bytes(), "{named}"),
                        // acks is 0, and an error can't be told otherwise.
                        Ok(None) | Err(ProtocolError::UnacknowledgedAppend(_)) => assert_eq!(api.key, 0, "{named}"),
                        Err(_) => panic!("{named}"),
                    }
                }
            }
        }
        assert_eq!(exchange(&node, frame(999, 0, false, &[])).await, Err(ProtocolError::UnknownApi(999)));
    }

    #[tokio::test]
    async fn a_newer_client_learns_the_versions_in_the_oldest_form() {
        let (_folder, node) = node();
        let bytes = exchange(&node, frame(18, 99, true, b"whatever")).await.unwrap().unwrap();
        assert_eq!(bytes[4..6], 35_i16.to_be_bytes());
        assert_eq!(bytes[6..10], i32::try_from(REGISTRY.len()).unwrap().to_be_bytes());
        assert_eq!(bytes.len(), 10 + 6 * REGISTRY.len(), "version 0 ends after the array");
    }

    #[tokio::test]
    async fn the_bytes_of_partitions_are_told_in_every_version() {
        let (_folder, node) = node();
        node.log.create_topic("other", 3, TopicConfig::default()).unwrap();
        let topic = node.log.topic("t").unwrap();
        topic.partitions()[0].append(&batch(2, 5, b"value")).unwrap();
        let bytes = i64::try_from(topic.partitions()[0].bytes()).unwrap();
        assert!(bytes > 0);
        let named = |name: &'static str, partitions: Vec<i32>| {
            let topic = DescribableLogDirTopic::default().with_partitions(partitions);
            topic.with_topic(TopicName(StrBytes::from_static_str(name)))
        };
        for version in 1..=4 {
            for (topics, expected) in [
                (None, vec![("other", 0, 0), ("other", 1, 0), ("other", 2, 0), ("t", 0, bytes)]),
                (Some(vec![]), vec![]),
                (
                    Some(vec![named("t", vec![0, 7, -1]), named("absent", vec![0]), named("other", vec![2, 1, 2])]),
                    vec![("other", 1, 0), ("other", 2, 0), ("t", 0, bytes)],
                ),
            ] {
                let mut body = Vec::new();
                DescribeLogDirsRequest::default().with_topics(topics).encode(&mut body, version).unwrap();
                let answer = exchange(&node, frame(35, version, version >= 2, &body)).await.unwrap().unwrap();
                let mut answer = Bytes::from(answer).split_off(4 + usize::from(version >= 2));
                let answer = DescribeLogDirsResponse::decode(&mut answer, version).unwrap();
                assert_eq!((answer.error_code, answer.results.len()), (0, 1));
                let told = answer.results[0].topics.iter().flat_map(|topic| {
                    topic
                        .partitions
                        .iter()
                        .map(|partition| (topic.name.as_str(), partition.partition_index, partition.partition_size))
                });
                assert_eq!(told.collect::<Vec<_>>(), expected, "version {version}");
            }
        }
    }

    fn put_length(body: &mut Vec<u8>, flexible: bool, length: usize) {
        if flexible {
            let mut rest = length + 1;
            while rest >= 0x80 {
                body.push(rest.to_le_bytes()[0] | 0x80);
                rest >>= 7;
            }
            body.push(rest.to_le_bytes()[0]);
        } else {
            body.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        }
    }

    fn put_name(body: &mut Vec<u8>, flexible: bool) {
        body.extend_from_slice(if flexible { b"\x02t" } else { b"\0\x01t" });
    }

    fn produce_body(version: i16, acks: i16, partition: i32, batch: &[u8]) -> Vec<u8> {
        let flexible = version >= 9;
        let mut body = if flexible { vec![0] } else { vec![0xff, 0xff] };
        body.extend_from_slice(&acks.to_be_bytes());
        body.extend_from_slice(&30_000_i32.to_be_bytes());
        put_length(&mut body, flexible, 1);
        put_name(&mut body, flexible);
        put_length(&mut body, flexible, 1);
        body.extend_from_slice(&partition.to_be_bytes());
        put_length(&mut body, flexible, batch.len());
        body.extend_from_slice(batch);
        if flexible {
            body.extend_from_slice(&[0, 0, 0]);
        }
        body
    }

    fn fetch_body(version: i16, topic: TopicId, offset: i64, max_bytes: i32) -> Vec<u8> {
        let flexible = version >= 12;
        let mut body = Vec::new();
        for value in [-1, 0, 1, max_bytes].into_iter().skip(usize::from(version >= 15)) {
            body.extend_from_slice(&i32::to_be_bytes(value));
        }
        body.push(0);
        if version >= 7 {
            body.extend_from_slice(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        }
        put_length(&mut body, flexible, 1);
        if version >= 13 {
            body.extend_from_slice(&topic.0);
        } else {
            put_name(&mut body, flexible);
        }
        put_length(&mut body, flexible, 1);
        body.extend_from_slice(&0_i32.to_be_bytes());
        if version >= 9 {
            body.extend_from_slice(&0_i32.to_be_bytes());
        }
        body.extend_from_slice(&offset.to_be_bytes());
        if version >= 12 {
            body.extend_from_slice(&(-1_i32).to_be_bytes());
        }
        if version >= 5 {
            body.extend_from_slice(&(-1_i64).to_be_bytes());
        }
        body.extend_from_slice(&max_bytes.to_be_bytes());
        if flexible {
            body.extend_from_slice(&[0, 0]);
        }
        if version >= 7 {
            put_length(&mut body, flexible, 0);
        }
        if version >= 11 {
            body.extend_from_slice(if flexible { &[1] } else { &[0, 0] });
        }
        if flexible {
            body.push(0);
        }
        body
    }

    /// The fetch answer of a node whose topic holds one batch: the batch is its only long field.
    fn fetched(answer: &[u8], batch_length: usize) -> Option<(i64, usize)> {
        (0..=answer.len().saturating_sub(batch_length)).find_map(|at| {
            let header = BatchHeader::decode(&answer[at..]).ok()?;
            header.verify(&answer[at..]).ok()?;
            Some((header.base_offset.0, answer.len() - at - header.size))
        })
    }

    #[tokio::test]
    async fn what_is_produced_in_any_version_is_fetched_in_any_version() {
        let (_folder, node) = node();
        let sent = batch(2, 5, b"value");
        let mut count = 0;
        for version in 3..=11 {
            let flexible = version >= 9;
            for acks in [-1, 1, 0] {
                let body = produce_body(version, acks, 0, &sent);
                let answer = exchange(&node, frame(0, version, flexible, &body)).await.unwrap();
                count += 2;
                let Some(answer) = answer else {
                    assert_eq!(acks, 0, "only acks=0 is not answered");
                    continue;
                };
                assert_ne!(acks, 0);
                // Correlation id, tags, one topic named t, one partition 0 without error, its base offset.
                let head: &[u8] = if flexible { b"\0\x02\x02t\x02" } else { b"\0\0\0\x01\0\x01t\0\0\0\x01" };
                let rest = answer[4..].strip_prefix(head).unwrap();
                assert_eq!(rest[..6], [0; 6]);
                assert_eq!(rest[6..14], i64::to_be_bytes(count - 2));
            }
            let refused = exchange(&node, frame(0, version, flexible, &produce_body(version, 1, 7, &sent))).await;
            assert!(refused.unwrap().unwrap().windows(6).any(|window| window == [0, 0, 0, 7, 0, 3]));
            let unheard = exchange(&node, frame(0, version, flexible, &produce_body(version, 0, 7, &sent))).await;
            assert!(matches!(unheard, Err(ProtocolError::UnacknowledgedAppend(_))));
        }
        let topic = node.log.topic("t").unwrap().id();
        for version in 4..=17 {
            let flexible = version >= 12;
            for offset in [0, 1, 9] {
                let body = fetch_body(version, topic, offset, 1);
                let answer = exchange(&node, frame(1, version, flexible, &body)).await.unwrap().unwrap();
                // In the flexible form the tags of partition, topic and response follow the batch.
                let expected = Some((offset / 2 * 2, if flexible { 3 } else { 0 }));
                assert_eq!(fetched(&answer, sent.len()), expected, "version {version}, offset {offset}");
            }
            let body = fetch_body(version, topic, count, 1000);
            let answer = exchange(&node, frame(1, version, flexible, &body)).await.unwrap().unwrap();
            assert_eq!(fetched(&answer, sent.len()), None, "at the end there is nothing");
            let body = fetch_body(version, topic, count + 1, 1000);
            let answer = exchange(&node, frame(1, version, flexible, &body)).await.unwrap().unwrap();
            let outside = [&[0, 0, 0, 0, 0, 1], &count.to_be_bytes()[..], &count.to_be_bytes()[..]].concat();
            assert!(answer.windows(outside.len()).any(|window| window == outside), "out of range, with the end");
            if version >= 13 {
                let body = fetch_body(version, TopicId([7; 16]), 0, 1000);
                let answer = exchange(&node, frame(1, version, flexible, &body)).await.unwrap().unwrap();
                let unknown = [&[7; 16][..], &[2, 0, 0, 0, 0, 0, 100]].concat();
                assert!(answer.windows(unknown.len()).any(|window| window == unknown), "an unknown topic's id");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Damaged requests end in an answer or an error, at once or later, but never in a panic.
        #[test]
        fn damaged_requests_do_no_harm(
            which in any::<prop::sample::Index>(),
            version in 0_i16..13,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let api = REGISTRY[which.index(REGISTRY.len())];
            let flexible = version >= api.flexible_since;
            let mut bytes = frame(api.key, version, flexible, &sample(api.shape, version, flexible, 2)).to_vec();
            for (at, value) in changes {
                let at = 8 + at.index(bytes.len() - 8);
                bytes[at] = value;
            }
            if cut.index(3) == 0 {
                bytes.truncate(cut.index(bytes.len()));
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let (_folder, node) = node();
            runtime.block_on(async {
                let mut exchange = std::pin::pin!(exchange(&node, bytes.into()));
                let polled: Poll<_> = exchange.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                drop(polled);
            });
        }
    }
}
