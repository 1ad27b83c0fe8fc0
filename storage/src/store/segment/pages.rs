//! Checking a segment's pages: which bytes are damaged, and which rows they held.

use std::ops::Range;

use bytes::Bytes;

use super::Segment;
use super::layout::{Encoding, PAGE, Region, padded};
use crate::store::{Schema, StoreError};

/// A page whose bytes are not those that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedPage {
    /// Where the page starts in the file, in bytes.
    pub offset: u64,
    /// The page's length in bytes.
    pub length: u64,
    /// The column it belongs to.
    pub column: usize,
    /// The rows whose values may be wrong: those of the page, or all of them where the page holds a dictionary's values.
    pub rows: Range<u64>,
}

impl Segment {
    /// Reads every byte behind the front and gives the pages whose checksums are wrong; none if the segment is sound.
    #[must_use]
    pub fn damaged_pages(&self) -> Vec<DamagedPage> {
        let mut damaged = Vec::new();
        let mut checksums = self.front.pages.iter();
        for (column, entry) in self.front.entries.iter().enumerate() {
            for (index, region) in entry.regions.iter().enumerate().filter(|(_, region)| region.length > 0) {
                let bytes = &self.data[region.offset as usize..][..padded(region.length) as usize];
                for ((number, page), &expected) in bytes.chunks(PAGE).enumerate().zip(&mut checksums) {
                    if crc32c::crc32c(page) == expected {
                        continue;
                    }
                    let start = (number * PAGE) as u64;
                    let rows = if index == 0 { self.rows_of(*region, start) } else { 0..self.front.rows };
                    let (offset, length) = (region.offset + start, page.len() as u64);
                    damaged.push(DamagedPage { offset, length, column, rows });
                }
            }
        }
        damaged
    }

    /// Reads every byte of a segment of whatever columns.
    ///
    /// # Errors
    /// [`StoreError::UnknownVersion`], [`StoreError::Corrupt`] with the first damage.
    pub(crate) fn check_bytes(name: &str, data: Bytes) -> Result<(), StoreError> {
        let segment = Self::of_front(name, data)?;
        segment.damaged_pages().first().map_or(Ok(()), |page| {
            let what = format!("column number {}: the page's CRC32C is wrong", page.column);
            Err(StoreError::corrupt(name, page.offset, what))
        })
    }

    /// Reads every byte and checks every code; `dictionary_lengths` has one entry a column.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first damage and its column.
    pub(crate) fn check_sound(&self, schema: &Schema, dictionary_lengths: &[usize]) -> Result<(), StoreError> {
        let corrupt = |offset, column: usize, what: &str| {
            StoreError::corrupt(&self.name, offset, format!("column {:?}: {what}", schema.columns[column].name))
        };
        if let Some(page) = self.damaged_pages().first() {
            return Err(corrupt(page.offset, page.column, "the page's CRC32C is wrong"));
        }
        let inconsistency = self.inconsistency(dictionary_lengths);
        inconsistency.map_or(Ok(()), |(column, what)| Err(corrupt(0, column, &what)))
    }

    /// The rows whose numbers stand in the page that starts `start` bytes into a region of one number a row.
    fn rows_of(&self, region: Region, start: u64) -> Range<u64> {
        let width = region.length / self.front.rows;
        start / width..((start + PAGE as u64) / width).min(self.front.rows)
    }

    /// Checks what checksums can't: that every code has its value. `None` if the segment is sound, otherwise the column
    /// and what is wrong; `dictionary_lengths` has one entry a column.
    #[must_use]
    pub fn inconsistency(&self, dictionary_lengths: &[usize]) -> Option<(usize, String)> {
        self.front.entries.iter().enumerate().find_map(|(column, entry)| {
            let limit = match entry.encoding {
                Encoding::Frame => return None,
                Encoding::LocalDictionary => entry.distinct.checked_sub(1)?,
                Encoding::Codes => dictionary_lengths[column] as u64,
                Encoding::Identifiers => entry.distinct,
            };
            let codes = entry.width.view(self.region(entry.regions[0]), self.rows())?;
            let largest = codes.largest();
            (largest > limit).then(|| (column, format!("code {largest}, the dictionary's last is {limit}")))
        })
    }
}
