//! What travels through a job: some bytes of rows, where they come from, and their share of the gate.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::gate::Permit;
use super::lane::Ticket;
use crate::event::{Layout, Position};
use crate::kafka::{BlockHeaders, LogRecord};
use crate::source::Block;
use cartlog_storage::store::SourceId;

/// A block or record on its way to the store.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) ticket: Ticket,
    /// The lane whose order it keeps; `None` keeps none.
    pub(super) lane: Option<usize>,
    pub(super) bytes: Bytes,
    /// Its rows, if whoever read them has counted them.
    pub(super) rows: Option<u64>,
    pub(super) origin: Origin,
    /// Given back when the unit is dropped; `None` for one that never waits beside others.
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) permit: Option<Permit>,
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// A byte range of a source, read from it or from a record that says so.
    Range(SourceLines),
    /// A record of another producer, by its name `topic/partition@offset`.
    Message(String),
}

/// Lines of a source.
#[derive(Debug, Clone)]
pub(super) struct SourceLines {
    pub(super) source: SourceId,
    pub(super) name: Arc<str>,
    pub(super) range: Range<u64>,
    pub(super) first_line: u64,
    /// The checksum of the range, if it is one line too long for an event, of which the bytes are only the start.
    pub(super) cut: Option<u32>,
}

impl Origin {
    /// Where a block of a source comes from.
    pub(super) fn of_block(block: &Block) -> Self {
        Self::Range(SourceLines {
            source: block.source.clone(),
            name: Arc::clone(&block.name),
            range: block.range.clone(),
            first_line: block.first_line,
            cut: block.is_cut().then(|| block.crc32c()),
        })
    }

    /// Where a record of the log comes from.
    pub(super) fn of_record(record: &LogRecord, topic: &str, partition: i32) -> Self {
        match &record.block {
            Some(headers) => Self::Range(SourceLines {
                source: SourceId::from(headers.source.as_str()),
                name: headers.name.as_str().into(),
                range: headers.range.clone(),
                first_line: headers.first_line,
                cut: None,
            }),
            None => Self::Message(format!("{topic}/{partition}@{}", record.offset)),
        }
    }

    /// How a parser is to take the bytes.
    pub(super) fn position(&self) -> Position<'_> {
        match self {
            Self::Message(name) => Position::of_message(name),
            Self::Range(lines) => {
                let position = Position::of_block(&lines.name, lines.range.start, lines.first_line);
                match lines.cut {
                    None => position,
                    Some(_) => Position { layout: Layout::CutLine { length: lines.length() }, ..position },
                }
            }
        }
    }
}

impl SourceLines {
    fn length(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// The headers of a block's record.
pub(super) fn headers_of(block: &Block) -> BlockHeaders {
    BlockHeaders {
        source: block.source.as_str().to_owned(),
        name: block.name.to_string(),
        range: block.range.clone(),
        first_line: block.first_line,
    }
}
