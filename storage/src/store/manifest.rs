//! The manifest: the one small file whose replacement is a commit.
//!
//! Invariants, checked before writing and after reading:
//! - rows read = stored + rejected + duplicate + dropped;
//! - the segments hold as many rows as are stored, their origins as many as they; the reject file holds as many entries
//!   as are rejected;
//! - each file number is used once and is below the next one; each partition has one position;
//! - the known ranges of each source are ascending, disjoint and merged;
//! - the gaps hold as many rows as are dropped.

use std::collections::BTreeSet;

use crate::io::Directory;

use super::document::{self, Document};
use super::gaps::Gaps;
use super::origin::Origin;
use super::schema::{ColumnSchema, ColumnType, Schema};
use super::sources::KnownSources;
use super::{LogPosition, StoreError, Totals};
use crate::wire::{Put, Take, TakeError};

/// The committed manifest.
pub(crate) const NAME: &str = "manifest";
/// The next one, until it takes the committed one's place.
pub(crate) const NEW_NAME: &str = "manifest.new";

/// The version written here.
const VERSION: u32 = 3;
/// The version before: it doesn't say where rows were dropped.
const WITHOUT_GAPS: u32 = 2;
/// The oldest version read here: it has no dropped rows and no origins.
const OLDEST_VERSION: u32 = 1;

const DOCUMENT: Document = Document { magic: *b"CARTMANI", versions: OLDEST_VERSION..=VERSION, longest: 1 << 30 };

/// Everything that one commit holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The number of the commit.
    pub(crate) generation: u64,
    pub(crate) totals: Totals,
    /// The number of the next file to be created.
    pub(crate) next_file: u64,
    pub(crate) schema: Schema,
    /// In the order of their commits.
    pub(crate) segments: Vec<SegmentRecord>,
    /// One a dictionary column, in the schema's order.
    pub(crate) dictionaries: Vec<FramedRecord>,
    pub(crate) rejects: FramedRecord,
    pub(crate) positions: Vec<LogPosition>,
    pub(crate) sources: KnownSources,
    /// Where rows were dropped.
    pub(crate) gaps: Gaps,
}

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRecord {
    pub(crate) file: u64,
    pub(crate) rows: u64,
    /// The file's length in bytes.
    pub(crate) length: u64,
    /// The CRC32C of the file's front, and thereby of its content.
    pub(crate) checksum: u32,
    /// Where the rows came from.
    pub(crate) origins: Vec<Origin>,
}

/// The committed part of an append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramedRecord {
    pub(crate) file: u64,
    /// Committed bytes, the file's header included.
    pub(crate) length: u64,
    pub(crate) entries: u64,
}

/// The kinds of numbered files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Segment,
    Dictionary,
    Rejects,
}

impl FileKind {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Segment, "segment-"), (Self::Dictionary, "dictionary-"), (Self::Rejects, "rejects-")];

    /// The file's name.
    pub(crate) fn name(self, number: u64) -> String {
        let prefix = Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, prefix)| prefix);
        format!("{prefix}{number:08}")
    }

    /// Whether a name is one of ours, and of which kind.
    pub(crate) fn of_name(name: &str) -> Option<(Self, u64)> {
        Self::ALL.iter().find_map(|&(kind, prefix)| {
            let number = name.strip_prefix(prefix)?.parse().ok()?;
            (kind.name(number) == name).then_some((kind, number))
        })
    }
}

impl Manifest {
    /// The names of all files that this commit needs.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let segments = self.segments.iter().map(|segment| FileKind::Segment.name(segment.file));
        let dictionaries = self.dictionaries.iter().map(|record| FileKind::Dictionary.name(record.file));
        segments.chain(dictionaries).chain([FileKind::Rejects.name(self.rejects.file)]).collect()
    }

    /// Checks the invariants; the error is the broken one, with its numbers.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Totals { rows_read, rows_stored, rows_rejected, rows_duplicate, rows_dropped } = self.totals;
        if !self.totals.is_balanced() {
            return Err(format!(
                "{rows_read} rows read are not {rows_stored} stored + {rows_rejected} rejected + {rows_duplicate} duplicate \
                 + {rows_dropped} dropped"
            ));
        }
        let in_segments = self.segments.iter().try_fold(0_u64, |sum, segment| sum.checked_add(segment.rows));
        if in_segments != Some(rows_stored) {
            return Err(format!("the segments hold {in_segments:?} rows, {rows_stored} are stored"));
        }
        for SegmentRecord { file, rows, origins, .. } in &self.segments {
            let known = origins.iter().try_fold(0_u64, |sum, origin| sum.checked_add(origin.rows));
            if known != Some(*rows) {
                return Err(format!("segment {file} holds {rows} rows, its origins {known:?}"));
            }
        }
        self.gaps.check(rows_stored, rows_dropped)?;
        if self.rejects.entries != rows_rejected {
            return Err(format!("the reject file holds {} lines, {rows_rejected} are rejected", self.rejects.entries));
        }
        let dictionaries = self.schema.dictionary_columns().count();
        if self.dictionaries.len() != dictionaries {
            return Err(format!("{} dictionaries for {dictionaries} columns", self.dictionaries.len()));
        }
        let numbers: Vec<u64> = self.segments.iter().map(|segment| segment.file).collect();
        let numbers = numbers.into_iter().chain(self.dictionaries.iter().map(|record| record.file));
        let mut seen = BTreeSet::new();
        for number in numbers.chain([self.rejects.file]) {
            if number >= self.next_file || !seen.insert(number) {
                return Err(format!("file number {number} is used twice or not below the next, {}", self.next_file));
            }
        }
        let mut partitions = BTreeSet::new();
        if let Some(twice) = self.positions.iter().find(|at| !partitions.insert((&at.topic, at.partition))) {
            return Err(format!("two positions of topic {:?} partition {}", twice.topic, twice.partition));
        }
        match self.sources.iter().find(|source| !source.is_sound()) {
            Some(source) => Err(format!("the ranges of source {} overlap or touch: {:?}", source.id, source.ranges)),
            None => self.schema.validate().map_err(|error| error.to_string()),
        }
    }

    /// The committed manifest, or `None` where there is no store.
    pub(crate) fn read(directory: &dyn Directory) -> Result<Option<Self>, StoreError> {
        DOCUMENT.read(directory, NAME)?.map(|bytes| Self::decode(&bytes)).transpose()
    }

    /// Makes this the committed manifest; all data files are written and synced by now.
    pub(crate) fn replace(&self, directory: &dyn Directory) -> Result<(), StoreError> {
        self.check().map_err(|what| StoreError::Invariant { what })?;
        document::replace(directory, "", (NEW_NAME, NAME), &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        DOCUMENT.encode(|bytes| self.encode_body(bytes))
    }

    fn encode_body(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.generation);
        let Totals { rows_read, rows_stored, rows_rejected, rows_duplicate, rows_dropped } = self.totals;
        for total in [rows_read, rows_stored, rows_rejected, rows_duplicate, rows_dropped] {
            bytes.put_u64(total);
        }
        bytes.put_u64(self.next_file);
        bytes.put_u32(self.schema.columns.len() as u32);
        for column in &self.schema.columns {
            let (kind, scale) = column.kind.to_bytes();
            bytes.put(&[kind, scale]);
            bytes.put_counted(column.name.as_bytes());
        }
        bytes.put_u32(self.segments.len() as u32);
        for segment in &self.segments {
            bytes.put_u64(segment.file);
            bytes.put_u64(segment.rows);
            bytes.put_u64(segment.length);
            bytes.put_u32(segment.checksum);
            bytes.put_u32(segment.origins.len() as u32);
            segment.origins.iter().for_each(|origin| origin.encode(bytes));
        }
        bytes.put_u32(self.dictionaries.len() as u32);
        for record in self.dictionaries.iter().chain([&self.rejects]) {
            bytes.put_u64(record.file);
            bytes.put_u64(record.length);
            bytes.put_u64(record.entries);
        }
        bytes.put_u32(self.positions.len() as u32);
        for position in &self.positions {
            bytes.put_counted(position.topic.as_bytes());
            bytes.put(&[u8::from(position.topic_id.is_some())]);
            bytes.put(&position.topic_id.unwrap_or_default());
            bytes.put_u32(position.partition as u32);
            bytes.put_u64(position.next_offset as u64);
        }
        self.sources.encode(bytes);
        self.gaps.encode(bytes);
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        DOCUMENT.decode(NAME, bytes, Self::decode_body, Self::check)
    }

    fn decode_body(version: u32, take: &mut Take<'_>) -> Result<Self, TakeError> {
        let generation = take.u64()?;
        let totals = Totals {
            rows_read: take.u64()?,
            rows_stored: take.u64()?,
            rows_rejected: take.u64()?,
            rows_duplicate: take.u64()?,
            rows_dropped: if version == OLDEST_VERSION { 0 } else { take.u64()? },
        };
        let next_file = take.u64()?;
        let columns = take.list(|take| {
            let (kind, scale) = (take.u8()?, take.u8()?);
            let kind = ColumnType::from_bytes(kind, scale)
                .ok_or_else(|| take.error(format!("unknown kind {kind} with scale {scale}")))?;
            Ok(ColumnSchema { name: take.text()?.to_owned(), kind })
        })?;
        let segments = take.list(|take| {
            let (file, rows, length, checksum) = (take.u64()?, take.u64()?, take.u64()?, take.u32()?);
            let origins = match version {
                OLDEST_VERSION => vec![Origin::unknown(rows)],
                _ => take.list(Origin::decode)?,
            };
            Ok(SegmentRecord { file, rows, length, checksum, origins })
        })?;
        let framed =
            |take: &mut Take<'_>| Ok(FramedRecord { file: take.u64()?, length: take.u64()?, entries: take.u64()? });
        let dictionaries = take.list(framed)?;
        let rejects = framed(take)?;
        let positions = take.list(|take| {
            let topic = take.text()?.to_owned();
            let topic_id = take.optional_id()?;
            let (partition, next_offset) = (take.u32()? as i32, take.u64()? as i64);
            Ok(LogPosition { topic, topic_id, partition, next_offset })
        })?;
        let sources = KnownSources::decode(take)?;
        let gaps = match version {
            OLDEST_VERSION | WITHOUT_GAPS => Gaps::unknown(totals.rows_stored, totals.rows_dropped),
            _ => Gaps::decode(take)?,
        };
        let schema = Schema { columns };
        Ok(Self { generation, totals, next_file, schema, segments, dictionaries, rejects, positions, sources, gaps })
    }
}

#[cfg(test)]
mod tests {
    use super::super::origin::LogSpan;
    use super::super::sources::{KnownRange, KnownSource};
    use super::*;

    fn sample() -> Manifest {
        let column = |name: &str, kind| ColumnSchema { name: name.to_owned(), kind };
        let ranges = vec![KnownRange { range: 5..90, crc32c: 7 }, KnownRange { range: 100..120, crc32c: 8 }];
        let sources = KnownSources::new([KnownSource { id: "0123".into(), name: "a.csv".into(), ranges }]);
        let span = LogSpan { topic: "t".into(), topic_id: Some([9; 16]), partition: 0, start: 5, end: 77 };
        let of_log = Origin { rows: 5, kept_from: Some(7), spans: vec![span], sources: sources.clone() };
        Manifest {
            generation: 3,
            totals: Totals { rows_read: 21, rows_stored: 10, rows_rejected: 2, rows_duplicate: 4, rows_dropped: 5 },
            next_file: 9,
            schema: Schema {
                columns: vec![column("a", ColumnType::Decimal { scale: 4 }), column("b", ColumnType::Dictionary)],
            },
            segments: vec![
                SegmentRecord { file: 3, rows: 6, length: 640, checksum: 1, origins: vec![of_log, Origin::unknown(1)] },
                SegmentRecord { file: 4, rows: 4, length: 320, checksum: 2, origins: vec![Origin::unknown(4)] },
            ],
            dictionaries: vec![FramedRecord { file: 1, length: 100, entries: 5 }],
            rejects: FramedRecord { file: 2, length: 200, entries: 2 },
            positions: vec![
                LogPosition { topic: "t".into(), topic_id: Some([9; 16]), partition: 0, next_offset: 77 },
                LogPosition { topic: "t".into(), topic_id: None, partition: 1, next_offset: 0 },
            ],
            sources,
            gaps: Gaps::unknown(10, 5),
        }
    }

    #[test]
    fn roundtrip() {
        assert_eq!(Manifest::decode(&sample().encode()).unwrap(), sample());
    }

    #[test]
    fn detects_every_flipped_bit_and_every_cut() {
        let bytes = sample().encode();
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << (position % 8);
            assert!(Manifest::decode(&damaged).is_err(), "byte {position}");
            assert!(Manifest::decode(&bytes[..position]).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn refuses_to_commit_rows_without_an_origin() {
        let mut manifest = sample();
        manifest.segments[1].origins.clear();
        let error = manifest.replace(&crate::io::MemoryDirectory::new()).unwrap_err();
        assert!(error.to_string().contains("segment 4 holds 4 rows, its origins Some(0)"), "{error}");
    }

    #[test]
    fn refuses_to_commit_totals_that_do_not_add_up() {
        let directory = crate::io::MemoryDirectory::new();
        let mut manifest = sample();
        manifest.totals.rows_read += 1;
        let error = manifest.replace(&directory).unwrap_err();
        assert!(matches!(error, StoreError::Invariant { .. }), "{error}");
        assert!(directory.list("").unwrap().is_empty());
    }

    #[test]
    fn knows_its_own_names_only() {
        assert_eq!(FileKind::of_name("segment-00000012"), Some((FileKind::Segment, 12)));
        assert_eq!(FileKind::of_name(&FileKind::Rejects.name(123_456_789)), Some((FileKind::Rejects, 123_456_789)));
        for other in ["segment-12", "segment-", "manifest", "notes.txt", "segment-00000012.bak"] {
            assert_eq!(FileKind::of_name(other), None);
        }
    }
}
