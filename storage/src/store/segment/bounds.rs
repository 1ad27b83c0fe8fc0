//! Numbers that stay within what the front says of them, whatever the disk gave back.
//!
//! A reader sizes its tables by the front's statistics, which are checked when the segment is opened, and indexes them by
//! the numbers of the rows, which are not: checking every page's checksum would cost more than most questions. So before
//! the first reading of a column its numbers are looked through once, for the largest, at the speed of memory. One that
//! can't be makes all rows of the column read as its smallest value; the damage is remembered and
//! [`Segment::found_damage`] tells it, so that no result is taken for right that was made of it.

use std::sync::OnceLock;

use super::layout::{Encoding, Entry};
use super::{ColumnView, Identifiers, Integers, Packed, Segment, StoreError};

/// What is known of a column's regions since they were first read.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    /// Whether the values of the segment's own dictionary lie within the statistics.
    values: OnceLock<bool>,
    /// Whether the numbers of the rows stay within the bounds.
    numbers: OnceLock<bool>,
    /// Whether no row's number is below that of the row before.
    ascends: OnceLock<bool>,
}

impl Segment {
    /// A column's values, in place, with every number within the column's statistics and every code one that has a value.
    /// The first call for a column reads its numbers once.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn bounded_column(&self, column: usize) -> ColumnView<'_> {
        let view = self.column_shape(column);
        if self.has_sound_numbers(column) { view } else { zeros(view, self.rows()) }
    }

    /// Whether [`Segment::bounded_column`] is the column as it lies, [`Segment::column`]: then who has that need not ask for it again. The
    /// first call for a column reads its numbers once.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn is_sound(&self, column: usize) -> bool {
        self.has_sound_values(column) && self.has_sound_numbers(column)
    }

    /// A column as [`Segment::bounded_column`] gives it, but for the numbers of its rows, which are not looked at: for who wants to
    /// know the encoding and the distinct values.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn column_shape(&self, column: usize) -> ColumnView<'_> {
        if self.has_sound_values(column) {
            return self.column(column);
        }
        let packed = Packed::Zero(self.rows());
        ColumnView::Integers(Integers::Frame { base: self.front.entries[column].min, multiplier: 1, packed })
    }

    /// Whether [`Segment::column_shape`] is the column as it lies, [`Segment::column`]. The first call for a column reads the values of its
    /// own dictionary once, if it has one.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn has_sound_values(&self, column: usize) -> bool {
        *self.bounds[column].values.get_or_init(|| {
            let ColumnView::Integers(Integers::Dictionary { values, .. }) = self.column(column) else { return true };
            let entry = &self.front.entries[column];
            values.is_sorted()
                && values.first().is_some_and(|&least| least >= entry.min)
                && values.last().is_some_and(|&last| last <= entry.max)
        })
    }

    fn has_sound_numbers(&self, column: usize) -> bool {
        *self.bounds[column].numbers.get_or_init(|| {
            self.rows() == 0 || self.column_shape(column).packed().largest() <= self.front.entries[column].limit()
        })
    }

    /// Whether no row's value is below that of the row before: of identifiers and codes, whether no number is. The first call for a
    /// column reads its numbers up to the first descent, which in a column without order is not far.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn ascends(&self, column: usize) -> bool {
        *self.bounds[column].ascends.get_or_init(|| self.bounded_column(column).ascends())
    }

    /// The damage that reading the columns has met so far.
    #[must_use]
    pub fn found_damage(&self) -> Option<StoreError> {
        let is_damaged = |bounds: &Bounds| bounds.values.get() == Some(&false) || bounds.numbers.get() == Some(&false);
        let column = self.bounds.iter().position(is_damaged)?;
        let entry = &self.front.entries[column];
        let region = usize::from(self.bounds[column].values.get() == Some(&false));
        let what =
            format!("column number {column} holds a value beyond its statistics, {} to {}", entry.min, entry.max);
        Some(StoreError::corrupt(&self.name, entry.regions[region].offset, what))
    }
}

impl Entry {
    /// The largest number that a row may hold in region 0.
    pub(super) fn limit(&self) -> u64 {
        match self.encoding {
            Encoding::Frame => self.max.wrapping_sub(self.min).cast_unsigned() / self.multiplier.max(1).cast_unsigned(),
            Encoding::LocalDictionary => self.distinct.saturating_sub(1),
            Encoding::Codes => self.max.cast_unsigned(),
            Encoding::Identifiers => self.distinct,
        }
    }
}

/// The same column with the number 0 in every row.
fn zeros(view: ColumnView<'_>, rows: usize) -> ColumnView<'_> {
    let zero = Packed::Zero(rows);
    match view {
        ColumnView::Integers(Integers::Frame { base, multiplier, .. }) => {
            ColumnView::Integers(Integers::Frame { base, multiplier, packed: zero })
        }
        ColumnView::Integers(Integers::Dictionary { values, .. }) => {
            ColumnView::Integers(Integers::Dictionary { values, codes: zero })
        }
        ColumnView::Codes(_) => ColumnView::Codes(zero),
        ColumnView::Identifiers(identifiers) => ColumnView::Identifiers(Identifiers { codes: zero, ..identifiers }),
    }
}
