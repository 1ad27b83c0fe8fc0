//! The events as kernels see them: segments of columns, and the dictionaries' texts.
//!
//! Kernels know no files and no snapshots: they read [`Events`], borrowed from whoever holds the columns.

use cartlog_storage::store::{ColumnSchema, ColumnStatistics, ColumnView, Integers, Packed, Segment, Snapshot};

use super::AnalysisError;
use crate::event::{self, BRAND, CATEGORY_CODE, EVENT_TYPE};

/// Segments of events, in any order, with the texts that their codes stand for.
#[derive(Debug, Clone)]
pub struct Events<'a> {
    segments: Vec<EventSegment<'a>>,
    event_types: Vec<&'a str>,
    categories: Vec<&'a str>,
    brands: Vec<&'a str>,
}

/// One segment's columns.
#[derive(Debug, Clone)]
pub struct EventSegment<'a> {
    /// Rows in every column.
    pub rows: usize,
    /// One entry a column of [`event::schema`](crate::event::schema).
    pub columns: Vec<EventColumn<'a>>,
}

/// A column with what is known of it without reading its rows.
#[derive(Debug, Clone, Copy)]
pub struct EventColumn<'a> {
    /// The values.
    pub view: ColumnView<'a>,
    /// A lower bound of the values, or of the codes: missing is code 0.
    pub smallest: i64,
    /// An upper bound of the values, or of the codes.
    pub largest: i64,
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
        Self { segments, event_types, categories, brands }
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
        let segments = snapshot.segments().iter().map(|segment| EventSegment {
            rows: segment.rows(),
            columns: (0..expected.len()).map(|column| EventColumn::of(segment, column)).collect(),
        });
        let texts = |column: usize| snapshot.dictionary(column).iter().collect();
        Ok(Self::new(segments.collect(), texts(EVENT_TYPE), texts(CATEGORY_CODE), texts(BRAND)))
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
        let ranges = self.segments.iter().filter(|segment| segment.rows > 0).map(|segment| {
            let column = &segment.columns[column];
            (column.smallest, column.largest)
        });
        ranges.reduce(|left, right| (left.0.min(right.0), left.1.max(right.1)))
    }
}

impl<'a> EventColumn<'a> {
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
        Self { view: segment.column(column), smallest, largest }
    }

    /// The packed numbers behind the values.
    pub(crate) fn packed(&self) -> Packed<'a> {
        match self.view {
            ColumnView::Integers(Integers::Frame { packed, .. }) => packed,
            ColumnView::Integers(Integers::Dictionary { codes, .. }) => codes,
            ColumnView::Codes(codes) => codes,
            ColumnView::Identifiers(identifiers) => identifiers.codes,
        }
    }
}
