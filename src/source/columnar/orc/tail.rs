//! What a file says about itself: postscript, footer, and the footer of each stripe.
//!
//! Checked in this order: the postscript's length and magic, then every length against the file's, before anything is
//! read or allocated by it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;

use super::message::fields;
use super::stream::{Chunking, Codec, Stream};
use crate::source::columnar::ReadError;

/// The longest footer of a file or stripe, compressed or not: those of thousands of stripes or columns.
const MAX_FOOTER: u64 = 256 << 20;

/// The most bytes a chunk may expand to: what its three-byte header can count.
const MAX_CHUNK: u64 = 1 << 23;

/// The longest stripe that is read; those of all writers are a tenth of that.
const MAX_STRIPE: u64 = 2 << 30;

/// The footer of a file.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) chunking: Chunking,
    pub(super) rows: u64,
    pub(super) stripes: Vec<Stripe>,
    pub(super) types: Vec<Type>,
}

/// Where a stripe is.
#[derive(Debug, Clone, Default)]
pub(super) struct Stripe {
    pub(super) offset: u64,
    index: u64,
    data: u64,
    footer: u64,
    pub(super) rows: u64,
}

/// The type of a column; type 0 is that of the whole row.
#[derive(Debug, Clone, Default)]
pub(super) struct Type {
    pub(super) kind: u64,
    pub(super) children: Vec<u64>,
    pub(super) names: Vec<String>,
    pub(super) scale: u64,
}

/// A stream of a stripe.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StreamPlace {
    pub(super) kind: u64,
    pub(super) column: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// How a column of a stripe is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Encoding {
    pub(super) kind: u64,
    pub(super) dictionary: u64,
}

/// The footer of a stripe.
#[derive(Debug, Default)]
pub(super) struct StripeFooter {
    pub(super) streams: Vec<StreamPlace>,
    pub(super) encodings: Vec<Encoding>,
    pub(super) time_zone: String,
}

impl Tail {
    pub(super) fn read(file: &File) -> Result<Self, ReadError> {
        let length = file.metadata().map_err(ReadError::Io)?.len();
        let postscript_length = match length {
            0..4 => return Err(ReadError::damaged(format!("{length} bytes are too short for a file"))),
            _ => u64::from(read_at(file, length - 1, 1)?[0]),
        };
        if postscript_length + 4 > length {
            return Err(ReadError::damaged(format!("a postscript of {postscript_length} bytes in a file of {length}")));
        }
        let postscript_start = length - 1 - postscript_length;
        let postscript = read_at(file, postscript_start, postscript_length)?;
        let (mut footer, mut codec, mut limit) = (0, 0, 0);
        let mut is_magic = false;
        fields(&postscript, |field, value| {
            match field {
                1 => footer = value.number(),
                2 => codec = value.number(),
                3 => limit = value.number(),
                8000 => is_magic = value.bytes() == b"ORC",
                _ => {}
            }
            Ok(())
        })
        .ok()
        .filter(|()| is_magic)
        .ok_or_else(|| ReadError::damaged("it doesn't end as ORC does: it is cut off, or still being written"))?;
        let codec = Codec::of_number(codec)?;
        if codec != Codec::None && !(1..=MAX_CHUNK).contains(&limit) {
            return Err(ReadError::damaged(format!("chunks of {limit} bytes, expected 1 to {MAX_CHUNK}")));
        }
        let chunking = Chunking { codec, limit: limit as usize };
        if footer > postscript_start || footer > MAX_FOOTER {
            return Err(ReadError::damaged(format!("a footer of {footer} bytes in a file of {length} bytes")));
        }
        let bytes = read_at(file, postscript_start - footer, footer)?;
        let content = Stream::new("footer", bytes, chunking).read_to_end(MAX_FOOTER as usize)?;
        Self::decode(&content, chunking, postscript_start - footer)
    }

    fn decode(footer: &[u8], chunking: Chunking, end: u64) -> Result<Self, ReadError> {
        let mut tail = Self { chunking, rows: 0, stripes: Vec::new(), types: Vec::new() };
        fields(footer, |field, value| {
            match field {
                3 => tail.stripes.push(Stripe::decode(value.bytes(), end)?),
                4 => tail.types.push(Type::decode(value.bytes())?),
                6 => tail.rows = value.number(),
                10 => return Err(ReadError::Unsupported("it is encrypted; decrypt it first".to_owned())),
                _ => {}
            }
            Ok(())
        })?;
        let in_stripes = tail.stripes.iter().try_fold(0_u64, |sum, stripe| sum.checked_add(stripe.rows));
        if in_stripes != Some(tail.rows) {
            let what = format!("{} rows in all, but {in_stripes:?} in its stripes", tail.rows);
            return Err(ReadError::Damaged(what));
        }
        Ok(tail)
    }
}

impl Stripe {
    /// Decodes the place of a stripe, which ends before `end`.
    fn decode(message: &[u8], end: u64) -> Result<Self, ReadError> {
        let mut stripe = Self::default();
        fields(message, |field, value| {
            match field {
                1 => stripe.offset = value.number(),
                2 => stripe.index = value.number(),
                3 => stripe.data = value.number(),
                4 => stripe.footer = value.number(),
                5 => stripe.rows = value.number(),
                _ => {}
            }
            Ok(())
        })?;
        let lengths = [stripe.index, stripe.data, stripe.footer];
        let length = lengths.iter().try_fold(0_u64, |sum, length| sum.checked_add(*length));
        match length.and_then(|length| length.checked_add(stripe.offset)) {
            Some(stripe_end) if stripe_end <= end && length <= Some(MAX_STRIPE) => Ok(stripe),
            _ => Err(ReadError::damaged(format!("a stripe at byte {} of {length:?} bytes", stripe.offset))),
        }
    }

    /// The end of what streams may take.
    pub(super) fn data_end(&self) -> u64 {
        self.offset + self.index + self.data
    }

    pub(super) fn read_footer(&self, file: &File, chunking: Chunking) -> Result<StripeFooter, ReadError> {
        if self.footer > MAX_FOOTER {
            return Err(ReadError::damaged(format!("a stripe footer of {} bytes", self.footer)));
        }
        let bytes = read_at(file, self.data_end(), self.footer)?;
        let content = Stream::new("stripe footer", bytes, chunking).read_to_end(MAX_FOOTER as usize)?;
        let mut footer = StripeFooter::default();
        // Streams follow each other from the start of the stripe, in the order of the list.
        let mut offset = self.offset;
        fields(&content, |field, value| {
            match field {
                1 => {
                    let mut place = StreamPlace { offset, ..StreamPlace::default() };
                    fields(value.bytes(), |field, value| {
                        match field {
                            1 => place.kind = value.number(),
                            2 => place.column = value.number(),
                            3 => place.length = value.number(),
                            _ => {}
                        }
                        Ok(())
                    })?;
                    offset =
                        offset.checked_add(place.length).filter(|end| *end <= self.data_end()).ok_or_else(|| {
                            ReadError::damaged(format!(
                                "a stream of {} bytes beyond its stripe, which ends at byte {}",
                                place.length,
                                self.data_end()
                            ))
                        })?;
                    footer.streams.push(place);
                }
                2 => {
                    let mut encoding = Encoding::default();
                    fields(value.bytes(), |field, value| {
                        match field {
                            1 => encoding.kind = value.number(),
                            2 => encoding.dictionary = value.number(),
                            _ => {}
                        }
                        Ok(())
                    })?;
                    footer.encodings.push(encoding);
                }
                3 => footer.time_zone = String::from_utf8_lossy(value.bytes()).into_owned(),
                _ => {}
            }
            Ok(())
        })?;
        Ok(footer)
    }
}

impl Type {
    fn decode(message: &[u8]) -> Result<Self, ReadError> {
        let mut decoded = Self::default();
        fields(message, |field, value| {
            match field {
                1 => decoded.kind = value.number(),
                2 => decoded.children.extend(value.numbers()?),
                3 => decoded.names.push(String::from_utf8_lossy(value.bytes()).into_owned()),
                6 => decoded.scale = value.number(),
                _ => {}
            }
            Ok(())
        })?;
        Ok(decoded)
    }
}

/// Reads a part of the file, whose place has been checked.
pub(super) fn read_at(file: &File, offset: u64, length: u64) -> Result<Bytes, ReadError> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset).map_err(ReadError::Io)?;
    Ok(bytes.into())
}
