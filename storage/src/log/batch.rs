//! The 61-byte header of a record batch (magic 2): all that the log knows of a batch.
//!
//! The checksum (CRC-32C) runs from the attributes to the end, so that the base offset and the leader epoch can be
//! filled in on arrival without touching it. Layout, big-endian, from Kafka's message format:
//!
//! ```text
//!  0  base offset          i64      outside the checksum
//!  8  length               i32      bytes after this field
//! 12  leader epoch         i32
//! 16  magic                i8       2
//! 17  crc                  u32      of everything after it
//! 21  attributes           i16      0-2 compression, 3 time type, 4 transactional, 5 control
//! 23  last offset delta    i32
//! 27  base timestamp       i64
//! 35  max timestamp        i64
//! 43  producer id          i64      -1: none
//! 51  producer epoch       i16
//! 53  base sequence        i32
//! 57  record count         i32
//! 61  records
//! ```

use std::fmt;

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = LENGTH_AT + 4;
const MAGIC_AT: usize = LEADER_EPOCH_AT + 4;
const CRC_AT: usize = MAGIC_AT + 1;
const ATTRIBUTES_AT: usize = CRC_AT + 4;
const LAST_OFFSET_DELTA_AT: usize = ATTRIBUTES_AT + 2;
const BASE_TIMESTAMP_AT: usize = LAST_OFFSET_DELTA_AT + 4;
const MAX_TIMESTAMP_AT: usize = BASE_TIMESTAMP_AT + 8;
const PRODUCER_ID_AT: usize = MAX_TIMESTAMP_AT + 8;
const PRODUCER_EPOCH_AT: usize = PRODUCER_ID_AT + 8;
const BASE_SEQUENCE_AT: usize = PRODUCER_EPOCH_AT + 2;
const RECORD_COUNT_AT: usize = BASE_SEQUENCE_AT + 4;
/// Bytes of a batch before its first record.
pub const HEADER_LENGTH: usize = RECORD_COUNT_AT + 4;
/// Bytes of a batch that its length field doesn't count.
const UNCOUNTED_LENGTH: usize = LENGTH_AT + 4;
const MAGIC: i8 = 2;
/// The attribute bit of batches that carry the time of their arrival.
const LOG_APPEND_TIME: i16 = 0b1000;

/// The place of a record in its partition, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub i64);

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Why a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Fewer bytes than a header, or than the header announces.
    #[error("a record batch of {expected} bytes was announced, {got} are there")]
    Truncated {
        /// Bytes needed.
        expected: usize,
        /// Bytes present.
        got: usize,
    },
    /// The length field can't be.
    #[error("a record batch announces {0} bytes, less than its own header")]
    Length(i32),
    /// Bytes follow the batch.
    #[error("{0} bytes follow the record batch; send one batch a partition and request")]
    Trailing(usize),
    /// Another message format.
    #[error("record batch of magic {0}; only magic 2 (Kafka 0.11 and later) is taken")]
    Magic(i8),
    /// The checksum doesn't match.
    #[error("record batch with checksum {got:08x}, its content has {computed:08x}; it was damaged on the way")]
    Checksum {
        /// As the header says.
        got: u32,
        /// As the bytes say.
        computed: u32,
    },
    /// The header contradicts itself.
    #[error("record batch of {count} records whose last offset delta is {last_offset_delta}")]
    Count {
        /// Records announced.
        count: i32,
        /// Last offset announced, relative to the first.
        last_offset_delta: i32,
    },
    /// Larger than the topic takes.
    #[error("record batch of {got} bytes, the topic takes {maximum}; send smaller batches or raise max.message.bytes")]
    TooLarge {
        /// Bytes of the batch.
        got: usize,
        /// Most bytes taken.
        maximum: usize,
    },
    /// Only a transaction coordinator writes control batches.
    #[error("control batches aren't taken from producers")]
    Control,
    /// Transactions aren't offered.
    #[error("transactional batches aren't taken: this broker offers no transactions")]
    Transactional,
    /// A compression that doesn't exist.
    #[error("record batch with unknown compression {0}")]
    Compression(u8),
    /// Records that can't be read, though the checksum is right.
    #[error("record batch whose records can't be read: {0}")]
    Records(String),
    /// Records without a key, by their numbers in the batch, where the last of each key is to be kept.
    #[error("{} record(s) without a key, the first of them number {}; a compacted topic takes none", _0.len(), _0.first().unwrap_or(&0))]
    WithoutKey(Vec<i32>),
    /// Timestamps that can't be.
    #[error("record batch with time {0}; milliseconds since 1970 or -1 are expected")]
    Timestamp(i64),
}

/// How a batch's records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// As they are.
    None,
    /// Gzip.
    Gzip,
    /// Snappy, raw or in Xerial's framing.
    Snappy,
    /// LZ4 frame.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// The attribute bits of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    /// The bits that say how the records are compressed.
    pub(super) const COMPRESSION: i16 = 0b111;

    /// The compression of the records.
    ///
    /// # Errors
    /// [`BatchError::Compression`] for the values 5 to 7.
    pub fn compression(self) -> Result<Compression, BatchError> {
        match self.0 & Self::COMPRESSION {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            other => Err(BatchError::Compression(u8::try_from(other).unwrap_or(u8::MAX))),
        }
    }

    /// Whether the timestamps are the broker's (time of appending) rather than the producer's.
    #[must_use]
    pub fn is_log_append_time(self) -> bool {
        self.0 & LOG_APPEND_TIME != 0
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & 0b1_0000 != 0
    }

    /// Whether the batch holds a transaction marker instead of data.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & 0b10_0000 != 0
    }
}

/// The attributes of a batch that is compressed so, with nothing else set.
impl From<Compression> for Attributes {
    fn from(compression: Compression) -> Self {
        Self(match compression {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        })
    }
}

/// A batch's header, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes of the whole batch, this header included.
    pub size: usize,
    /// Epoch of the leader that took it.
    pub leader_epoch: i32,
    /// CRC-32C of everything from the attributes on.
    pub checksum: u32,
    /// Compression, kind of time, transaction bits.
    pub attributes: Attributes,
    /// Offset of the last record less `base_offset`.
    pub last_offset_delta: i32,
    /// Time of the first record in milliseconds since 1970.
    pub base_timestamp_ms: i64,
    /// The latest time of a record in milliseconds since 1970.
    pub max_timestamp_ms: i64,
    /// Id of an idempotent producer, or -1.
    pub producer_id: i64,
    /// Epoch of that producer, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Decodes the header at the start of `bytes`, checking magic and the sanity of length and counts; the records may
    /// be missing.
    ///
    /// # Errors
    /// [`BatchError`] saying what can't be.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(bytes) = bytes.first_chunk::<HEADER_LENGTH>() else {
            return Err(BatchError::Truncated { expected: HEADER_LENGTH, got: bytes.len() });
        };
        let magic = i8::from_be_bytes(array(bytes, MAGIC_AT));
        if magic != MAGIC {
            return Err(BatchError::Magic(magic));
        }
        let length = i32::from_be_bytes(array(bytes, LENGTH_AT));
        let size = match usize::try_from(length) {
            Ok(length) if length + UNCOUNTED_LENGTH >= HEADER_LENGTH => length + UNCOUNTED_LENGTH,
            _ => return Err(BatchError::Length(length)),
        };
        let last_offset_delta = i32::from_be_bytes(array(bytes, LAST_OFFSET_DELTA_AT));
        let record_count = i32::from_be_bytes(array(bytes, RECORD_COUNT_AT));
        if last_offset_delta < 0 || record_count < 0 {
            return Err(BatchError::Count { count: record_count, last_offset_delta });
        }
        Ok(Self {
            base_offset: Offset(i64::from_be_bytes(array(bytes, 0))),
            size,
            leader_epoch: i32::from_be_bytes(array(bytes, LEADER_EPOCH_AT)),
            checksum: u32::from_be_bytes(array(bytes, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(array(bytes, ATTRIBUTES_AT))),
            last_offset_delta,
            base_timestamp_ms: i64::from_be_bytes(array(bytes, BASE_TIMESTAMP_AT)),
            max_timestamp_ms: i64::from_be_bytes(array(bytes, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(array(bytes, PRODUCER_ID_AT)),
            producer_epoch: i16::from_be_bytes(array(bytes, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(array(bytes, BASE_SEQUENCE_AT)),
            record_count,
        })
    }

    /// The header as it stands before the records.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LENGTH] {
        // A batch's size came from a 32-bit length, so that it fits again.
        let length = u32::try_from(self.size - UNCOUNTED_LENGTH).unwrap_or(u32::MAX);
        let mut bytes = [0; HEADER_LENGTH];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &self.base_offset.0.to_be_bytes());
        put(LENGTH_AT, &length.to_be_bytes());
        put(LEADER_EPOCH_AT, &self.leader_epoch.to_be_bytes());
        put(MAGIC_AT, &MAGIC.to_be_bytes());
        put(CRC_AT, &self.checksum.to_be_bytes());
        put(ATTRIBUTES_AT, &self.attributes.0.to_be_bytes());
        put(LAST_OFFSET_DELTA_AT, &self.last_offset_delta.to_be_bytes());
        put(BASE_TIMESTAMP_AT, &self.base_timestamp_ms.to_be_bytes());
        put(MAX_TIMESTAMP_AT, &self.max_timestamp_ms.to_be_bytes());
        put(PRODUCER_ID_AT, &self.producer_id.to_be_bytes());
        put(PRODUCER_EPOCH_AT, &self.producer_epoch.to_be_bytes());
        put(BASE_SEQUENCE_AT, &self.base_sequence.to_be_bytes());
        put(RECORD_COUNT_AT, &self.record_count.to_be_bytes());
        bytes
    }

    /// Gives all records of `batch` the time of their arrival, as `message.timestamp.type=LogAppendTime` wants: the
    /// batch's latest time stands for all of them. The header's checksum follows; the records stay as they are.
    pub(super) fn set_append_time(&mut self, time_ms: i64, batch: &[u8]) {
        self.attributes.0 |= LOG_APPEND_TIME;
        self.max_timestamp_ms = time_ms;
        self.set_checksum(batch);
    }

    /// Makes a batch of what stands in `batch` behind room for its header: size and checksum become its own, and the
    /// header is written into that room.
    ///
    /// # Panics
    /// If there is no room for the header.
    pub fn seal(&mut self, batch: &mut [u8]) {
        self.size = batch.len();
        self.set_checksum(batch);
        batch[..HEADER_LENGTH].copy_from_slice(&self.encode());
    }

    fn set_checksum(&mut self, batch: &[u8]) {
        let checksum = crc32c::crc32c(&self.encode()[ATTRIBUTES_AT..]);
        self.checksum = crc32c::crc32c_append(checksum, &batch[HEADER_LENGTH..]);
    }

    /// The offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(self.last_offset_delta)))
    }

    /// The offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// Compares the checksum with the content; `batch` is the whole batch, `self.size` bytes.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] when bytes are missing, [`BatchError::Checksum`] when they differ.
    pub fn verify(&self, batch: &[u8]) -> Result<(), BatchError> {
        let content = batch
            .get(ATTRIBUTES_AT..self.size)
            .ok_or(BatchError::Truncated { expected: self.size, got: batch.len() })?;
        let computed = crc32c::crc32c(content);
        if computed == self.checksum { Ok(()) } else { Err(BatchError::Checksum { got: self.checksum, computed }) }
    }

    /// Checks what a producer sent for one partition: exactly one sound batch of at most `maximum` bytes.
    ///
    /// # Errors
    /// [`BatchError`] saying what is wrong with it.
    pub fn of_produced(batch: &[u8], maximum: usize) -> Result<Self, BatchError> {
        // A batch of an older format has its magic at the same place, so that it is refused by name.
        let header = Self::decode(batch)?;
        if header.size > batch.len() {
            return Err(BatchError::Truncated { expected: header.size, got: batch.len() });
        }
        if header.size > maximum {
            return Err(BatchError::TooLarge { got: header.size, maximum });
        }
        header.verify(batch)?;
        if header.size < batch.len() {
            return Err(BatchError::Trailing(batch.len() - header.size));
        }
        if header.record_count == 0 || header.last_offset_delta != header.record_count - 1 {
            return Err(BatchError::Count { count: header.record_count, last_offset_delta: header.last_offset_delta });
        }
        header.attributes.compression()?;
        if header.attributes.is_control() {
            return Err(BatchError::Control);
        }
        if header.attributes.is_transactional() {
            return Err(BatchError::Transactional);
        }
        if header.max_timestamp_ms < -1 {
            return Err(BatchError::Timestamp(header.max_timestamp_ms));
        }
        Ok(header)
    }
}

fn array<const LENGTH: usize>(bytes: &[u8; HEADER_LENGTH], at: usize) -> [u8; LENGTH] {
    let mut array = [0; LENGTH];
    array.copy_from_slice(&bytes[at..at + LENGTH]);
    array
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::records::put_varint;
    use super::*;

    /// A sound batch of `records` uncompressed one-value records, as a producer sends it.
    pub(crate) fn batch(records: i32, timestamp_ms: i64, value: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        for delta in 0..records {
            let mut record = vec![0];
            put_varint(&mut record, 0);
            put_varint(&mut record, i64::from(delta));
            put_varint(&mut record, -1);
            put_varint(&mut record, i64::try_from(value.len()).unwrap());
            record.extend_from_slice(value);
            put_varint(&mut record, 0);
            put_varint(&mut body, i64::try_from(record.len()).unwrap());
            body.extend_from_slice(&record);
        }
        seal(0, records, timestamp_ms, timestamp_ms, &body)
    }

    /// Puts a header with the right checksum before encoded records.
    pub(crate) fn seal(attributes: i16, records: i32, base_ms: i64, max_ms: i64, body: &[u8]) -> Vec<u8> {
        let mut batch = vec![0; HEADER_LENGTH];
        let length = i32::try_from(HEADER_LENGTH - UNCOUNTED_LENGTH + body.len()).unwrap();
        batch[LENGTH_AT..LEADER_EPOCH_AT].copy_from_slice(&length.to_be_bytes());
        batch[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&(-1_i32).to_be_bytes());
        batch[MAGIC_AT] = 2;
        batch[ATTRIBUTES_AT..LAST_OFFSET_DELTA_AT].copy_from_slice(&attributes.to_be_bytes());
        batch[LAST_OFFSET_DELTA_AT..BASE_TIMESTAMP_AT].copy_from_slice(&(records - 1).to_be_bytes());
        batch[BASE_TIMESTAMP_AT..MAX_TIMESTAMP_AT].copy_from_slice(&base_ms.to_be_bytes());
        batch[MAX_TIMESTAMP_AT..PRODUCER_ID_AT].copy_from_slice(&max_ms.to_be_bytes());
        batch[PRODUCER_ID_AT..RECORD_COUNT_AT].fill(0xff);
        batch[RECORD_COUNT_AT..].copy_from_slice(&records.to_be_bytes());
        batch.extend_from_slice(body);
        let checksum = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
        batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&checksum.to_be_bytes());
        batch
    }

    /// The batch as an idempotent producer sends it.
    pub(crate) fn idempotent(batch: &[u8], producer_id: i64, epoch: i16, sequence: i32) -> Vec<u8> {
        let mut batch = batch.to_vec();
        batch[PRODUCER_ID_AT..PRODUCER_EPOCH_AT].copy_from_slice(&producer_id.to_be_bytes());
        batch[PRODUCER_EPOCH_AT..BASE_SEQUENCE_AT].copy_from_slice(&epoch.to_be_bytes());
        batch[BASE_SEQUENCE_AT..RECORD_COUNT_AT].copy_from_slice(&sequence.to_be_bytes());
        let checksum = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
        batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&checksum.to_be_bytes());
        batch
    }

    #[test]
    fn a_sound_batch_is_taken_and_its_place_stands_outside_the_checksum() {
        let mut bytes = batch(3, 1_569_888_000_000, b"row");
        let mut header = BatchHeader::of_produced(&bytes, 1000).unwrap();
        assert_eq!((header.size, header.record_count, header.producer_id), (bytes.len(), 3, -1));
        assert_eq!(header.encode(), bytes[..HEADER_LENGTH]);
        (header.base_offset, header.leader_epoch) = (Offset(77), 5);
        bytes[..HEADER_LENGTH].copy_from_slice(&header.encode());
        let stamped = BatchHeader::of_produced(&bytes, 1000).unwrap();
        assert_eq!((stamped.base_offset, stamped.leader_epoch, stamped.next_offset()), (Offset(77), 5, Offset(80)));
    }

    #[test]
    fn the_time_of_arrival_is_under_the_checksum() {
        let mut bytes = batch(3, 1_569_888_000_000, b"row");
        let mut header = BatchHeader::of_produced(&bytes, 1000).unwrap();
        header.set_append_time(1_700_000_000_000, &bytes);
        bytes[..HEADER_LENGTH].copy_from_slice(&header.encode());
        let stamped = BatchHeader::of_produced(&bytes, 1000).unwrap();
        assert!(stamped.attributes.is_log_append_time());
        assert_eq!((stamped.base_timestamp_ms, stamped.max_timestamp_ms), (1_569_888_000_000, 1_700_000_000_000));
    }

    #[test]
    fn refuses_each_fault_by_name() {
        let sound = batch(2, 5, b"abc");
        let resealed = |attributes, records, max| seal(attributes, records, 5, max, &sound[HEADER_LENGTH..]);
        let fault = |bytes: &[u8]| BatchHeader::of_produced(bytes, 1000).unwrap_err();

        assert!(matches!(fault(&sound[..60]), BatchError::Truncated { expected: 61, got: 60 }));
        assert!(matches!(fault(&sound[..sound.len() - 1]), BatchError::Truncated { .. }));
        assert!(matches!(fault(&[&sound[..], &sound[..]].concat()), BatchError::Trailing(_)));
        assert_eq!(fault(&resealed(7, 2, 5)), BatchError::Compression(7));
        assert_eq!(fault(&resealed(0b10_0000, 2, 5)), BatchError::Control);
        assert_eq!(fault(&resealed(0b1_0000, 2, 5)), BatchError::Transactional);
        assert_eq!(fault(&resealed(0, 2, -2)), BatchError::Timestamp(-2));
        assert!(matches!(fault(&resealed(0, 0, 5)), BatchError::Count { .. }));
        assert!(matches!(BatchHeader::of_produced(&sound, 70), Err(BatchError::TooLarge { maximum: 70, .. })));

        let mut old = sound.clone();
        old[MAGIC_AT] = 1;
        assert_eq!(fault(&old), BatchError::Magic(1));
        for length in [-1, 0, 48] {
            let mut short = sound.clone();
            short[LENGTH_AT..LEADER_EPOCH_AT].copy_from_slice(&i32::to_be_bytes(length));
            assert_eq!(fault(&short), BatchError::Length(length));
        }
    }

    #[test]
    fn detects_corruption() {
        let sound = batch(2, 5, b"abc");
        for at in ATTRIBUTES_AT..sound.len() {
            for bit in 0..8 {
                let mut damaged = sound.clone();
                damaged[at] ^= 1 << bit;
                assert!(BatchHeader::of_produced(&damaged, 1000).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = BatchHeader::of_produced(&bytes, 1000);
            let mut with_magic = bytes;
            if let Some(magic) = with_magic.get_mut(MAGIC_AT) {
                *magic = 2;
            }
            let _ = BatchHeader::of_produced(&with_magic, 1000);
        }
    }
}
