//! One client's connection: frames in, answers out, in order.
//!
//! Requests are handled as they arrive; answers wait in a queue until those before them are sent. The queue is bounded,
//! and a client that doesn't read its answers isn't read from either.
//!
//! Two things keep the processors busy. A large request is handled on a thread of its own while the next one is received:
//! checking and copying half a megabyte takes as long as receiving it, and other connections don't wait for it. And
//! before the disk is asked for the sake of small requests, those that have arrived meanwhile are handled: a producer sends its
//! next ones as soon as it has its answers, and the first of them would get a sync of its own.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
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
/// Requests from this size on are handled on a thread of their own.
const LARGE_REQUEST: usize = 256 << 10;
/// Bytes of small requests that are handled together before the disk is asked for them.
const GATHER: usize = 256 << 10;

/// How long who has closed its side may be owed answers: it holds no place here for as long as a group may take to gather
/// or records to come.
const FAREWELL: Duration = Duration::from_secs(5);

enum Waiting {
    Ready(Answer),
    Later(Pending<Answer>),
}

/// What became of a request.
type Handled = Result<Response<Answer>, ProtocolError>;

/// Answers that are owed, in the order of their requests.
#[derive(Default)]
struct Owed {
    answers: VecDeque<Waiting>,
    /// The last request wants to be handled alone: later ones are handled after it.
    alone: bool,
    /// Nothing is read any more.
    leaving: bool,
}

/// Serves a client until it leaves, breaks the protocol or the broker shuts down.
pub(super) async fn serve(node: Arc<Node>, mut transport: Transport, client: SocketAddr) -> io::Result<()> {
    let mut closing = node.closing.clone();
    let mut session = Session::new(client.ip(), node.options.users.as_ref());
    let mut frames = FrameBuffer::new(node.options.max_login_bytes);
    let login_deadline = Instant::now() + node.options.login_deadline;
    let mut owed = Owed::default();
    // The large request that is handled on another thread.
    let mut handling: Option<JoinHandle<(Session, Handled)>> = None;
    // Bytes of small requests handled since the disk was asked.
    let mut gathered = 0;
    // Permits for the bytes of the large request that is arriving.
    let mut permit: Option<OwnedSemaphorePermit> = None;
    loop {
        let is_admitted = handling.is_some() || session.is_admitted();
        if is_admitted {
            frames.limit(node.options.max_request_bytes);
        }
        owed.leaving |= handling.is_none() && session.is_refused();
        while handling.is_none() && owed.takes() {
            match frames.next() {
                Ok(Some(frame)) if frame.len() >= LARGE_REQUEST && is_admitted => {
                    let held = permit.take();
                    let (node, mut handler) = (Arc::clone(&node), session.clone());
                    handling = Some(tokio::task::spawn_blocking(move || {
                        let handled = handler.handle(&node, frame);
                        drop(held);
                        (handler, handled)
                    }));
                }
                Ok(Some(frame)) => {
                    gathered += frame.len();
                    owed.note(session.handle(&node, frame), client);
                    permit = None;
                }
                Ok(None) => break,
                Err(error) => owed.note(Err(error), client),
            }
        }
        if owed.leaving && owed.answers.is_empty() && handling.is_none() {
            return Ok(());
        }
        let takes = owed.takes() && !frames.is_complete();
        let permits = if permit.is_none() { node.permits_for(frames.arriving()) } else { 0 };
        let reads = takes && permits == 0;
        let patience = match (owed.leaving, frames.is_within_frame()) {
            (true, _) => node.options.patience.min(FAREWELL),
            (false, true) => node.options.patience,
            (false, false) => node.options.idle,
        };
        if reads && frames.is_within_frame() {
            transport.acknowledge();
        }
        let gathers = reads && owed.waits() && gathered < GATHER && frames.arriving() < LARGE_REQUEST;
        let mut room = frames.room();
        if gathers && handling.is_none() {
            // The system is asked for what has arrived before this goes on.
            tokio::task::yield_now().await;
            let read = tokio::select! {
                biased;
                read = transport.read(&mut room) => Some(read?),
                () = std::future::ready(()) => None,
            };
            if let Some(read) = read {
                owed.leaving = read == 0;
                continue;
            }
        }
        gathered = 0;
        tokio::select! {
            biased;
            answers = poll_fn(|context| next_answers(&mut owed.answers, context)), if !owed.answers.is_empty() => {
                match answers {
                    Ok(mut pieces) => transport.send(&mut pieces, node.options.patience).await?,
                    Err(error) => {
                        tracing::warn!(%client, "connection closed: {error}");
                        return Ok(());
                    }
                }
                owed.alone = owed.alone && !owed.answers.is_empty();
            }
            read = transport.read(&mut room), if reads => {
                owed.leaving = read? == 0;
            }
            finished = finish(&mut handling), if handling.is_some() => {
                let handled;
                (session, handled) = finished?;
                owed.note(handled, client);
            }
            acquired = Arc::clone(&node.large_requests).acquire_many_owned(permits), if takes && permits > 0 => {
                permit = acquired.ok();
            }
            () = tokio::time::sleep_until(login_deadline), if !is_admitted => {
                tracing::warn!(%client, "connection closed: no login in time");
                return Ok(());
            }
            () = closed(&mut closing), if !owed.leaving => owed.leaving = true,
            () = tokio::time::sleep(patience),
                if owed.leaving || (reads && owed.answers.is_empty() && handling.is_none()) => return Ok(()),
        }
    }
}

impl Owed {
    /// Whether another request may be taken.
    fn takes(&self) -> bool {
        !self.alone && !self.leaving && self.answers.len() < MAXIMUM_PENDING
    }

    /// Whether the next answer is still being made.
    fn waits(&self) -> bool {
        matches!(self.answers.front(), Some(Waiting::Later(_)))
    }

    fn note(&mut self, handled: Handled, client: SocketAddr) {
        match handled {
            Ok(Response::Silent) => {}
            Ok(Response::Ready(answer)) => self.answers.push_back(Waiting::Ready(answer)),
            Ok(Response::Later(answer)) => self.answers.push_back(Waiting::Later(answer)),
            Ok(Response::Alone(answer)) => {
                self.answers.push_back(Waiting::Later(answer));
                self.alone = true;
            }
            Err(error) => {
                tracing::warn!(%client, "connection closed: {error}");
                self.leaving = true;
            }
        }
    }
}

/// Waits for the large request that is being handled.
async fn finish(handling: &mut Option<JoinHandle<(Session, Handled)>>) -> io::Result<(Session, Handled)> {
    match handling {
        Some(running) => {
            let finished = running.await;
            *handling = None;
            finished.map_err(io::Error::other)
        }
        None => std::future::pending().await,
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
