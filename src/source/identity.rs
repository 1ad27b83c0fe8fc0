//! What makes a source the same source.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The identity of a source: sixteen hexadecimal digits of a 64-bit hash of the first 4096 bytes of its decompressed
/// content, so that a file is known again under another name, compressed or appended to.
///
/// Another source that begins with the same 4096 bytes but differs later gets `-2`, `-3`, … after the digits; one that is
/// loaded again on purpose gets `+` and a time. A source shorter than 4096 bytes that grows becomes another source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(Arc<str>);

impl SourceId {
    /// The bytes that the hash is of.
    pub(super) const HEAD_BYTES: usize = 4096;

    /// An id as it was written before.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of content that begins with these bytes (FNV-1a, 64 bits: it needs no secrecy and no speed, but must
    /// never change).
    pub(super) fn of_head(content: &[u8]) -> Self {
        let head = &content[..content.len().min(Self::HEAD_BYTES)];
        let hash = head
            .iter()
            .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
        Self::new(&format!("{hash:016x}"))
    }

    /// The id of the `number`th source with the same head.
    pub(super) fn numbered(&self, number: u32) -> Self {
        if number == 1 { self.clone() } else { Self::new(&format!("{self}-{number}")) }
    }

    /// The id of the same source loaded again at a time.
    pub(super) fn again(&self, milliseconds: u64) -> Self {
        Self::new(&format!("{self}+{milliseconds}"))
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A byte range of a source that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRange {
    /// The range.
    pub range: Range<u64>,
    /// The CRC32C of its bytes.
    pub crc32c: u32,
}
