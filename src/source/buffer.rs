//! Buffers that are used again.
//!
//! Memory fresh from the system costs a page fault every 4 KiB, which at the speed of this reader is a fifth of all
//! time. So each reader keeps its buffers: blocks are slices of one, and when the last block of a buffer is dropped, on
//! whatever thread, the buffer comes back.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept for use again, as many as the gate of a load lets be in use; more are given back to the system.
const KEPT: usize = 20;

/// The buffers of one reader that are free.
#[derive(Debug)]
pub(super) struct Pool {
    free: Mutex<Vec<Vec<u8>>>,
    bytes: usize,
}

impl Pool {
    /// A pool of buffers of so many bytes.
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(Vec::new()), bytes })
    }

    /// A buffer, used before or new.
    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Buffer { bytes: free.unwrap_or_else(|| vec![0; self.bytes]), filled: 0, pool: Arc::clone(self) }
    }
}

/// A buffer being filled. Its bytes are all initialised; those before `filled` are content.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    pool: Arc<Pool>,
}

impl Buffer {
    /// The part that is not filled yet.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Marks the first bytes of the room as filled.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.filled = (self.filled + bytes).min(self.bytes.len());
    }

    /// The filled part, to be shared; the buffer returns to its pool when the last share of it is dropped.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_return_with_their_last_share() {
        let pool = Pool::new(8);
        let mut buffer = pool.take();
        buffer.room()[..3].copy_from_slice(b"abc");
        buffer.advance(3);
        let bytes = buffer.freeze();
        let share = bytes.slice(1..);
        drop(bytes);
        assert_eq!(pool.free.lock().unwrap().len(), 0);
        assert_eq!(&share[..], b"bc");
        drop(share);
        assert_eq!(pool.free.lock().unwrap().len(), 1);
        assert_eq!(pool.take().room().len(), 8);
    }
}
