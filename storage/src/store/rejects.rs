//! The reject file: every line that was not a row, as it was, with its place and the reason.

use bytes::Bytes;

use crate::io::Directory;

use super::framed::{FrameReader, MAX_ENTRY, Magic};
use super::manifest::{FileKind, FramedRecord};
use super::{Reject, StoreError};
use crate::wire::{Put, Take, TakeError};

/// The first bytes of a reject file.
pub(crate) const MAGIC: Magic = Magic(*b"CARTREJE");

/// The rejects of a store, in the order of their commits, read frame by frame.
#[derive(Debug)]
pub struct Rejects {
    reader: Option<FrameReader>,
    ready: std::vec::IntoIter<Reject>,
}

impl Rejects {
    pub(crate) fn none() -> Self {
        Self { reader: None, ready: Vec::new().into_iter() }
    }

    pub(crate) fn open(directory: &dyn Directory, record: FramedRecord) -> Result<Self, StoreError> {
        let reader = FrameReader::open(directory, FileKind::Rejects.name(record.file), MAGIC, record)?;
        Ok(Self { reader: Some(reader), ready: Vec::new().into_iter() })
    }

    /// Those of the next frame that has any; none at the end.
    pub(crate) fn next_some(&mut self) -> Result<Vec<Reject>, StoreError> {
        while self.ready.as_slice().is_empty() && self.next_frame()? {}
        Ok(std::mem::take(&mut self.ready).collect())
    }

    fn next_frame(&mut self) -> Result<bool, StoreError> {
        let Some(reader) = &mut self.reader else { return Ok(false) };
        let Some(frame) = reader.next_frame()? else { return Ok(false) };
        let rejects: Result<Vec<_>, _> = reader
            .entries(&frame)?
            .into_iter()
            .map(|entry| {
                Reject::decode(entry)
                    .map_err(|error| reader.corrupt(frame.offset(), format!("entry byte {}: {}", error.at, error.what)))
            })
            .collect();
        self.ready = rejects?.into_iter();
        Ok(true)
    }
}

impl Iterator for Rejects {
    type Item = Result<Reject, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(reject) = self.ready.next() {
                return Some(Ok(reject));
            }
            match self.next_frame() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.reader = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Reject {
    /// The entry of the reject file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut entry = Vec::with_capacity(self.memory() + 28);
        entry.put_u64(self.line);
        entry.put_u64(self.byte_offset);
        entry.put_counted(self.source.as_bytes());
        entry.put_counted(self.reason.as_bytes());
        entry.put_counted(&self.raw);
        entry
    }

    pub(crate) fn decode(entry: &[u8]) -> Result<Self, TakeError> {
        let mut take = Take::new(entry);
        let reject = Self {
            line: take.u64()?,
            byte_offset: take.u64()?,
            source: take.text()?.to_owned(),
            reason: take.text()?.to_owned(),
            raw: Bytes::copy_from_slice(take.counted()?),
        };
        take.end()?;
        Ok(reject)
    }

    /// Bytes of memory that the content takes.
    pub(crate) fn memory(&self) -> usize {
        self.source.len() + self.reason.len() + self.raw.len()
    }

    /// Checks that the reject file can hold it.
    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        if self.memory() + 28 > MAX_ENTRY {
            let reason = format!("a reject of {} bytes, at most {}", self.memory(), MAX_ENTRY - 28);
            return Err(StoreError::InvalidDelivery { reason });
        }
        Ok(())
    }
}
