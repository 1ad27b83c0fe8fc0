//! A block as a record batch, compressed.
//!
//! The block is compressed where it lies: there is no copy of the records as they are. Compression is the largest part of
//! what a block costs on its way to the log, and copies are the next.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use cartlog_storage::log::{self, BatchHeader, HEADER_LENGTH, Offset, put_varint};

use super::header::BlockHeaders;
use super::options::Compression;

/// What stands for no producer id, epoch and sequence number.
const NONE: i8 = -1;

/// One record batch with one record: the block as its value, and its headers.
///
/// # Errors
/// What the compressor says; `InvalidInput` for a block that a record's 32-bit lengths can't tell.
pub(super) fn encode(
    headers: &BlockHeaders,
    value: &[u8],
    time_ms: i64,
    compression: Compression,
) -> io::Result<Bytes> {
    let (before, after) = record(headers, value.len())?;
    let record = [&before, value, &after];
    let mut batch = BytesMut::with_capacity(HEADER_LENGTH + value.len() / 2);
    batch.put_bytes(0, HEADER_LENGTH);
    let compression = match compression {
        Compression::None => log::Compression::None,
        Compression::Lz4 => log::Compression::Lz4,
        Compression::Zstd => log::Compression::Zstd,
    };
    log::compress(compression, (&mut batch).writer(), |records| {
        record.iter().try_for_each(|part| records.write_all(part))
    })?;
    let mut header = BatchHeader {
        base_offset: Offset(0),
        size: batch.len(),
        leader_epoch: NONE.into(),
        checksum: 0,
        attributes: compression.into(),
        last_offset_delta: 0,
        base_timestamp_ms: time_ms,
        max_timestamp_ms: time_ms,
        producer_id: NONE.into(),
        producer_epoch: NONE.into(),
        base_sequence: NONE.into(),
        record_count: 1,
    };
    header.seal(&mut batch);
    Ok(batch.freeze())
}

/// What stands before the value of a batch's only record, and what behind it (record format of KIP-98 with the headers of
/// KIP-82).
fn record(headers: &BlockHeaders, value_length: usize) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut after = Vec::new();
    let headers = headers.encode();
    put_length(&mut after, headers.len())?;
    for (name, value) in &headers {
        put_field(&mut after, name.as_bytes())?;
        put_field(&mut after, value)?;
    }
    // Attributes, and the deltas of time and offset; then the key that isn't there.
    let mut fields = vec![0, 0, 0];
    put_varint(&mut fields, NONE.into());
    put_length(&mut fields, value_length)?;
    let mut before = Vec::with_capacity(2 * fields.len());
    put_length(&mut before, fields.len() + value_length + after.len())?;
    before.extend(fields);
    Ok((before, after))
}

fn put_field(record: &mut Vec<u8>, field: &[u8]) -> io::Result<()> {
    put_length(record, field.len())?;
    record.extend(field);
    Ok(())
}

fn put_length(record: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let length = i32::try_from(length).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    put_varint(record, length.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use cartlog_storage::log::decompress;
    use kafka_protocol::records::RecordBatchDecoder;

    use super::*;

    /// Read back by kafka-protocol, with the decompressors of the log.
    #[test]
    fn a_batch_holds_its_block_in_every_compression() {
        let value = "2019-10-01 00:00:00 UTC,view,1,2,,,3.5,4,\n".repeat(20_000).into_bytes();
        let headers = BlockHeaders {
            source: "00112233aabbccdd".to_owned(),
            name: "a.csv".to_owned(),
            range: 7..7 + value.len() as u64,
            first_line: 2,
        };
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let batch = encode(&headers, &value, 1_570_000_000_000, compression).unwrap();
            let is_small = batch.len() < value.len() / 4;
            assert_eq!(is_small, compression != Compression::None, "{compression:?}: {} bytes", batch.len());
            let header = BatchHeader::of_produced(&batch, batch.len()).unwrap();
            let content = |_: &mut Bytes, _| {
                let mut content = Vec::new();
                decompress(&header, &batch)?.read_to_end(&mut content)?;
                Ok(Bytes::from(content))
            };
            let read = RecordBatchDecoder::decode_with_custom_compression(&mut batch.clone(), Some(content)).unwrap();
            let [record] = &read.records[..] else { panic!("{} records", read.records.len()) };
            assert_eq!((record.timestamp, record.offset, &record.key), (1_570_000_000_000, 0, &None));
            assert_eq!(record.value.as_deref(), Some(&value[..]));
            let told = record.headers.iter().map(|(name, value)| (Bytes::from(name.clone()), value.clone().unwrap()));
            assert_eq!(BlockHeaders::decode(&told.collect::<Vec<_>>(), value.len()), Some(headers.clone()));
        }
    }
}
