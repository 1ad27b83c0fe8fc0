//! The manifest of the sorted copy: what it holds, and which segments it stands for.
//!
//! Invariants, checked before writing and after reading:
//! - the copy's segments hold as many rows as the segments that it stands for;
//! - each file number is used once among either.

use std::collections::BTreeSet;

use crate::io::Directory;
use crate::store::StoreError;
use crate::store::document::{self, Document};
use crate::store::manifest::SegmentRecord;
use crate::wire::{Put, Take, TakeError};

use super::{FOLDER, SortOrder, file_name, in_folder};

/// The copy's committed manifest.
pub(crate) const NAME: &str = "manifest";
/// The next one, until it takes the committed one's place.
pub(crate) const NEW_NAME: &str = "manifest.new";

const DOCUMENT: Document = Document { magic: *b"CARTSORT", versions: 1..=1, longest: 1 << 28 };

/// A segment's file, of the copy or of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileRecord {
    pub(crate) file: u64,
    pub(crate) rows: u64,
    /// The file's length in bytes.
    pub(crate) length: u64,
    /// The CRC32C of the file's front, and thereby of its content.
    pub(crate) checksum: u32,
}

impl FileRecord {
    /// Whether this is the file that the store's manifest names so.
    pub(crate) fn is(&self, record: &SegmentRecord) -> bool {
        let SegmentRecord { file, rows, length, checksum, .. } = *record;
        *self == Self { file, rows, length, checksum }
    }
}

/// What a sorted copy consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SortedManifest {
    pub(crate) order: SortOrder,
    /// The store's segments that the copy stands for, in the store's order.
    pub(crate) replaced: Vec<FileRecord>,
    /// The copy's own, in the order of their rows.
    pub(crate) segments: Vec<FileRecord>,
}

impl SortedManifest {
    /// The places of the replaced segments among those of the store; `None` if any of them isn't there any more.
    pub(crate) fn places(&self, segments: &[SegmentRecord]) -> Option<Vec<usize>> {
        let place = |known: &FileRecord| segments.iter().position(|record| known.is(record));
        self.replaced.iter().map(place).collect()
    }

    fn check(&self) -> Result<(), String> {
        let rows = |files: &[FileRecord]| files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.rows));
        let (copied, replaced) = (rows(&self.segments), rows(&self.replaced));
        if copied.is_none() || copied != replaced {
            return Err(format!("the copy holds {copied:?} rows, the segments that it stands for {replaced:?}"));
        }
        for files in [&self.segments, &self.replaced] {
            let numbers: BTreeSet<u64> = files.iter().map(|file| file.file).collect();
            if numbers.len() != files.len() {
                return Err(format!("{} file numbers for {} files", numbers.len(), files.len()));
            }
        }
        Ok(())
    }

    /// The committed manifest, or `None` where there is no copy.
    pub(crate) fn read(directory: &dyn Directory) -> Result<Option<Self>, StoreError> {
        DOCUMENT.read(directory, &in_folder(NAME))?.map(|bytes| Self::decode(&bytes)).transpose()
    }

    /// Makes this the committed manifest; the segments' files are written and synced by now.
    pub(crate) fn replace(&self, directory: &dyn Directory) -> Result<(), StoreError> {
        self.check().map_err(|what| StoreError::Invariant { what })?;
        document::replace(directory, FOLDER, (&in_folder(NEW_NAME), &in_folder(NAME)), &self.encode())
    }

    /// The names of the copy's files.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        self.segments.iter().map(|segment| file_name(segment.file)).chain([NAME.to_owned()]).collect()
    }

    fn encode(&self) -> Vec<u8> {
        DOCUMENT.encode(|bytes| {
            bytes.put_u32(self.order.column as u32);
            bytes.put_u32(self.order.within as u32);
            for files in [&self.replaced, &self.segments] {
                bytes.put_u32(files.len() as u32);
                for file in files {
                    bytes.put_u64(file.file);
                    bytes.put_u64(file.rows);
                    bytes.put_u64(file.length);
                    bytes.put_u32(file.checksum);
                }
            }
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        DOCUMENT.decode(&in_folder(NAME), bytes, |_, take| Self::decode_body(take), Self::check)
    }

    fn decode_body(take: &mut Take<'_>) -> Result<Self, TakeError> {
        let order = SortOrder { column: take.u32()? as usize, within: take.u32()? as usize };
        let file = |take: &mut Take<'_>| {
            Ok(FileRecord { file: take.u64()?, rows: take.u64()?, length: take.u64()?, checksum: take.u32()? })
        };
        let (replaced, segments) = (take.list(file)?, take.list(file)?);
        Ok(Self { order, replaced, segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryDirectory;

    fn sample() -> SortedManifest {
        let file = |file, rows| FileRecord { file, rows, length: rows * 10, checksum: 7 };
        SortedManifest {
            order: SortOrder { column: 7, within: 8 },
            replaced: vec![file(4, 100), file(9, 50)],
            segments: vec![file(1, 70), file(2, 80)],
        }
    }

    #[test]
    fn roundtrip() {
        assert_eq!(SortedManifest::decode(&sample().encode()).unwrap(), sample());
        let directory = MemoryDirectory::new();
        assert_eq!(SortedManifest::read(&directory).unwrap(), None);
        directory.create_all(super::super::FOLDER).unwrap();
        sample().replace(&directory).unwrap();
        assert_eq!(SortedManifest::read(&directory).unwrap(), Some(sample()));
    }

    #[test]
    fn detects_every_flipped_bit_and_every_cut() {
        let bytes = sample().encode();
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << (position % 8);
            assert!(SortedManifest::decode(&damaged).is_err(), "byte {position}");
            assert!(SortedManifest::decode(&bytes[..position]).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn refuses_a_copy_of_fewer_rows() {
        let mut manifest = sample();
        manifest.segments.pop();
        let error = manifest.replace(&MemoryDirectory::new()).unwrap_err();
        assert!(error.to_string().contains("the copy holds Some(70) rows"), "{error}");
    }
}
