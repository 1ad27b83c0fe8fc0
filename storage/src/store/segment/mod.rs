//! Segments: immutable blocks of rows, column by column, in one checksummed file each.
//!
//! A segment is encoded once from batches ([`Segment::encode`]) and from then on only read in place
//! ([`Segment::open`]): a [`ColumnView`] is slices of the memory map, so opening costs a look at the file's front and
//! nothing a row. Every byte is described in docs/FORMAT.md.

mod bounds;
mod decode;
mod encode;
mod identifiers;
mod integers;
mod layout;
mod packing;
mod pages;
mod plain;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use encode::EncodedSegment;
pub use pages::DamagedPage;

use crate::io::aligned_bytes;

use super::StoreError;
use super::batch::Batch;
use super::column::{ColumnView, Identifiers, Integers, Packed};
use super::schema::Schema;
use bounds::Bounds;
use layout::{ALIGNMENT, Encoding, Entry, Front, FrontError, Region};

/// An open segment: its checked front, and its bytes as they lie in the memory map.
///
/// ```
/// use cartlog_storage::store::{Batch, ColumnSchema, ColumnType, ColumnValues, ColumnView, Schema, Segment};
///
/// let schema = Schema { columns: vec![ColumnSchema { name: "price".into(), kind: ColumnType::Decimal { scale: 2 } }] };
/// let batch = Batch { rows: 3, columns: vec![ColumnValues::Integers(vec![1099, 350, 1099])] };
/// let segment = Segment::from_batches(&schema, &[batch])?;
/// assert_eq!(segment.rows(), 3);
/// let ColumnView::Integers(prices) = segment.column(0) else { unreachable!() };
/// assert_eq!(prices.get(1), 350);
/// # Ok::<(), cartlog_storage::store::StoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Segment {
    /// The file's name, for messages.
    name: String,
    data: Bytes,
    front: Front,
    /// One a column.
    bounds: Vec<Bounds>,
}

/// What is known of a column without reading its rows: the zone map by which whole segments are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnStatistics {
    /// Timestamps, integers and decimals.
    Integers {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// Dictionary codes.
    Codes {
        /// The smallest code that is not missing; 0 if all rows are missing.
        smallest: u32,
        /// The largest code; 0 if all rows are missing.
        largest: u32,
        /// Rows without a value.
        missing: u64,
    },
    /// Identifiers.
    Identifiers {
        /// Distinct identifiers: UUIDs and texts.
        distinct: u64,
        /// Rows without a value.
        missing: u64,
    },
}

impl ColumnStatistics {
    fn of(entry: &Entry) -> Self {
        let Entry { encoding, min, max, missing, distinct, .. } = *entry;
        match encoding {
            Encoding::Frame | Encoding::LocalDictionary => Self::Integers { min, max },
            Encoding::Codes => Self::Codes { smallest: min as u32, largest: max as u32, missing },
            Encoding::Identifiers => Self::Identifiers { distinct, missing },
        }
    }
}

impl Segment {
    /// Encodes batches, one after the other, into the bytes of a segment file, on up to `threads` threads.
    ///
    /// # Errors
    /// [`StoreError::InvalidBatch`] if a batch doesn't fit the schema or the rows are more than `u32::MAX`.
    pub fn encode(schema: &Schema, batches: &[Batch], threads: usize) -> Result<EncodedSegment, StoreError> {
        batches.iter().try_for_each(|batch| batch.validate(schema))?;
        encode::encode(schema, batches, threads)
    }

    /// A segment in memory, as it would be read back from its file.
    ///
    /// # Errors
    /// As [`Segment::encode`].
    pub fn from_batches(schema: &Schema, batches: &[Batch]) -> Result<Self, StoreError> {
        Self::open("memory", Self::encode(schema, batches, 1)?.to_bytes(), schema)
    }

    /// Opens the bytes of a whole segment file; `name` is for messages. Bytes that don't start at a multiple of 64, as
    /// a memory map does, are copied.
    ///
    /// The front is checked in full; the columns' own checksums are left to [`verify`](super::verify()), which would have to read
    /// every byte.
    ///
    /// # Errors
    /// [`StoreError::UnknownVersion`] or [`StoreError::Corrupt`] if the front is not a sound one;
    /// [`StoreError::SchemaMismatch`] if the columns are not of the schema's kinds.
    pub fn open(name: &str, data: Bytes, schema: &Schema) -> Result<Self, StoreError> {
        let segment = Self::of_front(name, data)?;
        let entries = &segment.front.entries;
        let fits = entries.len() == schema.columns.len()
            && entries.iter().zip(&schema.columns).all(|(entry, column)| entry.kind == column.kind);
        if !fits {
            return Err(StoreError::SchemaMismatch {
                got: format!("{name} holds {:?}", entries.iter().map(|entry| entry.kind).collect::<Vec<_>>()),
                expected: schema.to_string(),
            });
        }
        Ok(segment)
    }

    /// The same, of whatever columns its front says.
    fn of_front(name: &str, data: Bytes) -> Result<Self, StoreError> {
        let front = Front::decode(&data).map_err(|error| match error {
            FrontError::Damaged { offset, what } => StoreError::corrupt(name, offset, what),
            FrontError::Version(got) => {
                StoreError::UnknownVersion { file: name.to_owned(), got, expected: layout::VERSION }
            }
        })?;
        let is_aligned = data.as_ptr().addr().is_multiple_of(ALIGNMENT);
        let data = if is_aligned { data } else { aligned_bytes(data.len(), std::iter::once(&data[..])) };
        let bounds = vec![Bounds::default(); front.entries.len()];
        Ok(Self { name: name.to_owned(), data, front, bounds })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.front.rows as usize
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

    /// The bytes that a column takes in the file.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn column_length(&self, column: usize) -> u64 {
        self.front.entries[column].regions.iter().map(|region| layout::padded(region.length)).sum()
    }

    /// What is known of a column without reading its rows.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn statistics(&self, column: usize) -> ColumnStatistics {
        ColumnStatistics::of(&self.front.entries[column])
    }

    /// A column's values, in place. Costs nothing a row. Of a damaged file a number may be one that has no value:
    /// [`Segment::bounded_column`] is for who indexes by it.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn column(&self, column: usize) -> ColumnView<'_> {
        let entry = &self.front.entries[column];
        let [packed, values, text_ends, text] = entry.regions.map(|region| self.region(region));
        // The width and the length were checked when the segment was opened, and so was the alignment.
        let packed = entry.width.view(packed, self.rows()).unwrap_or(Packed::Zero(self.rows()));
        match entry.encoding {
            Encoding::Frame => {
                ColumnView::Integers(Integers::Frame { base: entry.min, multiplier: entry.multiplier, packed })
            }
            Encoding::LocalDictionary => {
                ColumnView::Integers(Integers::Dictionary { values: numbers(values), codes: packed })
            }
            Encoding::Codes => ColumnView::Codes(packed),
            Encoding::Identifiers => ColumnView::Identifiers(Identifiers {
                codes: packed,
                uuids: numbers(values),
                text_ends: numbers(text_ends),
                text,
            }),
        }
    }

    fn region(&self, region: Region) -> &[u8] {
        &self.data[region.offset as usize..][..region.length as usize]
    }
}

/// A region as numbers; lengths and alignment were checked when the segment was opened.
fn numbers<T: plain::Plain>(region: &[u8]) -> &[T] {
    plain::numbers(region).unwrap_or_default()
}
