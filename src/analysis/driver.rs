//! The one place with threads: rows are dealt to workers, and what the workers made is merged.
//!
//! A kernel is `start → scan → merge`: pure functions over slices. Rows are dealt in morsels of 64 chunks by a counter
//! that all workers share, so that a slow worker takes fewer of them; which worker sees which rows differs from run to run.
//! Results don't, because every merge is commutative and exact: counts and money are integers, and whatever has an order
//! is sorted by a total one. Segment boundaries end morsels and mean nothing else.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use cartlog_storage::store::{Segment, Snapshot};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::AnalysisError;
use super::decode::{CHUNK_ROWS, Scratch, count_below, count_few_below, integers};
use super::events::{EventSegment, Events, Shared};
use super::field::Field;
use super::filter::Filter;
use super::selection::{Selected, Selection, SelectionScratch};
use super::summary::{EventSummary, Summaries};
use super::together::Together;
use crate::event::USER_ID;

/// Rows dealt at once.
const MORSEL_ROWS: usize = 64 * CHUNK_ROWS;

/// Where at most one of so many rows is selected, the others are not decoded.
const FEW_SELECTED: usize = 4;

/// What grouping may take for keys unless told otherwise.
const DEFAULT_MEMORY: u64 = 4 << 30;

/// What analyses read: events, which of them count, and how much memory they may take.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    events: Events<'a>,
    selection: Selection,
    filter: Filter,
    memory: u64,
    /// The same events in order of their users.
    sorted: Option<Box<Input<'a>>>,
    /// Whether the filter skips most of the events in the order that they were stored in, and not in the other.
    skips_most: bool,
    /// What segments come to, if that is kept.
    summaries: Option<&'a Summaries>,
    /// Which analyses are asked of it one after the other, if that is known.
    together: Option<&'a Together>,
}

/// A kernel over chunks of rows.
pub(crate) trait Scan: Sync {
    /// What one worker makes.
    type Partial: Send;

    /// A worker's start.
    fn start(&self) -> Self::Partial;

    /// Takes a chunk's selected rows in.
    fn scan(&self, partial: &mut Self::Partial, chunk: &Chunk<'_>);

    /// Takes another worker's rows in; must not depend on which worker had which rows.
    fn merge(&self, into: &mut Self::Partial, other: Self::Partial);
}

/// Up to [`CHUNK_ROWS`] rows of one segment, of which some are selected.
#[derive(Debug)]
pub(crate) struct Chunk<'a> {
    segment: usize,
    columns: &'a EventSegment<'a>,
    rows: Range<usize>,
    selected: Selected<'a>,
}

impl<'a> Input<'a> {
    /// The covered events of a snapshot. Analyses of users and sessions read its copy in order of users, if it has one.
    ///
    /// # Errors
    /// [`AnalysisError::NotEvents`] if the snapshot's columns are not those of events.
    pub fn of(snapshot: &'a Snapshot, filter: &Filter) -> Result<Self, AnalysisError> {
        Self::among(Events::of(snapshot)?, Events::by_user(snapshot), filter)
    }

    /// The same for one of many filters of the snapshot, which share what is the same for all of them.
    ///
    /// # Errors
    /// As [`Input::of`].
    pub fn sharing(snapshot: &'a Snapshot, filter: &Filter, shared: &Shared) -> Result<Self, AnalysisError> {
        let sorted = Events::by_user(snapshot).map(|sorted| sorted.sharing(&shared.sorted));
        Self::among(Events::of(snapshot)?.sharing(&shared.stored), sorted, filter)
    }

    fn among(stored: Events<'a>, sorted: Option<Events<'a>>, filter: &Filter) -> Result<Self, AnalysisError> {
        let input = Self::new(stored, filter);
        Ok(match sorted {
            Some(sorted) => input.beside(sorted),
            None => input,
        })
    }

    /// Compiles the filter against the events; several analyses may share the result.
    #[must_use]
    pub fn new(events: Events<'a>, filter: &Filter) -> Self {
        let selection = Selection::new(&events, filter);
        Self {
            events,
            selection,
            filter: filter.clone(),
            memory: DEFAULT_MEMORY,
            sorted: None,
            skips_most: false,
            summaries: None,
            together: None,
        }
    }

    /// The same with the same events once more, in order of their users as far as they are, unless the filter skips most of them in the
    /// order that they were stored in and not in the other: times are near each other there.
    #[must_use]
    pub fn beside(self, sorted: Events<'a>) -> Self {
        let sorted = Self::new(sorted, &self.filter).within(self.memory);
        let skips_most = self.candidate_rows() < sorted.candidate_rows() / 2;
        Self { sorted: Some(Box::new(sorted)), skips_most, ..self }
    }

    /// The same with what its segments come to, which are those of a snapshot: whatever adds up reads that where it is kept.
    #[must_use]
    pub fn beside_summaries(self, summaries: &'a Summaries) -> Self {
        Self { summaries: Some(summaries), ..self }
    }

    /// The same for these analyses, each asked once.
    #[must_use]
    pub fn for_all(self, together: &'a Together) -> Self {
        Self { together: Some(together), ..self }
    }

    /// The analyses that are asked of it, if that is known.
    pub(crate) fn together(&self) -> Option<&'a Together> {
        self.together
    }

    /// The same with a summary in the place of each segment that has one, wherever that tells the covered rows: for a kernel that asks
    /// each row how many it stands for, and for no column that the summary doesn't keep. Of a summary of one type of events, only
    /// those are to be asked for ([`Input::only`]).
    pub(crate) fn summarised(&self, summary: &EventSummary) -> Self {
        let kept: Vec<Option<&Segment>> = self.summaries.iter().flat_map(|known| known.segments(summary)).collect();
        if kept.len() != self.events.segments().len() || kept.iter().all(Option::is_none) {
            return self.clone();
        }
        let stands = |place: usize| self.selection.asks_only(place, |column| summary.is_exact(column));
        let segments = self.events.segments().iter().zip(kept).enumerate().map(|(place, (segment, kept))| match kept {
            Some(kept) if stands(place) => segment.summarised(summary, kept),
            _ => segment.clone(),
        });
        Self::new(self.events.replaced(segments.collect()), &self.filter).within(self.memory)
    }

    /// What an analysis reads that brings users or sessions together: the events in order of users if they are there, or these.
    pub(crate) fn by_user(&self) -> &Self {
        if self.skips_most { self } else { self.sorted.as_deref().unwrap_or(self) }
    }

    /// What covered rows are taken out of, for several analyses: the events in order of users if they are there, whatever that costs.
    pub(super) fn in_best_order(&self) -> &Self {
        self.sorted.as_deref().unwrap_or(self)
    }

    /// Whether the same events are there in order of their users.
    pub(super) fn is_beside_order(&self) -> bool {
        self.sorted.is_some()
    }

    /// Whether most rows lie in order of their users.
    pub(crate) fn is_by_user(&self) -> bool {
        let (half, mut ascending) = (self.candidate_rows() / 2, 0);
        // The rest need not be looked at once they are most.
        self.candidates().any(|(_, segment)| {
            ascending += if segment.columns[USER_ID].ascends() { segment.rows } else { 0 };
            ascending > half
        })
    }

    /// The same without the events in another order, if something that was read of those was damaged.
    pub(crate) fn without_damaged_order(&self) -> Option<Self> {
        self.sorted.as_ref()?.events.check().err()?;
        Some(Self { sorted: None, ..self.clone() })
    }

    /// The same with another budget for the keys of rows that are grouped, in bytes (4 GiB unless set). Where all keys would take more,
    /// groups are made in several passes over the columns, as many as it takes; the answer is the same.
    #[must_use]
    pub fn within(self, memory: u64) -> Self {
        let sorted = self.sorted.map(|sorted| Box::new(sorted.within(memory)));
        Self { memory, sorted, ..self }
    }

    /// Bytes that keys may take.
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// Of these, the events of one type.
    pub(crate) fn only(&self, event_type: &str) -> Self {
        let known = &self.filter.event_types;
        let event_types = vec![event_type.to_owned()];
        let filter = if known.is_empty() || known.iter().any(|known| known == event_type) {
            Filter { event_types, ..self.filter.clone() }
        } else {
            // Nothing happens after the end of time.
            Filter { from: Some(i64::MAX), to: Some(i64::MIN), event_types, ..self.filter.clone() }
        };
        Self::new(self.events.clone(), &filter).within(self.memory)
    }

    /// Which events are asked for.
    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The events, covered or not.
    #[must_use]
    pub fn events(&self) -> &Events<'a> {
        &self.events
    }

    /// Which of them the filter covers.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// How many events the filter covers. Where it covers whole segments, none of their rows is read.
    #[must_use]
    pub fn covered_rows(&self) -> u64 {
        let is_whole = |segment: usize| self.selection.covers(segment);
        let whole = self.candidates().filter(|(segment, _)| is_whole(*segment)).map(|(_, segment)| segment.rows as u64);
        let counted = scan_morsels(self, &self.morsels(|segment| !is_whole(segment)), &Count);
        whole.chain(counted).sum()
    }

    /// Rows in segments that the filter doesn't skip: an upper bound of the rows covered.
    pub(crate) fn candidate_rows(&self) -> usize {
        self.candidates().map(|(_, segment)| segment.rows).sum()
    }

    /// The same, where rows of summaries are as many as they stand for.
    pub(crate) fn candidate_events(&self) -> usize {
        self.candidates().map(|(_, segment)| segment.events()).sum()
    }

    /// The segments that the filter doesn't skip, with their places.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (usize, &EventSegment<'a>)> {
        self.events.segments().iter().enumerate().filter(|(index, _)| !self.selection.skips(*index))
    }

    /// The rows of the wanted segments that the filter doesn't skip, in pieces.
    pub(crate) fn morsels(&self, wanted: impl Fn(usize) -> bool) -> Vec<(usize, Range<usize>)> {
        let of_segment = |(index, segment): (usize, &EventSegment<'a>)| {
            let rows = segment.rows;
            (0..rows).step_by(MORSEL_ROWS).map(move |start| (index, start..rows.min(start + MORSEL_ROWS)))
        };
        self.candidates().filter(|(index, _)| wanted(*index)).flat_map(of_segment).collect()
    }

    /// Visits rows of a segment, a chunk at a time.
    pub(crate) fn rows(
        &self,
        segment: usize,
        rows: Range<usize>,
        scratch: &mut SelectionScratch,
        mut visit: impl FnMut(&Chunk<'_>),
    ) {
        for start in rows.clone().step_by(CHUNK_ROWS) {
            self.chunk(segment, start..rows.end.min(start + CHUNK_ROWS), scratch, &mut visit);
        }
    }

    fn chunk(
        &self,
        segment: usize,
        rows: Range<usize>,
        scratch: &mut SelectionScratch,
        visit: impl FnOnce(&Chunk<'_>),
    ) {
        let columns = &self.events.segments()[segment];
        let selected = self.selection.select(columns, segment, rows.clone(), scratch);
        if !matches!(selected, Selected::Rows([])) {
            visit(&Chunk { segment, columns, rows, selected });
        }
    }

    /// Visits about `rows` rows' worth of chunks, spread evenly: always the same ones.
    pub(crate) fn sample(&self, rows: usize, mut visit: impl FnMut(&Chunk<'_>)) {
        let chunks: Vec<(usize, usize)> = self
            .candidates()
            .flat_map(|(index, segment)| (0..segment.rows).step_by(CHUNK_ROWS).map(move |start| (index, start)))
            .collect();
        let mut scratch = SelectionScratch::new();
        for (segment, start) in chunks.iter().step_by((chunks.len() * CHUNK_ROWS / rows.max(1)).max(1)) {
            let end = self.events.segments()[*segment].rows.min(start + CHUNK_ROWS);
            self.chunk(*segment, *start..end, &mut scratch, &mut visit);
        }
    }
}

impl Chunk<'_> {
    /// The segment's place.
    pub(crate) fn segment(&self) -> usize {
        self.segment
    }

    /// Its rows, selected or not.
    pub(super) fn range(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Which of them are selected.
    pub(super) fn selected(&self) -> Selected<'_> {
        self.selected
    }

    /// Rows, selected or not.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Selected rows.
    pub(crate) fn len(&self) -> usize {
        match self.selected {
            Selected::All => self.rows.len(),
            Selected::Rows(rows) => rows.len(),
        }
    }

    /// How many events each selected row stands for; `None` where each is one.
    pub(crate) fn counts<'s>(&self, out: &'s mut Scratch<u64>) -> Option<&'s [u64]> {
        let stands_for = self.columns.stands_for.as_ref()?;
        let numbers = &mut out[..self.rows.len()];
        integers(&stands_for.counts.view(), self.rows.clone(), bytemuck::cast_slice_mut(numbers));
        Some(self.keep_selected(out))
    }

    /// How many selected rows' packed numbers of a column are below `limit`.
    pub(crate) fn count_below(&self, column: usize, limit: u64) -> u64 {
        let packed = self.columns.columns[column].packed();
        match self.selected {
            Selected::All => count_below(packed, self.rows.clone(), limit),
            Selected::Rows(rows) => count_few_below(packed, self.rows.start, rows, limit),
        }
    }

    /// The selected rows' ordinals of a field.
    pub(crate) fn ordinals<'s>(&self, field: &Field, out: &'s mut Scratch<u64>) -> &'s [u64] {
        if let Selected::Rows(rows) = self.selected
            && rows.len() * FEW_SELECTED <= self.rows.len()
        {
            let (out, numbers) = out.split_at_mut(rows.len());
            field.decode_few((self.segment, self.columns), self.rows.start, rows, &mut numbers[..rows.len()], out);
            return out;
        }
        field.decode(self.segment, self.columns, self.rows.clone(), &mut out[..self.rows.len()]);
        self.keep_selected(out)
    }

    /// The ordinal of one selected row, the how-manieth of them it is: for few.
    pub(crate) fn ordinal(&self, field: &Field, selected: u16) -> u64 {
        let row = match self.selected {
            Selected::All => selected,
            Selected::Rows(rows) => rows[usize::from(selected)],
        };
        field.ordinal(self.segment, self.columns, self.rows.start + usize::from(row))
    }

    /// Calls `put` with each of `into`, one a selected row, and the row's ordinal of a field.
    pub(crate) fn put_ordinals<T>(
        &self,
        field: &Field,
        scratch: &mut Scratch<u64>,
        into: &mut [T],
        put: impl Fn(&mut T, u64),
    ) {
        if matches!(self.selected, Selected::All) {
            field.put_into((self.segment, self.columns), self.rows.clone(), &mut scratch[..], into, put);
        } else {
            let ordinals = self.ordinals(field, scratch);
            into.iter_mut().zip(ordinals).for_each(|(into, ordinal)| put(into, *ordinal));
        }
    }

    /// Each row's place among all combinations of the fields' packed numbers, the first field highest, if every row is selected,
    /// each field lists its numbers, and there are at most `most` combinations. The second value is how many there are.
    pub(crate) fn places<'s>(
        &self,
        fields: &[&Field],
        most: usize,
        out: &'s mut Scratch<u32>,
    ) -> Option<(&'s [u32], usize)> {
        if !matches!(self.selected, Selected::All) {
            return None;
        }
        let combinations =
            fields.iter().try_fold(1_usize, |all, field| all.checked_mul(field.listed(self.segment)?.len()));
        let combinations = combinations.filter(|combinations| *combinations <= most)?;
        let out = &mut out[..self.rows.len()];
        out.fill(0);
        for field in fields {
            let numbers = u32::try_from(field.listed(self.segment)?.len()).ok()?;
            field.place(self.columns, self.rows.clone(), numbers, out);
        }
        Some((out, combinations))
    }

    fn keep_selected<'s, T: Copy>(&self, out: &'s mut Scratch<T>) -> &'s [T] {
        if let Selected::Rows(rows) = self.selected {
            for (to, from) in rows.iter().enumerate() {
                out[to] = out[usize::from(*from)];
            }
        }
        &out[..self.len()]
    }
}

/// Counts the selected rows.
struct Count;

impl Scan for Count {
    type Partial = u64;

    fn start(&self) -> u64 {
        0
    }

    fn scan(&self, rows: &mut u64, chunk: &Chunk<'_>) {
        *rows += chunk.len() as u64;
    }

    fn merge(&self, into: &mut u64, other: u64) {
        *into += other;
    }
}

/// Runs a kernel over all selected rows.
pub(crate) fn scan<S: Scan>(input: &Input<'_>, kernel: &S) -> S::Partial {
    let partials = scan_apart(input, kernel);
    let mut partials = partials.into_iter();
    let mut all = partials.next().unwrap_or_else(|| kernel.start());
    partials.for_each(|partial| kernel.merge(&mut all, partial));
    all
}

/// Runs a kernel over all selected rows and returns what each worker made, at least one.
pub(crate) fn scan_apart<S: Scan>(input: &Input<'_>, kernel: &S) -> Vec<S::Partial> {
    scan_morsels(input, &input.morsels(|_| true), kernel)
}

/// As [`scan_apart`], of some rows alone: a segment's place and a range of its rows each.
pub(crate) fn scan_morsels<S: Scan>(
    input: &Input<'_>,
    morsels: &[(usize, Range<usize>)],
    kernel: &S,
) -> Vec<S::Partial> {
    deal(morsels.len(), |tasks| {
        let mut partial = kernel.start();
        let mut scratch = SelectionScratch::new();
        for (segment, rows) in tasks.map(|task| &morsels[task]) {
            input.rows(*segment, rows.clone(), &mut scratch, |chunk| kernel.scan(&mut partial, chunk));
        }
        partial
    })
}

/// Runs one worker a thread of the current pool; each takes tasks `0..tasks` from the iterator it is given, as fast as it
/// can. Returns what the workers made, at least one.
pub(crate) fn deal<P: Send>(tasks: usize, worker: impl Fn(&mut dyn Iterator<Item = usize>) -> P + Sync) -> Vec<P> {
    let next = AtomicUsize::new(0);
    let workers = rayon::current_num_threads().min(tasks).max(1);
    (0..workers)
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut dealt =
                std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|task| *task < tasks));
            worker(&mut dealt)
        })
        .collect()
}
