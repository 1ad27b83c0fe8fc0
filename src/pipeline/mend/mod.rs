//! Rejects → rows: lines that somebody has mended, or that are tried again as they are.
//!
//! The store keeps each rejected line with its place; [`export_rejects`] writes them to a file for people to mend, and
//! [`mend`] takes the file back. A line is known by its place and by the checksum of the bytes that were rejected, never by
//! what it was mended to, so a line that was stored once is not among the rejects any more, whatever is replayed later.

mod file;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use cartlog_storage::io::Directory;
use cartlog_storage::store::{Batch, Mending, Reject, StoreError, WriterOptions};
use serde::Serialize;

use super::error::PipelineError;
use super::summary::RowCounts;
use crate::event::{
    BRAND, BlockParser, CATEGORY_CODE, EVENT_TYPE, EventDictionaries, Layout, Position, is_blank, is_cut, schema,
};
use file::{Entry, Place};

/// Lines that a summary names; of the others it has the number.
const NAMED_REFUSALS: usize = 20;
/// Bytes of lines that are parsed at once.
const BLOCK_BYTES: usize = 8 << 20;

/// What a mending did. The rows are lines that were tried: stored now, still no events, or (duplicate) not among the
/// rejects any more.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MendSummary {
    /// The lines that were tried.
    #[serde(flatten)]
    pub rows: RowCounts,
    /// The first lines that are still no events.
    pub refused: Vec<Refusal>,
    /// Rejects that the store has now.
    pub rejects_left: u64,
    /// Seconds on the clock.
    pub seconds_total: f64,
}

/// A line that is still no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Where it stands: in the file of mended lines, or in its source.
    pub place: String,
    /// Why it is no event.
    pub reason: String,
}

/// Writes rejects as a file to be mended; gives their number.
///
/// # Errors
/// When the rejects can't be read or the file not written.
pub fn export_rejects(
    rejects: impl Iterator<Item = Result<Reject, StoreError>>,
    out: &mut dyn Write,
) -> Result<u64, PipelineError> {
    file::write_preface(out).map_err(PipelineError::RejectsUnwritable)?;
    let mut written = 0;
    for reject in rejects {
        file::write_entry(out, &reject?).map_err(PipelineError::RejectsUnwritable)?;
        written += 1;
    }
    Ok(written)
}

/// Stores those rejects that are events now, in one commit, and keeps the others: the lines of a mended file (`-` is
/// standard input), or without one all rejects as they are.
///
/// A second run with the same file stores nothing more: its lines count as duplicates. A line that is mended to something
/// that still is no event stays among the rejects as it was.
///
/// # Errors
///
/// [`PipelineError::MendedFile`] if the file is not as [`export_rejects`] wrote it; [`PipelineError::Store`] if the store
/// can't be opened or written; nothing has changed then.
pub fn mend(directory: Arc<dyn Directory>, mended: Option<&Path>) -> Result<MendSummary, PipelineError> {
    let start = Instant::now();
    let mut lines = mended.map(MendedLines::read).transpose()?;
    let mut mending = Mending::open(directory, &schema(), WriterOptions::default())?;
    let mut parser = BlockParser::new(EventDictionaries {
        event_type: mending.dictionary(EVENT_TYPE),
        category_code: mending.dictionary(CATEGORY_CODE),
        brand: mending.dictionary(BRAND),
    });
    let mut summary = MendSummary::default();
    loop {
        let rejects = mending.next_rejects()?;
        if rejects.is_empty() {
            break;
        }
        let mut tries = Tries::default();
        for (index, reject) in rejects.iter().enumerate() {
            let attempt = match &mut lines {
                None => Some((format!("{}:{}", reject.source, reject.line), reject.raw.clone())),
                Some(lines) => lines.take(&Place::of(reject)),
            };
            let Some((place, text)) = attempt else { continue };
            summary.rows.rows_read += 1;
            if text == reject.raw && is_cut(&reject.reason) {
                // Its start alone could be an event, but not the one that was meant.
                tries.refuse(place, reject.reason.clone());
            } else {
                tries.add(&mut parser, index, place, &text);
            }
        }
        let Tried { batches, stored, refused } = tries.finish(&mut parser);
        summary.rows.rows_stored += stored.len() as u64;
        summary.rows.rows_rejected += refused.len() as u64;
        let room = NAMED_REFUSALS.saturating_sub(summary.refused.len());
        summary.refused.extend(refused.into_iter().take(room));
        mending.put(batches, &without(rejects, &stored))?;
    }
    if let Some(lines) = lines {
        summary.rows.rows_duplicate = lines.left();
        summary.rows.rows_read += summary.rows.rows_duplicate;
    }
    summary.rejects_left = mending.commit()?.totals.rows_rejected;
    summary.rows.check()?;
    summary.seconds_total = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// The rejects that are not among the stored ones, whose indexes ascend.
fn without(rejects: Vec<Reject>, stored: &[usize]) -> Vec<Reject> {
    let mut stored = stored.iter().peekable();
    let is_left = |(index, _): &(usize, Reject)| stored.next_if_eq(&index).is_none();
    rejects.into_iter().enumerate().filter(is_left).map(|(_, reject)| reject).collect()
}

/// The lines of a mended file, by the place of what they were.
struct MendedLines {
    name: String,
    /// Those of one place, the first of them last. There are several only where a file was loaded again on purpose.
    entries: HashMap<Place, Vec<Entry>>,
}

impl MendedLines {
    fn read(path: &Path) -> Result<Self, PipelineError> {
        let name = path.display().to_string();
        let mut content = Vec::new();
        let read = match name.as_str() {
            "-" => io::stdin().read_to_end(&mut content).map(|_| content),
            _ => fs::read(path),
        };
        let content = read.map_err(|reason| PipelineError::MendedUnreadable { file: name.clone(), reason })?;
        let mut entries: HashMap<Place, Vec<Entry>> = HashMap::new();
        for entry in file::read(&name, &Bytes::from(content))?.into_iter().rev() {
            entries.entry(entry.place.clone()).or_default().push(entry);
        }
        Ok(Self { name, entries })
    }

    /// What the line of a place was mended to, and where that stands; each once.
    fn take(&mut self, place: &Place) -> Option<(String, Bytes)> {
        let entry = self.entries.get_mut(place)?.pop()?;
        Some((format!("{}:{}", self.name, entry.file_line), entry.text))
    }

    /// Lines that nobody has taken.
    fn left(&self) -> u64 {
        self.entries.values().map(|entries| entries.len() as u64).sum()
    }
}

/// Lines that are tried, gathered into blocks for the parser.
#[derive(Default)]
struct Tries {
    /// The lines of the present block, each with its end.
    block: Vec<u8>,
    /// What they are lines of.
    of_block: Vec<(usize, String)>,
    tried: Tried,
}

/// What came of the tries.
#[derive(Default)]
struct Tried {
    batches: Vec<Batch>,
    /// Indexes of those that are events, ascending.
    stored: Vec<usize>,
    refused: Vec<Refusal>,
}

impl Tries {
    fn add(&mut self, parser: &mut BlockParser, index: usize, place: String, text: &[u8]) {
        if is_blank(text) {
            self.refuse(place, "the line is empty".to_owned());
        } else if text.contains(&b'\n') {
            self.parse_block(parser);
            self.parse_message(parser, index, place, text);
        } else {
            self.block.extend_from_slice(text);
            self.block.push(b'\n');
            self.of_block.push((index, place));
            if self.block.len() >= BLOCK_BYTES {
                self.parse_block(parser);
            }
        }
    }

    fn refuse(&mut self, place: String, reason: String) {
        self.tried.refused.push(Refusal { place, reason });
    }

    /// Parses lines, each of which is one event or a reject.
    fn parse_block(&mut self, parser: &mut BlockParser) {
        let parsed = parser.parse(&self.block, &Position::of_block("", 0, 1));
        let mut rejects = parsed.rejects.into_iter().peekable();
        for ((index, place), line) in self.of_block.drain(..).zip(1..) {
            match rejects.next_if(|reject| reject.line == line) {
                Some(reject) => self.tried.refused.push(Refusal { place, reason: reject.reason }),
                None => self.tried.stored.push(index),
            }
        }
        self.tried.batches.push(parsed.batch);
        self.block.clear();
    }

    /// Parses text of several lines, which must be one event: one in JSON.
    fn parse_message(&mut self, parser: &mut BlockParser, index: usize, place: String, text: &[u8]) {
        let parsed = parser.parse(text, &Position { layout: Layout::Message, ..Position::of_block("", 0, 1) });
        let reason = match (parsed.batch.rows, parsed.rejects.into_iter().next()) {
            (1, None) => {
                self.tried.stored.push(index);
                self.tried.batches.push(parsed.batch);
                return;
            }
            (_, Some(reject)) => reject.reason,
            (rows, None) => format!("{rows} events, and one line was rejected: it can become one event"),
        };
        self.refuse(place, reason);
    }

    fn finish(mut self, parser: &mut BlockParser) -> Tried {
        self.parse_block(parser);
        self.tried
    }
}
