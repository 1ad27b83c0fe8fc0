//! The rows that a filter covers, taken out of their segments once for several analyses.
//!
//! Every kernel evaluates the filter for itself, row by row, and most read the rows several times. One question can bear that; a page
//! of fifteen about the same events pays for it fifteen times. So the covered rows' packed numbers are copied side by side, a
//! column as narrow as it was, and what remains of each segment looks to the kernels like a segment: same encoding, same dictionary,
//! same numbers of sessions, every row covered.
//!
//! Cost: the filter once, and a read and a write a covered row and column (27 bytes a row in all columns), less than one kernel's
//! own evaluation of the filter where few rows are covered. Taken from the copy in order of users if there is one: users stay together.
//! A segment's covered rows are found first, so that their room is as large as they are, and then taken a column at a time.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytemuck::Pod;
use cartlog_storage::store::Packed;

use super::decode::CHUNK_ROWS;
use super::driver::{Input, deal};
use super::events::{EventColumn, EventSegment};
use super::room::Room;
use super::selection::{Selected, SelectionScratch};
use super::{AnalysisError, Filter};

/// Rows looked at to tell how many are covered.
const SAMPLE_ROWS: usize = 128 << 10;

/// The share of an input's memory that chosen rows may take.
const SHARE_OF_MEMORY: u64 = 4;

/// The covered rows of some events; nothing, where all are covered or they would take too much memory.
#[derive(Debug, Default)]
pub struct Chosen {
    /// One a segment of what they were taken out of.
    segments: Option<Vec<ChosenSegment>>,
    /// Whether that was the events in order of their users.
    is_by_user: bool,
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
    /// Words that they take.
    words: usize,
    /// Bytes a number; none where all are zero.
    width: usize,
}

/// The covered rows of a segment, before they are taken.
#[derive(Default)]
struct Covered {
    rows: usize,
    /// Rows of the segment that are looked at together, and how many of them are covered, those with none left out.
    chunks: Vec<(Range<usize>, usize)>,
    /// Which of a chunk's rows are covered, chunk by chunk; nothing for one of which all are.
    places: Vec<u16>,
}

impl Chosen {
    /// Takes the covered rows out, where something is gained by it. An order of users that turns out to be damaged is dropped from the
    /// input.
    ///
    /// # Errors
    /// [`AnalysisError::Damaged`] if what was read is damaged.
    pub fn of(input: &mut Input<'_>) -> Result<Self, AnalysisError> {
        Self::in_place_of(Self::default(), input)
    }

    /// The same in the memory of others that are not needed any longer: it has been the system's no more than once.
    ///
    /// # Errors
    /// As [`Chosen::of`].
    pub fn in_place_of(others: Self, input: &mut Input<'_>) -> Result<Self, AnalysisError> {
        let rooms = others.segments.into_iter().flatten().filter_map(|segment| segment.room);
        let rooms = Rooms(Mutex::new(rooms.collect()));
        loop {
            let from = input.in_best_order();
            if from.selection().covers_all() || expected_bytes(from) > input.memory() / SHARE_OF_MEMORY {
                return Ok(Self::default());
            }
            let chosen = Self { segments: Some(Self::taken(from, &rooms)), is_by_user: input.is_beside_order() };
            match (from.events().check(), input.without_damaged_order()) {
                (Ok(()), _) => return Ok(chosen),
                (Err(_), Some(undamaged)) => *input = undamaged,
                (Err(damage), None) => return Err(damage),
            }
        }
    }

    fn taken(input: &Input<'_>, rooms: &Rooms) -> Vec<ChosenSegment> {
        let segments = input.events().segments();
        let workers = deal(segments.len(), |tasks| {
            let mut scratch = SelectionScratch::new();
            tasks.map(|segment| (segment, ChosenSegment::of(input, segment, rooms, &mut scratch))).collect::<Vec<_>>()
        });
        let mut taken = Vec::new();
        taken.resize_with(segments.len(), ChosenSegment::default);
        for (place, segment) in workers.into_iter().flatten() {
            taken[place] = segment;
        }
        taken
    }

    /// Whether these are the covered rows of an input, rather than of the same with an order of users that was found damaged or without
    /// one; the two are of one snapshot and filter.
    #[must_use]
    pub fn is_of(&self, input: &Input<'_>) -> bool {
        self.segments.is_none() || self.is_by_user == input.is_beside_order()
    }

    /// These rows as an input, of which every row is covered, or `input` itself if none were taken out: it is what they were taken out of.
    #[must_use]
    pub fn input<'c>(&'c self, input: &Input<'c>) -> Input<'c> {
        let Some(taken) = &self.segments else { return input.clone() };
        let from = input.in_best_order();
        let segments = from.events().segments().iter().zip(taken).map(|(segment, chosen)| {
            let columns = segment.columns.iter().enumerate().map(|(place, column)| chosen.column(place, column));
            EventSegment::new(chosen.rows, columns.collect())
        });
        let events = from.events().part(segments.collect());
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
    fn of(input: &Input<'_>, segment: usize, rooms: &Rooms, scratch: &mut SelectionScratch) -> Self {
        if input.selection().skips(segment) {
            return Self::default();
        }
        let source = &input.events().segments()[segment];
        let packed: Vec<Packed<'_>> = source.columns.iter().map(EventColumn::packed).collect();
        let covered = Covered::of(input, segment, scratch);
        let mut words = 0;
        let columns = packed.iter().map(|packed| {
            let width = packed.width();
            let numbers = Numbers { start: words, words: (covered.rows * width).div_ceil(size_of::<u64>()), width };
            words += numbers.words;
            numbers
        });
        let columns: Vec<Numbers> = columns.collect();
        let mut room = rooms.of(words);
        for (numbers, packed) in columns.iter().zip(&packed) {
            let words = &mut room[numbers.start..][..numbers.words];
            match packed {
                Packed::Zero(_) => {}
                Packed::U8(from) => covered.take(from, words),
                Packed::U16(from) => covered.take(from, words),
                Packed::U32(from) => covered.take(from, words),
                Packed::U64(from) => covered.take(from, words),
            }
        }
        Self { rows: covered.rows, columns, room: Some(room) }
    }

    fn column<'c>(&'c self, place: usize, source: &EventColumn<'c>) -> EventColumn<'c> {
        let packed = match (&self.room, self.columns.get(place)) {
            (Some(room), Some(numbers)) => numbers.packed(room, self.rows),
            _ => Packed::Zero(self.rows),
        };
        source.part(packed)
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
}

/// Rooms that were used before.
struct Rooms(Mutex<Vec<Room<u64>>>);

impl Rooms {
    /// One of so many words or more: the smallest of those, or a new one.
    fn of(&self, words: usize) -> Room<u64> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = rooms.iter().enumerate().filter(|(_, room)| room.len() >= words);
        let place = fitting.min_by_key(|(_, room)| room.len()).map(|(place, _)| place);
        place.map_or_else(|| Room::new(words), |place| rooms.swap_remove(place))
    }
}

impl Covered {
    fn of(input: &Input<'_>, segment: usize, scratch: &mut SelectionScratch) -> Self {
        let mut covered = Self::default();
        let rows = input.events().segments()[segment].rows;
        input.rows(segment, 0..rows, scratch, |chunk| {
            covered.rows += chunk.len();
            covered.chunks.push((chunk.range(), chunk.len()));
            if let Selected::Rows(rows) = chunk.selected() {
                covered.places.extend_from_slice(rows);
            }
        });
        covered
    }

    /// Copies a column's covered numbers side by side.
    fn take<T: Pod>(&self, from: &[T], words: &mut [u64]) {
        let (mut into, mut places) = (bytemuck::cast_slice_mut::<u64, T>(words), self.places.as_slice());
        for (rows, count) in &self.chunks {
            let from = &from[rows.clone()];
            let (taken, rest) = into.split_at_mut(*count);
            into = rest;
            if *count == from.len() {
                taken.copy_from_slice(from);
                continue;
            }
            let (of_chunk, others) = places.split_at(*count);
            places = others;
            let rows = taken.iter_mut().zip(of_chunk);
            // A whole chunk needs no look at its bounds a row.
            match <&[T; CHUNK_ROWS]>::try_from(from) {
                Ok(from) => rows.for_each(|(into, row)| *into = from[usize::from(*row) % CHUNK_ROWS]),
                Err(_) => rows.for_each(|(into, row)| *into = from[usize::from(*row)]),
            }
        }
    }
}
