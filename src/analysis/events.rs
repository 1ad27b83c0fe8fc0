//! The events as kernels see them: segments of columns, and the dictionaries' texts.
//!
//! Kernels know no files and no snapshots: they read [`Events`], borrowed from whoever holds the columns.

use std::sync::{Arc, Mutex, OnceLock};

use cartlog_storage::store::{ColumnSchema, ColumnStatistics, ColumnView, Integers, Packed, Segment, Snapshot};

use super::AnalysisError;
use super::decode::repacked;
use super::field::Fields;
use super::filter::Filter;
use super::numbering::Numbering;
use super::summary::EventSummary;
use crate::event::{self, BRAND, CATEGORY_CODE, EVENT_TYPE};

/// Segments of events, in any order, with the texts that their codes stand for.
#[derive(Debug, Clone)]
pub struct Events<'a> {
    segments: Vec<EventSegment<'a>>,
    event_types: Vec<&'a str>,
    categories: Vec<&'a str>,
    brands: Vec<&'a str>,
    /// What was found out of them.
    known: Arc<Known>,
    /// What they were taken out of, if they were.
    whole: Option<Arc<Events<'a>>>,
    /// Whether other filters want these numbers too, so that they are of all sessions from the start.
    pub(super) is_shared: bool,
}

/// What is the same for every filter of a snapshot's events and costs more than a look: how their sessions are numbered, and their values
/// in short, in each order that they are kept in. Empty at first; once analyses have asked, 4 bytes a session and segment, and as
/// much for each entry of the segments' own dictionaries.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    pub(super) stored: Arc<Known>,
    pub(super) sorted: Arc<Known>,
}

/// What was found out of some segments, and is the same for any choice of their rows.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The numbers of all sessions, once they have been asked for.
    pub(super) sessions: OnceLock<Numbering>,
    /// Those of the sessions of the events that a filter covers, the last one asked.
    pub(super) covered_sessions: Mutex<Option<(Filter, Numbering)>>,
    fields: Fields,
}

/// One segment's columns.
#[derive(Debug, Clone)]
pub struct EventSegment<'a> {
    /// Rows in every column.
    pub rows: usize,
    /// One entry a column of [`event::schema`](crate::event::schema).
    pub columns: Vec<EventColumn<'a>>,
    /// What its rows stand for, if it is a summary of others.
    pub(super) stands_for: Option<StandsFor<'a>>,
}

/// What the rows of a summary stand for. Its columns' bounds are those of the segment that it is of.
#[derive(Debug, Clone)]
pub(super) struct StandsFor<'a> {
    /// The segment's rows.
    pub(super) rows: usize,
    /// How many of them each row stands for.
    pub(super) counts: EventColumn<'a>,
    /// The columns whose values are those of the segment's rows.
    exact: Vec<usize>,
}

/// A column with what is known of it without reading its rows.
#[derive(Debug, Clone, Copy)]
pub struct EventColumn<'a> {
    values: Values<'a>,
    /// A lower bound of the values, or of the codes: missing is code 0.
    pub smallest: i64,
    /// An upper bound of the values, or of the codes.
    pub largest: i64,
    /// Whether rows are known to ascend, without a look at them.
    is_ascending: bool,
}

/// Where a column's values are.
#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    /// Here, and known to lie within the bounds.
    View(ColumnView<'a>),
    /// In a segment, which looks through them before they are first read; and how they lie there.
    Segment(&'a Segment, usize, ColumnView<'a>),
}

impl<'a> Events<'a> {
    /// Events of these segments; entry `n` of a dictionary is the text of code `n + 1`.
    #[must_use]
    pub fn new(
        segments: Vec<EventSegment<'a>>,
        event_types: Vec<&'a str>,
        categories: Vec<&'a str>,
        brands: Vec<&'a str>,
    ) -> Self {
        Self { segments, event_types, categories, brands, known: Arc::default(), whole: None, is_shared: false }
    }

    /// The events of a snapshot, borrowed from it.
    ///
    /// # Errors
    /// [`AnalysisError::NotEvents`] if the snapshot's columns are not those of [`event::schema`].
    pub fn of(snapshot: &'a Snapshot) -> Result<Self, AnalysisError> {
        let expected = event::schema().columns;
        let got = &snapshot.schema().columns;
        if let Some(column) =
            (0..expected.len().max(got.len())).find(|column| expected.get(*column) != got.get(*column))
        {
            let describe = |column: Option<&ColumnSchema>| {
                column.map_or_else(|| "no column".to_owned(), |column| format!("{} {:?}", column.name, column.kind))
            };
            let (got, expected) = (describe(got.get(column)), describe(expected.get(column)));
            return Err(AnalysisError::NotEvents { column, got, expected });
        }
        Ok(Self::among(snapshot, snapshot.segments().iter().map(|segment| EventSegment::of(segment)).collect()))
    }

    /// Some segments of a snapshot of events.
    pub(super) fn among(snapshot: &'a Snapshot, segments: Vec<EventSegment<'a>>) -> Self {
        let texts = |column: usize| snapshot.dictionary(column).iter().collect();
        Self::new(segments, texts(EVENT_TYPE), texts(CATEGORY_CODE), texts(BRAND))
    }

    /// The same events in order of their users, as far as the snapshot has a sorted copy of that order: the copy's segments, and
    /// those that it doesn't stand for.
    pub(super) fn by_user(snapshot: &'a Snapshot) -> Option<Self> {
        let copy = snapshot.sorted().filter(|copy| copy.order() == event::BY_USER)?;
        let stored = Self::of(snapshot).ok()?;
        let sorted = copy.segments().iter().map(|segment| EventSegment::of(segment));
        let others = stored.segments.into_iter().enumerate().filter(|(place, _)| !copy.replaced().contains(place));
        let segments = sorted.chain(others.map(|(_, segment)| segment)).collect();
        Some(Self::new(segments, stored.event_types, stored.categories, stored.brands))
    }

    /// The same, with what others find out of them too.
    pub(super) fn sharing(self, known: &Arc<Known>) -> Self {
        Self { known: Arc::clone(known), is_shared: true, ..self }
    }

    /// What was found out of them.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// The fields that were made of them.
    pub(super) fn fields(&self) -> &Fields {
        &self.known.fields
    }

    /// Some rows of these events: each segment in its place and of the same encodings, with the same texts and numbers of sessions.
    pub(super) fn part<'b>(&self, segments: Vec<EventSegment<'b>>) -> Events<'b>
    where
        'a: 'b,
    {
        Events { segments, whole: Some(Arc::new(self.clone())), ..self.clone() }
    }

    /// The same with other segments in the place of these, about which nothing is known yet.
    pub(super) fn replaced(&self, segments: Vec<EventSegment<'a>>) -> Self {
        Self { segments, known: Arc::default(), whole: None, is_shared: false, ..self.clone() }
    }

    /// Whether they are not a part of others.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.is_none()
    }

    /// The events that these are a part of, or themselves: their encodings are those of all segments that a part could have rows of.
    pub(super) fn whole(&self) -> &Self {
        self.whole.as_deref().unwrap_or(self)
    }

    /// Whether nothing read so far was damaged.
    ///
    /// # Errors
    /// [`AnalysisError::Damaged`] with the file: what was answered from it is not to be used.
    pub fn check(&self) -> Result<(), AnalysisError> {
        let damage = self.segments.iter().flat_map(|segment| &segment.columns).find_map(|column| match column.values {
            Values::View(_) => None,
            Values::Segment(segment, ..) => segment.found_damage(),
        });
        damage.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The segments.
    #[must_use]
    pub fn segments(&self) -> &[EventSegment<'a>] {
        &self.segments
    }

    /// Rows of all segments.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows as u64).sum()
    }

    /// The texts of a dictionary column, of its codes 1, 2, …; empty for other columns.
    #[must_use]
    pub fn texts(&self, column: usize) -> &[&'a str] {
        match column {
            EVENT_TYPE => &self.event_types,
            CATEGORY_CODE => &self.categories,
            BRAND => &self.brands,
            _ => &[],
        }
    }

    /// The smallest and the largest value of an integer column, or bounds of them; `None` without rows.
    pub(crate) fn range(&self, column: usize) -> Option<(i64, i64)> {
        let ranges = self.segments.iter().filter(|segment| segment.events() > 0).map(|segment| {
            let column = &segment.columns[column];
            (column.smallest, column.largest)
        });
        ranges.reduce(|left, right| (left.0.min(right.0), left.1.max(right.1)))
    }
}

impl<'a> EventSegment<'a> {
    /// A segment of events.
    pub(super) fn of(segment: &'a Segment) -> Self {
        let columns = (0..event::schema().columns.len()).map(|column| EventColumn::of(segment, column));
        Self::new(segment.rows(), columns.collect())
    }

    /// Rows of these columns.
    #[must_use]
    pub fn new(rows: usize, columns: Vec<EventColumn<'a>>) -> Self {
        Self { rows, columns, stands_for: None }
    }

    /// A summary of this segment in its place. A column that it doesn't keep has no value that means anything.
    pub(super) fn summarised(&self, summary: &EventSummary, rows: &'a Segment) -> Self {
        let nothing = ColumnView::Codes(Packed::Zero(rows.rows()));
        let columns = self.columns.iter().enumerate().map(|(column, zone)| {
            let kept = summary.place(column).map(|place| EventColumn::of(rows, place));
            let values = kept.map_or(Values::View(nothing), |kept| kept.values);
            EventColumn { values, smallest: zone.smallest, largest: zone.largest, is_ascending: false }
        });
        let counts = EventColumn::of(rows, summary.place_of_rows());
        let exact = (0..self.columns.len()).filter(|column| summary.is_exact(*column)).collect();
        let stands_for = StandsFor { rows: self.rows, counts, exact };
        Self { rows: rows.rows(), columns: columns.collect(), stands_for: Some(stands_for) }
    }

    /// Rows of the segment that this is of: its own, or those that they stand for.
    pub(super) fn events(&self) -> usize {
        self.stands_for.as_ref().map_or(self.rows, |stands_for| stands_for.rows)
    }

    /// Whether a column's values are those of the events, so that a filter can ask for them.
    pub(super) fn is_exact(&self, column: usize) -> bool {
        self.stands_for.as_ref().is_none_or(|stands_for| stands_for.exact.contains(&column))
    }
}

impl<'a> EventColumn<'a> {
    /// Values that lie within these bounds.
    #[must_use]
    pub fn new(view: ColumnView<'a>, smallest: i64, largest: i64) -> Self {
        Self { values: Values::View(view), smallest, largest, is_ascending: false }
    }

    /// The same values of some of the rows, in their order.
    pub(super) fn part<'b>(&self, packed: Packed<'b>) -> EventColumn<'b>
    where
        'a: 'b,
    {
        let view = repacked(self.shape(), packed);
        EventColumn { is_ascending: self.ascends(), ..EventColumn::new(view, self.smallest, self.largest) }
    }

    /// The values.
    #[must_use]
    pub fn view(&self) -> ColumnView<'a> {
        match self.values {
            Values::View(view) => view,
            Values::Segment(segment, column, view) if segment.is_sound(column) => view,
            Values::Segment(segment, column, _) => segment.bounded_column(column),
        }
    }

    /// The values' encoding and what is listed of them; costs nothing a row.
    pub(crate) fn shape(&self) -> ColumnView<'a> {
        match self.values {
            Values::View(view) => view,
            Values::Segment(segment, column, view) if segment.has_sound_values(column) => view,
            Values::Segment(segment, column, _) => segment.column_shape(column),
        }
    }

    /// The smallest packed number whose value is at least this, whether a row has it or not.
    pub(super) fn packed_from(&self, value: i64) -> Option<u64> {
        match self.shape() {
            ColumnView::Integers(Integers::Frame { base, multiplier, .. }) => {
                let (distance, step) = (i128::from(value) - i128::from(base), i128::from(multiplier.max(1)));
                u64::try_from((distance.max(0) + step - 1) / step).ok()
            }
            // A segment's own dictionary ascends.
            ColumnView::Integers(Integers::Dictionary { values, .. }) => {
                Some(values.partition_point(|known| *known < value) as u64)
            }
            ColumnView::Codes(_) | ColumnView::Identifiers(_) => Some(value.max(0).cast_unsigned()),
        }
    }

    /// The largest packed number whose value is at most this, whether a row has it or not.
    pub(super) fn packed_to(&self, value: i64) -> Option<u64> {
        match self.shape() {
            ColumnView::Integers(Integers::Frame { base, multiplier, .. }) => {
                let (distance, step) = (i128::from(value) - i128::from(base), i128::from(multiplier.max(1)));
                u64::try_from(distance.div_euclid(step)).ok()
            }
            ColumnView::Integers(Integers::Dictionary { values, .. }) => {
                (values.partition_point(|known| *known <= value) as u64).checked_sub(1)
            }
            ColumnView::Codes(_) | ColumnView::Identifiers(_) => u64::try_from(value).ok(),
        }
    }

    /// How many of the rows have no code or identifier, where that is known without reading them.
    pub(crate) fn missing(&self) -> Option<u64> {
        match self.values {
            _ if self.smallest > 0 => Some(0),
            Values::View(_) => None,
            Values::Segment(segment, column, _) => match segment.statistics(column) {
                ColumnStatistics::Codes { missing, .. } | ColumnStatistics::Identifiers { missing, .. } => {
                    Some(missing)
                }
                ColumnStatistics::Integers { .. } => Some(0),
            },
        }
    }

    /// Whether no row's value, or number of a code or identifier, is below that of the row before.
    pub(crate) fn ascends(&self) -> bool {
        match self.values {
            _ if self.is_ascending => true,
            Values::View(view) => view.ascends(),
            Values::Segment(segment, column, _) => segment.ascends(column),
        }
    }

    fn of(segment: &'a Segment, column: usize) -> Self {
        let (smallest, largest) = match segment.statistics(column) {
            ColumnStatistics::Integers { min, max } => (min, max),
            ColumnStatistics::Codes { smallest, largest, missing } => {
                (if missing > 0 { 0 } else { i64::from(smallest) }, i64::from(largest))
            }
            ColumnStatistics::Identifiers { distinct, missing } => {
                (i64::from(missing == 0), i64::try_from(distinct).unwrap_or(i64::MAX))
            }
        };
        let values = Values::Segment(segment, column, segment.column(column));
        Self { values, smallest, largest, is_ascending: false }
    }

    /// The packed numbers behind the values.
    pub(crate) fn packed(&self) -> Packed<'a> {
        self.view().packed()
    }
}

#[cfg(test)]
mod tests {
    use cartlog_storage::store::{Dictionary, Schema};

    use super::*;
    use crate::analysis::testing::{Cell, rows_of};
    use crate::analysis::{Filter, Input, Parameters, find};
    use crate::event::{BlockParser, EventDictionaries, Position};

    #[test]
    fn a_snapshot_of_parsed_lines_is_answered_from() {
        let dictionaries = EventDictionaries::default();
        let mut parser = BlockParser::new(dictionaries.clone());
        let blocks = [
            "2019-10-01 00:00:00 UTC,view,1,2053013552226107603,b.c,nan,35.79,3,\n",
            "2019-10-01 00:00:01 UTC,view,1,2053013552226107603,b.c,,35.79,4,\n\
             2019-10-02 00:00:00 UTC,cart,1,2053013552226107605,,nan,10.00,4,\n",
        ];
        let segments = blocks.map(|block| {
            let batch = parser.parse(block.as_bytes(), &Position::of_block("test", 0, 1)).batch;
            Segment::from_batches(&event::schema(), &[batch]).unwrap()
        });
        let mut frozen = vec![Dictionary::default(); 9];
        frozen[EVENT_TYPE] = (*dictionaries.event_type.freeze()).clone();
        frozen[CATEGORY_CODE] = (*dictionaries.category_code.freeze()).clone();
        frozen[BRAND] = (*dictionaries.brand.freeze()).clone();
        let snapshot = Snapshot::in_memory(event::schema(), segments.into(), frozen);
        let input = Input::of(&snapshot, &Filter::default()).unwrap();
        let table = find("top_categories").unwrap().run(&input, &Parameters::default()).unwrap();
        let expected = [
            vec![Cell::Integer(2_053_013_552_226_107_603), Cell::Text("b.c".into()), Cell::Integer(2)],
            vec![Cell::Integer(2_053_013_552_226_107_605), Cell::Missing, Cell::Integer(1)],
        ];
        assert_eq!(rows_of(&table.rows), expected);
    }

    #[test]
    fn a_store_of_something_else_is_refused_by_its_first_strange_column() {
        let mut columns = event::schema().columns;
        columns.truncate(8);
        let snapshot = Snapshot::in_memory(Schema { columns }, Vec::new(), Vec::new());
        let message = Events::of(&snapshot).unwrap_err().to_string();
        assert!(message.contains("at column 8: got `no column`, expected `user_session Identifier`"), "{message}");
    }
}
