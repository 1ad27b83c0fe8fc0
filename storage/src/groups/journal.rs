//! The journal of groups as a file: read at the start, appended to, and rewritten when most of it is out of date.
//!
//! Invariants:
//! - At most one frame is not on disk: each is synced before the next is written. So what a crash leaves behind the last
//!   whole frame was never acknowledged and is cut, while a whole frame behind a broken one is damage.
//! - A rewritten file is whole and on disk before it takes the name.
//! - After an error nothing more is written to the file, whose state is then unknown; the next write makes a new one.

use std::io;
use std::sync::Arc;

use super::error::{IoContext as _, JournalError};
use super::format::{
    FRAME_HEADER_LENGTH, HEADER_LENGTH, MAX_PAYLOAD, PATH, Record, decode_frame, decode_header, encode_frame,
    encode_header, find_later_frame,
};
use crate::io::{Directory, WriteFile};
use crate::log::TopicId;

const TEMPORARY_PATH: &str = "cartlog.groups.tmp";

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    directory: Arc<dyn Directory>,
    /// `None` after an error.
    file: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    file: Box<dyn WriteFile>,
    salt: u32,
    /// The number of the next frame.
    next: u64,
    length: u64,
}

impl Journal {
    /// Opens the journal, creating it if there is none, and gives every record to `apply`. A torn tail is cut.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] if the damage is not a torn tail, [`JournalError::UnknownVersion`],
    /// [`JournalError::Io`].
    pub(super) fn open(directory: Arc<dyn Directory>, mut apply: impl FnMut(Record)) -> Result<Self, JournalError> {
        if !directory.exists(PATH).at("look for", PATH)? {
            let mut journal = Self { directory, file: None };
            journal.rewrite(std::iter::empty()).at("create", PATH)?;
            return Ok(journal);
        }
        let bytes = directory.map(PATH).at("read", PATH)?;
        let salt = decode_header(&bytes)?;
        let corrupt = |position: usize, detail| JournalError::Corrupt { path: PATH, position: position as u64, detail };
        let (mut at, mut next) = (HEADER_LENGTH, 0);
        while at < bytes.len() {
            let payload = match decode_frame(salt, next, &bytes[at..]) {
                Ok(payload) => payload,
                Err(detail) => {
                    if let Some(later) = find_later_frame(salt, next, &bytes[at..]) {
                        return Err(corrupt(at, format!("{detail}; a whole frame follows at byte {}", at + later)));
                    }
                    let dropped = bytes.len() - at;
                    tracing::warn!(file = PATH, position = at, dropped, "the tail is torn ({detail}) and is cut");
                    break;
                }
            };
            let payload_at = at + FRAME_HEADER_LENGTH;
            let records = Record::decode_all(payload).map_err(|error| corrupt(payload_at + error.at, error.what))?;
            records.into_iter().for_each(&mut apply);
            at = payload_at + payload.len();
            next += 1;
        }
        let is_torn = at < bytes.len();
        drop(bytes);
        let file = directory.open_append(PATH, at as u64).at("open", PATH)?;
        if is_torn {
            file.sync().at("sync", PATH)?;
        }
        Ok(Self { directory, file: Some(OpenFile { file, salt, next, length: at as u64 }) })
    }

    /// Whether the file can be appended to; if not, [`Journal::rewrite`] comes first.
    pub(super) fn is_sound(&self) -> bool {
        self.file.is_some()
    }

    /// The length of the file.
    pub(super) fn length(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.length)
    }

    /// Appends a frame; when this returns it is on disk.
    ///
    /// # Errors
    /// The system's; the journal is then no longer sound.
    pub(super) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut open = self.file.take().ok_or_else(|| io::Error::other("the journal must be rewritten first"))?;
        open.append(payload)?;
        open.file.sync()?;
        self.file = Some(open);
        Ok(())
    }

    /// Replaces the whole content in one atomic, durable step.
    ///
    /// # Errors
    /// The system's. If it came before the new file took the name, the journal is as it was.
    pub(super) fn rewrite(&mut self, records: impl Iterator<Item = Record>) -> io::Result<()> {
        let file = self.write_temporary(records)?;
        // Until the folder is synced, the name may stand for either file after a crash.
        self.file = None;
        self.directory.rename(TEMPORARY_PATH, PATH)?;
        self.directory.sync_directory("")?;
        self.file = Some(file);
        Ok(())
    }

    fn write_temporary(&self, records: impl Iterator<Item = Record>) -> io::Result<OpenFile> {
        if self.directory.exists(TEMPORARY_PATH)? {
            self.directory.remove(TEMPORARY_PATH)?;
        }
        let mut salt = [0; 4];
        salt.copy_from_slice(&TopicId::random().0[..4]);
        let salt = u32::from_le_bytes(salt);
        let file = self.directory.create(TEMPORARY_PATH)?;
        file.append(&encode_header(salt))?;
        let mut open = OpenFile { file, salt, next: 0, length: HEADER_LENGTH as u64 };
        for payload in payloads(records) {
            open.append(&payload)?;
        }
        open.file.sync()?;
        Ok(open)
    }
}

impl OpenFile {
    fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let frame = encode_frame(self.salt, self.next, payload);
        self.file.append(&frame)?;
        self.next += 1;
        self.length += frame.len() as u64;
        Ok(())
    }
}

/// Packs records into as few payloads as their limit allows.
pub(super) fn payloads(records: impl Iterator<Item = Record>) -> impl Iterator<Item = Vec<u8>> {
    let mut records = records.peekable();
    std::iter::from_fn(move || {
        let mut payload = Vec::new();
        while let Some(record) =
            records.next_if(|record| payload.is_empty() || payload.len() + record.encoded_length() <= MAX_PAYLOAD)
        {
            record.encode(&mut payload);
        }
        (!payload.is_empty()).then_some(payload)
    })
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::offset;
    use super::*;
    use crate::io::MemoryDirectory;

    fn read(directory: &MemoryDirectory) -> Result<(Journal, Vec<Record>), JournalError> {
        let mut records = Vec::new();
        let journal = Journal::open(Arc::new(directory.clone()), |record| records.push(record))?;
        Ok((journal, records))
    }

    fn payload(record: &Record) -> Vec<u8> {
        payloads(std::iter::once(record.clone())).next().unwrap()
    }

    fn written(count: i64) -> (MemoryDirectory, Vec<u64>) {
        let directory = MemoryDirectory::new();
        let (mut journal, _) = read(&directory).unwrap();
        let mut ends = vec![journal.length()];
        for number in 0..count {
            journal.append(&payload(&offset("g", 1, 0, number))).unwrap();
            ends.push(journal.length());
        }
        (directory, ends)
    }

    #[test]
    fn what_was_appended_is_read_again() {
        let (directory, ends) = written(3);
        let (mut journal, records) = read(&directory).unwrap();
        assert_eq!(records, [0, 1, 2].map(|number| offset("g", 1, 0, number)));
        assert_eq!(journal.length(), ends[3]);
        journal.append(&payload(&offset("g", 1, 0, 3))).unwrap();
        assert_eq!(read(&directory).unwrap().1.len(), 4);
        journal.rewrite([offset("h", 1, 0, 9)].into_iter()).unwrap();
        journal.append(&payload(&offset("h", 1, 0, 10))).unwrap();
        assert_eq!(read(&directory).unwrap().1, [offset("h", 1, 0, 9), offset("h", 1, 0, 10)]);
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut() {
        let (directory, ends) = written(3);
        for length in ends[2]..ends[3] {
            let torn = directory.after_power_loss(1);
            torn.open_append(PATH, length).unwrap();
            let (mut journal, records) = read(&torn).unwrap();
            assert_eq!((records.len(), journal.length()), (2, ends[2]));
            journal.append(&payload(&offset("g", 1, 0, 7))).unwrap();
            assert_eq!(read(&torn).unwrap().1[2], offset("g", 1, 0, 7));
        }
    }

    #[test]
    fn damage_before_the_last_frame_is_an_error() {
        let (directory, ends) = written(3);
        for at in 0..ends[2] {
            let damaged = directory.after_power_loss(1);
            damaged.damage(PATH, at, 1).unwrap();
            let error = read(&damaged).unwrap_err();
            assert!(matches!(error, JournalError::Corrupt { .. }), "byte {at}: {error}");
            assert_eq!(damaged.length(PATH).unwrap(), ends[3], "the file is left as it was found");
        }
    }

    #[test]
    fn many_records_make_several_frames() {
        let big = |number| {
            let Record::Offset { group, topic, partition, mut committed } = offset("g", 1, number, 0) else {
                panic!("an offset");
            };
            committed.metadata = "x".repeat(4096).into();
            Record::Offset { group, topic, partition, committed }
        };
        let packed: Vec<_> = payloads((0..9000).map(big)).collect();
        assert!(packed.len() > 2 && packed.iter().all(|payload| payload.len() <= MAX_PAYLOAD));
        let records = packed.iter().flat_map(|payload| Record::decode_all(payload).unwrap()).count();
        assert_eq!(records, 9000);
    }
}
