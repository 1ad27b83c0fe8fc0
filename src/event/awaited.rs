//! A shape that the store will bring.

use bytes::Bytes;

/// A line that is not an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The source's name.
    pub source: String,
    /// 1-based.
    pub line: u64,
    /// In the source.
    pub byte_offset: u64,
    /// Why.
    pub reason: String,
    /// The line.
    pub raw: Bytes,
}
