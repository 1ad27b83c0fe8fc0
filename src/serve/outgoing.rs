//! Answers on their way out: written a few at a time, and bounded in the memory that they take until they are sent.
//!
//! A table may have many rows and a client may read slowly: fifty clients that ask for the largest one at the same time wait for
//! each other instead of filling the memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ServeError;

/// Answers written at the same time.
const WRITERS: usize = 2;
/// The memory that written answers take together, in KiB. A larger one has all of it for itself.
const ROOM_KIB: u32 = 256 << 10;
/// What is handed to a connection at once, in bytes.
const PIECE: usize = 64 << 10;

/// The room for answers.
#[derive(Debug)]
pub(super) struct Outgoing {
    writers: Semaphore,
    room: Arc<Semaphore>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { writers: Semaphore::new(WRITERS), room: Arc::new(Semaphore::new(ROOM_KIB as usize)) }
    }
}

impl Outgoing {
    /// Writes an answer when there is room for it; it takes that until it is sent or given up.
    pub(super) async fn write(
        &self,
        write: impl FnOnce() -> Result<Vec<u8>, ServeError> + Send + 'static,
    ) -> Result<Body, ServeError> {
        let _writer = self.writers.acquire().await?;
        let rest = Bytes::from(tokio::task::spawn_blocking(write).await??);
        let room = u32::try_from(rest.len() >> 10).unwrap_or(ROOM_KIB).min(ROOM_KIB);
        let room = Arc::clone(&self.room).acquire_many_owned(room).await?;
        Ok(Body::new(Answer { rest, _room: room }))
    }
}

/// What remains of an answer.
struct Answer {
    rest: Bytes,
    _room: OwnedSemaphorePermit,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_wait_for_room() {
        let outgoing = Outgoing::default();
        let half = || outgoing.write(|| Ok(vec![7; (ROOM_KIB as usize) << 9]));
        let first = half().await.unwrap();
        let second = half().await.unwrap();
        assert_eq!(outgoing.room.available_permits(), 0);
        let third = half();
        tokio::pin!(third);
        let waits = std::future::poll_fn(|context| Poll::Ready(third.as_mut().poll(context).is_pending()));
        assert!(waits.await);
        drop(first);
        let third = third.await.unwrap();
        drop((second, third));
        assert_eq!(outgoing.room.available_permits(), ROOM_KIB as usize);
        let larger = outgoing.write(|| Ok(vec![7; (ROOM_KIB as usize + 1) << 10])).await.unwrap();
        assert_eq!(outgoing.room.available_permits(), 0);
        drop(larger);
    }
}
