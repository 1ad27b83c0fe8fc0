//! The records inside a batch, looked into only when a time is sought.
//!
//! A batch's header gives its latest time; which of its records is the first at or after a time stands inside. The
//! records are decompressed as a stream and only their first fields read, in memory that doesn't grow with the batch.
//!
//! A record: varint length, i8 attributes, varint time less the batch's base time, varint offset less the batch's base
//! offset, then key, value and headers, which are skipped.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use super::batch::{BatchHeader, Compression, HEADER_LENGTH, Offset};
use super::partition::TimedOffset;

/// The start of a snappy stream in Xerial's framing, which Java's clients write.
pub(super) const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
/// Its magic, version and compatible version.
const XERIAL_HEADER: usize = 16;
/// The largest a snappy block may say that it becomes; Kafka's own batches stay far below.
const MAXIMUM_SNAPPY: usize = 64 << 20;

/// Finds the first record of a batch at or after a time, and not before an offset. `batch` is the whole batch.
///
/// # Errors
/// `InvalidData` or `UnexpectedEof` if the records aren't what the header says.
pub(super) fn find_time(batch: &[u8], timestamp_ms: i64, from: Offset) -> io::Result<Option<TimedOffset>> {
    let mut first = None;
    visit(batch, from, |found| {
        first = (found.timestamp_ms >= timestamp_ms).then_some(found);
        first.is_none()
    })?;
    Ok(first)
}

/// Finds the record of a batch with the latest time, not before an offset, and the first of those; `None` if none has a
/// time. `batch` is the whole batch.
///
/// # Errors
/// As [`find_time`].
pub(super) fn find_latest(batch: &[u8], from: Offset) -> io::Result<Option<TimedOffset>> {
    let mut latest: Option<TimedOffset> = None;
    visit(batch, from, |found| {
        if found.timestamp_ms > latest.map_or(-1, |latest| latest.timestamp_ms) {
            latest = Some(found);
        }
        true
    })?;
    Ok(latest)
}

/// The records of a batch that have no key, by their numbers. `batch` is the whole batch.
///
/// # Errors
/// As [`find_time`].
pub(super) fn without_key(header: &BatchHeader, batch: &[u8]) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    walk(header, batch, |number, record| {
        record.read_exact(&mut [0])?;
        read_varint(record)?;
        read_varint(record)?;
        if read_varint(record)? < 0 {
            found.push(number);
        }
        Ok(true)
    })?;
    Ok(found)
}

/// The records of the batch with this header as a stream of what they were before compression. How much comes out is for the reader
/// to bound; only snappy, which can't be streamed, is bounded here (64 MiB).
///
/// # Errors
/// `InvalidData` if the compression is unknown or damaged; reading gives the same as it goes.
pub fn decompress<'a>(header: &BatchHeader, batch: &'a [u8]) -> io::Result<Box<dyn BufRead + 'a>> {
    let body = &batch[HEADER_LENGTH.min(batch.len())..];
    Ok(match header.attributes.compression().map_err(invalid)? {
        Compression::None => Box::new(body),
        Compression::Gzip => Box::new(BufReader::new(flate2::read::GzDecoder::new(body))),
        Compression::Snappy => Box::new(io::Cursor::new(unsnap(body)?)),
        Compression::Lz4 => Box::new(BufReader::new(lz4::Decoder::new(body)?)),
        Compression::Zstd => Box::new(BufReader::new(zstd::Decoder::new(body)?)),
    })
}

/// Runs `look` on each record from an offset on, until it says that it has seen enough.
fn visit(batch: &[u8], from: Offset, mut look: impl FnMut(TimedOffset) -> bool) -> io::Result<()> {
    let header = BatchHeader::decode(batch).map_err(invalid)?;
    if header.attributes.is_log_append_time() {
        // Then all records have the time of the batch.
        let found = TimedOffset { timestamp_ms: header.max_timestamp_ms, offset: header.base_offset.max(from) };
        if found.offset <= header.last_offset() {
            look(found);
        }
        return Ok(());
    }
    walk(&header, batch, |_, record| {
        record.read_exact(&mut [0])?;
        let found = TimedOffset {
            timestamp_ms: header.base_timestamp_ms.saturating_add(read_varint(record)?),
            offset: Offset(header.base_offset.0.saturating_add(read_varint(record)?)),
        };
        Ok(found.offset < from || look(found))
    })
}

/// Runs `look` on each record with its number, from its attributes on, until it says that it has seen enough.
fn walk(
    header: &BatchHeader,
    batch: &[u8],
    mut look: impl FnMut(i32, &mut dyn Read) -> io::Result<bool>,
) -> io::Result<()> {
    let mut records = decompress(header, batch)?;
    for number in 0..header.record_count {
        let length = read_varint(&mut records)?;
        let length = u64::try_from(length).map_err(|_| invalid(format!("a record of {length} bytes")))?;
        let mut record = (&mut records).take(length);
        if !look(number, &mut record)? {
            return Ok(());
        }
        io::copy(&mut record, &mut io::sink())?;
    }
    Ok(())
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// Reads a zigzag varint of at most ten bytes.
///
/// # Errors
/// `InvalidData` for a longer one, and those of the reader.
pub fn read_varint(reader: &mut (impl Read + ?Sized)) -> io::Result<i64> {
    let (mut bits, mut shift) = (0_u64, 0);
    loop {
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        bits |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
        }
        shift += 7;
        if shift > 63 {
            return Err(invalid("a varint of more than ten bytes"));
        }
    }
}

/// Writes a zigzag varint.
pub fn put_varint(buffer: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        buffer.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    buffer.push(rest.to_le_bytes()[0]);
}

/// Decompresses snappy, raw or in Xerial's framing: blocks with a 32-bit length each.
fn unsnap(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut append = |block: &[u8]| -> io::Result<()> {
        let length = snap::raw::decompress_len(block).map_err(invalid)?;
        let start = out.len();
        if start + length > MAXIMUM_SNAPPY {
            return Err(invalid(format!("snappy data of {} bytes", start + length)));
        }
        out.resize(start + length, 0);
        snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(invalid)?;
        Ok(())
    };
    if !body.starts_with(XERIAL_MAGIC) {
        append(body)?;
        return Ok(out);
    }
    let mut rest = body.get(XERIAL_HEADER..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (block, after) = after.split_at_checked(length).ok_or(ErrorKind::UnexpectedEof)?;
        append(block)?;
        rest = after;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::super::batch::tests::seal;
    use super::*;

    const BASE_MS: i64 = 1_569_888_000_000;

    fn encode(times: &[i64]) -> Vec<u8> {
        let mut body = Vec::new();
        for (delta, time) in times.iter().enumerate() {
            let mut record = vec![0];
            put_varint(&mut record, *time);
            put_varint(&mut record, i64::try_from(delta).unwrap());
            record.extend_from_slice(&[1, 6, b'a', b'b', b'c', 0]);
            put_varint(&mut body, i64::try_from(record.len()).unwrap());
            body.extend_from_slice(&record);
        }
        body
    }

    fn compress(body: &[u8], code: i16) -> Vec<u8> {
        match code {
            1 => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            2 => snap::raw::Encoder::new().compress_vec(body).unwrap(),
            3 => {
                let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
                encoder.write_all(body).unwrap();
                let (bytes, result) = encoder.finish();
                result.unwrap();
                bytes
            }
            4 => zstd::encode_all(body, 1).unwrap(),
            // Not a code of Kafka: snappy in Xerial's framing, in two blocks.
            5 => {
                let mut framed = [XERIAL_MAGIC, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
                for half in [&body[..body.len() / 2], &body[body.len() / 2..]] {
                    let block = snap::raw::Encoder::new().compress_vec(half).unwrap();
                    framed.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
                    framed.extend_from_slice(&block);
                }
                framed
            }
            _ => body.to_vec(),
        }
    }

    fn batch(times: &[i64], code: i16) -> Vec<u8> {
        let attributes = if code == 5 { 2 } else { code };
        let latest = times.iter().max().unwrap();
        let count = i32::try_from(times.len()).unwrap();
        seal(attributes, count, BASE_MS, BASE_MS + latest, &compress(&encode(times), code))
    }

    #[test]
    fn log_append_time_is_that_of_the_batch() {
        let batch = seal(0b1000, 3, 5, 9, &encode(&[0, 1, 2]));
        let found = |time, from| find_time(&batch, time, Offset(from)).unwrap();
        assert_eq!(found(9, 0), Some(TimedOffset { timestamp_ms: 9, offset: Offset(0) }));
        assert_eq!(found(0, 2), Some(TimedOffset { timestamp_ms: 9, offset: Offset(2) }));
        assert_eq!(found(10, 0), None);
        assert_eq!(found(0, 3), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equals_a_linear_search_in_every_compression(
            times in proptest::collection::vec(-50_i64..50, 1..60),
            sought in -60_i64..60,
            from in 0_i64..60,
            code in 0_i16..6,
        ) {
            let expected = times.iter().zip(0_i64..).find(|&(&time, at)| time >= sought && at >= from);
            let expected = expected
                .map(|(time, at)| TimedOffset { timestamp_ms: BASE_MS + time, offset: Offset(at) });
            prop_assert_eq!(find_time(&batch(&times, code), BASE_MS + sought, Offset(from)).unwrap(), expected);
            let kept = times.iter().zip(0_i64..).filter(|&(_, at)| at >= from);
            let latest = kept.max_by_key(|&(&time, at)| (time, -at));
            let latest = latest.map(|(time, at)| TimedOffset { timestamp_ms: BASE_MS + time, offset: Offset(at) });
            prop_assert_eq!(find_latest(&batch(&times, code), Offset(from)).unwrap(), latest);
        }

        #[test]
        fn damage_is_answered_without_panic(
            times in proptest::collection::vec(-50_i64..50, 1..20),
            code in 0_i16..6,
            at in any::<prop::sample::Index>(),
            value in any::<u8>(),
        ) {
            let mut batch = batch(&times, code);
            let at = HEADER_LENGTH + at.index(batch.len() - HEADER_LENGTH);
            batch[at] = value;
            let _ = find_time(&batch, i64::MAX, Offset(0));
        }
    }
}
