//! The manifest of the sorted copy: what it holds, and which segments it stands for.
//!
//! Invariants, checked before writing and after reading:
//! - the copy's segments hold as many rows as the segments that it stands for;
//! - each file number is used once among either.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use crate::io::Directory;
use crate::store::StoreError;
use crate::store::manifest::SegmentRecord;
use crate::wire::{Put, Take, TakeError, u32_at, u64_at};

use super::{SortOrder, file_name, in_folder};

/// The copy's committed manifest.
pub(crate) const NAME: &str = "manifest";
/// The next one, until it takes the committed one's place.
pub(crate) const NEW_NAME: &str = "manifest.new";

const MAGIC: [u8; 8] = *b"CARTSORT";
const VERSION: u32 = 1;
const LENGTH_AT: usize = 12;
const CHECKSUM_AT: usize = 20;
const HEADER_LENGTH: usize = 24;
/// The longest manifest that is read: far beyond any real one.
const MAX_LENGTH: u64 = 1 << 28;

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
        let name = &in_folder(NAME);
        let file = match directory.open_read(name) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(name, "opening")(error)),
        };
        let length = file.length().map_err(StoreError::io(name, "measuring"))?;
        if length > MAX_LENGTH {
            return Err(StoreError::corrupt(name, 0, format!("{length} bytes, no manifest is that long")));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).map_err(StoreError::io(name, "reading"))?;
        Self::decode(&bytes).map(Some)
    }

    /// Makes this the committed manifest; the segments' files are written and synced by now. The commit is the rename, as of the
    /// store's own manifest.
    pub(crate) fn replace(&self, directory: &dyn Directory) -> Result<(), StoreError> {
        self.check().map_err(|what| StoreError::Invariant { what })?;
        let (name, new_name, folder) = (&in_folder(NAME), &in_folder(NEW_NAME), super::FOLDER);
        let file = directory.create(new_name).map_err(StoreError::io(new_name, "creating"))?;
        file.append(&self.encode()).map_err(StoreError::io(new_name, "writing"))?;
        file.sync().map_err(StoreError::io(new_name, "syncing"))?;
        directory.sync_directory(folder).map_err(StoreError::io(folder, "syncing the folder"))?;
        directory.rename(new_name, name).map_err(StoreError::io(new_name, "renaming"))?;
        directory.sync_directory(folder).map_err(StoreError::io(folder, "syncing the folder"))
    }

    /// The names of the copy's files.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        self.segments.iter().map(|segment| file_name(segment.file)).chain([NAME.to_owned()]).collect()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LENGTH];
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
        let body_length = (bytes.len() - HEADER_LENGTH) as u64;
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        bytes[MAGIC.len()..LENGTH_AT].copy_from_slice(&VERSION.to_le_bytes());
        bytes[LENGTH_AT..CHECKSUM_AT].copy_from_slice(&body_length.to_le_bytes());
        let checksum = checksum(&bytes);
        bytes[CHECKSUM_AT..HEADER_LENGTH].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Checks in the order magic, version, length, checksum, content.
    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let name = &in_folder(NAME);
        let corrupt = |offset: usize, what: String| StoreError::corrupt(name, offset as u64, what);
        if bytes.len() < HEADER_LENGTH {
            return Err(corrupt(bytes.len(), format!("the file ends inside its {HEADER_LENGTH}-byte header")));
        }
        if bytes[..MAGIC.len()] != MAGIC {
            return Err(corrupt(0, format!("magic is {:?}, expected {MAGIC:?}", &bytes[..MAGIC.len()])));
        }
        let version = u32_at(bytes, MAGIC.len());
        if version != VERSION {
            return Err(StoreError::UnknownVersion { file: name.clone(), got: version, expected: VERSION });
        }
        let (got, expected) = ((bytes.len() - HEADER_LENGTH) as u64, u64_at(bytes, LENGTH_AT));
        if got != expected {
            return Err(corrupt(LENGTH_AT, format!("{got} bytes behind the header, expected {expected}")));
        }
        let (got, expected) = (checksum(bytes), u32_at(bytes, CHECKSUM_AT));
        if got != expected {
            return Err(corrupt(0, format!("CRC32C is {got:08x}, expected {expected:08x}")));
        }
        let manifest = Self::decode_body(&bytes[HEADER_LENGTH..])
            .map_err(|error| corrupt(HEADER_LENGTH + error.at, error.what))?;
        manifest.check().map_err(|what| corrupt(HEADER_LENGTH, what))?;
        Ok(manifest)
    }

    fn decode_body(body: &[u8]) -> Result<Self, TakeError> {
        let mut take = Take::new(body);
        let order = SortOrder { column: take.u32()? as usize, within: take.u32()? as usize };
        let file = |take: &mut Take<'_>| {
            Ok(FileRecord { file: take.u64()?, rows: take.u64()?, length: take.u64()?, checksum: take.u32()? })
        };
        let (replaced, segments) = (take.list(file)?, take.list(file)?);
        take.end()?;
        Ok(Self { order, replaced, segments })
    }
}

/// The CRC32C of the whole file without its own four bytes.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..CHECKSUM_AT]), &bytes[HEADER_LENGTH..])
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
