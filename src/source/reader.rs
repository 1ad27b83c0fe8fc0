//! A source as blocks of whole lines.
//!
//! Invariants:
//! - blocks come in order of their ranges; ranges don't overlap each other nor a known range;
//! - byte for byte, the content is byte-order mark, header line, blocks, known ranges, and stretches of blank lines;
//! - at most one buffer is being cut, and a line of any length needs no more memory than that.
//!
//! Cutting needs to see every newline anyway, to number lines: `memchr` does that at 30 GB/s on lines of 130 bytes. Several
//! blocks are cut from one buffer, so that only the rest of a buffer, less than a block, is copied to the next.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::{Bytes, BytesMut};
use cartlog_storage::store::{KnownRange, SourceId};

use super::buffer::Pool;
use super::content::Content;
use super::known::{self, Check, Counts, Stretch};
use super::{Block, ReadOptions, Source, SourceError, identity};
use crate::event::{Header, is_blank, recognise_header};

/// Bytes of a buffer, unless blocks are larger than half of it.
const BUFFER_BYTES: usize = 4 << 20;

/// The UTF-8 byte-order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The longer of the two ends that a line has.
const LINE_END: &[u8] = b"\r\n";

/// The longest line that is looked at as a header.
const HEADER_BYTES: usize = 4096;

/// The blocks of a source, read one after the other.
///
/// Ends after the first error. What is wrong with a single line is no error here.
#[derive(Debug)]
pub struct BlockReader {
    id: SourceId,
    name: Arc<str>,
    options: ReadOptions,
    content: Content,
    bytes_read: Arc<AtomicU64>,
    pool: Arc<Pool>,
    /// What is read and not cut yet.
    rest: Bytes,
    /// The offset of `rest` in the content.
    offset: u64,
    /// The number of the line that `rest` starts with.
    line: u64,
    known: VecDeque<Stretch>,
    rows_known: u64,
    end: End,
}

/// How far the content goes.
#[derive(Debug)]
enum End {
    /// Further than `rest`.
    Later,
    /// `rest` is all there is.
    Reached,
    /// `rest` is all that can be read; then comes this error.
    Failed(SourceError),
    /// The error has been told.
    Told,
}

impl Source {
    /// Opens the source at its start. `known` gives the ranges that are known of an id; the source passes over them if
    /// their bytes are its own, and otherwise takes the next id.
    ///
    /// A file with known ranges is read over them once before this returns, at some 4 GB/s if it is plain.
    ///
    /// # Errors
    /// [`SourceError`] if it can't be opened or read, or is not CSV by its first bytes or header.
    pub fn open(
        &self,
        options: ReadOptions,
        known: impl Fn(&SourceId) -> Vec<KnownRange>,
    ) -> Result<BlockReader, SourceError> {
        let options = ReadOptions {
            rows_per_block: options.rows_per_block.max(1),
            max_block_bytes: options.max_block_bytes.max(1024),
            ..options
        };
        BlockReader::open(self, options, known, BUFFER_BYTES.max(2 * options.max_block_bytes))
    }
}

/// The id under which a source that begins so is or will be known, and what is known of it.
fn identify(
    source: &Source,
    start: &[u8],
    known: impl Fn(&SourceId) -> Vec<KnownRange>,
) -> Result<(SourceId, VecDeque<Stretch>), SourceError> {
    let head = identity::of_head(start);
    let mut free = None;
    for first in std::iter::once(head.clone()).chain(identity::of_beginnings(start)) {
        for number in 1.. {
            let id = identity::numbered(&first, number);
            let mut stretches = known::stretches(known(&id));
            if stretches.is_empty() {
                // Only a source that is new under its whole head becomes known under it.
                free.get_or_insert(id);
                break;
            }
            // What can be read only once is compared while it is passed over, except for a guess that its start refutes.
            let is_known = if source.total_bytes().is_some() {
                known::compare(source, &mut stretches)?
            } else {
                first == head || known::may_begin(start, &stretches)
            };
            if is_known {
                return Ok((id, stretches));
            }
        }
    }
    Ok((free.unwrap_or(head), VecDeque::new()))
}

impl BlockReader {
    /// Opens a source with buffers of a size, which is larger than a block.
    fn open(
        source: &Source,
        options: ReadOptions,
        known: impl Fn(&SourceId) -> Vec<KnownRange>,
        buffer_bytes: usize,
    ) -> Result<Self, SourceError> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let mut reader = Self {
            id: identity::of_head(b""),
            name: Arc::clone(&source.name),
            options,
            content: Content::open(source, Arc::clone(&bytes_read))?,
            bytes_read,
            pool: Pool::new(buffer_bytes),
            rest: Bytes::new(),
            offset: 0,
            line: 1,
            known: VecDeque::new(),
            rows_known: 0,
            end: End::Later,
        };
        reader.refill();
        (reader.id, reader.known) = match options.again {
            Some(now) => (identity::again(&identity::of_head(&reader.rest), now), VecDeque::new()),
            None => identify(source, &reader.rest, known)?,
        };
        reader.pass_header()?;
        Ok(reader)
    }

    /// The id of the source.
    #[must_use]
    pub const fn id(&self) -> &SourceId {
        &self.id
    }

    /// The source's name, for messages.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Rows in the known ranges passed over so far: the duplicates of this load.
    #[must_use]
    pub const fn rows_known(&self) -> u64 {
        self.rows_known
    }

    /// The bytes read so far, compressed as they are; to be compared with [`Source::total_bytes`] by another thread.
    #[must_use]
    pub const fn bytes_read(&self) -> &Arc<AtomicU64> {
        &self.bytes_read
    }

    fn pass_header(&mut self) -> Result<(), SourceError> {
        if self.rest.starts_with(BYTE_ORDER_MARK) {
            self.pass(BYTE_ORDER_MARK.len());
        }
        let start = &self.rest[..self.rest.len().min(HEADER_BYTES)];
        let end = memchr::memchr(b'\n', start).map_or(start.len(), |newline| newline + 1);
        match recognise_header(&start[..end]) {
            Header::Header => {
                self.pass(end);
                self.line += 1;
                Ok(())
            }
            Header::OtherOrder => Err(SourceError::ColumnOrder { name: self.name.to_string() }),
            Header::OtherColumns => Err(SourceError::HeaderColumns {
                name: self.name.to_string(),
                got: String::from_utf8_lossy(start[..end].trim_ascii()).into_owned(),
            }),
            Header::None => Ok(()),
        }
    }

    fn pass(&mut self, bytes: usize) -> Bytes {
        let passed = self.rest.split_to(bytes);
        self.offset += bytes as u64;
        passed
    }

    /// Moves `rest` to a new buffer and fills that up.
    fn refill(&mut self) {
        let mut buffer = self.pool.take();
        buffer.room()[..self.rest.len()].copy_from_slice(&self.rest);
        buffer.advance(self.rest.len());
        while !buffer.room().is_empty() {
            match self.content.read(buffer.room()) {
                Ok(0) => {
                    self.end = End::Reached;
                    break;
                }
                Ok(bytes) => buffer.advance(bytes),
                Err(error) => {
                    self.end = End::Failed(error);
                    break;
                }
            }
        }
        self.rest = buffer.freeze();
    }

    /// The next step: a block, or nothing when there was none to make but more may come.
    fn step(&mut self) -> Result<Option<Block>, SourceError> {
        let limit = match self.known.front() {
            Some(stretch) if stretch.range.start <= self.offset => {
                let stretch = stretch.clone();
                self.known.pop_front();
                self.pass_known(&stretch)?;
                return Ok(None);
            }
            Some(stretch) => usize::try_from(stretch.range.start - self.offset).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        let window = self.rest.len().min(limit).min(self.options.max_block_bytes);
        let (mut cut, mut lines, mut rows) = (0, 0, 0);
        for newline in memchr::memchr_iter(b'\n', &self.rest[..window]) {
            rows += u64::from(!is_blank(&self.rest[cut..newline]));
            cut = newline + 1;
            lines += 1;
            if lines == self.options.rows_per_block {
                break;
            }
        }
        let is_last = window == limit || (window == self.rest.len() && matches!(self.end, End::Reached));
        if lines < self.options.rows_per_block {
            if is_last && cut < window {
                // A last line without its newline.
                rows += u64::from(!is_blank(&self.rest[cut..window]));
                cut = window;
            } else if !is_last && window < self.options.max_block_bytes {
                if matches!(self.end, End::Later) {
                    self.refill();
                    return Ok(None);
                }
                // Reading failed here: the whole lines before are events, the rest may be half of one.
            } else if !is_last && cut == 0 {
                if window == self.rest.len() && matches!(self.end, End::Later) {
                    // As long as a block may be so far: whether it goes on is still to be seen.
                    self.refill();
                    return Ok(None);
                }
                return self.cut_line().map(Some);
            }
        }
        if cut == 0 {
            self.pass(window);
            return Ok(None);
        }
        let range = self.offset..self.offset + cut as u64;
        let first_line = self.line;
        let bytes = self.pass(cut);
        self.line += lines as u64;
        Ok((rows > 0).then(|| self.block(range, first_line, bytes, rows, None)))
    }

    fn block(&self, range: Range<u64>, first_line: u64, bytes: Bytes, rows: u64, cut: Option<u32>) -> Block {
        Block { source: self.id.clone(), name: Arc::clone(&self.name), range, first_line, bytes, rows, cut }
    }

    /// Passes over a line that is longer than a block, keeping only its start.
    fn cut_line(&mut self) -> Result<Block, SourceError> {
        let (start, first_line) = (self.offset, self.line);
        let limit = self.known.front().map_or(u64::MAX, |stretch| stretch.range.start);
        // As much of the rest as a block may have is known to be of this line.
        let kept = Block::KEPT_OF_CUT_LINE.min(self.options.max_block_bytes);
        let kept = BytesMut::from(&self.rest[..kept]).freeze();
        let mut check = Check::default();
        loop {
            let window = self.rest.len().min(usize::try_from(limit - self.offset).unwrap_or(usize::MAX));
            let newline = memchr::memchr(b'\n', &self.rest[..window]);
            let piece = self.pass(newline.map_or(window, |newline| newline + 1));
            check.update(&piece);
            if newline.is_some() {
                self.line += 1;
                break;
            }
            if self.offset == limit || !matches!(self.end, End::Later) {
                break;
            }
            drop(piece);
            self.refill();
        }
        Ok(self.block(start..self.offset, first_line, kept, 1, Some(check.crc32c)))
    }

    /// Passes over a known range, but for a last line that goes on behind it.
    fn pass_known(&mut self, stretch: &Stretch) -> Result<(), SourceError> {
        let end = stretch.range.end;
        if end <= self.offset {
            return Ok(());
        }
        let mut counts = if let Some(counts) = stretch.counted
            && end > self.offset + self.rest.len() as u64
            && self.content.seek(end - self.open_line(counts))?
        {
            self.rest = Bytes::new();
            self.offset = end - self.open_line(counts);
            self.end = End::Later;
            counts
        } else {
            self.compare_known(stretch)?
        };
        if self.goes_on_behind(end) {
            // The store has seen it half. It comes again, whole: the store takes a line of which only the end is new.
            counts.rows -= 1;
        }
        self.line += counts.lines;
        self.rows_known += counts.rows;
        Ok(())
    }

    /// Bytes of the last known line to look at once more; one that is as long as a block is a reject, however it goes on.
    fn open_line(&self, counts: Counts) -> u64 {
        if counts.open + LINE_END.len() as u64 <= self.options.max_block_bytes as u64 { counts.open } else { 0 }
    }

    /// Whether the line here goes on behind `end`, up to which it is known; if not, passes over it.
    fn goes_on_behind(&mut self, end: u64) -> bool {
        let open = usize::try_from(end - self.offset).unwrap_or(usize::MAX);
        if open == 0 {
            return false;
        }
        if self.rest.len() < open + LINE_END.len() && matches!(self.end, End::Later) {
            self.refill();
        }
        let behind = self.rest.get(open..).unwrap_or_default();
        let goes_on = !(behind.is_empty() || behind.starts_with(b"\n") || behind.starts_with(LINE_END));
        if !goes_on {
            self.pass(open.min(self.rest.len()));
        }
        goes_on
    }

    /// Passes over a known range while comparing it, but for a last line without its newline.
    fn compare_known(&mut self, stretch: &Stretch) -> Result<Counts, SourceError> {
        let differs =
            SourceError::Differs { name: self.name.to_string(), start: stretch.range.start, end: stretch.range.end };
        let (mut check, mut before) = (Check::default(), Bytes::new());
        while self.offset < stretch.range.end {
            if self.rest.is_empty() {
                match std::mem::replace(&mut self.end, End::Later) {
                    End::Later => self.refill(),
                    End::Failed(error) => return Err(error),
                    End::Reached | End::Told => return Err(differs),
                }
                continue;
            }
            let left = usize::try_from(stretch.range.end - self.offset).unwrap_or(usize::MAX);
            before.clone_from(&self.rest);
            let piece = self.pass(left.min(self.rest.len()));
            check.update(&piece);
        }
        if check.crc32c != stretch.crc32c {
            return Err(differs);
        }
        let counts = check.finish();
        // Of a line that began in an earlier buffer only the end is here: what goes on behind it will be a reject.
        let last_piece = (before.len() - self.rest.len()) as u64;
        let open = self.open_line(counts);
        if open <= last_piece {
            self.rest = before.slice((last_piece - open) as usize..);
            self.offset -= open;
        }
        Ok(counts)
    }
}

impl Iterator for BlockReader {
    type Item = Result<Block, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() && self.known.front().is_none_or(|stretch| stretch.range.start > self.offset) {
                match std::mem::replace(&mut self.end, End::Told) {
                    End::Later => {
                        self.end = End::Later;
                        self.refill();
                        continue;
                    }
                    End::Failed(error) => return Some(Err(error)),
                    End::Reached | End::Told => return None,
                }
            }
            match self.step() {
                Ok(Some(block)) => return Some(Ok(block)),
                Ok(None) => {}
                Err(error) => {
                    self.rest = Bytes::new();
                    self.known.clear();
                    self.end = End::Told;
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
