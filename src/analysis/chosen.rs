//! The rows that a filter covers, taken out of their segments once for several analyses.
//!
//! Every kernel evaluates the filter for itself, row by row, and most read the rows several times. One question can bear that; a page
//! of fifteen about the same events pays for it fifteen times. So the covered rows' packed numbers are copied side by side, a
//! column as narrow as it was, and what remains of each segment looks to the kernels like a segment: same encoding, same dictionary,
//! same numbers of sessions, every row covered.
//!
//! Cost: the filter once, and a read and a write a covered row and column (27 bytes a row in all columns), less than one kernel's
//! own evaluation of the filter where few rows are covered. Taken from the copy in order of users if there is one: users stay together.
//! Room is taken for all of a segment's rows, in large pages, and none of it is memory before something is written there.

use std::ops::Range;

use bytemuck::Pod;
use cartlog_storage::store::Packed;

use super::decode::{CHUNK_ROWS, repacked};
use super::driver::{Chunk, Input, deal};
use super::events::{EventColumn, EventSegment};
use super::room::Room;
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

/// The covered rows of a segment.
#[derive(Debug, Default)]
struct ChosenSegment {
    rows: usize,
    /// One a column; none where no row is covered.
    columns: Vec<Numbers>,
    room: Option<Room<u64>>,
}

/// Where a column's packed numbers lie in a segment's room.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    /// The first word.
    start: usize,
    /// Words, for as many rows as the segment has that they are taken from.
    words: usize,
    /// Bytes a number; none where all are zero.
    width: usize,
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
        let mut words = 0;
        let columns = packed.iter().map(|packed| {
            let width = usize::from(packed.width());
            let numbers = Numbers { start: words, words: (source.rows * width).div_ceil(size_of::<u64>()), width };
            words += numbers.words;
            numbers
        });
        let columns: Vec<Numbers> = columns.collect();
        let mut room = Room::new(words);
        let mut taken = 0;
        input.rows(segment, 0..source.rows, scratch, |chunk| {
            let rows = taken..taken + chunk.len();
            for (numbers, packed) in columns.iter().zip(&packed) {
                numbers.take(&mut room, rows.clone(), packed, chunk);
            }
            taken = rows.end;
        });
        Self { rows: taken, columns, room: Some(room) }
    }

    fn column<'c>(&'c self, place: usize, source: &EventColumn<'c>) -> EventColumn<'c> {
        let packed = match (&self.room, self.columns.get(place)) {
            (Some(room), Some(numbers)) => numbers.packed(room, self.rows),
            _ => Packed::Zero(self.rows),
        };
        EventColumn::new(repacked(source.shape(), packed), source.smallest, source.largest)
    }
}

impl Numbers {
    /// The numbers of so many rows.
    fn packed(self, room: &Room<u64>, rows: usize) -> Packed<'_> {
        let words = &room[self.start..self.start + self.words];
        match self.width {
            0 => Packed::Zero(rows),
            1 => Packed::U8(&bytemuck::cast_slice(words)[..rows]),
            2 => Packed::U16(&bytemuck::cast_slice(words)[..rows]),
            4 => Packed::U32(&bytemuck::cast_slice(words)[..rows]),
            _ => Packed::U64(&words[..rows]),
        }
    }

    /// Takes the selected rows of a chunk of a column as wide as this, as rows `into`.
    fn take(self, room: &mut Room<u64>, into: Range<usize>, packed: &Packed<'_>, chunk: &Chunk<'_>) {
        let words = &mut room[self.start..self.start + self.words];
        match packed {
            Packed::Zero(_) => {}
            Packed::U8(from) => take(words, into, &from[chunk.range()], chunk.selected()),
            Packed::U16(from) => take(words, into, &from[chunk.range()], chunk.selected()),
            Packed::U32(from) => take(words, into, &from[chunk.range()], chunk.selected()),
            Packed::U64(from) => take(words, into, &from[chunk.range()], chunk.selected()),
        }
    }
}

fn take<T: Pod>(words: &mut [u64], into: Range<usize>, from: &[T], selected: Selected<'_>) {
    let into = &mut bytemuck::cast_slice_mut::<u64, T>(words)[into];
    match selected {
        Selected::All => into.copy_from_slice(from),
        // A whole chunk needs no look at its bounds a row.
        Selected::Rows(rows) => match <&[T; CHUNK_ROWS]>::try_from(from) {
            Ok(from) => into.iter_mut().zip(rows).for_each(|(into, row)| *into = from[usize::from(*row) % CHUNK_ROWS]),
            Err(_) => into.iter_mut().zip(rows).for_each(|(into, row)| *into = from[usize::from(*row)]),
        },
    }
}
