//! The last step of every row: claimed, then appended.
//!
//! The store gives each byte range of a source out once. Nearly always it gives a block's whole range, and the rows
//! go in as they were parsed. A range known already brings no rows, only their number as duplicates. A range known in
//! parts (two loads that cut the same file at other places, or crossed each other) is parsed again piece by piece.

use std::ops::Range;

use super::summary::RowCounts;
use super::unit::{Origin, SourceLines};
use super::workers::ParsedUnit;
use crate::event::{BlockParser, Parsed, Position, is_blank};
use cartlog_storage::store::StoreError;
use cartlog_storage::store::{Delivery, LogPosition, SourceRange, StoreWriter};

/// Appends a unit's rows to the store, those that it does not know yet, and moves the position behind it.
///
/// # Errors
///
/// [`StoreError`]; then some of the rows may be in the store's memory, but no position or range says so.
pub(super) fn deliver(
    store: &StoreWriter,
    parser: &mut BlockParser,
    unit: ParsedUnit,
    position: Option<LogPosition>,
) -> Result<RowCounts, StoreError> {
    let ParsedUnit { unit, parsed, crc32c, rows } = unit;
    let counts = match &unit.origin {
        Origin::Messages(messages) => {
            let (counts, delivery) = delivery(parsed, 0, position, None);
            store.append(Delivery { first_offset: messages.first_offset(), ..delivery })?;
            Ok(counts)
        }
        Origin::Range(lines) => {
            let claimed = store.claim(&lines.source, lines.range.clone());
            if claimed.iter().eq([&lines.range]) {
                append(store, parsed, 0, position, Some(lines.claimed(lines.range.clone(), crc32c)))
            } else if claimed.is_empty() || lines.cut.is_some() {
                append(store, Parsed::default(), rows, position, None)
            } else {
                deliver_pieces(store, parser, &unit.bytes, lines, &claimed, rows, position)
            }
        }
    }?;
    // What was read is what was counted when it was read; whether the rest adds up to it is checked at the end.
    Ok(RowCounts { rows_read: rows, ..counts })
}

/// Counts rows that were recognised as known before they were even parsed.
pub(super) fn count_duplicates(store: &StoreWriter, rows: u64) -> Result<RowCounts, StoreError> {
    append(store, Parsed::default(), rows, None, None)
}

/// Moves the position over offsets that hold no rows.
pub(super) fn advance(store: &StoreWriter, position: LogPosition) -> Result<(), StoreError> {
    append(store, Parsed::default(), 0, Some(position), None).map(drop)
}

/// Appends the claimed pieces of a block of `rows` rows; the rest of it is duplicate.
fn deliver_pieces(
    store: &StoreWriter,
    parser: &mut BlockParser,
    bytes: &[u8],
    lines: &SourceLines,
    claimed: &[Range<u64>],
    rows: u64,
    position: Option<LogPosition>,
) -> Result<RowCounts, StoreError> {
    let (counts, mut deliveries) = pieces(parser, bytes, lines, claimed);
    let duplicate = rows.saturating_sub(counts.rows_read);
    let (rest, delivery) = delivery(Parsed::default(), duplicate, position, None);
    deliveries.push(delivery);
    // As one: a commit between them would make the next load count the first pieces once more, as duplicates.
    store.append_together(deliveries)?;
    Ok(counts + rest)
}

/// The claimed pieces of a block, each a delivery, and what they count together.
pub(super) fn pieces(
    parser: &mut BlockParser,
    bytes: &[u8],
    lines: &SourceLines,
    claimed: &[Range<u64>],
) -> (RowCounts, Vec<Delivery>) {
    let mut counts = RowCounts::default();
    let deliveries = claimed.iter().map(|piece| {
        let piece = Piece::of(bytes, lines, piece);
        let parsed = parser.parse(
            &bytes[piece.parsed.clone()],
            &Position::of_block(&lines.name, lines.range.start + piece.parsed.start as u64, piece.first_line),
        );
        let crc32c = crc32c::crc32c(&bytes[piece.claimed.clone()]);
        let claimed = lines.range.start + piece.claimed.start as u64..lines.range.start + piece.claimed.end as u64;
        let (piece, delivery) = delivery(parsed, 0, None, Some(lines.claimed(claimed, crc32c)));
        counts = counts + piece;
        delivery
    });
    let deliveries = deliveries.collect();
    (counts, deliveries)
}

/// A part of a block, as places in its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// What the store has given out.
    claimed: Range<usize>,
    /// The whole lines to parse: a line of which only the end is new was cut off when its start was read, unless that
    /// end is its newline.
    parsed: Range<usize>,
    /// The number of the first of them.
    first_line: u64,
}

impl Piece {
    fn of(bytes: &[u8], lines: &SourceLines, claimed: &Range<u64>) -> Self {
        let place = |offset: u64| {
            let offset = offset.clamp(lines.range.start, lines.range.end) - lines.range.start;
            usize::try_from(offset).unwrap_or(bytes.len()).min(bytes.len())
        };
        let claimed = place(claimed.start)..place(claimed.end);
        let (before, line) = (&bytes[..claimed.start], &bytes[claimed.clone()]);
        let is_known = is_blank(&line[..memchr::memchr(b'\n', line).unwrap_or(line.len())]);
        let start =
            if is_known { before.len() } else { memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) };
        let newlines = memchr::memchr_iter(b'\n', before).count() as u64;
        Self { parsed: start..claimed.end, claimed, first_line: lines.first_line + newlines }
    }
}

impl SourceLines {
    fn claimed(&self, range: Range<u64>, crc32c: u32) -> SourceRange {
        SourceRange { source: self.source.clone(), name: self.name.to_string(), range, crc32c }
    }
}

fn append(
    store: &StoreWriter,
    parsed: Parsed,
    rows_duplicate: u64,
    position: Option<LogPosition>,
    range: Option<SourceRange>,
) -> Result<RowCounts, StoreError> {
    let (counts, delivery) = delivery(parsed, rows_duplicate, position, range);
    store.append(delivery)?;
    Ok(counts)
}

/// A delivery and what it counts.
fn delivery(
    parsed: Parsed,
    rows_duplicate: u64,
    position: Option<LogPosition>,
    range: Option<SourceRange>,
) -> (RowCounts, Delivery) {
    let Parsed { batch, rejects } = parsed;
    let counts = RowCounts {
        rows_read: batch.rows as u64 + rejects.len() as u64 + rows_duplicate,
        rows_stored: batch.rows as u64,
        rows_rejected: rejects.len() as u64,
        rows_duplicate,
    };
    (counts, Delivery { batch, rejects, rows_duplicate, position, first_offset: None, range })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cartlog_storage::store::SourceId;

    fn piece(claimed: Range<u64>) -> Piece {
        let lines = SourceLines {
            source: SourceId::from("0123456789abcdef"),
            name: "a.csv".into(),
            range: 100..112,
            first_line: 7,
            cut: None,
        };
        Piece::of(b"aa\nbb\ncc\ndd\n", &lines, &claimed)
    }

    #[test]
    fn a_piece_knows_its_line() {
        assert_eq!(piece(100..106), Piece { claimed: 0..6, parsed: 0..6, first_line: 7 });
        assert_eq!(piece(103..109), Piece { claimed: 3..9, parsed: 3..9, first_line: 8 });
        assert_eq!(piece(109..112), Piece { claimed: 9..12, parsed: 9..12, first_line: 10 });
    }

    #[test]
    fn a_line_of_which_the_end_is_new_is_parsed_whole() {
        assert_eq!(piece(104..112), Piece { claimed: 4..12, parsed: 3..12, first_line: 8 });
        assert_eq!(piece(105..112), Piece { claimed: 5..12, parsed: 5..12, first_line: 8 }, "only its newline is new");
    }
}
