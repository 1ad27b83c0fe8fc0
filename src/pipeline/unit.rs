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
    /// The lines of a range; messages hold their own.
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
    /// Records of another producer.
    Messages(Messages),
}

/// Records of other producers that stand one after the other in a partition.
///
/// Others write an event a record. What a unit costs on its way (its place in the queues, a task, a turn of the tee, a
/// delivery with columns of its own) is several times what its row costs; so many go together, as one batch that is
/// stored as a whole, with the position behind the last.
#[derive(Debug, Clone)]
pub(super) struct Messages {
    topic: Arc<str>,
    partition: i32,
    /// The values, with their offsets.
    pub(super) values: Vec<(i64, Bytes)>,
}

impl Messages {
    /// The offset of the first.
    pub(super) fn first_offset(&self) -> Option<i64> {
        self.values.first().map(|(offset, _)| *offset)
    }

    /// A message's name in reject files.
    pub(super) fn name(&self, offset: i64) -> String {
        format!("{}/{}@{offset}", self.topic, self.partition)
    }
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

    /// Where a record of ours comes from.
    fn of_record(headers: &BlockHeaders) -> Self {
        Self::Range(SourceLines {
            source: SourceId::from(headers.source.as_str()),
            name: headers.name.as_str().into(),
            range: headers.range.clone(),
            first_line: headers.first_line,
            cut: None,
        })
    }
}

/// What is read from the log together: a block of ours, or messages of others.
#[derive(Debug)]
pub(super) struct Portion {
    /// Of the last record.
    pub(super) offset: i64,
    pub(super) records: u64,
    /// Of all values.
    pub(super) value_bytes: usize,
    /// The lines of a block.
    pub(super) bytes: Bytes,
    pub(super) origin: Origin,
}

/// Bytes of messages that go together; a larger one goes alone.
const MESSAGES_BYTES: usize = 512 * 1024;

/// Messages that go together: as many rows as a block of ours has.
const MESSAGES: usize = 5000;

/// Divides records of a partition, by ascending offset, into portions.
pub(super) fn portions(records: Vec<LogRecord>, topic: &Arc<str>, partition: i32) -> Vec<Portion> {
    let mut portions: Vec<Portion> = Vec::new();
    for LogRecord { offset, value, block } in records {
        if block.is_none()
            && let Some(last) = portions.last_mut()
            && let Origin::Messages(messages) = &mut last.origin
            && messages.values.len() < MESSAGES
            && last.value_bytes + value.len() <= MESSAGES_BYTES
        {
            last.offset = offset;
            last.records += 1;
            last.value_bytes += value.len();
            messages.values.push((offset, value));
            continue;
        }
        let value_bytes = value.len();
        let (bytes, origin) = match block {
            Some(headers) => (value, Origin::of_record(&headers)),
            None => {
                let values = vec![(offset, value)];
                (Bytes::new(), Origin::Messages(Messages { topic: Arc::clone(topic), partition, values }))
            }
        };
        portions.push(Portion { offset, records: 1, value_bytes, bytes, origin });
    }
    portions
}

impl SourceLines {
    /// How a parser is to take the bytes.
    pub(super) fn position(&self) -> Position<'_> {
        let position = Position::of_block(&self.name, self.range.start, self.first_line);
        match self.cut {
            None => position,
            Some(_) => Position { layout: Layout::CutLine { length: self.length() }, ..position },
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, bytes: usize, is_ours: bool) -> LogRecord {
        let block = is_ours.then(|| BlockHeaders {
            source: "0123456789abcdef".to_owned(),
            name: "a.csv".to_owned(),
            range: 0..bytes as u64,
            first_line: 1,
        });
        LogRecord { offset, value: vec![b'x'; bytes].into(), block }
    }

    fn divided(records: Vec<LogRecord>) -> Vec<(i64, u64, usize)> {
        let portions = portions(records, &Arc::from("clicks"), 3);
        portions.iter().map(|portion| (portion.offset, portion.records, portion.value_bytes)).collect()
    }

    #[test]
    fn messages_go_together_and_blocks_alone() {
        let records = vec![
            record(3, 10, false),
            record(5, 20, false),
            record(6, 7, true),
            record(7, 8, true),
            record(9, 0, false),
            record(10, 30, false),
        ];
        assert_eq!(divided(records), [(5, 2, 30), (6, 1, 7), (7, 1, 8), (10, 2, 30)]);
    }

    #[test]
    fn portions_have_limits() {
        let large = vec![
            record(0, MESSAGES_BYTES - 5, false),
            record(1, 5, false),
            record(2, MESSAGES_BYTES + 1, false),
            record(3, 1, false),
        ];
        let expected = [(1, 2, MESSAGES_BYTES), (2, 1, MESSAGES_BYTES + 1), (3, 1, 1)];
        assert_eq!(divided(large), expected);
        let many = (0..MESSAGES as i64 + 1).map(|offset| record(offset, 1, false)).collect();
        assert_eq!(divided(many), [(MESSAGES as i64 - 1, MESSAGES as u64, MESSAGES), (MESSAGES as i64, 1, 1)]);
    }

    #[test]
    fn a_message_is_named_by_its_place() {
        let portions = portions(vec![record(41, 1, false)], &Arc::from("clicks"), 3);
        let Origin::Messages(messages) = &portions[0].origin else { panic!("{portions:?}") };
        assert_eq!(messages.name(41), "clicks/3@41");
    }
}
