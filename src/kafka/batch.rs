//! A block as a record batch, compressed.
//!
//! kafka-protocol writes the batch; how it is compressed is ours, since that is the largest part of what a block costs on
//! its way to the log.

use std::io::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as WireCompression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use lz4::liblz4::BlockMode;
use lz4::{BlockSize, ContentChecksum, EncoderBuilder};

use super::header::BlockHeaders;
use super::options::Compression;

/// The version of batches with headers (KIP-82), the only one that brokers still take.
const VERSION: i8 = 2;
/// LZ4's level. A negative one is that of its command's `--fast`: events are compressed at 800 MB/s in place of 470, to
/// less than a hundredth more.
const LZ4_LEVEL: i32 = -3;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// One record batch with one record: the block as its value, behind its headers.
///
/// # Errors
/// What the compressor says.
pub(super) fn encode(
    headers: &BlockHeaders,
    value: Bytes,
    time: i64,
    compression: Compression,
) -> Result<Bytes, String> {
    let room = value.len() / 2;
    let headers = headers.encode().into_iter();
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: time,
        key: None,
        value: Some(value),
        headers: headers.map(|(name, value)| (StrBytes::from_string(name), Some(value.into()))).collect(),
    };
    let compression = match compression {
        Compression::None => WireCompression::None,
        Compression::Lz4 => WireCompression::Lz4,
        Compression::Zstd => WireCompression::Zstd,
    };
    let options = RecordEncodeOptions { version: VERSION, compression };
    let mut batch = BytesMut::with_capacity(room);
    let written = match compression {
        WireCompression::None => RecordBatchEncoder::encode(&mut batch, [&record], &options),
        _ => RecordBatchEncoder::encode_with_custom_compression(&mut batch, [&record], &options, Some(compress)),
    };
    written.map_err(|error| error.to_string())?;
    Ok(batch.freeze())
}

fn compress(records: &mut BytesMut, batch: &mut BytesMut, compression: WireCompression) -> anyhow::Result<()> {
    match compression {
        WireCompression::Lz4 => {
            // The batch has a checksum of its own. Blocks that depend on each other Kafka doesn't read (KIP-57).
            let mut encoder = EncoderBuilder::new()
                .block_mode(BlockMode::Independent)
                .block_size(BlockSize::Max256KB)
                .checksum(ContentChecksum::NoChecksum)
                .level(LZ4_LEVEL.cast_unsigned())
                .build(batch.writer())?;
            encoder.write_all(records)?;
            encoder.finish().1?;
        }
        _ => zstd::stream::copy_encode(&records[..], batch.writer(), ZSTD_LEVEL)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use cartlog_storage::log::{BatchHeader, decompress};

    use super::*;

    #[test]
    fn a_batch_is_read_back_by_another_reader() {
        let value = Bytes::from("2019-10-01 00:00:00 UTC,view,1,2,,,3.5,4,\n".repeat(20_000));
        let headers = BlockHeaders {
            source: "00112233aabbccdd".to_owned(),
            name: "a.csv".to_owned(),
            range: 7..7 + value.len() as u64,
            first_line: 2,
        };
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let batch = encode(&headers, value.clone(), 1_570_000_000_000, compression).unwrap();
            let is_small = batch.len() < value.len() / 4;
            assert_eq!(is_small, compression != Compression::None, "{compression:?}: {} bytes", batch.len());
            let header = BatchHeader::of_produced(&batch, batch.len()).unwrap();
            assert_eq!((header.record_count, header.max_timestamp_ms), (1, 1_570_000_000_000));
            let mut content = Vec::new();
            decompress(&header, &batch).unwrap().read_to_end(&mut content).unwrap();
            let place = memchr::memmem::find(&content, &value[..100]).unwrap();
            assert_eq!(content[place..place + value.len()], value);
        }
    }
}
