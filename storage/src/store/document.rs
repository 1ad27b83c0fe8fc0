//! Small files that are replaced whole: the manifests.
//!
//! ```text
//! ┌─────────┬───────────┬──────────────────┬──────────┬──────
//! │ magic 8 │ version 4 │ length of body 8 │ CRC32C 4 │ body
//! └─────────┴───────────┴──────────────────┴──────────┴──────
//! ```
//!
//! The CRC32C is that of everything but its own four bytes.

use std::io::ErrorKind;
use std::ops::RangeInclusive;

use super::StoreError;
use crate::io::Directory;
use crate::wire::{Take, TakeError, other_magic, u32_at, u64_at};

const VERSION_AT: usize = 8;
const LENGTH_AT: usize = 12;
const CHECKSUM_AT: usize = 20;
const HEADER_LENGTH: usize = 24;

/// A kind of document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) magic: [u8; 8],
    /// The versions that are read; the last is written.
    pub(crate) versions: RangeInclusive<u32>,
    /// The longest that is read, in bytes: far beyond any real one.
    pub(crate) longest: u64,
}

impl Document {
    /// The file's bytes, or `None` where there is no such file.
    pub(crate) fn read(&self, directory: &dyn Directory, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let file = match directory.open_read(name) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(name, "opening")(error)),
        };
        let length = file.length().map_err(StoreError::io(name, "measuring"))?;
        if length > self.longest {
            return Err(StoreError::corrupt(name, 0, format!("{length} bytes, no manifest is that long")));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).map_err(StoreError::io(name, "reading"))?;
        Ok(Some(bytes))
    }

    /// The bytes of a document whose body `put` appends.
    pub(crate) fn encode(&self, put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LENGTH];
        put(&mut bytes);
        let body_length = (bytes.len() - HEADER_LENGTH) as u64;
        bytes[..VERSION_AT].copy_from_slice(&self.magic);
        bytes[VERSION_AT..LENGTH_AT].copy_from_slice(&self.versions.end().to_le_bytes());
        bytes[LENGTH_AT..CHECKSUM_AT].copy_from_slice(&body_length.to_le_bytes());
        let checksum = checksum(&bytes);
        bytes[CHECKSUM_AT..HEADER_LENGTH].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// What `decode` makes of the version and the body, and what `check` finds wrong with that; checked in the order magic,
    /// version, length, checksum, content.
    pub(crate) fn decode<T>(
        &self,
        name: &str,
        bytes: &[u8],
        decode: impl FnOnce(u32, &mut Take<'_>) -> Result<T, TakeError>,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Result<T, StoreError> {
        let corrupt = |offset: usize, what: String| StoreError::corrupt(name, offset as u64, what);
        if bytes.len() < HEADER_LENGTH {
            return Err(corrupt(bytes.len(), format!("the file ends inside its {HEADER_LENGTH}-byte header")));
        }
        let magic = &bytes[..VERSION_AT];
        if magic != self.magic {
            return Err(corrupt(0, other_magic(magic, &self.magic)));
        }
        let version = u32_at(bytes, VERSION_AT);
        if !self.versions.contains(&version) {
            let (file, expected) = (name.to_owned(), *self.versions.end());
            return Err(StoreError::UnknownVersion { file, got: version, expected });
        }
        let (got, expected) = ((bytes.len() - HEADER_LENGTH) as u64, u64_at(bytes, LENGTH_AT));
        if got != expected {
            return Err(corrupt(LENGTH_AT, format!("{got} bytes behind the header, expected {expected}")));
        }
        let (got, expected) = (checksum(bytes), u32_at(bytes, CHECKSUM_AT));
        if got != expected {
            return Err(corrupt(0, format!("CRC32C is {got:08x}, expected {expected:08x}")));
        }
        let mut take = Take::new(&bytes[HEADER_LENGTH..]);
        let decoded = decode(version, &mut take).and_then(|decoded| take.end().map(|()| decoded));
        let decoded = decoded.map_err(|error| corrupt(HEADER_LENGTH + error.at, error.what))?;
        check(&decoded).map_err(|what| corrupt(HEADER_LENGTH, what))?;
        Ok(decoded)
    }
}

/// Puts a document in the place of the one before. The one place that knows the order of a commit.
///
/// All files that it names are written and synced by now. Their names are made durable before the document that needs them
/// takes its name; the commit is the rename, and it is durable when the folder is synced again.
pub(crate) fn replace(
    directory: &dyn Directory,
    folder: &str,
    (new_name, name): (&str, &str),
    bytes: &[u8],
) -> Result<(), StoreError> {
    let file = directory.create(new_name).map_err(StoreError::io(new_name, "creating"))?;
    file.append(bytes).map_err(StoreError::io(new_name, "writing"))?;
    file.sync().map_err(StoreError::io(new_name, "syncing"))?;
    directory.sync_directory(folder).map_err(StoreError::folder(directory, folder, "synced"))?;
    directory.rename(new_name, name).map_err(StoreError::io(new_name, "renaming"))?;
    directory.sync_directory(folder).map_err(StoreError::folder(directory, folder, "synced"))
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..CHECKSUM_AT]), &bytes[HEADER_LENGTH..])
}
