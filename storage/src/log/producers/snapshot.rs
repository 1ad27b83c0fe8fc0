//! `<offset>.snapshot`: what a partition remembered of its producers when it ended at that offset, in Kafka's encoding.
//!
//! ```text
//! i16 version            1
//! u32 crc                CRC-32C of everything after it
//! i32 entries
//!   i64 producer id
//!   i16 producer epoch
//!   i32 last sequence number of the batch
//!   i64 last offset of the batch
//!   i32 that offset less the batch's first
//!   i64 latest time in the batch, milliseconds
//!   i32 coordinator epoch, -1: no transactions
//!   i64 first offset of the open transaction, -1
//! ```
//!
//! Kafka writes one entry a producer, its last batch; here each remembered batch has one, in the order of their offsets,
//! which Kafka's tools read as well. A snapshot is a cache: one that is absent, damaged or ahead of the log costs a walk
//! over the headers of the batches since an older one, or since the log's start.

use super::super::batch::Offset;
use super::super::checkpoint::replace;
use super::super::error::{IoContext as _, LogError};
use super::{Producers, Remembered};
use crate::io::Directory;

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const COUNT_AT: usize = CRC_AT + 4;
const HEADER: usize = COUNT_AT + 4;
const ENTRY: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;
const EXTENSION: &str = ".snapshot";
/// Snapshots kept: should the newest be ahead of a log that lost its unsynced end, there is an older one.
const KEPT: usize = 2;

/// The producers at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) struct Snapshot {
    /// The end of the partition at that time.
    pub(in crate::log) offset: Offset,
    /// What was remembered then.
    pub(in crate::log) producers: Producers,
}

impl Snapshot {
    /// The latest sound snapshot at or before `end`; of nothing at `start` if there is none.
    pub(in crate::log) fn load(directory: &dyn Directory, folder: &str, start: Offset, end: Offset) -> Self {
        let mut offsets = list(directory, folder);
        offsets.retain(|offset| (start..=end).contains(offset));
        for &offset in offsets.iter().rev() {
            let path = path(folder, offset);
            match directory.map(&path).ok().and_then(|bytes| decode(&bytes).ok()) {
                Some(producers) => return Self { offset, producers },
                None => tracing::warn!(path, "the snapshot of producers is damaged; an older one is used"),
            }
        }
        Self { offset: start, producers: Producers::default() }
    }

    /// The paths of the snapshots in a folder.
    pub(in crate::log) fn paths(directory: &dyn Directory, folder: &str) -> Vec<String> {
        list(directory, folder).into_iter().map(|offset| path(folder, offset)).collect()
    }

    /// Checks a snapshot's bytes; tells where they are wrong, and how.
    pub(in crate::log) fn check(bytes: &[u8]) -> Result<(), (usize, String)> {
        decode(bytes).map(|_| ())
    }

    /// Writes the snapshot and removes those that are too old to be of use.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(in crate::log) fn write(&self, directory: &dyn Directory, folder: &str) -> Result<(), LogError> {
        let path = path(folder, self.offset);
        replace(directory, &path, &format!("{path}.tmp"), &encode(&self.producers))?;
        remove_stale(directory, folder, self.offset)
    }
}

/// Removes all but the newest snapshots at or before `end`, and those after it: they speak of records that are gone.
///
/// # Errors
/// [`LogError::Io`].
pub(in crate::log) fn remove_stale(directory: &dyn Directory, folder: &str, end: Offset) -> Result<(), LogError> {
    let offsets = list(directory, folder);
    let beyond = offsets.partition_point(|&offset| offset <= end);
    let old = &offsets[..beyond.saturating_sub(KEPT)];
    for &offset in old.iter().chain(&offsets[beyond..]) {
        let path = path(folder, offset);
        directory.remove(&path).at("remove", &path)?;
    }
    Ok(())
}

fn path(folder: &str, offset: Offset) -> String {
    format!("{folder}/{:020}{EXTENSION}", offset.0)
}

/// The offsets of the snapshots in a folder, ascending; none if it can't be listed.
fn list(directory: &dyn Directory, folder: &str) -> Vec<Offset> {
    let names = directory.list(folder).unwrap_or_default();
    let digits = names.iter().filter_map(|name| name.strip_suffix(EXTENSION)).filter(|digits| digits.len() == 20);
    let mut offsets: Vec<Offset> = digits.filter_map(|digits| digits.parse().ok().map(Offset)).collect();
    offsets.sort_unstable();
    offsets
}

fn encode(producers: &Producers) -> Vec<u8> {
    let mut batches: Vec<_> = producers
        .by_id
        .iter()
        .flat_map(|(&id, producer)| producer.batches.iter().map(move |batch| (id, producer.epoch, batch)))
        .collect();
    batches.sort_unstable_by_key(|(_, _, batch)| batch.last_offset);
    let mut bytes = Vec::with_capacity(HEADER + ENTRY * batches.len());
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    // The number of producers is bounded far below 2^31.
    bytes.extend_from_slice(&u32::try_from(batches.len()).unwrap_or(u32::MAX).to_be_bytes());
    for (id, epoch, batch) in batches {
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&epoch.to_be_bytes());
        bytes.extend_from_slice(&batch.last_sequence.to_be_bytes());
        bytes.extend_from_slice(&batch.last_offset.0.to_be_bytes());
        bytes.extend_from_slice(&batch.offset_delta.to_be_bytes());
        bytes.extend_from_slice(&batch.timestamp_ms.to_be_bytes());
        bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        bytes.extend_from_slice(&(-1_i64).to_be_bytes());
    }
    let checksum = crc32c::crc32c(&bytes[COUNT_AT..]);
    bytes[CRC_AT..COUNT_AT].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The producers, or where the bytes are wrong, and how.
fn decode(bytes: &[u8]) -> Result<Producers, (usize, String)> {
    let version = i16::from_be_bytes(array(bytes, 0)?);
    if version != VERSION {
        return Err((0, format!("the snapshot's version is {version}, expected {VERSION}")));
    }
    let checksum = u32::from_be_bytes(array(bytes, CRC_AT)?);
    let count = u64::from(u32::from_be_bytes(array(bytes, COUNT_AT)?));
    let expected = HEADER as u64 + count * ENTRY as u64;
    if bytes.len() as u64 != expected {
        return Err((COUNT_AT, format!("{count} entries make {expected} bytes, the snapshot has {}", bytes.len())));
    }
    let computed = crc32c::crc32c(&bytes[COUNT_AT..]);
    if computed != checksum {
        return Err((CRC_AT, format!("the snapshot's checksum is {checksum:08x}, its content has {computed:08x}")));
    }
    let mut producers = Producers::default();
    for entry in bytes[HEADER..].chunks_exact(ENTRY) {
        let batch = Remembered {
            last_sequence: i32::from_be_bytes(array(entry, 10)?),
            last_offset: Offset(i64::from_be_bytes(array(entry, 14)?)),
            offset_delta: i32::from_be_bytes(array(entry, 22)?),
            timestamp_ms: i64::from_be_bytes(array(entry, 26)?),
        };
        producers.remember(i64::from_be_bytes(array(entry, 0)?), i16::from_be_bytes(array(entry, 8)?), batch);
    }
    Ok(producers)
}

fn array<const LENGTH: usize>(bytes: &[u8], at: usize) -> Result<[u8; LENGTH], (usize, String)> {
    let there = bytes.get(at..at + LENGTH).and_then(|slice| slice.try_into().ok());
    there.ok_or_else(|| (bytes.len(), format!("the snapshot ends here, {} bytes are expected at least", at + LENGTH)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryDirectory;

    fn sample() -> Producers {
        let mut producers = Producers::default();
        for number in 0..40 {
            let batch = Remembered {
                last_sequence: number * 2 + 1,
                last_offset: Offset(i64::from(number) * 2 + 1),
                offset_delta: 1,
                timestamp_ms: 1_569_888_000_000,
            };
            producers.remember(i64::from(number % 4), 2, batch);
        }
        producers
    }

    #[test]
    fn roundtrip() {
        let bytes = encode(&sample());
        assert_eq!(bytes.len(), HEADER + 20 * ENTRY);
        assert_eq!(decode(&bytes), Ok(sample()));
        assert_eq!(decode(&encode(&Producers::default())), Ok(Producers::default()));
    }

    #[test]
    fn detects_corruption() {
        let sound = encode(&sample());
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&sound[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_latest_sound_snapshot_that_is_not_ahead_is_used() {
        let directory = MemoryDirectory::default();
        directory.create_all("t-0").unwrap();
        let at = |offset| Snapshot { offset: Offset(offset), producers: sample() };
        for offset in [10, 20, 30] {
            at(offset).write(&directory, "t-0").unwrap();
        }
        assert_eq!(list(&directory, "t-0"), [Offset(20), Offset(30)]);
        assert_eq!(Snapshot::load(&directory, "t-0", Offset(0), Offset(35)), at(30));
        assert_eq!(Snapshot::load(&directory, "t-0", Offset(0), Offset(29)), at(20));
        let nothing = Snapshot { offset: Offset(0), producers: Producers::default() };
        assert_eq!(Snapshot::load(&directory, "t-0", Offset(0), Offset(19)), nothing);
        remove_stale(&directory, "t-0", Offset(25)).unwrap();
        assert_eq!(list(&directory, "t-0"), [Offset(20)]);
    }
}
