//! The records of one batch.
//!
//! Each: varint length, i8 attributes, varint time less the batch's, varint offset less the batch's, key and value
//! (varint length, -1 for none, and bytes), varint number of headers, and for each of those name and value likewise.
//! Values are slices of the batch, or of what it decompresses to, so that a block is copied nowhere.

use std::io::{self, ErrorKind, Read as _};

use bytes::Bytes;
use cartlog_storage::log::{BatchHeader, Compression, HEADER_LENGTH, decompress, read_varint};

use super::LogRecord;
use crate::kafka::header::BlockHeaders;

/// The most that a batch may decompress to, in bytes; cartlog's own have 1 MiB, and Kafka's default limit is as much
/// before decompression.
const MAXIMUM_DECOMPRESSED: usize = 256 << 20;
/// The most memory that is reserved before it is known how much comes out.
const RESERVED: usize = 8 << 20;
/// Headers looked at in one record; ours have four.
const MAXIMUM_HEADERS: i64 = 1000;

/// The records of a batch from an offset on.
///
/// # Errors
/// `InvalidData` or `UnexpectedEof` if they aren't what the header says, or are more than 256 MiB.
pub(super) fn decode(batch: &Bytes, header: &BatchHeader, from: i64) -> io::Result<Vec<LogRecord>> {
    let content = content(batch, header)?;
    let mut rest = Cursor { content: &content, at: 0 };
    let mut records = Vec::new();
    for _ in 0..header.record_count {
        let length = rest.length()?.ok_or_else(|| invalid("a record without a length"))?;
        let end = rest.at + length;
        let record = rest.record(header.base_offset.0)?;
        if rest.at != end {
            return Err(invalid("a record's fields don't fill its length"));
        }
        if record.offset >= from {
            records.push(record);
        }
    }
    Ok(records)
}

/// The records of a batch as they were before compression.
fn content(batch: &Bytes, header: &BatchHeader) -> io::Result<Bytes> {
    if header.attributes.compression().map_err(invalid)? == Compression::None {
        return Ok(batch.slice(HEADER_LENGTH..));
    }
    // Text of shops compresses to a quarter; pages that aren't needed are never touched.
    let mut content = Vec::with_capacity((4 * batch.len()).min(RESERVED));
    let read = decompress(header, batch)?.take(MAXIMUM_DECOMPRESSED as u64 + 1).read_to_end(&mut content)?;
    if read > MAXIMUM_DECOMPRESSED {
        return Err(invalid(format!("a batch of more than {} MiB of records", MAXIMUM_DECOMPRESSED >> 20)));
    }
    Ok(content.into())
}

/// A place in the records of a batch.
struct Cursor<'a> {
    content: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    /// What follows a record's length.
    fn record(&mut self, base_offset: i64) -> io::Result<LogRecord> {
        self.bytes(1)?;
        let _time = self.varint()?;
        let offset = base_offset.checked_add(self.varint()?).ok_or_else(|| invalid("an offset beyond 64 bits"))?;
        let _key = self.field()?;
        let value = self.field()?.unwrap_or_default();
        let count = self.varint()?;
        if !(0..=MAXIMUM_HEADERS).contains(&count) {
            return Err(invalid(format!("a record of {count} headers")));
        }
        let mut headers = Vec::new();
        for _ in 0..count {
            let name = self.field()?.ok_or_else(|| invalid("a header without a name"))?;
            headers.push((name, self.field()?.unwrap_or_default()));
        }
        let block = BlockHeaders::decode(&headers, value.len());
        Ok(LogRecord { offset, value, block })
    }

    /// A length and so many bytes; `None` for the length -1.
    fn field(&mut self) -> io::Result<Option<Bytes>> {
        self.length()?.map(|length| self.bytes(length)).transpose()
    }

    /// A length that the content still has; `None` for -1.
    fn length(&mut self) -> io::Result<Option<usize>> {
        match self.varint()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) if length <= self.content.len() - self.at => Ok(Some(length)),
                Ok(_) => Err(ErrorKind::UnexpectedEof.into()),
                Err(_) => Err(invalid(format!("a length of {length} bytes"))),
            },
        }
    }

    fn bytes(&mut self, length: usize) -> io::Result<Bytes> {
        if length > self.content.len() - self.at {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.at += length;
        Ok(self.content.slice(self.at - length..self.at))
    }

    fn varint(&mut self) -> io::Result<i64> {
        let mut rest = &self.content[self.at..];
        let value = read_varint(&mut rest)?;
        self.at = self.content.len() - rest.len();
        Ok(value)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
