//! Append-only files of entries in checksummed frames: the dictionaries and the reject file.
//!
//! ```text
//! ┌─────────────────────────┬─────────┬─────────┬─────
//! │ magic 8 · version 4 ·   │ frame 0 │ frame 1 │ …
//! │ CRC32C of both 4        │         │         │
//! └─────────────────────────┴─────────┴─────────┴─────
//! frame: payload length 4 · entries 4 · number of its first entry 8 · CRC32C of these and the payload 4 · payload
//! payload: each entry behind its length, 4 bytes
//! ```
//!
//! What counts is what the manifest says: the length and the number of entries of the last commit. What stands behind
//! that length is of a load that was cut off, and is cut when the store is next opened for writing.

use crate::io::{Directory, WriteFile};

use super::StoreError;
use super::manifest::FramedRecord;
use crate::wire::{Put, Take, other_magic, u32_at, u64_at};

/// The format version written here.
const VERSION: u32 = 1;
const HEADER_LENGTH: usize = 16;
const FRAME_HEADER_LENGTH: usize = 20;
const FRAME_CHECKSUM_AT: usize = 16;
/// A frame is closed when its payload has this many bytes.
const FRAME_FULL: usize = 1 << 20;
/// The longest entry.
pub(crate) const MAX_ENTRY: usize = 16 << 20;
/// The longest payload: one that was not full yet, and the longest entry.
const MAX_PAYLOAD: usize = FRAME_FULL + 4 + MAX_ENTRY;

/// Which kind of file: its first eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Magic(pub(crate) [u8; 8]);

/// A framed file open for appending.
#[derive(Debug)]
pub(crate) struct FramedFile {
    name: String,
    file: Box<dyn WriteFile>,
    record: FramedRecord,
}

impl FramedFile {
    /// Creates an empty one and syncs it; the caller syncs the folder.
    pub(crate) fn create(
        directory: &dyn Directory,
        name: String,
        magic: Magic,
        number: u64,
    ) -> Result<Self, StoreError> {
        let file = directory.create(&name).map_err(StoreError::io(&name, "creating"))?;
        file.append(&header(magic)).map_err(StoreError::io(&name, "writing"))?;
        file.sync().map_err(StoreError::io(&name, "syncing"))?;
        Ok(Self { name, file, record: FramedRecord { file: number, length: HEADER_LENGTH as u64, entries: 0 } })
    }

    /// Opens one and cuts it to what is committed.
    pub(crate) fn open(directory: &dyn Directory, name: String, record: FramedRecord) -> Result<Self, StoreError> {
        let file = directory.open_append(&name, record.length).map_err(|error| opening_error(&name, error))?;
        Ok(Self { name, file, record })
    }

    /// What has been appended, to be committed.
    pub(crate) fn record(&self) -> FramedRecord {
        self.record
    }

    /// Appends entries and syncs them; without any it does nothing.
    pub(crate) fn append<E: AsRef<[u8]>>(&mut self, entries: impl Iterator<Item = E>) -> Result<(), StoreError> {
        let before = self.record.entries;
        self.write(entries)?;
        if self.record.entries > before { self.sync() } else { Ok(()) }
    }

    /// Waits until what has been written is on disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync().map_err(StoreError::io(&self.name, "syncing"))
    }

    /// Appends entries, which are on disk after a [`Self::sync`].
    pub(crate) fn write<E: AsRef<[u8]>>(&mut self, entries: impl Iterator<Item = E>) -> Result<(), StoreError> {
        let mut payload = Vec::new();
        let mut count = 0;
        for entry in entries {
            payload.put_counted(entry.as_ref());
            count += 1;
            if payload.len() >= FRAME_FULL {
                self.append_frame(&payload, count)?;
                payload.clear();
                count = 0;
            }
        }
        if count > 0 { self.append_frame(&payload, count) } else { Ok(()) }
    }

    fn append_frame(&mut self, payload: &[u8], entries: u32) -> Result<(), StoreError> {
        let mut frame = Vec::with_capacity(FRAME_HEADER_LENGTH + payload.len());
        frame.put_u32(payload.len() as u32);
        frame.put_u32(entries);
        frame.put_u64(self.record.entries);
        frame.put_u32(crc32c::crc32c_append(crc32c::crc32c(&frame), payload));
        frame.put(payload);
        self.file.append(&frame).map_err(StoreError::io(&self.name, "writing"))?;
        self.record.length += frame.len() as u64;
        self.record.entries += u64::from(entries);
        Ok(())
    }
}

/// A framed file's committed frames, one after the other.
#[derive(Debug)]
pub(crate) struct FrameReader {
    name: String,
    file: Box<dyn crate::io::ReadFile>,
    record: FramedRecord,
    at: u64,
    entry: u64,
}

/// One checked frame.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Where its payload starts in the file.
    payload_at: u64,
    /// The number of its first entry.
    first_entry: u64,
    payload: Vec<u8>,
}

impl FrameReader {
    pub(crate) fn open(
        directory: &dyn Directory,
        name: String,
        magic: Magic,
        record: FramedRecord,
    ) -> Result<Self, StoreError> {
        let file = directory.open_read(&name).map_err(|error| opening_error(&name, error))?;
        let present = file.length().map_err(StoreError::io(&name, "measuring"))?;
        if present < record.length {
            return Err(StoreError::corrupt(
                &name,
                present,
                format!("the file ends here, expected {} bytes", record.length),
            ));
        }
        let mut got = [0; HEADER_LENGTH];
        file.read_exact_at(&mut got, 0).map_err(StoreError::io(&name, "reading"))?;
        if got[..8] != magic.0 {
            return Err(StoreError::corrupt(&name, 0, other_magic(&got[..8], &magic.0)));
        }
        let version = u32_at(&got, 8);
        if got != header(magic) {
            return Err(if crc32c::crc32c(&got[..12]) == u32_at(&got, 12) {
                StoreError::UnknownVersion { file: name, got: version, expected: VERSION }
            } else {
                StoreError::corrupt(&name, 8, "the header's CRC32C is wrong")
            });
        }
        Ok(Self { name, file, record, at: HEADER_LENGTH as u64, entry: 0 })
    }

    /// The next frame, checked; `None` at the committed end.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, StoreError> {
        if self.at == self.record.length {
            return if self.entry == self.record.entries {
                Ok(None)
            } else {
                Err(self.corrupt(self.at, format!("{} entries, expected {}", self.entry, self.record.entries)))
            };
        }
        let start = self.at;
        let left = self.record.length - start;
        if left < FRAME_HEADER_LENGTH as u64 {
            return Err(self.corrupt(start, format!("{left} bytes, no frame is that short")));
        }
        let mut frame = [0; FRAME_HEADER_LENGTH];
        self.file.read_exact_at(&mut frame, start).map_err(StoreError::io(&self.name, "reading"))?;
        let (length, entries, first) = (u32_at(&frame, 0) as usize, u32_at(&frame, 4), u64_at(&frame, 8));
        if length > MAX_PAYLOAD || length as u64 > left - FRAME_HEADER_LENGTH as u64 {
            return Err(self.corrupt(start, format!("a frame of {length} bytes, {left} are left")));
        }
        let payload_at = start + FRAME_HEADER_LENGTH as u64;
        let mut payload = vec![0; length];
        self.file.read_exact_at(&mut payload, payload_at).map_err(StoreError::io(&self.name, "reading"))?;
        let got = crc32c::crc32c_append(crc32c::crc32c(&frame[..FRAME_CHECKSUM_AT]), &payload);
        let expected = u32_at(&frame, FRAME_CHECKSUM_AT);
        if got != expected {
            return Err(self.corrupt(
                start,
                format!("the CRC32C of the frame of entries from {} is {got:08x}, expected {expected:08x}", self.entry),
            ));
        }
        if first != self.entry {
            return Err(self.corrupt(start, format!("a frame from entry {first}, expected from {}", self.entry)));
        }
        self.at = payload_at + length as u64;
        self.entry += u64::from(entries);
        let frame = Frame { payload_at, first_entry: first, payload };
        let found = self.entries(&frame)?.len();
        if found != entries as usize {
            return Err(self.corrupt(start, format!("{found} entries in the frame, expected {entries}")));
        }
        Ok(Some(frame))
    }

    /// The entries of a frame.
    pub(crate) fn entries<'f>(&self, frame: &'f Frame) -> Result<Vec<&'f [u8]>, StoreError> {
        let mut take = Take::new(&frame.payload);
        let mut entries = Vec::new();
        while take.left() > 0 {
            let entry = take.counted().map_err(|error| {
                let number = frame.first_entry + entries.len() as u64;
                self.corrupt(frame.payload_at + error.at as u64, format!("entry {number}: {}", error.what))
            })?;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Damage at a place of this file.
    pub(crate) fn corrupt(&self, offset: u64, what: String) -> StoreError {
        StoreError::corrupt(&self.name, offset, what)
    }
}

impl Frame {
    /// Where the frame starts in its file.
    pub(crate) fn offset(&self) -> u64 {
        self.payload_at - FRAME_HEADER_LENGTH as u64
    }
}

fn header(magic: Magic) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    header[..8].copy_from_slice(&magic.0);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn opening_error(name: &str, error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::NotFound => StoreError::MissingFile { file: name.to_owned() },
        std::io::ErrorKind::UnexpectedEof => StoreError::corrupt(name, 0, error.to_string()),
        _ => StoreError::io(name, "opening")(error),
    }
}
