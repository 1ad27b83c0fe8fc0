//! The front of a segment file: header, column directory and page checksums.
//!
//! ```text
//! ┌────────┬──────────────────┬────────────────┬─────┬──────────┬──────────┬─────┐
//! │ header │ column directory │ page checksums │ pad │ region 0 │ region 1 │ …   │
//! │ 64 B   │ 128 B a column   │ 4 B a page     │     │ 64-byte aligned, padded   │
//! └────────┴──────────────────┴────────────────┴─────┴──────────┴──────────┴─────┘
//! ```
//!
//! Invariants, checked when writing and again when reading:
//! - Regions follow each other without gap or overlap in the order of the directory, from the front's end to the end
//!   of the file: every byte of the file is under exactly one checksum.
//! - A region starts at a multiple of 64 and is padded with zeros to one; its pages are counted from its own start.
//! - What a region must be long follows from rows, width and distinct values.

use crate::store::schema::ColumnType;
use crate::wire::{other_magic, u32_at, u64_at};

use super::packing::Width;

/// The first bytes of every segment file.
pub(super) const MAGIC: [u8; 8] = *b"CARTSEGM";
/// The format version written here.
pub(super) const VERSION: u32 = 1;
/// Bytes under one checksum.
pub(super) const PAGE: usize = 64 * 1024;
/// Every region starts at a multiple of this, so that it can be read in place at any width.
pub(super) const ALIGNMENT: usize = 64;
/// Regions a column has room for.
pub(super) const REGIONS: usize = 4;

const HEADER_LENGTH: usize = 64;
const ENTRY_LENGTH: usize = 128;
const MAX_COLUMNS: usize = 1000;

// Header fields.
const VERSION_AT: usize = MAGIC.len();
const COLUMNS_AT: usize = VERSION_AT + 4;
const ROWS_AT: usize = COLUMNS_AT + 4;
const FILE_LENGTH_AT: usize = ROWS_AT + 8;
const FRONT_LENGTH_AT: usize = FILE_LENGTH_AT + 8;
const PAGES_AT: usize = FRONT_LENGTH_AT + 8;
const CHECKSUM_AT: usize = HEADER_LENGTH - 4;

// Directory entry fields.
const KIND_AT: usize = 0;
const SCALE_AT: usize = KIND_AT + 1;
const ENCODING_AT: usize = SCALE_AT + 1;
const WIDTH_AT: usize = ENCODING_AT + 1;
const MIN_AT: usize = 8;
const MAX_AT: usize = MIN_AT + 8;
const MISSING_AT: usize = MAX_AT + 8;
const DISTINCT_AT: usize = MISSING_AT + 8;
const MULTIPLIER_AT: usize = DISTINCT_AT + 8;
const REGIONS_AT: usize = 64;

/// How a column's values are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Frame of reference. Region 0: distances.
    Frame,
    /// A dictionary of this segment. Region 0: codes; region 1: values.
    LocalDictionary,
    /// Codes of the store-wide dictionary. Region 0: codes.
    Codes,
    /// Region 0: codes; 1: UUIDs; 2: text ends; 3: text.
    Identifiers,
}

const ENCODINGS: [(Encoding, u8); 4] =
    [(Encoding::Frame, 1), (Encoding::LocalDictionary, 2), (Encoding::Codes, 3), (Encoding::Identifiers, 4)];

/// A column's place and statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: ColumnType,
    pub(super) encoding: Encoding,
    /// The width of region 0's numbers.
    pub(super) width: Width,
    /// Smallest value, or smallest code that is not missing; 0 without any.
    pub(super) min: i64,
    /// Largest value or code; 0 without any.
    pub(super) max: i64,
    /// Rows without a value.
    pub(super) missing: u64,
    /// Values of a local dictionary, or distinct identifiers (UUIDs and texts); otherwise 0.
    pub(super) distinct: u64,
    /// The common divisor of a frame of reference; otherwise 1.
    pub(super) multiplier: i64,
    pub(super) regions: [Region; REGIONS],
}

/// Bytes of a column in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) offset: u64,
    /// Without padding.
    pub(super) length: u64,
}

/// What a segment's front says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) rows: u64,
    pub(super) file_length: u64,
    pub(super) front_length: u64,
    pub(super) entries: Vec<Entry>,
    /// One CRC32C a page, regions in directory order.
    pub(super) pages: Vec<u32>,
    /// The CRC32C of the front, which names this very file in the manifest.
    pub(super) checksum: u32,
}

/// A damaged front: where and what.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrontError {
    Damaged { offset: u64, what: String },
    Version(u32),
}

/// Rounds up to the alignment.
pub(super) const fn padded(length: u64) -> u64 {
    length.next_multiple_of(ALIGNMENT as u64)
}

/// Pages that cover a region of this length.
pub(super) const fn pages_of(length: u64) -> u64 {
    padded(length).div_ceil(PAGE as u64)
}

impl Front {
    /// Gives every region its place (their lengths are set) and counts the file's length.
    pub(super) fn lay_out(rows: u64, mut entries: Vec<Entry>, pages: Vec<u32>) -> Self {
        let front_length = front_length(entries.len() as u64, pages.len() as u64);
        let mut end = front_length;
        for region in entries.iter_mut().flat_map(|entry| &mut entry.regions) {
            region.offset = if region.length == 0 { 0 } else { end };
            end += padded(region.length);
        }
        Self { rows, file_length: end, front_length, entries, pages, checksum: 0 }
    }

    /// The front's bytes; sets the checksum.
    pub(super) fn encode(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.front_length as usize];
        bytes[..VERSION_AT].copy_from_slice(&MAGIC);
        put_u32(&mut bytes, VERSION_AT, VERSION);
        put_u32(&mut bytes, COLUMNS_AT, self.entries.len() as u32);
        put_u64(&mut bytes, ROWS_AT, self.rows);
        put_u64(&mut bytes, FILE_LENGTH_AT, self.file_length);
        put_u64(&mut bytes, FRONT_LENGTH_AT, self.front_length);
        put_u32(&mut bytes, PAGES_AT, self.pages.len() as u32);
        for (entry, place) in self.entries.iter().zip(bytes[HEADER_LENGTH..].chunks_exact_mut(ENTRY_LENGTH)) {
            entry.encode(place);
        }
        let pages_at = HEADER_LENGTH + ENTRY_LENGTH * self.entries.len();
        for (page, place) in self.pages.iter().zip(bytes[pages_at..].chunks_exact_mut(4)) {
            place.copy_from_slice(&page.to_le_bytes());
        }
        self.checksum = checksum(&bytes);
        put_u32(&mut bytes, CHECKSUM_AT, self.checksum);
        bytes
    }

    /// Reads and checks the front of a file of which `bytes` are all, in the order magic, version, limits, checksum,
    /// content.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FrontError> {
        let damaged = |offset: usize, what: String| FrontError::Damaged { offset: offset as u64, what };
        if bytes.len() < HEADER_LENGTH {
            return Err(damaged(bytes.len(), format!("the file ends inside its {HEADER_LENGTH}-byte header")));
        }
        if bytes[..VERSION_AT] != MAGIC {
            return Err(damaged(0, other_magic(&bytes[..VERSION_AT], &MAGIC)));
        }
        let version = u32_at(bytes, VERSION_AT);
        if version != VERSION {
            return Err(FrontError::Version(version));
        }
        let (columns, pages) = (u32_at(bytes, COLUMNS_AT) as usize, u32_at(bytes, PAGES_AT));
        let (rows, file_length) = (u64_at(bytes, ROWS_AT), u64_at(bytes, FILE_LENGTH_AT));
        let front = u64_at(bytes, FRONT_LENGTH_AT);
        if columns > MAX_COLUMNS {
            return Err(damaged(COLUMNS_AT, format!("{columns} columns, at most {MAX_COLUMNS} are allowed")));
        }
        if file_length != bytes.len() as u64 {
            return Err(damaged(FILE_LENGTH_AT, format!("the file has {} bytes, expected {file_length}", bytes.len())));
        }
        if front != front_length(columns as u64, u64::from(pages)) || front > file_length {
            return Err(damaged(
                FRONT_LENGTH_AT,
                format!("{front} bytes of front for {columns} columns, {pages} pages"),
            ));
        }
        let front_bytes = &bytes[..front as usize];
        let (got, expected) = (checksum(front_bytes), u32_at(bytes, CHECKSUM_AT));
        if got != expected {
            return Err(damaged(0, format!("the front's CRC32C is {got:08x}, expected {expected:08x}")));
        }
        if rows > u64::from(u32::MAX) {
            return Err(damaged(ROWS_AT, format!("{rows} rows, at most {} are allowed", u32::MAX)));
        }
        let mut entries = Vec::with_capacity(columns);
        let (mut end, mut expected_pages) = (front, 0);
        for (index, place) in front_bytes[HEADER_LENGTH..].chunks_exact(ENTRY_LENGTH).take(columns).enumerate() {
            let at = HEADER_LENGTH + index * ENTRY_LENGTH;
            let entry = Entry::decode(place).map_err(|what| damaged(at, format!("column {index}: {what}")))?;
            entry
                .check(rows, &mut end, &mut expected_pages)
                .map_err(|what| damaged(at, format!("column {index}: {what}")))?;
            entries.push(entry);
        }
        if end != file_length || expected_pages != u64::from(pages) {
            return Err(damaged(
                FILE_LENGTH_AT,
                format!("columns end at {end} with {expected_pages} pages, expected {file_length} with {pages}"),
            ));
        }
        let pages_at = HEADER_LENGTH + ENTRY_LENGTH * columns;
        let pages = front_bytes[pages_at..].chunks_exact(4).take(pages as usize).map(|page| u32_at(page, 0)).collect();
        Ok(Self { rows, file_length, front_length: front, entries, pages, checksum: got })
    }
}

impl Entry {
    fn encode(&self, place: &mut [u8]) {
        (place[KIND_AT], place[SCALE_AT]) = self.kind.to_bytes();
        place[ENCODING_AT] =
            ENCODINGS.iter().find(|(encoding, _)| *encoding == self.encoding).map_or(0, |&(_, byte)| byte);
        place[WIDTH_AT] = self.width.bytes() as u8;
        put_u64(place, MIN_AT, self.min as u64);
        put_u64(place, MAX_AT, self.max as u64);
        put_u64(place, MISSING_AT, self.missing);
        put_u64(place, DISTINCT_AT, self.distinct);
        put_u64(place, MULTIPLIER_AT, self.multiplier as u64);
        for (region, place) in self.regions.iter().zip(place[REGIONS_AT..].chunks_exact_mut(16)) {
            put_u64(place, 0, region.offset);
            put_u64(place, 8, region.length);
        }
    }

    fn decode(place: &[u8]) -> Result<Self, String> {
        let kind = ColumnType::from_bytes(place[KIND_AT], place[SCALE_AT])
            .ok_or_else(|| format!("unknown kind {} with scale {}", place[KIND_AT], place[SCALE_AT]))?;
        let encoding = ENCODINGS
            .iter()
            .find(|(_, byte)| *byte == place[ENCODING_AT])
            .map(|&(encoding, _)| encoding)
            .ok_or_else(|| format!("unknown encoding {}", place[ENCODING_AT]))?;
        let width = Width::from_bytes(place[WIDTH_AT]).ok_or_else(|| format!("unknown width {}", place[WIDTH_AT]))?;
        let mut regions = [Region::default(); REGIONS];
        for (region, place) in regions.iter_mut().zip(place[REGIONS_AT..].chunks_exact(16)) {
            *region = Region { offset: u64_at(place, 0), length: u64_at(place, 8) };
        }
        Ok(Self {
            kind,
            encoding,
            width,
            min: u64_at(place, MIN_AT) as i64,
            max: u64_at(place, MAX_AT) as i64,
            missing: u64_at(place, MISSING_AT),
            distinct: u64_at(place, DISTINCT_AT),
            multiplier: u64_at(place, MULTIPLIER_AT) as i64,
            regions,
        })
    }

    /// Checks the entry against the rows and against the regions before it, whose end it moves on.
    fn check(&self, rows: u64, end: &mut u64, pages: &mut u64) -> Result<(), String> {
        let fits = match self.kind {
            ColumnType::Timestamp | ColumnType::Integer | ColumnType::Decimal { .. } => {
                matches!(self.encoding, Encoding::Frame | Encoding::LocalDictionary)
            }
            ColumnType::Dictionary => self.encoding == Encoding::Codes,
            ColumnType::Identifier => self.encoding == Encoding::Identifiers,
        };
        if !fits {
            return Err(format!("encoding {:?} for a column of kind {:?}", self.encoding, self.kind));
        }
        if self.multiplier < 1 || self.min > self.max && rows > self.missing || self.missing > rows {
            return Err(format!(
                "multiplier {}, smallest {}, largest {}, {} of {rows} rows missing",
                self.multiplier, self.min, self.max, self.missing
            ));
        }
        let [codes, values, text_ends, text] = self.regions.map(|region| region.length);
        let lengths_fit = codes == rows * self.width.bytes() as u64
            && match self.encoding {
                Encoding::Frame | Encoding::Codes => values == 0 && text_ends == 0 && text == 0,
                Encoding::LocalDictionary => {
                    Some(values) == self.distinct.checked_mul(8) && text_ends == 0 && text == 0
                }
                Encoding::Identifiers => {
                    values.is_multiple_of(16)
                        && text_ends.is_multiple_of(8)
                        && values / 16 + text_ends / 8 == self.distinct
                }
            };
        if !lengths_fit {
            return Err(format!("regions of {codes}, {values}, {text_ends} and {text} bytes for {rows} rows"));
        }
        for region in &self.regions {
            let expected = if region.length == 0 { 0 } else { *end };
            if region.offset != expected || region.length > u64::MAX / 4 {
                return Err(format!(
                    "a region of {} bytes at {}, expected at {expected}",
                    region.length, region.offset
                ));
            }
            *end = end.checked_add(padded(region.length)).ok_or("regions longer than any file")?;
            *pages += pages_of(region.length);
        }
        Ok(())
    }
}

fn front_length(columns: u64, pages: u64) -> u64 {
    padded(HEADER_LENGTH as u64 + ENTRY_LENGTH as u64 * columns + 4 * pages)
}

/// The CRC32C of the front without its own four bytes.
fn checksum(front: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&front[..CHECKSUM_AT]), &front[HEADER_LENGTH..])
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
