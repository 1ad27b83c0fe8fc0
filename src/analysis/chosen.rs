//! The rows that a filter covers, taken out of their segments once for several analyses.
//!
//! Every kernel evaluates the filter for itself, row by row, and most read the rows several times. One question can bear that; a page
//! of fifteen about the same events pays for it fifteen times. So the covered rows' packed numbers are copied side by side, a
//! column as narrow as it was, and what remains of each segment looks to the kernels like a segment: same encoding, same dictionary,
//! same numbers of sessions, every row covered.
//!
//! Cost: the filter once, and a read and a write a covered row and column (27 bytes a row in all columns), less than one kernel's
//! own evaluation of the filter where few rows are covered. Taken from the copy in order of users if there is one: users stay together.

use std::ops::Range;

use cartlog_storage::store::Packed;

use super::decode::repacked;
use super::driver::{Input, deal};
use super::events::{EventColumn, EventSegment};
use super::selection::{Selected, SelectionScratch};
use super::{AnalysisError, Filter};

/// Rows looked at to tell how many are covered.
const SAMPLE_ROWS: usize = 128 << 10;

/// The share of an input's memory that chosen rows may take.
const SHARE_OF_MEMORY: u64 = 4;

/// The covered rows of some events.
#[derive(Debug)]
pub struct Chosen {
    /// One a segment, one a column.
    segments: Vec<ChosenSegment>,
}

#[derive(Debug, Default)]
struct ChosenSegment {
    rows: usize,
    /// One a column; none where no row is covered.
    columns: Vec<Numbers>,
}

/// Packed numbers in memory of their own.
#[derive(Debug)]
enum Numbers {
    Zero,
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
}

impl Chosen {
    /// Takes the covered rows out; `None` where nothing would be gained: if all are covered, or they would take too much memory.
    /// An order of users that turns out to be damaged is dropped from the input.
    ///
    /// # Errors
    /// [`AnalysisError::Damaged`] if what was read is damaged.
    pub fn of(input: &mut Input<'_>) -> Result<Option<Self>, AnalysisError> {
        loop {
            let Some(from) = input.to_choose_from() else { return Ok(None) };
            if expected_bytes(from) > input.memory() / SHARE_OF_MEMORY {
                return Ok(None);
            }
            let chosen = Self::taken(from);
            match (from.events().check(), input.without_damaged_order()) {
                (Ok(()), _) => return Ok(Some(chosen)),
                (Err(_), Some(undamaged)) => *input = undamaged,
                (Err(damage), None) => return Err(damage),
            }
        }
    }

    fn taken(input: &Input<'_>) -> Self {
        let segments = input.events().segments();
        let workers = deal(segments.len(), |tasks| {
            let mut scratch = SelectionScratch::new();
            tasks.map(|segment| (segment, ChosenSegment::of(input, segment, &mut scratch))).collect::<Vec<_>>()
        });
        let mut chosen = Self { segments: Vec::new() };
        chosen.segments.resize_with(segments.len(), ChosenSegment::default);
        for (place, segment) in workers.into_iter().flatten() {
            chosen.segments[place] = segment;
        }
        chosen
    }

    /// These rows as an input, of which every row is covered; `input` is what they were taken out of.
    #[must_use]
    pub fn input<'c>(&'c self, input: &Input<'c>) -> Input<'c> {
        let Some(from) = input.to_choose_from() else { return input.clone() };
        let segments = from.events().segments().iter().zip(&self.segments).map(|(segment, chosen)| EventSegment {
            rows: chosen.rows,
            columns: segment.columns.iter().enumerate().map(|(place, column)| chosen.column(place, column)).collect(),
        });
        let events = from.events().with_segments(segments.collect());
        Input::new(events, &Filter::default()).within(input.memory())
    }
}

/// Bytes of the covered rows, as told from a sample.
fn expected_bytes(input: &Input<'_>) -> u64 {
    let (mut seen, mut covered) = (0_u64, 0_u64);
    input.sample(SAMPLE_ROWS, |chunk| {
        seen += chunk.rows() as u64;
        covered += chunk.len() as u64;
    });
    let width = |column: &EventColumn<'_>| column.shape().packed().width() as u64;
    let bytes = |segment: &EventSegment<'_>| segment.rows as u64 * segment.columns.iter().map(width).sum::<u64>();
    let all: u64 = input.candidates().map(|(_, segment)| bytes(segment)).sum();
    let share = u128::from(all) * u128::from(covered) / u128::from(seen.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

impl ChosenSegment {
    fn of(input: &Input<'_>, segment: usize, scratch: &mut SelectionScratch) -> Self {
        if input.selection().skips(segment) {
            return Self::default();
        }
        let source = &input.events().segments()[segment];
        let packed: Vec<Packed<'_>> = source.columns.iter().map(EventColumn::packed).collect();
        let mut chosen = Self { rows: 0, columns: packed.iter().map(Numbers::like).collect() };
        input.rows(segment, 0..source.rows, scratch, |chunk| {
            chosen.rows += chunk.len();
            for (numbers, packed) in chosen.columns.iter_mut().zip(&packed) {
                numbers.take(packed, chunk.range(), chunk.selected());
            }
        });
        chosen
    }

    fn column<'c>(&'c self, place: usize, source: &EventColumn<'c>) -> EventColumn<'c> {
        let packed = match self.columns.get(place) {
            None | Some(Numbers::Zero) => Packed::Zero(self.rows),
            Some(Numbers::U8(numbers)) => Packed::U8(numbers),
            Some(Numbers::U16(numbers)) => Packed::U16(numbers),
            Some(Numbers::U32(numbers)) => Packed::U32(numbers),
            Some(Numbers::U64(numbers)) => Packed::U64(numbers),
        };
        EventColumn::new(repacked(source.shape(), packed), source.smallest, source.largest)
    }
}

impl Numbers {
    /// None yet, as wide as these.
    fn like(packed: &Packed<'_>) -> Self {
        match packed {
            Packed::Zero(_) => Self::Zero,
            Packed::U8(_) => Self::U8(Vec::new()),
            Packed::U16(_) => Self::U16(Vec::new()),
            Packed::U32(_) => Self::U32(Vec::new()),
            Packed::U64(_) => Self::U64(Vec::new()),
        }
    }

    /// Appends the selected ones of some rows of a column as wide as this.
    fn take(&mut self, packed: &Packed<'_>, rows: Range<usize>, selected: Selected<'_>) {
        match (self, packed) {
            (Self::U8(into), Packed::U8(from)) => take(into, &from[rows], selected),
            (Self::U16(into), Packed::U16(from)) => take(into, &from[rows], selected),
            (Self::U32(into), Packed::U32(from)) => take(into, &from[rows], selected),
            (Self::U64(into), Packed::U64(from)) => take(into, &from[rows], selected),
            _ => {}
        }
    }
}

fn take<T: Copy>(into: &mut Vec<T>, from: &[T], selected: Selected<'_>) {
    match selected {
        Selected::All => into.extend_from_slice(from),
        Selected::Rows(rows) => into.extend(rows.iter().map(|row| from[usize::from(*row)])),
    }
}
