//! The sources of a job, one after the other, as blocks that the job does not have yet.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::source::{Block, BlockReader, ReadOptions, Source, SourceError};
use cartlog_storage::store::{KnownRange, SourceId};

/// Tells what is known of an id. The flag says that this job has read from a source of that id before, so that what
/// it has on its way must be waited for: only then can another source with the same beginning be told apart.
type Known<'a> = Box<dyn Fn(&SourceId, bool) -> Vec<KnownRange> + 'a>;

/// All blocks of all sources.
pub(super) struct Intake<'a> {
    sources: std::vec::IntoIter<Source>,
    options: ReadOptions,
    known: Known<'a>,
    opened: RefCell<HashSet<SourceId>>,
    reader: Option<BlockReader>,
    bytes_total: Option<u64>,
    /// Of the sources that are finished.
    bytes_before: u64,
    /// Of the present source, those that were told already.
    rows_known_told: u64,
    /// Of the sources that are finished and those that were told, those yet to be told.
    rows_known: u64,
}

impl<'a> Intake<'a> {
    /// The sources with blocks of at most so many rows. With `again`, nothing is known of any of them.
    pub(super) fn new(
        sources: Vec<Source>,
        rows_per_block: usize,
        again: bool,
        known: impl Fn(&SourceId, bool) -> Vec<KnownRange> + 'a,
    ) -> Self {
        let again = again.then(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or_default()
        });
        let bytes_total = sources.iter().map(Source::total_bytes).sum();
        Self {
            sources: sources.into_iter(),
            options: ReadOptions { rows_per_block, again, ..ReadOptions::default() },
            known: Box::new(known),
            opened: RefCell::default(),
            reader: None,
            bytes_total,
            bytes_before: 0,
            rows_known_told: 0,
            rows_known: 0,
        }
    }

    /// The next block, or nothing at the end of the last source.
    pub(super) fn next_block(&mut self) -> Result<Option<Block>, SourceError> {
        loop {
            if self.reader.is_none() {
                let Some(source) = self.sources.next() else { return Ok(None) };
                self.open(&source)?;
            }
            let block = self.reader.as_mut().and_then(Iterator::next).transpose()?;
            self.tell_known();
            match block {
                Some(block) => return Ok(Some(block)),
                None => self.close(),
            }
        }
    }

    /// Rows that were passed over as known since the last call.
    pub(super) fn take_rows_known(&mut self) -> u64 {
        std::mem::take(&mut self.rows_known)
    }

    /// Bytes read so far, as they stand on disk.
    pub(super) fn bytes_done(&self) -> u64 {
        self.bytes_before + self.reader.as_ref().map_or(0, |reader| reader.bytes_read().load(Ordering::Relaxed))
    }

    /// Bytes of all sources, if all of them can be known.
    pub(super) fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    fn open(&mut self, source: &Source) -> Result<(), SourceError> {
        let reader = source.open(self.options, |id| (self.known)(id, self.opened.borrow().contains(id)))?;
        self.opened.borrow_mut().insert(reader.id().clone());
        self.reader = Some(reader);
        // The same content twice in one job, asked for again, is there twice: each gets an id of its own.
        self.options.again = self.options.again.map(|time| time + 1);
        Ok(())
    }

    fn tell_known(&mut self) {
        let rows_known = self.reader.as_ref().map_or(0, BlockReader::rows_known);
        self.rows_known += rows_known - self.rows_known_told;
        self.rows_known_told = rows_known;
    }

    fn close(&mut self) {
        self.bytes_before = self.bytes_done();
        self.rows_known_told = 0;
        self.reader = None;
    }
}
