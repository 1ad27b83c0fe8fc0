//! Records compressed, and batches compressed anew where their topic wants another compression than their producer.

use std::borrow::Cow;
use std::io::{self, Read as _, Write};

use lz4::liblz4::BlockMode;
use lz4::{BlockSize, ContentChecksum, EncoderBuilder};

use super::batch::{Attributes, BatchError, BatchHeader, Compression, HEADER_LENGTH};
use super::records::{XERIAL_MAGIC, decompress};

/// LZ4's level. A negative one is that of its command's `--fast`: events are compressed at 800 MB/s in place of 470, to
/// less than a hundredth more.
const LZ4_LEVEL: i32 = -3;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;
/// What stands behind Xerial's magic: the version, and the least that a reader must know.
const XERIAL_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Bytes of a block in Xerial's framing, as Java's clients write it.
const XERIAL_BLOCK: usize = 32 << 10;
/// The most that records compressed anew may be before compression, if their topic takes no larger batches: a small batch
/// may say that it becomes terabytes.
const MOST_RECORD_BYTES: usize = 64 << 20;

/// Writes what `fill` writes to `out`, compressed: LZ4 in frames of independent blocks (KIP-57), snappy in Xerial's framing.
///
/// # Errors
/// Those of `fill`, of `out` and of the compressor.
pub fn compress<W: Write>(
    compression: Compression,
    mut out: W,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    match compression {
        Compression::None => fill(&mut out),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            fill(&mut encoder)?;
            encoder.finish().map(drop)
        }
        Compression::Snappy => {
            let mut encoder = Xerial::start(out)?;
            fill(&mut encoder)?;
            encoder.flush()
        }
        Compression::Lz4 => {
            // The batch has a checksum of its own.
            let mut encoder = EncoderBuilder::new()
                .block_mode(BlockMode::Independent)
                .block_size(BlockSize::Max256KB)
                .checksum(ContentChecksum::NoChecksum)
                .auto_flush(true)
                .level(LZ4_LEVEL.cast_unsigned())
                .build(out)?;
            fill(&mut encoder)?;
            encoder.finish().1
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::Encoder::new(out, ZSTD_LEVEL)?;
            fill(&mut encoder)?;
            encoder.finish().map(drop)
        }
    }
}

/// The batch with its records compressed so, of at most `maximum` bytes; the batch itself if they are. The header follows.
///
/// # Errors
/// [`BatchError::TooLarge`], and [`BatchError::Records`] for records that are not what the header says.
pub(super) fn compressed_anew<'a>(
    header: &mut BatchHeader,
    batch: &'a [u8],
    wanted: Compression,
    maximum: usize,
) -> Result<Cow<'a, [u8]>, BatchError> {
    if header.attributes.compression()? == wanted {
        return Ok(Cow::Borrowed(batch));
    }
    let most = MOST_RECORD_BYTES.max(maximum);
    let mut out = Bounded { bytes: vec![0; HEADER_LENGTH], wanted: HEADER_LENGTH, maximum };
    let copied = decompress(header, batch).and_then(|records| {
        compress(wanted, &mut out, |encoder| {
            let mut records = records.take(most as u64 + 1);
            let bytes = io::copy(&mut records, encoder)?;
            if bytes > most as u64 { Err(io::Error::other(format!("they are more than {most} bytes"))) } else { Ok(()) }
        })
    });
    if out.wanted > maximum {
        return Err(BatchError::TooLarge { got: out.wanted, maximum });
    }
    copied.map_err(|error| BatchError::Records(error.to_string()))?;
    header.attributes = Attributes(header.attributes.0 & !Attributes::COMPRESSION | Attributes::from(wanted).0);
    header.seal(&mut out.bytes);
    Ok(Cow::Owned(out.bytes))
}

/// Bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    /// What they would have become without it, when last it was asked for.
    wanted: usize,
    maximum: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wanted = self.bytes.len() + bytes.len();
        if self.wanted > self.maximum {
            return Err(io::Error::other("the batch becomes too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Snappy in Xerial's framing: blocks with a 32-bit length each.
struct Xerial<W> {
    out: W,
    block: Vec<u8>,
}

impl<W: Write> Xerial<W> {
    fn start(mut out: W) -> io::Result<Self> {
        out.write_all(XERIAL_MAGIC)?;
        out.write_all(&XERIAL_VERSIONS)?;
        Ok(Self { out, block: Vec::with_capacity(XERIAL_BLOCK) })
    }
}

impl<W: Write> Write for Xerial<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(XERIAL_BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == XERIAL_BLOCK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = snap::raw::Encoder::new().compress_vec(&self.block).map_err(io::Error::other)?;
        self.block.clear();
        let length = u32::try_from(block.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&block)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::batch::tests::batch;
    use super::*;

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    fn records(header: &BatchHeader, batch: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        decompress(header, batch).unwrap().read_to_end(&mut records).unwrap();
        records
    }

    #[test]
    fn the_records_stay_what_they_are_from_each_compression_to_each() {
        let sent = batch(2000, 7, b"a value of some length, the same each time");
        let expected = &sent[HEADER_LENGTH..];
        for from in ALL {
            let mut header = BatchHeader::of_produced(&sent, sent.len()).unwrap();
            let first = compressed_anew(&mut header, &sent, from, sent.len()).unwrap();
            for to in ALL {
                let mut header = BatchHeader::of_produced(&first, sent.len()).unwrap();
                let second = compressed_anew(&mut header, &first, to, sent.len()).unwrap();
                assert_eq!(matches!(second, Cow::Borrowed(_)), from == to, "{from:?} to {to:?}");
                let read = BatchHeader::of_produced(&second, sent.len()).unwrap();
                assert_eq!((read.attributes.compression(), read.record_count), (Ok(to), 2000));
                assert_eq!(read, header);
                assert_eq!(records(&read, &second), expected, "{from:?} to {to:?}");
                assert_eq!(second.len() < sent.len() / 4, to != Compression::None, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn what_becomes_too_large_or_is_no_compression_is_refused() {
        let sent = batch(2000, 7, b"a value of some length, the same each time");
        let mut header = BatchHeader::of_produced(&sent, sent.len()).unwrap();
        let small = compressed_anew(&mut header, &sent, Compression::Zstd, sent.len()).unwrap().into_owned();
        let refused = compressed_anew(&mut header.clone(), &small, Compression::None, sent.len() - 1);
        assert!(
            matches!(refused, Err(BatchError::TooLarge { maximum, .. }) if maximum == sent.len() - 1),
            "{refused:?}"
        );
        let mut damaged = small;
        damaged[HEADER_LENGTH] ^= 0xff;
        let refused = compressed_anew(&mut header, &damaged, Compression::Lz4, sent.len());
        assert!(matches!(refused, Err(BatchError::Records(_))), "{refused:?}");
    }
}
