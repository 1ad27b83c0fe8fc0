//! Ranges of a source that the store knows: checked, counted, passed over.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use cartlog_storage::store::KnownRange;

use super::content::Content;
use super::{Source, SourceError};
use crate::event::is_blank;

/// Bytes read at once while checking.
const CHECK_BYTES: usize = 1 << 20;

/// A known range and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) range: Range<u64>,
    /// The CRC32C that the store knows.
    pub(super) crc32c: u32,
    /// Lines and rows in it, if the source's bytes were compared already.
    pub(super) counted: Option<Counts>,
}

/// Lines and rows of some bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Newlines.
    pub(super) lines: u64,
    /// Lines that are not blank, a last one without its newline included.
    pub(super) rows: u64,
    /// Bytes of that last one: 0 if there is none.
    pub(super) open: u64,
}

/// Known ranges in order, not compared yet.
pub(super) fn stretches(mut known: Vec<KnownRange>) -> VecDeque<Stretch> {
    known.sort_unstable_by_key(|known| known.range.start);
    known.into_iter().map(|known| Stretch { range: known.range, crc32c: known.crc32c, counted: None }).collect()
}

/// Reads a source over the known ranges and compares. Tells whether all of them are of this source, and then every
/// stretch has its counts.
///
/// Reading, checksum and counting lines run at 4 GB/s together for a plain file; what lies between is not read.
pub(super) fn compare(source: &Source, stretches: &mut VecDeque<Stretch>) -> Result<bool, SourceError> {
    let mut content = Content::open(source, Arc::new(AtomicU64::new(0)))?;
    let mut buffer = vec![0; CHECK_BYTES];
    for stretch in stretches {
        if !content.seek(stretch.range.start)? {
            while content.offset() < stretch.range.start {
                let left = stretch.range.start - content.offset();
                if content.read(limited(&mut buffer, left))? == 0 {
                    return Ok(false);
                }
            }
        }
        let mut check = Check::default();
        while content.offset() < stretch.range.end {
            let left = stretch.range.end - content.offset();
            let bytes = content.read(limited(&mut buffer, left))?;
            if bytes == 0 {
                return Ok(false);
            }
            check.update(&buffer[..bytes]);
        }
        if check.crc32c != stretch.crc32c {
            return Ok(false);
        }
        stretch.counted = Some(check.finish());
    }
    Ok(true)
}

/// Whether content that starts so may hold the ranges: those that lie in the start do, and there are such.
pub(super) fn may_begin(start: &[u8], stretches: &VecDeque<Stretch>) -> bool {
    let of_start = |range: &Range<u64>| start.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?);
    let mut in_start =
        stretches.iter().filter_map(|stretch| Some((of_start(&stretch.range)?, stretch.crc32c))).peekable();
    in_start.peek().is_some() && in_start.all(|(bytes, crc32c)| crc32c::crc32c(bytes) == crc32c)
}

fn limited(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    &mut buffer[..length]
}

/// Checksum and counts of bytes that come piece by piece.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) crc32c: u32,
    counts: Counts,
    line: LineSoFar,
}

/// What the line holds that the last piece ended in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LineSoFar {
    #[default]
    Nothing,
    CarriageReturn,
    Text,
}

impl Check {
    /// Takes the next piece in.
    pub(super) fn update(&mut self, piece: &[u8]) {
        self.crc32c = crc32c::crc32c_append(self.crc32c, piece);
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', piece) {
            let is_text = self.line.and(&piece[start..newline]) == LineSoFar::Text;
            self.counts.lines += 1;
            self.counts.rows += u64::from(is_text);
            self.counts.open = 0;
            self.line = LineSoFar::Nothing;
            start = newline + 1;
        }
        self.counts.open += (piece.len() - start) as u64;
        self.line = self.line.and(&piece[start..]);
    }

    /// The counts of all pieces.
    pub(super) fn finish(self) -> Counts {
        let is_text = self.line == LineSoFar::Text;
        let open = if is_text { self.counts.open } else { 0 };
        Counts { rows: self.counts.rows + u64::from(is_text), open, ..self.counts }
    }
}

impl LineSoFar {
    fn and(self, more: &[u8]) -> Self {
        match self {
            _ if more.is_empty() => self,
            Self::Nothing if is_blank(more) => Self::CarriageReturn,
            _ => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::count_rows;

    proptest! {
        #[test]
        fn pieces_count_as_the_whole(pieces in proptest::collection::vec("[a\r\n]{0,4}", 0..12)) {
            let whole: String = pieces.concat();
            let mut check = Check::default();
            for piece in &pieces {
                check.update(piece.as_bytes());
            }
            prop_assert_eq!(check.crc32c, crc32c::crc32c(whole.as_bytes()));
            let lines = whole.matches('\n').count() as u64;
            let last = whole.rsplit('\n').next().unwrap_or_default();
            let open = if is_blank(last.as_bytes()) { 0 } else { last.len() as u64 };
            prop_assert_eq!(check.finish(), Counts { lines, rows: count_rows(whole.as_bytes()), open });
        }
    }
}
