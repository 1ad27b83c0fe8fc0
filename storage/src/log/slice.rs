//! A run of whole batches where it stands: in a `.log` file.
//!
//! Fetched batches are the bytes of the file, so that they need not pass through this process: who sends them may hand
//! the file to the system, and who wants to look at them reads them.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::segment::Segment;

/// A part of a segment that will never change; by default an empty one.
#[derive(Debug, Clone, Default)]
pub struct LogSlice {
    segment: Option<Arc<Segment>>,
    position: u64,
    length: usize,
}

impl LogSlice {
    pub(super) fn new(segment: Arc<Segment>, position: u64, length: usize) -> Self {
        Self { segment: Some(segment), position, length }
    }

    /// Bytes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where it starts in its file.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The file it stands in; `None` if that is not a file of the operating system.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        self.segment.as_ref()?.reader().file()
    }

    /// Leaves out the first `count` bytes, or all if there are fewer.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(self.length);
        self.position += count as u64;
        self.length -= count;
    }

    /// Reads its first `max_bytes` bytes, or all if there are fewer.
    ///
    /// # Errors
    /// The error of the system call.
    pub fn read(&self, max_bytes: usize) -> io::Result<Bytes> {
        let Some(segment) = &self.segment else {
            return Ok(Bytes::new());
        };
        let mut bytes = BytesMut::zeroed(self.length.min(max_bytes));
        segment.reader().read_exact_at(&mut bytes, self.position)?;
        Ok(bytes.freeze())
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// The error of the system call.
    pub fn read_all(&self) -> io::Result<Bytes> {
        self.read(self.length)
    }
}
