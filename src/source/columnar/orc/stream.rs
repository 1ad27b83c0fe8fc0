//! A stream of a column, decompressed chunk by chunk as it is read.
//!
//! One chunk is in memory at a time, and it is no longer than the file's postscript says a chunk may be, so that no
//! stream of a damaged file expands beyond that.

use std::io::Read as _;

use bytes::{Buf as _, Bytes};
use flate2::read::DeflateDecoder;

use crate::source::columnar::ReadError;

/// How the streams and all metadata of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Zlib,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec of a number in the postscript.
    pub(super) fn of_number(number: u64) -> Result<Self, ReadError> {
        Ok(match number {
            0 => Self::None,
            1 => Self::Zlib,
            2 => Self::Snappy,
            4 => Self::Lz4,
            5 => Self::Zstd,
            other => {
                let name = match other {
                    3 => "LZO".to_owned(),
                    6 => "Brotli".to_owned(),
                    other => format!("codec number {other}"),
                };
                let advice = "write it with zstd, zlib, snappy, lz4 or no compression";
                return Err(ReadError::Unsupported(format!("it is compressed by {name}; {advice}")));
            }
        })
    }

    /// The content of a compressed chunk, at most `limit` bytes.
    fn decompress(self, chunk: &[u8], limit: usize) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        // One byte more than there may be tells a chunk that is longer.
        let most = limit as u64 + 1;
        let io = |error: std::io::Error| error.to_string();
        match self {
            Self::None => content.extend_from_slice(chunk),
            Self::Zlib => {
                DeflateDecoder::new(chunk).take(most).read_to_end(&mut content).map_err(io)?;
            }
            Self::Zstd => {
                zstd::stream::read::Decoder::with_buffer(chunk)
                    .and_then(|decoder| decoder.take(most).read_to_end(&mut content))
                    .map_err(io)?;
            }
            Self::Snappy => {
                let length = snap::raw::decompress_len(chunk).map_err(|error| error.to_string())?;
                if length <= limit {
                    content = snap::raw::Decoder::new().decompress_vec(chunk).map_err(|error| error.to_string())?;
                } else {
                    return Err(format!("it claims {length} bytes"));
                }
            }
            Self::Lz4 => {
                content.resize(limit, 0);
                let length = lz4_flex::block::decompress_into(chunk, &mut content);
                content.truncate(length.map_err(|error| error.to_string())?);
            }
        }
        if content.len() > limit { Err(format!("it is longer than the {limit} bytes of a chunk")) } else { Ok(content) }
    }
}

/// How the chunks of a file are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunking {
    pub(super) codec: Codec,
    /// The most bytes of a chunk's content.
    pub(super) limit: usize,
}

/// The bytes of a stream, in order.
#[derive(Debug)]
pub(super) struct Stream {
    /// What the stream is, for messages.
    name: String,
    chunking: Chunking,
    /// The chunks that were not read yet.
    rest: Bytes,
    /// The content of the present one.
    chunk: Bytes,
}

impl Stream {
    pub(super) fn new(name: impl Into<String>, bytes: Bytes, chunking: Chunking) -> Self {
        let (rest, chunk) = if chunking.codec == Codec::None { (Bytes::new(), bytes) } else { (bytes, Bytes::new()) };
        Self { name: name.into(), chunking, rest, chunk }
    }

    /// Whether every byte has been read.
    pub(super) fn is_at_end(&mut self) -> Result<bool, ReadError> {
        self.fill()?;
        Ok(self.chunk.is_empty())
    }

    /// The next byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, ReadError> {
        if self.chunk.is_empty() {
            self.fill()?;
            if self.chunk.is_empty() {
                return Err(self.damaged("it ends before its last value"));
            }
        }
        Ok(self.chunk.get_u8())
    }

    /// Appends the next `length` bytes.
    pub(super) fn append(&mut self, mut length: usize, into: &mut Vec<u8>) -> Result<(), ReadError> {
        while length > 0 {
            self.fill()?;
            if self.chunk.is_empty() {
                return Err(self.damaged("it ends before its last value"));
            }
            let taken = length.min(self.chunk.len());
            into.extend_from_slice(&self.chunk[..taken]);
            self.chunk.advance(taken);
            length -= taken;
        }
        Ok(())
    }

    /// The whole rest of the stream, if it is no longer than `limit`.
    pub(super) fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, ReadError> {
        let mut content = Vec::new();
        while !self.is_at_end()? {
            if content.len() + self.chunk.len() > limit {
                return Err(self.damaged(format!("it is longer than {limit} bytes")));
            }
            content.extend_from_slice(&self.chunk);
            self.chunk.clear();
        }
        Ok(content)
    }

    /// A varint of at most 64 bits.
    pub(super) fn varint(&mut self) -> Result<u64, ReadError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number is longer than 64 bits"))
    }

    /// A varint of at most 128 bits.
    pub(super) fn long_varint(&mut self) -> Result<u128, ReadError> {
        let mut value = 0;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number is longer than 128 bits"))
    }

    /// The error of this stream.
    pub(super) fn damaged(&self, what: impl std::fmt::Display) -> ReadError {
        ReadError::damaged(format!("{}: {what}", self.name))
    }

    /// Decompresses the next chunk if the present one is used up.
    fn fill(&mut self) -> Result<(), ReadError> {
        while self.chunk.is_empty() && !self.rest.is_empty() {
            if self.rest.len() < 3 {
                return Err(self.damaged("it ends within the header of a chunk"));
            }
            let header = self.rest.get_uint_le(3);
            let length = (header >> 1) as usize;
            if length > self.rest.len() {
                return Err(self.damaged(format!("a chunk of {length} bytes where {} are left", self.rest.len())));
            }
            let chunk = self.rest.split_to(length);
            self.chunk = if header & 1 == 1 {
                chunk
            } else {
                let content = self.chunking.codec.decompress(&chunk, self.chunking.limit);
                content.map_err(|what| self.damaged(format!("a chunk can't be decompressed: {what}")))?.into()
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn chunk(bytes: &[u8], is_original: bool) -> Vec<u8> {
        let header = (bytes.len() << 1 | usize::from(is_original)) as u32;
        [&header.to_le_bytes()[..3], bytes].concat()
    }

    fn compressed(codec: Codec, content: &[u8]) -> Vec<u8> {
        match codec {
            Codec::None => content.to_vec(),
            Codec::Zlib => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(content).unwrap(),
            Codec::Lz4 => lz4_flex::block::compress(content),
            Codec::Zstd => zstd::encode_all(content, 1).unwrap(),
        }
    }

    #[test]
    fn chunks_of_every_codec() {
        let content = b"view,view,view,cart,view,".repeat(9);
        for codec in [Codec::Zlib, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let bytes = [chunk(&compressed(codec, &content), false), chunk(b"as it is", true)].concat();
            let stream = |limit| Stream::new("data", bytes.clone().into(), Chunking { codec, limit });
            let expected = [&content[..], b"as it is"].concat();
            assert_eq!(stream(content.len()).read_to_end(1000).unwrap(), expected, "{codec:?}");
            assert!(stream(content.len() - 1).read_to_end(1000).is_err(), "{codec:?}: a chunk beyond the limit");
            assert!(stream(content.len()).read_to_end(10).is_err(), "{codec:?}: a stream beyond the limit");
            for end in [1, 2, 5, bytes.len() - 1] {
                let chunking = Chunking { codec, limit: 1000 };
                let mut cut = Stream::new("data", bytes[..end].to_vec().into(), chunking);
                assert!(cut.read_to_end(1000).is_err(), "{codec:?} cut at {end}");
            }
        }
        let mut plain = Stream::new("data", content.clone().into(), Chunking { codec: Codec::None, limit: 1 });
        assert_eq!(plain.read_to_end(1000).unwrap(), content);
        assert!(plain.byte().is_err());
    }
}
