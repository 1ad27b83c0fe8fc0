//! From batches to the bytes of a segment file.
//!
//! Columns are independent, so they are encoded on as many threads as the caller allows, the longest first, on threads
//! of their own: a pool shared with callers that wait for the store would deadlock.

use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::io::{WriteFile, aligned_bytes};
use crate::store::StoreError;
use crate::store::batch::{Batch, ColumnValues};
use crate::store::schema::{ColumnType, Schema};
use crate::threads::on_threads;

use super::layout::{ALIGNMENT, Encoding, Entry, Front, PAGE, REGIONS, Region, padded};
use super::packing::{Numbers, Width};
use super::{ColumnStatistics, identifiers, integers};

/// The bytes of one segment file, not yet written.
#[derive(Debug)]
pub struct EncodedSegment {
    front: Front,
    front_bytes: Vec<u8>,
    regions: Vec<Numbers>,
}

impl EncodedSegment {
    /// Rows in the segment.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.front.rows
    }

    /// What will be known of a column without reading its rows.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn statistics(&self, column: usize) -> ColumnStatistics {
        ColumnStatistics::of(&self.front.entries[column])
    }

    /// The file's length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.front.file_length
    }

    /// The CRC32C of the file's front, which holds the checksums of all the rest: it stands for the whole content.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        self.front.checksum
    }

    /// Appends the whole file; the caller syncs.
    ///
    /// # Errors
    /// The error of the write.
    pub fn write_to(&self, file: &dyn WriteFile) -> io::Result<()> {
        let mut slices = Vec::with_capacity(1 + 2 * self.regions.len());
        slices.extend(self.parts().map(IoSlice::new));
        file.append_vectored(&slices)
    }

    /// The whole file in memory, aligned so that a segment can be read from it in place.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        aligned_bytes(self.front.file_length as usize, self.parts())
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
        let regions = self.regions.iter().flat_map(|region| {
            let bytes = region.bytes();
            [bytes, &ZEROS[..padded(bytes.len() as u64) as usize - bytes.len()]]
        });
        std::iter::once(&self.front_bytes[..]).chain(regions).filter(|part| !part.is_empty())
    }
}

/// Encodes the batches, one after the other, which have been validated against the schema.
pub(super) fn encode(schema: &Schema, batches: &[Batch], threads: usize) -> Result<EncodedSegment, StoreError> {
    let rows = batches.iter().map(|batch| batch.rows).sum::<usize>();
    if u32::try_from(rows).is_err() {
        return Err(StoreError::InvalidBatch { reason: format!("{rows} rows in one segment, at most {}", u32::MAX) });
    }
    let mut columns: Vec<EncodedColumn> = on_threads(schema.columns.len(), threads, |column| {
        encode_column(schema.columns[column].kind, batches, column, rows)
    });
    let pages = columns.iter().flat_map(|column| column.pages.iter().copied()).collect();
    let mut front = Front::lay_out(rows as u64, columns.iter().map(|column| column.entry).collect(), pages);
    let front_bytes = front.encode();
    let regions = columns.iter_mut().flat_map(|column| std::mem::take(&mut column.regions)).collect();
    Ok(EncodedSegment { front, front_bytes, regions })
}

struct EncodedColumn {
    entry: Entry,
    regions: Vec<Numbers>,
    pages: Vec<u32>,
}

impl EncodedColumn {
    fn new(entry: Entry, regions: Vec<Numbers>) -> Self {
        let mut column = Self { entry, regions, pages: Vec::new() };
        for (place, region) in column.entry.regions.iter_mut().zip(&column.regions) {
            let bytes = region.bytes();
            *place = Region { offset: 0, length: bytes.len() as u64 };
            checksum_pages(bytes, &mut column.pages);
        }
        column
    }
}

/// The CRC32C of every page of a region, its padding included.
fn checksum_pages(region: &[u8], pages: &mut Vec<u32>) {
    for page in region.chunks(PAGE) {
        let padding = padded(page.len() as u64) as usize - page.len();
        pages.push(crc32c::crc32c_append(crc32c::crc32c(page), &[0; ALIGNMENT][..padding]));
    }
}

fn encode_column(kind: ColumnType, batches: &[Batch], column: usize, rows: usize) -> EncodedColumn {
    let entry = Entry {
        kind,
        encoding: Encoding::Codes,
        width: Width::Zero,
        min: 0,
        max: 0,
        missing: 0,
        distinct: 0,
        multiplier: 1,
        regions: [Region::default(); REGIONS],
    };
    let values = batches.iter().filter(|batch| batch.rows > 0).map(|batch| &batch.columns[column]);
    match kind {
        ColumnType::Timestamp | ColumnType::Integer | ColumnType::Decimal { .. } => {
            let chunks: Vec<&[i64]> = values
                .filter_map(|values| match values {
                    ColumnValues::Integers(values) => Some(&values[..]),
                    _ => None,
                })
                .collect();
            let encoded = integers::encode(&chunks, rows);
            let entry = Entry {
                encoding: encoded.encoding,
                width: encoded.width,
                min: encoded.min,
                max: encoded.max,
                distinct: encoded.values.len() as u64,
                multiplier: encoded.multiplier,
                ..entry
            };
            EncodedColumn::new(entry, vec![encoded.packed, Numbers::I64(encoded.values)])
        }
        ColumnType::Dictionary => {
            let chunks: Vec<&[u32]> = values
                .filter_map(|values| match values {
                    ColumnValues::Codes(codes) => Some(&codes[..]),
                    _ => None,
                })
                .collect();
            let range = CodeRange::of(&chunks);
            let width = Width::for_largest(u64::from(range.largest));
            let entry = Entry {
                encoding: Encoding::Codes,
                width,
                min: i64::from(range.smallest),
                max: i64::from(range.largest),
                missing: range.missing,
                ..entry
            };
            EncodedColumn::new(entry, vec![Numbers::pack(width, &chunks, rows, u64::from)])
        }
        ColumnType::Identifier => {
            let chunks: Vec<_> = values
                .filter_map(|values| match values {
                    ColumnValues::Identifiers(values) => Some(values),
                    _ => None,
                })
                .collect();
            let encoded = identifiers::encode(&chunks, rows);
            let entry = Entry {
                encoding: Encoding::Identifiers,
                width: encoded.width,
                missing: encoded.missing,
                distinct: (encoded.uuids.len() + encoded.text_ends.len()) as u64,
                ..entry
            };
            let regions = vec![
                encoded.codes,
                Numbers::U128(encoded.uuids),
                Numbers::U64(encoded.text_ends),
                Numbers::U8(encoded.text),
            ];
            EncodedColumn::new(entry, regions)
        }
    }
}

/// The codes of a column: the extremes of those that are not missing (0 if all are), and how many are.
struct CodeRange {
    smallest: u32,
    largest: u32,
    missing: u64,
}

impl CodeRange {
    fn of(chunks: &[&[u32]]) -> Self {
        let (mut smallest, mut largest, mut missing) = (u32::MAX, 0, 0_u64);
        for chunk in chunks {
            // Code 0 becomes the largest number here and thus never the smallest.
            let (low, high, zeros) = chunk.iter().fold((u32::MAX, 0, 0_u32), |(low, high, zeros), &code| {
                (low.min(code.wrapping_sub(1)), high.max(code), zeros + u32::from(code == 0))
            });
            smallest = smallest.min(low);
            largest = largest.max(high);
            missing += u64::from(zeros);
        }
        Self { smallest: if largest == 0 { 0 } else { smallest + 1 }, largest, missing }
    }
}
