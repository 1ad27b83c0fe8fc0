//! Blocks of whole lines.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cartlog_storage::store::SourceId;

/// How a source is cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// The most lines in a block, at least 1.
    pub rows_per_block: usize,
    /// The most bytes in a block, at least 1024. A longer line can't be an event and is cut, see [`Block::is_cut`].
    pub max_block_bytes: usize,
    /// Load the source as a new one, whatever is known of it: the present time in milliseconds, which becomes part of
    /// its id.
    pub again: Option<u64>,
}

impl Default for ReadOptions {
    /// 5000 lines and 900 KB: as large as fits a Kafka message of the default size.
    fn default() -> Self {
        Self { rows_per_block: 5000, max_block_bytes: 900_000, again: None }
    }
}

/// Some whole lines of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The source's id.
    pub source: SourceId,
    /// The source's name, for messages.
    pub name: Arc<str>,
    /// Where the lines stand in the source's decompressed content.
    pub range: Range<u64>,
    /// The 1-based number of the first line.
    pub first_line: u64,
    /// The lines exactly as they are, line ends included; of a cut block only the start.
    pub bytes: Bytes,
    /// The lines that are not blank: each is an event or a reject.
    pub rows: u64,
    /// Of a cut block, the CRC32C of the whole line.
    pub(super) cut: Option<u32>,
}

impl Block {
    /// Bytes kept of a line that is longer than a block.
    pub const KEPT_OF_CUT_LINE: usize = 64 * 1024;

    /// Whether this is one line longer than [`ReadOptions::max_block_bytes`]. It can't be an event nor a message of a
    /// log; `bytes` holds only its start, while `range` is that of the whole line. It is a reject for the store, past
    /// the log.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// The CRC32C of the bytes of [`Block::range`].
    #[must_use]
    pub fn crc32c(&self) -> u32 {
        self.cut.unwrap_or_else(|| crc32c::crc32c(&self.bytes))
    }
}
