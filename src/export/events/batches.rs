//! Events batch by batch, in the order of the snapshot's rows.
//!
//! Rows are read in chunks of 65,536; as many chunks as the pool has threads are read at the same time and handed out
//! in order, so that memory is bounded and the result does not depend on the thread count.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use cartlog_storage::store::{ColumnView, Segment, Snapshot};
use rayon::prelude::*;

use super::columns::{Rows, integers, split_by_day};
use super::mapping::Mapping;
use super::text::{SegmentTexts, StoreTexts};
use crate::event;
use crate::export::ExportError;

/// Appends those rows of a segment (the index of the segment, a range of its rows) that are to be exported, ascending.
pub type RowSelector<'a> = dyn Fn(usize, Range<usize>, &mut Vec<usize>) + Sync + 'a;

/// Rows of a chunk.
const CHUNK_ROWS: usize = 1 << 16;

/// Some events, all of one day if [`EventBatches::by_day`] was asked for.
#[derive(Debug, Clone)]
pub struct EventBatch {
    /// The day, counted from 1970-01-01 in UTC; `None` without [`EventBatches::by_day`].
    pub day: Option<i64>,
    /// The rows.
    pub rows: RecordBatch,
}

/// An iterator over a snapshot's events.
///
/// Text columns come as `Dictionary(UInt32, Utf8)`; the writers of this crate write them as the text they stand for.
///
/// ```
/// use cartlog::event;
/// use cartlog::export::events::{EventBatches, Mapping};
/// use cartlog_storage::store::Snapshot;
///
/// let snapshot = Snapshot::in_memory(event::schema(), Vec::new(), Vec::new());
/// let mut batches = EventBatches::new(&snapshot, Mapping::Exact)?;
/// assert!(batches.next().is_none());
/// # Ok::<(), cartlog::export::ExportError>(())
/// ```
pub struct EventBatches<'a> {
    segments: &'a [Arc<Segment>],
    mapping: Mapping,
    schema: SchemaRef,
    selector: Option<&'a RowSelector<'a>>,
    by_day: bool,
    texts: StoreTexts,
    /// The next rows to read: segment and row.
    next: (usize, usize),
    /// Rows, from the next one on, that are still to be read.
    left: u64,
    /// The texts of the segment under way.
    segment_texts: Option<(usize, Arc<SegmentTexts>)>,
    ready: VecDeque<EventBatch>,
    failed: bool,
}

impl fmt::Debug for EventBatches<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("EventBatches");
        debug.field("mapping", &self.mapping).field("segments", &self.segments.len());
        debug.field("next", &self.next).finish_non_exhaustive()
    }
}

/// A chunk to be read.
struct Chunk {
    segment: usize,
    rows: Range<usize>,
    texts: Arc<SegmentTexts>,
}

impl<'a> EventBatches<'a> {
    /// All events of a snapshot.
    ///
    /// # Errors
    /// [`ExportError::NotEvents`] if the snapshot's store holds something else, [`ExportError::TooMuchText`] if a
    /// dictionary is too large for an Arrow array.
    pub fn new(snapshot: &'a Snapshot, mapping: Mapping) -> Result<Self, ExportError> {
        for (index, expected) in event::schema().columns.iter().enumerate() {
            let got = snapshot.schema().columns.get(index);
            if got != Some(expected) {
                let got = got.map_or_else(|| "absent".to_owned(), |got| format!("{} ({:?})", got.name, got.kind));
                return Err(ExportError::NotEvents {
                    index,
                    got,
                    expected: format!("{} ({:?})", expected.name, expected.kind),
                });
            }
        }
        Ok(Self {
            segments: snapshot.segments(),
            mapping,
            schema: mapping.batch_schema(),
            selector: None,
            by_day: false,
            texts: StoreTexts::of(snapshot)?,
            next: (0, 0),
            left: snapshot.rows(),
            segment_texts: None,
            ready: VecDeque::new(),
            failed: false,
        })
    }

    /// Only the rows that a selector gives.
    #[must_use]
    pub fn select(mut self, selector: &'a RowSelector<'a>) -> Self {
        self.selector = Some(selector);
        self
    }

    /// Only rows of a range, counted from 0 in the order of the snapshot.
    #[must_use]
    pub fn rows(mut self, rows: Range<u64>) -> Self {
        let mut before = rows.start;
        let mut segment = 0;
        while let Some(of_segment) = self.segments.get(segment).map(|segment| segment.rows() as u64)
            && before >= of_segment
        {
            before -= of_segment;
            segment += 1;
        }
        // Less than the rows of a segment in memory, unless it is past the last one.
        self.next = (segment, usize::try_from(before).unwrap_or(usize::MAX));
        self.left = rows.end.saturating_sub(rows.start);
        self
    }

    /// Batches of one day each; within a day, rows keep their order.
    #[must_use]
    pub fn by_day(mut self) -> Self {
        self.by_day = true;
        self
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The chunks to read next, at most as many as there are threads, all of one segment.
    fn next_chunks(&mut self) -> Result<Vec<Chunk>, ExportError> {
        let mut chunks = Vec::new();
        while chunks.len() < rayon::current_num_threads() && self.left > 0 {
            let (segment, start) = self.next;
            let Some(rows) = self.segments.get(segment).map(|segment| segment.rows()) else { break };
            if start >= rows {
                self.next = (segment + 1, 0);
                continue;
            }
            let end = rows.min(start + CHUNK_ROWS.min(usize::try_from(self.left).unwrap_or(usize::MAX)));
            self.next = (segment, end);
            self.left -= (end - start) as u64;
            chunks.push(Chunk { segment, rows: start..end, texts: self.texts_of(segment)? });
        }
        Ok(chunks)
    }

    fn texts_of(&mut self, segment: usize) -> Result<Arc<SegmentTexts>, ExportError> {
        if let Some((of, texts)) = &self.segment_texts
            && *of == segment
        {
            return Ok(Arc::clone(texts));
        }
        let texts = Arc::new(SegmentTexts::of(&self.segments[segment])?);
        self.segment_texts = Some((segment, Arc::clone(&texts)));
        Ok(texts)
    }

    fn fill(&mut self) -> Result<(), ExportError> {
        while self.ready.is_empty() {
            let chunks = self.next_chunks()?;
            if chunks.is_empty() {
                break;
            }
            let this = &*self;
            let read: Vec<Vec<EventBatch>> =
                chunks.par_iter().map(|chunk| this.read(chunk)).collect::<Result<_, _>>()?;
            self.ready.extend(read.into_iter().flatten());
        }
        Ok(())
    }

    fn read(&self, chunk: &Chunk) -> Result<Vec<EventBatch>, ExportError> {
        let mut selected = Vec::new();
        let rows = match self.selector {
            None => Rows::Range(chunk.rows.clone()),
            Some(selector) => {
                selector(chunk.segment, chunk.rows.clone(), &mut selected);
                if selected.len() == chunk.rows.len() { Rows::Range(chunk.rows.clone()) } else { Rows::List(&selected) }
            }
        };
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if !self.by_day {
            return Ok(vec![EventBatch { day: None, rows: self.gather(chunk, &rows)? }]);
        }
        let ColumnView::Integers(times) = self.segments[chunk.segment].column(event::EVENT_TIME) else {
            return Ok(Vec::new());
        };
        let days = split_by_day(&integers(event::EVENT_TIME, times, &rows)?, &rows);
        let is_one_day = days.len() == 1;
        days.into_iter()
            .map(|(day, of_day)| {
                let of_day = Rows::List(&of_day);
                let batch = self.gather(chunk, if is_one_day { &rows } else { &of_day })?;
                Ok(EventBatch { day: Some(day), rows: batch })
            })
            .collect()
    }

    fn gather(&self, chunk: &Chunk, rows: &Rows<'_>) -> Result<RecordBatch, ExportError> {
        let segment = &self.segments[chunk.segment];
        let columns = (0..self.schema.fields().len())
            .map(|column| self.mapping.column(column, segment.column(column), rows, &self.texts, &chunk.texts))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

impl Iterator for EventBatches<'_> {
    type Item = Result<EventBatch, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if let Err(error) = self.fill() {
            self.failed = true;
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }
}
