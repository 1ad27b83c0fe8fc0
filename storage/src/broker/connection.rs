//! One client's connection: frames in, answers out, in order.
//!
//! Requests are handled as they arrive; answers wait in a queue until those before them are sent. The queue is bounded,
//! and a client that doesn't read its answers isn't read from either.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::sync::OwnedSemaphorePermit;

use super::error::ProtocolError;
use super::frame::FrameBuffer;
use super::node::{Node, closed};
use super::session::{self, Answer, Pending, Response};

/// Requests of one connection that may await their answers.
const MAXIMUM_PENDING: usize = 64;
/// Answers are sent together up to this size.
const SEND_TOGETHER: usize = 64 << 10;

enum Waiting {
    Ready(Answer),
    Later(Pending<Answer>),
}

/// Serves a client until it leaves, breaks the protocol or the broker shuts down.
pub(super) async fn serve(node: Arc<Node>, mut stream: TcpStream) -> io::Result<()> {
    let mut closing = node.closing.clone();
    stream.set_nodelay(true)?;
    let mut frames = FrameBuffer::new(node.options.max_request_bytes);
    let mut pending: VecDeque<Waiting> = VecDeque::new();
    // A request that wants to be handled alone stops the handling of later ones.
    let mut alone = false;
    let mut leaving = false;
    // Permits for the bytes of the large request that is arriving.
    let mut permit: Option<OwnedSemaphorePermit> = None;
    loop {
        while !alone && !leaving && pending.len() < MAXIMUM_PENDING {
            let handled = match frames.next() {
                Ok(Some(frame)) => {
                    let handled = session::handle(&node, frame);
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
                    report(&stream, &error);
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
        let patience = if frames.is_within_frame() { node.options.patience } else { node.options.idle };
        if reads && frames.is_within_frame() {
            // The client may hold back the frame's end until what came before is acknowledged (Nagle's algorithm);
            // the kernel would take 40 ms for that.
            let _ = stream.set_quickack(true);
        }
        let (mut reader, mut writer) = stream.split();
        let mut room = frames.room();
        tokio::select! {
            biased;
            answers = poll_fn(|context| next_answers(&mut pending, context)), if !pending.is_empty() => {
                match answers {
                    Ok(answers) => send(&mut writer, answers, node.options.patience).await?,
                    Err(error) => {
                        report(&stream, &error);
                        return Ok(());
                    }
                }
                alone = alone && !pending.is_empty();
            }
            read = reader.read_buf(&mut room), if reads => {
                leaving = read? == 0;
            }
            acquired = Arc::clone(&node.large_requests).acquire_many_owned(permits), if takes && permits > 0 => {
                permit = acquired.ok();
            }
            () = closed(&mut closing), if !leaving => leaving = true,
            () = tokio::time::sleep(patience), if reads && pending.is_empty() => return Ok(()),
        }
    }
}

fn report(stream: &TcpStream, error: &ProtocolError) {
    let client = stream.peer_addr().map_or_else(|_| "a client".to_owned(), |address| address.to_string());
    tracing::warn!(client, "connection closed: {error}");
}

/// Takes the answers whose turn has come and which are ready.
fn next_answers(
    pending: &mut VecDeque<Waiting>,
    context: &mut Context<'_>,
) -> Poll<Result<Vec<Answer>, ProtocolError>> {
    let (mut answers, mut size) = (Vec::new(), 0);
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
        size += answer.pieces.iter().map(bytes::Bytes::len).sum::<usize>();
        answers.push(answer);
    }
    if answers.is_empty() { Poll::Pending } else { Poll::Ready(Ok(answers)) }
}

async fn send(writer: &mut WriteHalf<'_>, answers: Vec<Answer>, patience: Duration) -> io::Result<()> {
    let mut pieces: VecDeque<_> = answers.into_iter().flat_map(|answer| answer.pieces).collect();
    while !pieces.is_empty() {
        let slices: Vec<_> = pieces.iter().take(64).map(|piece| IoSlice::new(piece)).collect();
        let mut written = tokio::time::timeout(patience, writer.write_vectored(&slices)).await??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(first) = pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            pieces.pop_front();
        }
    }
    Ok(())
}
