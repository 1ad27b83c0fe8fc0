//! What segments come to, kept beside them: an analysis that adds up reads a few rows in place of a segment's million.
//!
//! A summary has each combination of some columns' values that a segment's rows have once, with the number of rows that have it. To a
//! kernel it looks like a segment whose rows stand for several each ([`Chunk::counts`](super::driver::Chunk::counts)). It takes the
//! segment's place where the filter asks for nothing but columns that it keeps, or covers all of the segment: its zone map is that of the
//! segment. So an answer is the same to the last byte, and what is read are the summaries, and the rows of segments that have none yet.
//!
//! Cost: a summary is made by grouping a segment's rows once, 3 to 12 ns a row, when an answer has been given that could have used it.
//! It takes a hundredth of the segment's room or less; one that would take more than an eighth of its rows is declined.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use cartlog_storage::store::{
    Batch, ColumnStatistics, ColumnValues, Segment, Snapshot, StoreError, Summary, SummaryKind, SummaryWriter,
};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::driver::Input;
use super::events::{EventSegment, Events};
use super::field::Field;
use super::filter::Filter;
use super::group::{Parts, group};
use super::keys::{Key, Layout};
use super::periods::{DAY, HOUR};
use super::sort::runs;
use super::top::{counted, is_counted};
use crate::event::{BRAND, CATEGORY_CODE, CATEGORY_ID, EVENT_TIME, EVENT_TYPE, PRICE};

/// Segments of fewer rows are read as they are: they would be merged soon, and cost little.
const FEWEST_ROWS: usize = 1 << 17;

/// A summary has a row for at least so many rows of its segment.
const LEAST_GAIN: usize = 8;

/// The type whose prices are revenue.
pub(super) const PURCHASE: &str = "purchase";

/// What a summary keeps of events.
#[derive(Debug)]
pub(crate) struct EventSummary {
    kind: SummaryKind,
    /// The length of the periods whose starts stand for times.
    period: i64,
    /// The type of the events that it is of, if it is not of all.
    only: Option<&'static str>,
}

/// Categories by id and code.
pub(crate) const CATEGORIES: EventSummary = EventSummary {
    kind: SummaryKind { name: "categories", columns: &[CATEGORY_ID, CATEGORY_CODE] },
    period: 1,
    only: None,
};

/// Prices of each category.
pub(crate) const PRICES: EventSummary =
    EventSummary { kind: SummaryKind { name: "prices", columns: &[CATEGORY_CODE, PRICE] }, period: 1, only: None };

/// Types of each hour.
pub(crate) const HOURS: EventSummary =
    EventSummary { kind: SummaryKind { name: "hours", columns: &[EVENT_TIME, EVENT_TYPE] }, period: HOUR, only: None };

/// Types, categories and brands of each day.
pub(crate) const DAYS: EventSummary = EventSummary {
    kind: SummaryKind { name: "days", columns: &[EVENT_TIME, EVENT_TYPE, CATEGORY_CODE, BRAND] },
    period: DAY,
    only: None,
};

/// The same of purchases, with their prices.
pub(crate) const SALES: EventSummary = EventSummary {
    kind: SummaryKind { name: "sales", columns: &[EVENT_TIME, EVENT_TYPE, CATEGORY_CODE, BRAND, PRICE] },
    period: DAY,
    only: Some(PURCHASE),
};

const ALL: [&EventSummary; 5] = [&CATEGORIES, &PRICES, &HOURS, &DAYS, &SALES];

impl EventSummary {
    /// Whether a column's values are those of the rows, one by one.
    pub(super) fn is_exact(&self, column: usize) -> bool {
        self.kind.columns.contains(&column) && (column != EVENT_TIME || self.period == 1)
    }

    /// The place of a column of events among the summary's.
    pub(super) fn place(&self, column: usize) -> Option<usize> {
        self.kind.columns.iter().position(|kept| *kept == column)
    }

    /// The place of the number of rows.
    pub(super) fn place_of_rows(&self) -> usize {
        self.kind.columns.len()
    }

    /// The summary of some events: its columns, and the number of rows that each of its rows stands for. Rows ascend.
    fn of(&self, events: &Events<'_>) -> Batch {
        let input = Input::new(events.clone(), &Filter::default());
        let input = self.only.map_or(input.clone(), |event_type| input.only(event_type));
        let field = |column: &usize| match *column {
            EVENT_TIME => Field::periods(events, EVENT_TIME, self.period, 0),
            EVENT_TYPE | CATEGORY_CODE | BRAND => Field::codes(events, *column),
            column => Field::compact(events, column),
        };
        let layout = Layout::fitted(events, self.kind.columns.iter().map(field).collect());
        let rows: Vec<Counted> = if is_counted(&layout) {
            (0..).zip(counted(&input, &layout)).filter(|(_, count)| *count > 0).collect()
        } else {
            let mut parts: Vec<(usize, Vec<Counted>)> =
                group(&input, &layout, layout.fields(), &Distinct).into_iter().flatten().collect();
            parts.sort_by_key(|(part, _)| *part);
            parts.into_iter().flat_map(|(_, rows)| rows).collect()
        };
        let (rows, layout) = (&rows, &layout);
        let ordinals = |place: usize| rows.iter().map(move |(key, _)| layout.ordinal(*key, place));
        let columns = self.kind.columns.iter().enumerate().map(|(place, column)| match *column {
            EVENT_TYPE | CATEGORY_CODE | BRAND => {
                ColumnValues::Codes(ordinals(place).map(|code| u32::try_from(code).unwrap_or_default()).collect())
            }
            column => {
                let length = if column == EVENT_TIME { self.period } else { 1 };
                ColumnValues::Integers(
                    ordinals(place).map(|ordinal| layout.field(place).value(ordinal) * length).collect(),
                )
            }
        });
        let counts = ColumnValues::Integers(rows.iter().map(|(_, count)| count.cast_signed()).collect());
        Batch { columns: columns.chain([counts]).collect(), rows: rows.len() }
    }
}

/// A key and how many rows have it.
type Counted = (u128, u64);

/// Counts each key.
struct Distinct;

impl Parts for Distinct {
    type Partial = Vec<(usize, Vec<Counted>)>;

    fn start(&self) -> Self::Partial {
        Vec::new()
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, part: usize, keys: &[K]) {
        partial.push((part, runs(keys).map(|(key, count)| (key.wide(), count)).collect()));
    }
}

/// The summaries of a snapshot's segments: opened when an analysis first asks for them, and made when all have been answered.
#[derive(Debug)]
pub struct Summaries {
    snapshot: Snapshot,
    /// One a kind, once it was asked for: one a segment.
    opened: [OnceLock<Vec<Held>>; ALL.len()],
}

/// What there is of a segment.
#[derive(Debug)]
enum Held {
    Rows(Segment),
    Declined,
    /// Nothing, or nothing that is sound.
    Absent,
}

/// What [`Summaries::keep`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptSummaries {
    /// Summaries written.
    pub written: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Summaries {
    /// Those of a snapshot. Costs nothing until an analysis asks for them.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self { snapshot: snapshot.clone(), opened: Default::default() }
    }

    /// What there is of each segment of one kind.
    fn opened(&self, place: usize) -> &[Held] {
        if let Some(opened) = self.opened[place].get() {
            return opened;
        }
        // Not while others wait for it: this thread may be given another's question meanwhile.
        let segments = (0..self.snapshot.segments().len()).into_par_iter();
        let opened = segments.map(|segment| Held::open(&self.snapshot, segment, ALL[place])).collect();
        self.opened[place].get_or_init(|| opened)
    }

    /// The summary of each segment that has one.
    pub(super) fn segments(&self, summary: &EventSummary) -> impl Iterator<Item = Option<&Segment>> {
        let place = ALL.iter().position(|known| known.kind == summary.kind);
        place.map_or(&[][..], |place| self.opened(place)).iter().map(|held| match held {
            Held::Rows(segment) => Some(segment),
            Held::Declined | Held::Absent => None,
        })
    }

    /// Makes and keeps the summaries that analyses have asked for and that aren't there, of all segments but small ones. `progress` is
    /// told how many are done, of how many.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while somebody else keeps some; damage of a segment; I/O errors, as in a folder that can't be
    /// written to. None of these touches an answer.
    pub fn keep(&self, progress: impl Fn(usize, usize) + Sync) -> Result<KeptSummaries, StoreError> {
        let asked = self.opened.iter().zip(ALL).filter_map(|(opened, kind)| Some((opened.get()?, kind)));
        let absent = asked.flat_map(|(opened, kind)| {
            let absent = opened.iter().enumerate().filter(|(_, held)| matches!(held, Held::Absent));
            absent.map(move |(segment, _)| (segment, kind))
        });
        let is_large = |segment: usize| self.snapshot.segments()[segment].rows() >= FEWEST_ROWS;
        let absent: Vec<_> = absent.filter(|(segment, _)| is_large(*segment)).collect();
        let mut kept = KeptSummaries::default();
        if absent.is_empty() {
            return Ok(kept);
        }
        let Some(writer) = self.snapshot.keep_summaries()? else { return Ok(kept) };
        let done = AtomicUsize::new(0);
        let written = absent.par_iter().map(|(segment, kind)| {
            progress(done.fetch_add(1, Ordering::Relaxed), absent.len());
            self.keep_one(&writer, *segment, kind)
        });
        for bytes in written.collect::<Result<Vec<Option<u64>>, StoreError>>()?.into_iter().flatten() {
            kept.written += 1;
            kept.bytes += bytes;
        }
        Ok(kept)
    }

    fn keep_one(
        &self,
        writer: &SummaryWriter<'_>,
        place: usize,
        summary: &EventSummary,
    ) -> Result<Option<u64>, StoreError> {
        let segment = &self.snapshot.segments()[place];
        let events = Events::among(&self.snapshot, vec![EventSegment::of(segment)]);
        let rows = summary.of(&events);
        if let Some(damage) = segment.found_damage() {
            return Err(damage);
        }
        if rows.rows > segment.rows() / LEAST_GAIN {
            return writer.decline(place, &summary.kind).map(|()| None);
        }
        writer.keep(place, &summary.kind, &rows).map(Some)
    }

    /// Those of all kinds, however small a segment is and however much room they take.
    #[cfg(test)]
    pub(super) fn made(snapshot: &Snapshot) -> Self {
        let summaries = Self::of(snapshot);
        for (opened, kind) in summaries.opened.iter().zip(ALL) {
            let made = snapshot.segments().iter().map(|segment| {
                let rows = kind.of(&Events::among(snapshot, vec![EventSegment::of(segment)]));
                Held::Rows(Segment::from_batches(&kind.kind.schema(snapshot.schema()), &[rows]).unwrap())
            });
            opened.set(made.collect()).unwrap();
        }
        summaries
    }
}

impl Held {
    fn open(snapshot: &Snapshot, segment: usize, summary: &EventSummary) -> Self {
        Self::try_open(snapshot, segment, summary).unwrap_or_else(|error| {
            tracing::warn!(%error, "a summary is passed over");
            Self::Absent
        })
    }

    fn try_open(snapshot: &Snapshot, segment: usize, summary: &EventSummary) -> Result<Self, StoreError> {
        Ok(match snapshot.summary(segment, &summary.kind)? {
            None => Self::Absent,
            Some(Summary::Declined) => Self::Declined,
            Some(Summary::Rows(rows)) => {
                let most = snapshot.segments()[segment].rows() as i64;
                let is_sound = match rows.statistics(summary.place_of_rows()) {
                    ColumnStatistics::Integers { min, max } => rows.rows() == 0 || (min > 0 && max <= most),
                    ColumnStatistics::Codes { .. } | ColumnStatistics::Identifiers { .. } => false,
                };
                if is_sound { Self::Rows(rows) } else { Self::Absent }
            }
        })
    }
}
