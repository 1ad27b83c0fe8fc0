//! The bytes of `cartlog.groups`: committed offsets and what else of a group survives a restart.
//!
//! ```text
//! ┌────────┬─────────┬─────────┬─────
//! │ header │ frame 0 │ frame 1 │ …
//! │ 20     │         │         │
//! └────────┴─────────┴─────────┴─────
//! ```
//!
//! A frame holds the records that were made durable together; each record replaces what an earlier one says of the same
//! thing. Frames are numbered from 0 and their checksums start from the file's salt, so that neither bytes of another
//! file nor bytes that a client made up pass for a frame of this one.
//!
//! docs/FORMAT.md has the field tables.

use std::sync::Arc;

use super::error::JournalError;
use crate::log::TopicId;
use crate::wire::{Put as _, Take, TakeError, other_magic, u32_at, u64_at};

/// The file, in the log's folder.
pub(super) const PATH: &str = "cartlog.groups";

const MAGIC: [u8; 8] = *b"CARTGRPS";
const VERSION: u32 = 1;
const SALT_AT: usize = 12;
const HEADER_CHECKSUM_AT: usize = SALT_AT + 4;
/// Bytes of the file's header.
pub(super) const HEADER_LENGTH: usize = HEADER_CHECKSUM_AT + 4;

const FRAME_NUMBER_AT: usize = 4;
const FRAME_CHECKSUM_AT: usize = FRAME_NUMBER_AT + 8;
/// Bytes before a frame's payload.
pub(super) const FRAME_HEADER_LENGTH: usize = FRAME_CHECKSUM_AT + 4;
/// The largest payload of a frame.
pub(super) const MAX_PAYLOAD: usize = 16 << 20;

const KIND_OFFSET: u8 = 1;
const KIND_OFFSET_REMOVED: u8 = 2;
const KIND_GROUP: u8 = 3;
const KIND_GROUP_REMOVED: u8 = 4;

/// An offset as committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read, or -1.
    pub leader_epoch: i32,
    /// When it was committed, in milliseconds since 1970.
    pub commit_time_ms: i64,
    /// The client's own text.
    pub metadata: Arc<str>,
}

/// What survives of a group apart from its offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupInfo {
    /// `consumer` for consumers; empty if no member ever joined.
    pub(super) protocol_type: Arc<str>,
    /// The last generation.
    pub(super) generation: i32,
    /// When the last member left, in milliseconds since 1970; -1 while there are members.
    pub(super) empty_since_ms: i64,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// A group committed an offset.
    Offset { group: Arc<str>, topic: TopicId, partition: i32, committed: Committed },
    /// An offset is no longer kept.
    OffsetRemoved { group: Arc<str>, topic: TopicId, partition: i32 },
    /// A group began or ended to have members.
    Group { group: Arc<str>, info: GroupInfo },
    /// A group and all its offsets are no longer kept.
    GroupRemoved { group: Arc<str> },
}

impl Record {
    /// Appends the record's bytes.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Offset { group, topic, partition, committed } => {
                bytes.push(KIND_OFFSET);
                bytes.put_counted(group.as_bytes());
                bytes.put(&topic.0);
                bytes.put(&partition.to_le_bytes());
                bytes.put(&committed.offset.to_le_bytes());
                bytes.put(&committed.leader_epoch.to_le_bytes());
                bytes.put(&committed.commit_time_ms.to_le_bytes());
                bytes.put_counted(committed.metadata.as_bytes());
            }
            Self::OffsetRemoved { group, topic, partition } => {
                bytes.push(KIND_OFFSET_REMOVED);
                bytes.put_counted(group.as_bytes());
                bytes.put(&topic.0);
                bytes.put(&partition.to_le_bytes());
            }
            Self::Group { group, info } => {
                bytes.push(KIND_GROUP);
                bytes.put_counted(group.as_bytes());
                bytes.put_counted(info.protocol_type.as_bytes());
                bytes.put(&info.generation.to_le_bytes());
                bytes.put(&info.empty_since_ms.to_le_bytes());
            }
            Self::GroupRemoved { group } => {
                bytes.push(KIND_GROUP_REMOVED);
                bytes.put_counted(group.as_bytes());
            }
        }
    }

    /// The number of bytes that [`Record::encode`] appends.
    pub(super) fn encoded_length(&self) -> usize {
        match self {
            Self::Offset { group, committed, .. } => 49 + group.len() + committed.metadata.len(),
            Self::OffsetRemoved { group, .. } => 25 + group.len(),
            Self::Group { group, info } => 21 + group.len() + info.protocol_type.len(),
            Self::GroupRemoved { group } => 5 + group.len(),
        }
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, TakeError> {
        let kind = take.u8()?;
        let unknown = take.error(format!("a record of kind {kind}, expected 1 to 4"));
        let group = Arc::from(take.text()?);
        Ok(match kind {
            KIND_OFFSET => Self::Offset {
                group,
                topic: TopicId(array(take)?),
                partition: i32::from_le_bytes(array(take)?),
                committed: Committed {
                    offset: i64::from_le_bytes(array(take)?),
                    leader_epoch: i32::from_le_bytes(array(take)?),
                    commit_time_ms: i64::from_le_bytes(array(take)?),
                    metadata: take.text()?.into(),
                },
            },
            KIND_OFFSET_REMOVED => {
                Self::OffsetRemoved { group, topic: TopicId(array(take)?), partition: i32::from_le_bytes(array(take)?) }
            }
            KIND_GROUP => Self::Group {
                group,
                info: GroupInfo {
                    protocol_type: take.text()?.into(),
                    generation: i32::from_le_bytes(array(take)?),
                    empty_since_ms: i64::from_le_bytes(array(take)?),
                },
            },
            KIND_GROUP_REMOVED => Self::GroupRemoved { group },
            _ => return Err(unknown),
        })
    }

    /// The records of a frame's payload, which passed its checksum.
    pub(super) fn decode_all(payload: &[u8]) -> Result<Vec<Self>, TakeError> {
        let mut take = Take::new(payload);
        let mut records = Vec::new();
        while take.left() > 0 {
            records.push(Self::decode(&mut take)?);
        }
        Ok(records)
    }
}

fn array<const N: usize>(take: &mut Take<'_>) -> Result<[u8; N], TakeError> {
    let mut bytes = [0; N];
    bytes.copy_from_slice(take.take(N)?);
    Ok(bytes)
}

/// The header of a file with this salt.
pub(super) fn encode_header(salt: u32) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    header[..8].copy_from_slice(&MAGIC);
    header[8..SALT_AT].copy_from_slice(&VERSION.to_le_bytes());
    header[SALT_AT..HEADER_CHECKSUM_AT].copy_from_slice(&salt.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..HEADER_CHECKSUM_AT]);
    header[HEADER_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Checks a file's header and gives its salt.
///
/// # Errors
/// [`JournalError::Corrupt`] or [`JournalError::UnknownVersion`].
pub(super) fn decode_header(bytes: &[u8]) -> Result<u32, JournalError> {
    let corrupt = |position, detail| JournalError::Corrupt { path: PATH, position, detail };
    let header = bytes.get(..HEADER_LENGTH).ok_or_else(|| {
        corrupt(bytes.len() as u64, format!("the file ends here, its header has {HEADER_LENGTH} bytes"))
    })?;
    if header[..8] != MAGIC {
        return Err(corrupt(0, other_magic(&header[..8], &MAGIC)));
    }
    let (version, got) = (u32_at(header, 8), u32_at(header, HEADER_CHECKSUM_AT));
    let expected = crc32c::crc32c(&header[..HEADER_CHECKSUM_AT]);
    if got != expected {
        return Err(corrupt(0, format!("the header's checksum is {got:08x}, its content has {expected:08x}")));
    }
    if version != VERSION {
        return Err(JournalError::UnknownVersion { path: PATH, got: version, expected: VERSION });
    }
    Ok(u32_at(header, SALT_AT))
}

/// Makes a frame of a payload of at most [`MAX_PAYLOAD`] bytes.
pub(super) fn encode_frame(salt: u32, number: u64, payload: &[u8]) -> Vec<u8> {
    assert!(!payload.is_empty() && payload.len() <= MAX_PAYLOAD, "a payload of {} bytes", payload.len());
    let mut frame = Vec::with_capacity(FRAME_HEADER_LENGTH + payload.len());
    frame.put_u32(payload.len() as u32);
    frame.put_u64(number);
    let checksum = checksum(salt, &frame, payload);
    frame.put_u32(checksum);
    frame.put(payload);
    frame
}

/// The payload of the frame at the front of `bytes`, or why there is none of this number.
pub(super) fn decode_frame(salt: u32, number: u64, bytes: &[u8]) -> Result<&[u8], String> {
    let Some((header, rest)) = bytes.split_at_checked(FRAME_HEADER_LENGTH) else {
        return Err(format!("{} bytes, no frame is that short", bytes.len()));
    };
    let (length, got_number) = (u32_at(header, 0) as usize, u64_at(header, FRAME_NUMBER_AT));
    if length == 0 || length > MAX_PAYLOAD || length > rest.len() {
        return Err(format!("a frame of {length} bytes, {} are left", rest.len()));
    }
    if got_number != number {
        return Err(format!("frame {got_number}, expected frame {number}"));
    }
    let payload = &rest[..length];
    let (got, expected) = (u32_at(header, FRAME_CHECKSUM_AT), checksum(salt, &header[..FRAME_CHECKSUM_AT], payload));
    if got != expected {
        return Err(format!("the checksum of frame {number} is {got:08x}, its content has {expected:08x}"));
    }
    Ok(payload)
}

/// Finds a later frame than `number` anywhere in `bytes`; it means that what stands before it was once whole.
pub(super) fn find_later_frame(salt: u32, number: u64, bytes: &[u8]) -> Option<usize> {
    let most = number.saturating_add((bytes.len() / FRAME_HEADER_LENGTH) as u64);
    (0..bytes.len().saturating_sub(FRAME_HEADER_LENGTH)).find(|&at| {
        let got = u64_at(bytes, at + FRAME_NUMBER_AT);
        got > number && got <= most && decode_frame(salt, got, &bytes[at..]).is_ok()
    })
}

fn checksum(salt: u32, head: &[u8], payload: &[u8]) -> u32 {
    let salted = crc32c::crc32c(&salt.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(salted, head), payload)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::groups) fn offset(group: &str, topic: u8, partition: i32, offset: i64) -> Record {
        let committed = Committed { offset, leader_epoch: 0, commit_time_ms: 1000, metadata: "ä note".into() };
        Record::Offset { group: group.into(), topic: TopicId([topic; 16]), partition, committed }
    }

    fn samples() -> Vec<Record> {
        let info = GroupInfo { protocol_type: "consumer".into(), generation: i32::MAX, empty_since_ms: -1 };
        vec![
            offset("a", 1, 0, i64::MAX),
            offset("", 2, -1, -1),
            Record::OffsetRemoved { group: "a".into(), topic: TopicId([9; 16]), partition: 7 },
            Record::Group { group: "groß".into(), info },
            Record::GroupRemoved { group: "a".into() },
        ]
    }

    #[test]
    fn roundtrip() {
        let mut payload = Vec::new();
        for record in samples() {
            let before = payload.len();
            record.encode(&mut payload);
            assert_eq!(payload.len() - before, record.encoded_length(), "{record:?}");
        }
        let frame = encode_frame(7, 3, &payload);
        assert_eq!(Record::decode_all(decode_frame(7, 3, &frame).unwrap()).unwrap(), samples());
        assert_eq!(decode_header(&encode_header(0xdead_beef)).unwrap(), 0xdead_beef);
    }

    #[test]
    fn detects_corruption() {
        let header = encode_header(7);
        for at in 0..header.len() {
            let mut damaged = header;
            damaged[at] ^= 1;
            assert!(decode_header(&damaged).is_err() && decode_header(&header[..at]).is_err(), "byte {at}");
        }
        let mut payload = Vec::new();
        samples()[0].encode(&mut payload);
        let frame = encode_frame(7, 3, &payload);
        for at in 0..frame.len() {
            let mut damaged = frame.clone();
            damaged[at] ^= 1;
            assert!(decode_frame(7, 3, &damaged).is_err() && decode_frame(7, 3, &frame[..at]).is_err(), "byte {at}");
        }
        assert!(
            decode_frame(8, 3, &frame).is_err() && decode_frame(7, 4, &frame).is_err(),
            "another file, another place"
        );
        let later = [&[1; 40][..], &frame].concat();
        assert_eq!(find_later_frame(7, 2, &later), Some(40));
        assert_eq!((find_later_frame(7, 3, &later), find_later_frame(8, 2, &later)), (None, None));
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut header = encode_header(7);
        header[8] = 2;
        let checksum = crc32c::crc32c(&header[..HEADER_CHECKSUM_AT]);
        header[HEADER_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        let error = decode_header(&header).unwrap_err();
        assert!(matches!(error, JournalError::UnknownVersion { got: 2, expected: 1, .. }), "{error}");
    }

    proptest! {
        #[test]
        fn any_payload_is_read_without_panic(payload in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Record::decode_all(&payload);
            let _ = find_later_frame(0, 0, &payload);
        }
    }
}
