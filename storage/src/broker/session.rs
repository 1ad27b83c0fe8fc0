//! One request in, one response out: bytes to bytes, without sockets.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::api::{self, Api};
use super::error::ProtocolError;
use super::node::Node;
use super::shape;

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
    pieces: Vec<Bytes>,
    tail: BytesMut,
}

/// A whole response frame: pieces to be sent one after the other.
#[derive(Debug)]
pub(super) struct Answer {
    /// The pieces, none of them empty.
    pub(super) pieces: Vec<Bytes>,
}

/// A request whose header has been read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) api: &'static Api,
    pub(super) version: i16,
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

    /// Appends bytes without copying them.
    pub(super) fn splice(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            let before = self.tail.split().freeze();
            self.pieces.extend([before, bytes].into_iter().filter(|piece| !piece.is_empty()));
        }
    }

    fn into_answer(mut self, correlation_id: i32, has_tags: bool) -> Answer {
        let tail = self.tail.split().freeze();
        let header_length = 4 + usize::from(has_tags);
        let length = header_length + tail.len() + self.pieces.iter().map(Bytes::len).sum::<usize>();
        let mut first = BytesMut::with_capacity(4 + header_length + self.pieces.first().map_or(tail.len(), |_| 0));
        // The limit on fetched bytes keeps every answer below 2 GiB.
        first.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
        first.put_i32(correlation_id);
        if has_tags {
            first.put_u8(0);
        }
        if self.pieces.is_empty() {
            first.put_slice(&tail);
            return Answer { pieces: vec![first.freeze()] };
        }
        let mut pieces = Vec::with_capacity(self.pieces.len() + 2);
        pieces.push(first.freeze());
        pieces.append(&mut self.pieces);
        if !tail.is_empty() {
            pieces.push(tail);
        }
        Answer { pieces }
    }
}

impl Request {
    /// Decodes the body, whose outline has been checked.
    pub(super) fn decode<M: Decodable>(&mut self) -> Result<M, ProtocolError> {
        M::decode(&mut self.body, self.version).map_err(|error| self.malformed(error.to_string()))
    }

    /// Encodes the response.
    pub(super) fn respond<M: Encodable>(&self, message: &M) -> Result<Body, ProtocolError> {
        Body::of(message, self.api, self.version)
    }

    fn malformed(&self, detail: String) -> ProtocolError {
        ProtocolError::Malformed { api: self.api.name, version: self.version, detail }
    }
}

/// Handles one request frame.
///
/// # Errors
/// [`ProtocolError`] if the connection must be given up.
pub(super) fn handle(node: &Arc<Node>, mut frame: Bytes) -> Result<Response<Answer>, ProtocolError> {
    if frame.len() < 8 {
        return Err(ProtocolError::Header);
    }
    let (key, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
    let api = api::find(key).ok_or(ProtocolError::UnknownApi(key))?;
    if !api.implemented().contains(&version) {
        let body = (api.unknown_version)(api, version)?;
        return Ok(Response::Ready(body.into_answer(correlation_id, false)));
    }
    let flexible = version >= api.flexible_since;
    skip_client_id(&mut frame)?;
    if flexible {
        let rest = shape::skip_tags(&frame).map_err(|_| ProtocolError::Header)?.len();
        frame.advance(frame.len() - rest);
    }
    let request = Request { api, version, body: frame };
    shape::check(&request.body, api.shape, version, flexible).map_err(|detail| request.malformed(detail))?;
    let has_tags = flexible && api.flexible_response_header;
    let finish = move |body: Body| body.into_answer(correlation_id, has_tags);
    Ok(match (api.handle)(node, request)? {
        Response::Silent => Response::Silent,
        Response::Ready(body) => Response::Ready(finish(body)),
        Response::Later(body) => Response::Later(Box::pin(async move { body.await.map(finish) })),
        Response::Alone(body) => Response::Alone(Box::pin(async move { body.await.map(finish) })),
    })
}

fn skip_client_id(frame: &mut Bytes) -> Result<(), ProtocolError> {
    if frame.len() < 2 {
        return Err(ProtocolError::Header);
    }
    let length = usize::try_from(frame.get_i16().max(0)).unwrap_or_default();
    if frame.len() < length {
        return Err(ProtocolError::Header);
    }
    frame.advance(length);
    Ok(())
}
