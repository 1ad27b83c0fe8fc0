//! General compression: streams in chunks, each behind a three-byte header, so that a reader can start at any chunk.
//!
//! The header is `length << 1 | is_original`, little-endian; a chunk that does not shrink is kept as it is. Without
//! compression a stream is its bytes alone. Chunks are independent, so that all threads compress them at the same
//! time, and a position in a stream is the chunk's start and the bytes to skip in it.

use std::io;

use flate2::{Compress, FlushCompress, Status};
use rayon::prelude::*;

use super::super::{Compression, ExportError};

/// Bytes that a chunk expands to at most; a reader's buffer is as long.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// Zstandard's own default; Spark's ORC writer uses it too.
const ZSTD_LEVEL: i32 = 3;
/// What the reference writer's default strategy comes down to.
const ZLIB_LEVEL: u32 = 5;

/// A stream as it stands in the file, and where its chunks start.
#[derive(Debug)]
pub(super) struct Chunked {
    /// The bytes in the file.
    pub(super) bytes: Vec<u8>,
    /// The start of each chunk and the end of the last; empty without compression.
    starts: Vec<u64>,
}

impl Chunked {
    /// Appends the position of an offset of the uncompressed stream, as a row index entry records it.
    pub(super) fn append_position(&self, offset: usize, positions: &mut Vec<u64>) {
        match self.starts.get(offset / CHUNK_BYTES) {
            Some(&start) => positions.extend([start, (offset % CHUNK_BYTES) as u64]),
            None => positions.push(offset as u64),
        }
    }
}

/// Compresses a whole stream.
pub(super) fn compress(bytes: Vec<u8>, compression: Compression) -> Result<Chunked, ExportError> {
    if compression == Compression::None {
        return Ok(Chunked { bytes, starts: Vec::new() });
    }
    let chunks: Vec<Vec<u8>> = bytes
        .par_chunks(CHUNK_BYTES)
        .map_init(|| Compressor::new(compression), |compressor, chunk| compressor.as_mut().map_err(same)?.chunk(chunk))
        .collect::<io::Result<_>>()?;
    let mut chunked = Chunked { bytes: Vec::with_capacity(chunks.iter().map(Vec::len).sum()), starts: vec![0] };
    for chunk in chunks {
        chunked.bytes.extend_from_slice(&chunk);
        chunked.starts.push(chunked.bytes.len() as u64);
    }
    Ok(chunked)
}

fn same(error: &mut io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

enum Compressor {
    Zlib(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    fn new(compression: Compression) -> io::Result<Self> {
        match compression {
            // ORC means deflate without zlib's header and checksum.
            Compression::Zlib => Ok(Self::Zlib(Compress::new(flate2::Compression::new(ZLIB_LEVEL), false))),
            // The frame's checksum is the only one that ORC has room for.
            _ => {
                let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                compressor.include_checksum(true)?;
                Ok(Self::Zstd(compressor))
            }
        }
    }

    /// A chunk with its header.
    fn chunk(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        const HEADER_BYTES: usize = 3;
        let mut out = vec![0; HEADER_BYTES];
        match self {
            Self::Zlib(compress) => {
                compress.reset();
                // More room than the original has is never used: such a chunk is kept as it is.
                out.reserve(bytes.len());
                if compress.compress_vec(bytes, &mut out, FlushCompress::Finish)? != Status::StreamEnd {
                    out.resize(HEADER_BYTES + bytes.len(), 0);
                }
            }
            Self::Zstd(compressor) => out.extend_from_slice(&compressor.compress(bytes)?),
        }
        let is_original = out.len() - HEADER_BYTES >= bytes.len();
        if is_original {
            out.truncate(HEADER_BYTES);
            out.extend_from_slice(bytes);
        }
        let header = (out.len() - HEADER_BYTES) << 1 | usize::from(is_original);
        out[..HEADER_BYTES].copy_from_slice(&header.to_le_bytes()[..HEADER_BYTES]);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn expand(chunked: &[u8], compression: Compression) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = chunked;
        while let [a, b, c, tail @ ..] = rest {
            let header = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
            let (chunk, after) = tail.split_at(header >> 1);
            rest = after;
            match (header & 1, compression) {
                (1, _) => out.extend_from_slice(chunk),
                (_, Compression::Zlib) => {
                    flate2::read::DeflateDecoder::new(chunk).read_to_end(&mut out).map(drop).unwrap();
                }
                _ => out.extend_from_slice(&zstd::bulk::decompress(chunk, CHUNK_BYTES).unwrap()),
            }
        }
        out
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn streams_come_back_and_positions_point_into_their_chunks() {
        let repeated: Vec<u8> = (0..3 * CHUNK_BYTES + 17).map(|index| (index / 1000) as u8).collect();
        for bytes in [Vec::new(), vec![7], repeated, noise(CHUNK_BYTES + 5)] {
            for compression in [Compression::Zlib, Compression::Zstd] {
                let chunked = compress(bytes.clone(), compression).unwrap();
                assert_eq!(expand(&chunked.bytes, compression), bytes);
                for offset in [0, bytes.len() / 2, bytes.len()] {
                    let mut position = Vec::new();
                    chunked.append_position(offset, &mut position);
                    let tail = expand(&chunked.bytes[position[0] as usize..], compression);
                    assert_eq!(tail[position[1] as usize..], bytes[offset..]);
                }
            }
        }
    }

    #[test]
    fn damage_of_a_compressed_chunk_is_noticed() {
        const HEADER_BYTES: usize = 3;
        let bytes: Vec<u8> = noise(300).into_iter().flat_map(|byte| [byte, byte, 0]).collect();
        let chunk = compress(bytes.clone(), Compression::Zstd).unwrap().bytes;
        for place in HEADER_BYTES..chunk.len() {
            let mut damaged = chunk[HEADER_BYTES..].to_vec();
            damaged[place - HEADER_BYTES] ^= 1;
            let expanded = zstd::bulk::decompress(&damaged, CHUNK_BYTES);
            assert!(expanded.is_err() || expanded.unwrap() == bytes, "the byte at {place}");
        }
    }

    #[test]
    fn the_header_of_the_specification() {
        let chunked = compress(noise(5), Compression::Zlib).unwrap();
        assert_eq!(chunked.bytes[..3], [0x0b, 0x00, 0x00]);
    }
}
