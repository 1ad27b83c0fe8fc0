//! The sealer: turns what has been appended into committed segments, beside those who append.
//!
//! It takes cuts of the append stream in their order, each of them whole, and makes one commit of each: write the
//! segment, append new dictionary texts and rejects, sync all of it, then replace the manifest. It is the only one that
//! writes to the store's files, so that it needs no lock while it does.
//!
//! What a cut's segment holds is made by the [`Encoder`], which touches no file and can therefore be at the next cut
//! while the disk is still at the one before: encoding keeps the processors busy, syncing the disk.

use std::sync::Arc;

use crate::io::Directory;

use super::dictionary::{self, SharedDictionary};
use super::framed::FramedFile;
use super::manifest::{FileKind, FramedRecord, Manifest, SegmentRecord};
use super::origin::Origin;
use super::sources::SourceRange;
use super::{
    Batch, ColumnStatistics, CommitSummary, EncodedSegment, LogPosition, Reject, Schema, Segment, StoreError, Totals,
};

/// A piece of the append stream that is committed whole.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    pub(crate) batches: Vec<Batch>,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) totals: Totals,
    pub(crate) positions: Vec<LogPosition>,
    pub(crate) ranges: Vec<CutRange>,
    /// The offsets of the records that gave rows.
    pub(crate) origin: Origin,
    /// Bytes of memory that all this takes.
    pub(crate) memory: usize,
}

/// A range of a source that a cut brings.
#[derive(Debug)]
pub(crate) struct CutRange {
    pub(crate) range: SourceRange,
    /// Whether any row came from it.
    pub(crate) has_rows: bool,
}

impl Cut {
    /// Whether there is anything to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.totals.rows_read == 0 && self.positions.is_empty() && self.ranges.is_empty()
    }
}

/// Sets the next offset of a partition, replacing an earlier one.
pub(crate) fn set_position(positions: &mut Vec<LogPosition>, position: LogPosition) {
    let same = |known: &&mut LogPosition| known.topic == position.topic && known.partition == position.partition;
    match positions.iter_mut().find(same) {
        Some(known) => {
            let topic_id = position.topic_id.or(known.topic_id);
            *known = LogPosition { topic_id, ..position };
        }
        None => positions.push(position),
    }
}

/// A cut whose rows are a segment.
#[derive(Debug)]
pub(crate) struct EncodedCut {
    /// All but its rows.
    cut: Cut,
    /// Its rows, if it has any.
    segment: Option<EncodedSegment>,
}

/// Makes segments of batches.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    pub(crate) schema: Schema,
    /// One a column of the schema; those without a dictionary are not used.
    pub(crate) dictionaries: Vec<Arc<SharedDictionary>>,
    pub(crate) threads: usize,
}

impl Encoder {
    /// Encodes a cut's rows and gives their memory back.
    pub(crate) fn encode_cut(&self, mut cut: Cut) -> Result<EncodedCut, StoreError> {
        let batches = std::mem::take(&mut cut.batches);
        let segment = (cut.totals.rows_stored > 0).then(|| self.encode(batches)).transpose()?;
        Ok(EncodedCut { cut, segment })
    }

    /// Encodes batches and gives their memory back.
    pub(crate) fn encode(&self, batches: Vec<Batch>) -> Result<EncodedSegment, StoreError> {
        let segment = Segment::encode(&self.schema, &batches, self.threads)?;
        drop(batches);
        for (column, dictionary) in self.dictionaries.iter().enumerate() {
            if let ColumnStatistics::Codes { largest, .. } = segment.statistics(column)
                && largest as usize > dictionary.len()
            {
                let name = &self.schema.columns[column].name;
                let reason = format!("column {name:?} has code {largest}, its dictionary {} texts", dictionary.len());
                return Err(StoreError::InvalidBatch { reason });
            }
        }
        Ok(segment)
    }
}

/// The files of the store as of the last commit, and the hand that writes them.
#[derive(Debug)]
pub(crate) struct Sealer {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) manifest: Manifest,
    pub(crate) encoder: Encoder,
    /// One a dictionary column, in the schema's order.
    pub(crate) dictionary_files: Vec<FramedFile>,
    pub(crate) rejects_file: FramedFile,
    /// Rows of a full segment.
    pub(crate) segment_rows: u64,
}

impl Sealer {
    /// The last commit.
    pub(crate) fn summary(&self) -> CommitSummary {
        CommitSummary {
            generation: self.manifest.generation,
            totals: self.manifest.totals,
            segments: self.manifest.segments.len(),
        }
    }

    /// Commits a cut. After an error nothing more may be written: the disk's state is unknown until it is read again.
    pub(crate) fn seal(&mut self, encoded: EncodedCut) -> Result<CommitSummary, StoreError> {
        let EncodedCut { cut, segment } = encoded;
        let mut next = self.manifest.clone();
        next.generation += 1;
        next.totals = next.totals.plus(cut.totals);
        for position in cut.positions {
            set_position(&mut next.positions, position);
        }
        let mut origin = Origin { rows: cut.totals.rows_stored, ..cut.origin };
        for CutRange { range, has_rows } in &cut.ranges {
            next.sources.add(range)?;
            if *has_rows {
                origin.sources.add(range)?;
            }
        }
        if let Some(segment) = segment {
            let record = self.write_segment(&segment, next.next_file, vec![origin])?;
            next.next_file += 1;
            next.segments.push(record);
        }
        next.dictionaries = self.append_dictionaries()?;
        self.rejects_file.append(cut.rejects.iter().map(Reject::encode))?;
        next.rejects = self.rejects_file.record();
        next.replace(&*self.directory)?;
        self.manifest = next;
        self.merge_due()?;
        Ok(self.summary())
    }

    /// Encodes batches, gives their memory back, and writes the file.
    pub(crate) fn write_batches(
        &self,
        batches: Vec<Batch>,
        number: u64,
        origins: Vec<Origin>,
    ) -> Result<SegmentRecord, StoreError> {
        self.write_segment(&self.encoder.encode(batches)?, number, origins)
    }

    /// Writes the file of a segment and syncs it.
    fn write_segment(
        &self,
        segment: &EncodedSegment,
        number: u64,
        origins: Vec<Origin>,
    ) -> Result<SegmentRecord, StoreError> {
        let name = FileKind::Segment.name(number);
        let file = self.directory.create(&name).map_err(StoreError::io(&name, "creating"))?;
        segment.write_to(&*file).map_err(StoreError::io(&name, "writing"))?;
        file.sync().map_err(StoreError::io(&name, "syncing"))?;
        let (rows, length, checksum) = (segment.rows(), segment.length(), segment.checksum());
        Ok(SegmentRecord { file: number, rows, length, checksum, origins })
    }

    /// Appends the texts that came since the last commit: at least those that the next one's codes stand for.
    pub(crate) fn append_dictionaries(&mut self) -> Result<Vec<FramedRecord>, StoreError> {
        for (column, file) in self.manifest.schema.dictionary_columns().zip(&mut self.dictionary_files) {
            dictionary::append_new(&self.encoder.dictionaries[column], file)?;
        }
        Ok(self.dictionary_files.iter().map(FramedFile::record).collect())
    }
}
