//! A filter compiled against the events: segments skipped whole, the others masked a chunk at a time.
//!
//! Zone maps decide first: a predicate that no row of a segment can satisfy skips the segment, one that all rows satisfy
//! costs nothing there. What is left is about the numbers as they are packed, so that a row is compared as narrow as it lies there: the
//! bounds of a range are brought to a segment's numbers, once, and a text is compared once a dictionary entry. Rows are evaluated into a
//! mask of bytes without a branch a row, and the mask is turned into row numbers, 64 at a time.

use std::ops::Range;

use super::decode::{CHUNK_ROWS, Scratch, mask_between, mask_by_code, mask_one_of, scratch};
use super::events::{EventSegment, Events};
use super::filter::Filter;
use crate::event::{BRAND, CATEGORY_CODE, EVENT_TIME, EVENT_TYPE, PRICE, PRODUCT_ID, USER_ID};

/// Rows that are looked at together for whether any is covered: the bits of a word.
const STRIDE: usize = 64;

/// Which rows of each segment a filter covers.
#[derive(Debug, Clone)]
pub struct Selection {
    segments: Vec<SegmentSelection>,
}

/// Which rows of one segment are covered.
#[derive(Debug, Clone)]
enum SegmentSelection {
    None,
    All,
    Where(Vec<Predicate>),
}

/// A condition on one column's packed numbers that only some rows of a segment satisfy.
#[derive(Debug, Clone)]
enum Predicate {
    /// The number lies between the two, both included.
    Between { column: usize, lowest: u64, highest: u64 },
    /// The number is one of these, ascending.
    OneOf { column: usize, numbers: Vec<u64> },
    /// The code's entry is 1.
    Allowed { column: usize, allowed: Vec<u8> },
}

/// The rows of a chunk that are covered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Selected<'a> {
    /// Every one.
    All,
    /// These, ascending, counted from the chunk's start.
    Rows(&'a [u16]),
}

/// Buffers to evaluate predicates in.
#[derive(Debug)]
pub(crate) struct SelectionScratch {
    mask: Scratch<u8>,
    rows: Scratch<u16>,
}

impl SelectionScratch {
    pub(crate) fn new() -> Self {
        Self { mask: scratch(), rows: scratch() }
    }
}

/// What a predicate says of a whole segment.
enum Verdict {
    None,
    All,
    Some(Predicate),
}

impl Selection {
    /// Compiles `filter` for `events`: the cost is one comparison a dictionary entry and a look at each segment's zone map.
    #[must_use]
    pub fn new(events: &Events<'_>, filter: &Filter) -> Self {
        if filter.covers_everything() {
            return Self { segments: vec![SegmentSelection::All; events.segments().len()] };
        }
        let (from, to) = filter.instants();
        if from > to {
            return Self { segments: vec![SegmentSelection::None; events.segments().len()] };
        }
        let wanted = [(PRODUCT_ID, ascending(&filter.products)), (USER_ID, ascending(&filter.users))];
        let allowed = [
            (
                EVENT_TYPE,
                allowed_codes(events, EVENT_TYPE, |text| text.is_none_or(|text| filter.covers_event_type(text))),
            ),
            (CATEGORY_CODE, allowed_codes(events, CATEGORY_CODE, |text| filter.covers_category(text))),
            (BRAND, allowed_codes(events, BRAND, |text| filter.covers_brand(text))),
        ];
        let segments = events.segments().iter().map(|segment| {
            let ranges = [(EVENT_TIME, (from, to)), (PRICE, filter.prices())];
            let ranges = ranges
                .iter()
                .map(|(column, (lowest, highest))| (*column, between(segment, *column, *lowest, *highest)));
            let codes = allowed.iter().map(|(column, allowed)| (*column, by_code(segment, *column, allowed)));
            let ids = wanted.iter().map(|(column, wanted)| (*column, one_of(segment, *column, wanted)));
            // What a summary doesn't keep holds for all of its rows, or it wouldn't stand here.
            let asked = ranges.chain(codes).chain(ids).filter(|(column, _)| segment.is_exact(*column));
            combine(asked.map(|(_, verdict)| verdict))
        });
        Self { segments: segments.collect() }
    }

    /// Whether no row of a segment is covered.
    #[must_use]
    pub fn skips(&self, segment: usize) -> bool {
        matches!(self.segments[segment], SegmentSelection::None)
    }

    /// Whether every row is covered.
    #[must_use]
    pub fn covers_all(&self) -> bool {
        (0..self.segments.len()).all(|segment| self.covers(segment))
    }

    /// Whether every row of a segment is known to be covered.
    pub(crate) fn covers(&self, segment: usize) -> bool {
        matches!(self.segments[segment], SegmentSelection::All)
    }

    /// Whether nothing but values of some columns tells which rows of a segment are covered, if any.
    pub(super) fn asks_only(&self, segment: usize, mut of: impl FnMut(usize) -> bool) -> bool {
        match &self.segments[segment] {
            SegmentSelection::None => false,
            SegmentSelection::All => true,
            SegmentSelection::Where(predicates) => predicates.iter().all(|predicate| of(predicate.column())),
        }
    }

    /// Appends the covered rows among `rows` of a segment to `into`, ascending.
    pub fn rows(&self, events: &Events<'_>, segment: usize, rows: Range<usize>, into: &mut Vec<usize>) {
        let mut scratch = SelectionScratch::new();
        for start in rows.clone().step_by(CHUNK_ROWS) {
            let chunk = start..rows.end.min(start + CHUNK_ROWS);
            match self.select(&events.segments()[segment], segment, chunk.clone(), &mut scratch) {
                Selected::All => into.extend(chunk),
                Selected::Rows(selected) => into.extend(selected.iter().map(|row| start + usize::from(*row))),
            }
        }
    }

    /// The covered rows of a chunk.
    pub(crate) fn select<'s>(
        &self,
        columns: &EventSegment<'_>,
        segment: usize,
        rows: Range<usize>,
        scratch: &'s mut SelectionScratch,
    ) -> Selected<'s> {
        let predicates = match &self.segments[segment] {
            SegmentSelection::None => return Selected::Rows(&[]),
            SegmentSelection::All => return Selected::All,
            SegmentSelection::Where(predicates) => predicates,
        };
        let mask = &mut scratch.mask[..rows.len()];
        mask.fill(1);
        for predicate in predicates {
            predicate.apply(columns, rows.clone(), mask);
        }
        let count = numbers_of(mask, &mut scratch.rows);
        if count == rows.len() { Selected::All } else { Selected::Rows(&scratch.rows[..count]) }
    }
}

/// Puts the places of the ones among `mask`'s zeros and ones into `rows`, ascending; how many they are.
fn numbers_of(mask: &[u8], rows: &mut Scratch<u16>) -> usize {
    /// The eight ones and zeros as eight bits, the first the lowest: each is moved to the highest byte, and none meets another.
    const TOGETHER: u64 = 0x0102_0408_1020_4080;
    let mut count = 0;
    for (start, mask) in (0_u16..).step_by(STRIDE).zip(mask.chunks(STRIDE)) {
        let (bytes, rest) = mask.as_chunks::<8>();
        let mut bits = bytes.iter().enumerate().fold(0, |bits, (place, bytes)| {
            bits | (u64::from_le_bytes(*bytes).wrapping_mul(TOGETHER) >> 56) << (8 * place)
        });
        for (place, covered) in (8 * bytes.len()..).zip(rest) {
            bits |= u64::from(*covered) << place;
        }
        while bits != 0 {
            rows[count] = start + bits.trailing_zeros() as u16;
            count += 1;
            bits &= bits - 1;
        }
    }
    count
}

impl Predicate {
    fn column(&self) -> usize {
        match self {
            Self::Between { column, .. } | Self::OneOf { column, .. } | Self::Allowed { column, .. } => *column,
        }
    }

    fn apply(&self, segment: &EventSegment<'_>, rows: Range<usize>, mask: &mut [u8]) {
        match self {
            Self::Between { column, lowest, highest } => {
                mask_between(segment.columns[*column].packed(), rows, (*lowest, *highest), mask);
            }
            Self::OneOf { column, numbers } => mask_one_of(segment.columns[*column].packed(), rows, numbers, mask),
            Self::Allowed { column, allowed } => mask_by_code(segment.columns[*column].packed(), rows, allowed, mask),
        }
    }
}

fn ascending(ids: &[i64]) -> Vec<i64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// One entry a code: 1 where the code's text, or the missing value behind code 0, is covered.
fn allowed_codes(events: &Events<'_>, column: usize, covers: impl Fn(Option<&str>) -> bool) -> Vec<u8> {
    let texts = events.texts(column).iter().map(|text| Some(*text));
    [None].into_iter().chain(texts).map(|text| u8::from(covers(text))).collect()
}

fn between(segment: &EventSegment<'_>, column: usize, lowest: i64, highest: i64) -> Verdict {
    let zone = &segment.columns[column];
    if lowest > highest || zone.largest < lowest || zone.smallest > highest {
        Verdict::None
    } else if zone.smallest >= lowest && zone.largest <= highest {
        Verdict::All
    } else {
        match (zone.packed_from(lowest), zone.packed_to(highest)) {
            (Some(lowest), Some(highest)) if lowest <= highest => {
                Verdict::Some(Predicate::Between { column, lowest, highest })
            }
            _ => Verdict::None,
        }
    }
}

fn by_code(segment: &EventSegment<'_>, column: usize, allowed: &[u8]) -> Verdict {
    let zone = &segment.columns[column];
    let bound = |code: i64| usize::try_from(code).unwrap_or_default().min(allowed.len() - 1);
    let possible = &allowed[bound(zone.smallest)..=bound(zone.largest.max(zone.smallest))];
    let mut places = possible.iter().enumerate().filter(|(_, allowed)| **allowed == 1).map(|(place, _)| place);
    let (first, second) = (places.next(), places.next());
    if possible.iter().all(|allowed| *allowed == 1) {
        Verdict::All
    } else if let (Some(place), None) = (first, second) {
        let code = (bound(zone.smallest) + place) as u64;
        Verdict::Some(Predicate::Between { column, lowest: code, highest: code })
    } else if possible.contains(&1) {
        Verdict::Some(Predicate::Allowed { column, allowed: allowed.to_vec() })
    } else {
        Verdict::None
    }
}

fn one_of(segment: &EventSegment<'_>, column: usize, values: &[i64]) -> Verdict {
    if values.is_empty() {
        return Verdict::All;
    }
    let zone = &segment.columns[column];
    let within = |value: &&i64| (zone.smallest..=zone.largest).contains(value);
    // Of the numbers from the value's on, only the first can be its own.
    let number = |value: &i64| zone.packed_from(*value).filter(|number| zone.packed_to(*value) == Some(*number));
    let numbers: Vec<u64> = values.iter().filter(within).filter_map(number).collect();
    match numbers.as_slice() {
        [] => Verdict::None,
        [number] if zone.smallest < zone.largest => {
            Verdict::Some(Predicate::Between { column, lowest: *number, highest: *number })
        }
        [_] => Verdict::All,
        _ => Verdict::Some(Predicate::OneOf { column, numbers }),
    }
}

fn combine(verdicts: impl Iterator<Item = Verdict>) -> SegmentSelection {
    let mut predicates = Vec::new();
    for verdict in verdicts {
        match verdict {
            Verdict::None => return SegmentSelection::None,
            Verdict::All => {}
            Verdict::Some(predicate) => predicates.push(predicate),
        }
    }
    if predicates.is_empty() { SegmentSelection::All } else { SegmentSelection::Where(predicates) }
}
