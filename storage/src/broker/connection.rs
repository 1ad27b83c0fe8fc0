//! One client's connection: frames in, answers out, in order.
//!
//! Requests are handled as they arrive; answers wait in a queue until those before them are sent. The queue is bounded,
//! and a client that doesn't read its answers isn't read from either.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::error::ProtocolError;
use super::frame::FrameBuffer;
use super::node::{Node, closed};
use super::session::{Answer, Pending, Response, Session};
use super::transport::{Piece, Transport};

/// Requests of one connection that may await their answers.
const MAXIMUM_PENDING: usize = 64;
/// Answers are sent together up to this size.
const SEND_TOGETHER: usize = 64 << 10;

/// How long who has closed its side may be owed answers: it holds no place here for as long as a group may take to gather
/// or records to come.
const FAREWELL: Duration = Duration::from_secs(5);

enum Waiting {
    Ready(Answer),
    Later(Pending<Answer>),
}

/// Serves a client until it leaves, breaks the protocol or the broker shuts down.
pub(super) async fn serve(node: Arc<Node>, mut transport: Transport, client: SocketAddr) -> io::Result<()> {
    let mut closing = node.closing.clone();
    let mut session = Session::new(client.ip(), node.options.users.as_ref());
    let mut frames = FrameBuffer::new(node.options.max_login_bytes);
    let login_deadline = Instant::now() + node.options.login_deadline;
    let mut pending: VecDeque<Waiting> = VecDeque::new();
    // A request that wants to be handled alone stops the handling of later ones.
    let mut alone = false;
    let mut leaving = false;
    // Permits for the bytes of the large request that is arriving.
    let mut permit: Option<OwnedSemaphorePermit> = None;
    loop {
        let is_admitted = session.is_admitted();
        if is_admitted {
            frames.limit(node.options.max_request_bytes);
        }
        leaving |= session.is_refused();
        while !alone && !leaving && pending.len() < MAXIMUM_PENDING {
            let handled = match frames.next() {
                Ok(Some(frame)) => {
                    let handled = session.handle(&node, frame);
                    permit = None;
                    handled
                }
                Ok(None) => break,
                Err(error) => Err(error),
            };
            match handled {
                Ok(Response::Silent) => {}
                Ok(Response::Ready(answer)) => pending.push_back(Waiting::Ready(answer)),
                Ok(Response::Later(answer)) => pending.push_back(Waiting::Later(answer)),
                Ok(Response::Alone(answer)) => {
                    pending.push_back(Waiting::Later(answer));
                    alone = true;
                }
                Err(error) => {
                    tracing::warn!(%client, "connection closed: {error}");
                    leaving = true;
                }
            }
        }
        if leaving && pending.is_empty() {
            return Ok(());
        }
        let takes = !leaving && !alone && pending.len() < MAXIMUM_PENDING;
        let permits = if permit.is_none() { node.permits_for(frames.arriving()) } else { 0 };
        let reads = takes && permits == 0;
        let patience = match (leaving, frames.is_within_frame()) {
            (true, _) => node.options.patience.min(FAREWELL),
            (false, true) => node.options.patience,
            (false, false) => node.options.idle,
        };
        if reads && frames.is_within_frame() {
            transport.acknowledge();
        }
        let mut room = frames.room();
        tokio::select! {
            biased;
            answers = poll_fn(|context| next_answers(&mut pending, context)), if !pending.is_empty() => {
                match answers {
                    Ok(mut pieces) => transport.send(&mut pieces, node.options.patience).await?,
                    Err(error) => {
                        tracing::warn!(%client, "connection closed: {error}");
                        return Ok(());
                    }
                }
                alone = alone && !pending.is_empty();
            }
            read = transport.read(&mut room), if reads => {
                leaving = read? == 0;
            }
            acquired = Arc::clone(&node.large_requests).acquire_many_owned(permits), if takes && permits > 0 => {
                permit = acquired.ok();
            }
            () = tokio::time::sleep_until(login_deadline), if !is_admitted => {
                tracing::warn!(%client, "connection closed: no login in time");
                return Ok(());
            }
            () = closed(&mut closing), if !leaving => leaving = true,
            () = tokio::time::sleep(patience), if leaving || (reads && pending.is_empty()) => return Ok(()),
        }
    }
}

/// Takes the answers whose turn has come and which are ready.
fn next_answers(
    pending: &mut VecDeque<Waiting>,
    context: &mut Context<'_>,
) -> Poll<Result<VecDeque<Piece>, ProtocolError>> {
    let (mut pieces, mut size) = (VecDeque::new(), 0);
    while size < SEND_TOGETHER {
        let ready = match pending.front_mut() {
            Some(Waiting::Later(answer)) => match answer.as_mut().poll(context) {
                Poll::Ready(answer) => Some(answer?),
                Poll::Pending => break,
            },
            Some(Waiting::Ready(_)) => None,
            None => break,
        };
        let answer = match (ready, pending.pop_front()) {
            (Some(answer), _) | (None, Some(Waiting::Ready(answer))) => answer,
            _ => break,
        };
        size += answer.pieces.iter().map(Piece::len).sum::<usize>();
        pieces.extend(answer.pieces);
    }
    if pieces.is_empty() { Poll::Pending } else { Poll::Ready(Ok(pieces)) }
}
