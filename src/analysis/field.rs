//! Fields: a column's values as small ordinals 0…maximum, the same over all segments.
//!
//! Segments keep a column each in its own shape and around its own base. To group by it, its values must be one number
//! space, and the smaller the space, the smaller the keys and the fewer passes over them. How many bits an ordinal takes is
//! computed from the data: the distance from the smallest value, divided by a common step where there is one (prices
//! are whole cents), or the place in a list of the distinct values where they are few and far between (category ids), or
//! the text's rank among its dictionary's texts (with the missing value last, so that ordinals order as results do).

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cartlog_storage::store::{ColumnView, Integers, Packed};
use rayon::slice::ParallelSliceMut;

use super::apart::Apart;
use super::decode::{
    Lookup, add_thresholds, affine, affine_into, gather, integers, lookup, lookup_into, repacked, scratch, widen,
    with_packed,
};
use super::driver::Input;
use super::events::{EventColumn, EventSegment, Events};
use super::periods::{Division, Periods};

/// The most distinct values, summed over segments, for which [`Field::compact`] makes a list.
const MAX_LISTED: usize = 1 << 18;

/// The most periods for which there is an ordinal each, whether they have events or not: days of 179 years.
const MOST_PERIODS: usize = 1 << 16;

/// Values of one column as ordinals. Copies share what is large.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    column: usize,
    maximum: u64,
    /// One a segment.
    transforms: Arc<Vec<Transform>>,
    meaning: Meaning<'a>,
}

/// Fields that were asked for before. What they are made of are segments' encodings alone, so that all choices of the same segments'
/// rows share them.
#[derive(Debug, Default)]
pub(super) struct Fields {
    made: Mutex<Vec<(Made, Field<'static>)>>,
}

/// How a field is made that costs a look at each entry of the segments' own dictionaries, or at each text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Made {
    Scaled(usize),
    Compact(usize),
    Banded(usize, Vec<i64>),
    Ranked(usize),
}

/// Fields that are kept: what a page asks for, and as much again.
const MOST_FIELDS: usize = 16;

impl Fields {
    fn find(&self, how: &Made) -> Option<Field<'static>> {
        self.lock().iter().find(|(known, _)| known == how).map(|(_, field)| field.clone())
    }

    /// Keeps a field, unless somebody else made the same meanwhile.
    fn keep(&self, how: Made, field: &Field<'static>) {
        let mut made = self.lock();
        if made.len() < MOST_FIELDS && made.iter().all(|(known, _)| *known != how) {
            made.push((how, field.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Made, Field<'static>)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    /// The field of these events, made of what they are a part of where it wasn't made before.
    fn of(self, events: &Events<'_>) -> Field<'static> {
        if let Some(known) = events.fields().find(&self) {
            return known;
        }
        let whole = events.whole();
        let field = match &self {
            Self::Scaled(column) => scaled(whole, *column),
            Self::Compact(column) => compact(whole, *column),
            Self::Banded(column, bounds) => banded(whole, *column, bounds),
            Self::Ranked(column) => ranked(whole, *column),
        };
        events.fields().keep(self, &field);
        field
    }
}

/// How a segment's packed numbers become ordinals.
#[derive(Debug, Clone)]
enum Transform {
    /// `add + multiply * packed`.
    Affine { multiply: u64, add: u64 },
    /// `values[packed] - base`, with the values of the segment's own dictionary.
    Gather { base: i64 },
    /// `table[packed]`.
    Table(Arc<Lookup>),
    /// The number of the value's period.
    Periods(Periods),
    /// The same, of numbers as they are packed.
    Divided(Division),
    /// The place of the value's period among those that are listed.
    NearPeriods(Periods),
    /// The place of the value among all distinct ones.
    Search,
    /// How many of these are at most `packed`, plus `add`.
    Thresholds { add: u64, thresholds: Vec<u64> },
}

/// What ordinals stand for.
#[derive(Debug, Clone)]
enum Meaning<'a> {
    /// `base + step * ordinal`.
    Value { base: i64, step: u64 },
    /// The period that is so many behind this one.
    Period(i64),
    /// The value at this place.
    Listed(Arc<Vec<i64>>),
    /// The text of the code at this place; behind the last one, the missing value.
    Coded(Arc<Vec<u32>>),
    /// The text at this place; behind the last one, the missing value.
    Ranked(Vec<&'a str>),
    /// The identifier of this number; behind the last one, the missing one.
    Numbered,
}

impl<'a> Field<'a> {
    /// An integer column as distances from its smallest value.
    pub(crate) fn offset(events: &Events<'a>, column: usize) -> Self {
        stepped(events, column, 1)
    }

    /// An integer column as distances from its smallest value, divided by the greatest step that they all share.
    /// Costs a look at each entry of the segments' own dictionaries.
    pub(crate) fn scaled(events: &Events<'a>, column: usize) -> Self {
        Made::Scaled(column).of(events)
    }

    /// An integer column as places in the list of its distinct values, if every segment has them listed and they are few;
    /// as distances from the smallest value otherwise.
    pub(crate) fn compact(events: &Events<'a>, column: usize) -> Self {
        Made::Compact(column).of(events)
    }

    /// The same column as places among its distinct values, which are narrower than any distance could be but cost a
    /// search a row: for keys that would else be too wide. `None` if ordinals stand for something else than the values.
    pub(crate) fn narrowed(&self, events: &Events<'a>) -> Option<Self> {
        let is_integers =
            |segment: &EventSegment<'_>| matches!(segment.columns[self.column].shape(), ColumnView::Integers(_));
        if !matches!(self.meaning, Meaning::Value { .. }) || !events.segments().iter().all(is_integers) {
            return None;
        }
        let mut values = Vec::new();
        for segment in events.segments() {
            let start = values.len();
            values.resize(start + segment.rows, 0);
            integers(&segment.columns[self.column].view(), 0..segment.rows, &mut values[start..]);
        }
        values.par_sort_unstable();
        values.dedup();
        let maximum = (values.len() as u64).saturating_sub(1);
        let (transforms, meaning) = (of_all(events, Transform::Search), Meaning::Listed(Arc::new(values)));
        Some(Self { column: self.column, maximum, transforms, meaning })
    }

    /// A dictionary column as ranks of its texts in byte order; the missing value has the last rank, whether any row lacks one
    /// or not.
    pub(crate) fn ranked(events: &Events<'a>, column: usize) -> Self {
        let field: Self = Made::Ranked(column).of(events);
        let Meaning::Coded(codes) = &field.meaning else { return field };
        let texts = events.texts(column);
        let meaning = Meaning::Ranked(codes.iter().map(|code| texts[*code as usize - 1]).collect());
        Self { meaning, ..field }
    }

    /// A dictionary column as places in `texts`; all others, the missing value included, share the place behind the last.
    pub(crate) fn classified(events: &Events<'a>, column: usize, texts: &[&'a str]) -> Self {
        let place = |text: &&str| texts.iter().position(|known| known == text).unwrap_or(texts.len());
        let classes = [texts.len()].into_iter().chain(events.texts(column).iter().map(place));
        let table = classes.map(|class| u32::try_from(class).unwrap_or(u32::MAX)).collect();
        let transforms = of_all(events, Transform::Table(Arc::new(table)));
        Self { column, maximum: texts.len() as u64, transforms, meaning: Meaning::Ranked(texts.to_vec()) }
    }

    /// An integer column as the number of the band that holds the value: band `i` starts at `bounds[i]`, ascending, and
    /// what is below the first bound belongs to band 0.
    pub(crate) fn banded(events: &Events<'a>, column: usize, bounds: &[i64]) -> Self {
        Made::Banded(column, bounds.to_vec()).of(events)
    }

    /// A column of times as numbers of periods of `length` milliseconds since 1970, moved by `shift`: period `n` starts at
    /// `n * length - shift`. [`Field::value`] gives `n`.
    ///
    /// A row costs a multiplication at most (see [`periods`](super::periods)).
    pub(crate) fn periods(events: &Events<'a>, column: usize, length: i64, shift: i64) -> Self {
        let (smallest, largest) = events.range(column).unwrap_or_default();
        let since_1970 = Periods { length, shift, first: 0 };
        let (first, last) = (since_1970.number(smallest), since_1970.number(largest));
        let periods = Periods { first, ..since_1970 };
        let transforms = events.segments().iter().map(|segment| {
            periods.division(&segment.columns[column]).map_or(Transform::Periods(periods), Transform::Divided)
        });
        Self {
            column,
            maximum: (last - first).cast_unsigned(),
            transforms: Arc::new(transforms.collect()),
            meaning: Meaning::Period(first),
        }
    }

    /// The same as places among the periods that have events, or may have, where there are very many between the first and the last: for
    /// who has a slot for each. One time that is centuries from the others costs no more than itself.
    pub(crate) fn near_periods(events: &Events<'a>, column: usize, length: i64, shift: i64) -> Self {
        let all = Self::periods(events, column, length, shift);
        let Meaning::Period(first) = all.meaning else { return all };
        if all.count() <= MOST_PERIODS {
            return all;
        }
        let periods = Periods { length, shift, first };
        let place = |number: i64| usize::try_from(number - first).unwrap_or_default();
        let mut occurs = vec![false; all.count()];
        let mut numbers = scratch();
        for (index, segment) in events.segments().iter().enumerate().filter(|(_, segment)| segment.rows > 0) {
            let times = &segment.columns[column];
            let between = place(periods.number(times.smallest))..=place(periods.number(times.largest));
            if between.end() - between.start() < MOST_PERIODS {
                occurs[between].fill(true);
                continue;
            }
            for start in (0..segment.rows).step_by(numbers.len()) {
                let rows = start..segment.rows.min(start + numbers.len());
                let numbers = &mut numbers[..rows.len()];
                all.decode(index, segment, rows, numbers);
                numbers.iter().for_each(|number| occurs[*number as usize] = true);
            }
        }
        let listed: Vec<i64> =
            (first..).zip(&occurs).filter(|(_, occurs)| **occurs).map(|(number, _)| number).collect();
        Self {
            column,
            maximum: (listed.len() as u64).saturating_sub(1),
            transforms: of_all(events, Transform::NearPeriods(periods)),
            meaning: Meaning::Listed(Arc::new(listed)),
        }
    }

    /// A column of identifiers by one numbering of all segments' identifiers, those of covered rows at least (see
    /// [`numbering`](super::numbering)); the missing one has the number behind all, which is [`Field::maximum`], whether any
    /// row lacks one or not.
    pub(crate) fn identified(input: &Input<'a>, column: usize) -> Self {
        let numbering = input.events().numbering(input, column);
        Self {
            column,
            maximum: u64::from(numbering.count),
            transforms: Arc::new(numbering.tables.into_iter().map(Transform::Table).collect()),
            meaning: Meaning::Numbered,
        }
    }

    /// The numbers behind a column of identifiers, those of each segment above all of the segments before: equal numbers are equal
    /// identifiers, but not the other way round where segments share some. [`Apart`](super::apart::Apart) tells which they are.
    pub(super) fn apart(apart: &Apart<'_>, column: usize) -> Self {
        let transforms = apart.starts().map(|add| Transform::Affine { multiply: 1, add });
        Self {
            column,
            maximum: apart.maximum(),
            transforms: Arc::new(transforms.collect()),
            meaning: Meaning::Value { base: 0, step: 1 },
        }
    }

    /// The numbers behind a column of codes or identifiers, each segment's own.
    pub(crate) fn codes(events: &Events<'a>, column: usize) -> Self {
        let (_, largest) = events.range(column).unwrap_or_default();
        let transforms = of_all(events, Transform::Affine { multiply: 1, add: 0 });
        Self { column, maximum: largest.cast_unsigned(), transforms, meaning: Meaning::Value { base: 0, step: 1 } }
    }

    /// The largest ordinal.
    pub(crate) fn maximum(&self) -> u64 {
        self.maximum
    }

    /// How many ordinals there are; `usize::MAX` if they are more.
    pub(crate) fn count(&self) -> usize {
        usize::try_from(self.maximum).map_or(usize::MAX, |maximum| maximum.saturating_add(1))
    }

    /// Bits that hold every ordinal.
    pub(crate) fn bits(&self) -> u32 {
        u64::BITS - self.maximum.leading_zeros()
    }

    /// The integer behind an ordinal; for text and identifiers, the ordinal itself.
    pub(crate) fn value(&self, ordinal: u64) -> i64 {
        match &self.meaning {
            Meaning::Value { base, step } => base.wrapping_add(step.wrapping_mul(ordinal).cast_signed()),
            Meaning::Period(first) => first.wrapping_add(ordinal.cast_signed()),
            Meaning::Listed(values) => {
                usize::try_from(ordinal).ok().and_then(|place| values.get(place)).copied().unwrap_or_default()
            }
            Meaning::Coded(_) | Meaning::Ranked(_) | Meaning::Numbered => ordinal.cast_signed(),
        }
    }

    /// The distance between the integers of neighbouring ordinals, and the integer of ordinal 0; for fields made by
    /// [`Field::offset`] and [`Field::scaled`].
    pub(crate) fn base_and_step(&self) -> (i64, u64) {
        if let Meaning::Value { base, step } = self.meaning { (base, step) } else { (0, 1) }
    }

    /// The texts by rank, without the missing value; empty for fields of integers.
    pub(crate) fn texts(&self) -> &[&'a str] {
        if let Meaning::Ranked(texts) = &self.meaning { texts } else { &[] }
    }

    /// Calls `put` with each of `into` and the ordinal of its row, row `rows.start + i` for `into[i]`; `scratch` is for the
    /// encodings that take two steps.
    pub(crate) fn put_into<T>(
        &self,
        (segment, columns): (usize, &EventSegment<'_>),
        rows: Range<usize>,
        scratch: &mut [u64],
        into: &mut [T],
        put: impl Fn(&mut T, u64),
    ) {
        let packed = columns.columns[self.column].packed();
        match &self.transforms[segment] {
            Transform::Affine { multiply, add } => affine_into(packed, rows, (*multiply, *add), into, put),
            Transform::Table(table) => lookup_into(packed, rows, table, into, put),
            Transform::Divided(division) => division.put_into(packed, rows, into, put),
            _ => {
                let ordinals = &mut scratch[..into.len()];
                self.decode(segment, columns, rows, ordinals);
                into.iter_mut().zip(ordinals).for_each(|(into, ordinal)| put(into, *ordinal));
            }
        }
    }

    /// The ordinal of the missing value, if ordinals are a numbering of identifiers.
    pub(crate) fn numbers_identifiers(&self) -> Option<u64> {
        matches!(self.meaning, Meaning::Numbered).then_some(self.maximum)
    }

    /// Whether the ordinals of a segment's rows ascend, without a look at each where that is known of the column.
    pub(crate) fn ascends(&self, segment: usize, columns: &EventSegment<'_>) -> bool {
        let rises = match &self.transforms[segment] {
            Transform::Affine { multiply, .. } => *multiply > 0,
            Transform::Table(table) => table.listed().is_sorted(),
            Transform::Gather { .. }
            | Transform::Periods(_)
            | Transform::NearPeriods(_)
            | Transform::Divided(_)
            | Transform::Search
            | Transform::Thresholds { .. } => true,
        };
        rises && columns.columns[self.column].ascends()
    }

    /// The ordinal of one row of a segment: for single rows.
    pub(crate) fn ordinal(&self, segment: usize, columns: &EventSegment<'_>, row: usize) -> u64 {
        let mut ordinal = [0];
        self.decode(segment, columns, row..row + 1, &mut ordinal);
        ordinal[0]
    }

    /// The ordinal of each number that a segment has packed, where they are listed: then rows can be grouped by the packed
    /// numbers as they lie there, and only the groups be translated.
    pub(crate) fn listed(&self, segment: usize) -> Option<&[u32]> {
        match self.transforms.get(segment)? {
            Transform::Table(table) => Some(table.listed()),
            _ => None,
        }
    }

    /// Moves each of `places` on by a segment's row: from `place` to `place * numbers + packed number`.
    pub(crate) fn place(&self, columns: &EventSegment<'_>, rows: Range<usize>, numbers: u32, places: &mut [u32]) {
        let packed = columns.columns[self.column].packed();
        let next = |place: &mut u32, number: u32| *place = place.wrapping_mul(numbers).wrapping_add(number);
        match packed {
            Packed::Zero(_) => places.iter_mut().for_each(|place| next(place, 0)),
            Packed::U8(slice) => {
                places.iter_mut().zip(&slice[rows]).for_each(|(place, number)| next(place, (*number).into()));
            }
            Packed::U16(slice) => {
                places.iter_mut().zip(&slice[rows]).for_each(|(place, number)| next(place, (*number).into()));
            }
            Packed::U32(slice) => places.iter_mut().zip(&slice[rows]).for_each(|(place, number)| next(place, *number)),
            Packed::U64(slice) => {
                // Listed numbers index a list in memory, far below 2^32.
                let numbers = slice[rows].iter().map(|number| u32::try_from(*number).unwrap_or(u32::MAX));
                places.iter_mut().zip(numbers).for_each(|(place, number)| next(place, number));
            }
        }
    }

    /// Ordinals of a segment's rows: `out[i]` is that of row `rows.start + i`.
    pub(crate) fn decode(&self, segment: usize, columns: &EventSegment<'_>, rows: Range<usize>, out: &mut [u64]) {
        self.decode_view(segment, columns.columns[self.column].view(), rows, out);
    }

    /// Ordinals of a few of a segment's rows: `out[i]` is that of row `start + rows[i]`. Only those rows are read; `numbers` is room for
    /// as many.
    pub(crate) fn decode_few(
        &self,
        (segment, columns): (usize, &EventSegment<'_>),
        start: usize,
        rows: &[u16],
        numbers: &mut [u64],
        out: &mut [u64],
    ) {
        let view = columns.columns[self.column].view();
        with_packed!(view.packed(), start.., slice => {
            for (number, row) in numbers.iter_mut().zip(rows) {
                *number = widen(slice[usize::from(*row)]);
            }
        }, numbers.fill(0));
        self.decode_view(segment, repacked(view, Packed::U64(numbers)), 0..rows.len(), out);
    }

    fn decode_view(&self, segment: usize, view: ColumnView<'_>, rows: Range<usize>, out: &mut [u64]) {
        let packed = view.packed();
        match (&self.transforms[segment], view) {
            (Transform::Affine { multiply, add }, _) => affine(packed, rows, *multiply, *add, out),
            (Transform::Gather { base }, ColumnView::Integers(Integers::Dictionary { values, .. })) => {
                gather(packed, rows, values, *base, out);
            }
            (Transform::Divided(division), _) => division.put_into(packed, rows, out, |out, period| *out = period),
            (Transform::Periods(periods), view) => {
                match view {
                    ColumnView::Integers(Integers::Frame { base, multiplier, .. }) => {
                        affine(packed, rows, multiplier.cast_unsigned(), base.cast_unsigned(), out);
                    }
                    ColumnView::Integers(Integers::Dictionary { values, .. }) => gather(packed, rows, values, 0, out),
                    ColumnView::Codes(_) | ColumnView::Identifiers(_) => {}
                }
                periods.divide(out);
            }
            (Transform::NearPeriods(periods), view) => {
                let Meaning::Listed(listed) = &self.meaning else { return };
                let mut found = scratch();
                for (out, rows) in out.chunks_mut(found.len()).zip((rows.start..).step_by(found.len())) {
                    let found = &mut found[..out.len()];
                    integers(&view, rows..rows + found.len(), found);
                    let (mut known, mut place) = (None, 0);
                    for (out, time) in out.iter_mut().zip(found) {
                        let number = periods.number(*time);
                        // Neighbours are mostly of the same period.
                        if known != Some(number) {
                            (known, place) = (Some(number), listed.binary_search(&number).unwrap_or_default());
                        }
                        *out = place as u64;
                    }
                }
            }
            (Transform::Search, view) => {
                let Meaning::Listed(values) = &self.meaning else { return };
                let mut found = scratch();
                let found = &mut found[..out.len()];
                integers(&view, rows, found);
                for (out, value) in out.iter_mut().zip(found) {
                    *out = values.binary_search(value).unwrap_or_default() as u64;
                }
            }
            (Transform::Gather { .. }, _) => {}
            (Transform::Table(table), _) => lookup(packed, rows, table, out),
            (Transform::Thresholds { add, thresholds }, _) => {
                out.fill(*add);
                add_thresholds(packed, rows, thresholds, out);
            }
        }
    }
}

/// See [`Field::scaled`].
fn scaled(events: &Events<'_>, column: usize) -> Field<'static> {
    let (smallest, _) = events.range(column).unwrap_or_default();
    let mut step = 0;
    for segment in events.segments().iter().filter(|segment| segment.rows > 0) {
        match segment.columns[column].shape() {
            ColumnView::Integers(Integers::Frame { base, multiplier, packed }) => {
                step = greatest_common_divisor(step, base.wrapping_sub(smallest).cast_unsigned());
                if !matches!(packed, Packed::Zero(_)) {
                    step = greatest_common_divisor(step, multiplier.cast_unsigned());
                }
            }
            ColumnView::Integers(Integers::Dictionary { values, .. }) => {
                let distances = values.iter().map(|value| value.wrapping_sub(smallest).cast_unsigned());
                step = distances.fold(step, greatest_common_divisor);
            }
            ColumnView::Codes(_) | ColumnView::Identifiers(_) => step = 1,
        }
    }
    stepped(events, column, step.max(1))
}

/// Distances from the smallest value in steps.
fn stepped(events: &Events<'_>, column: usize, step: u64) -> Field<'static> {
    let (smallest, largest) = events.range(column).unwrap_or_default();
    let maximum = largest.wrapping_sub(smallest).cast_unsigned() / step;
    let transforms = events.segments().iter().map(|segment| match segment.columns[column].shape() {
        ColumnView::Integers(Integers::Frame { base, multiplier, .. }) => Transform::Affine {
            multiply: multiplier.cast_unsigned() / step,
            add: base.wrapping_sub(smallest).cast_unsigned() / step,
        },
        ColumnView::Integers(Integers::Dictionary { values, .. }) => {
            let ordinals = values.iter().map(|value| value.wrapping_sub(smallest).cast_unsigned() / step);
            let table: Option<Lookup> =
                if step > 1 { ordinals.map(|ordinal| u32::try_from(ordinal).ok()).collect() } else { None };
            table.map_or(Transform::Gather { base: smallest }, |table| Transform::Table(Arc::new(table)))
        }
        ColumnView::Codes(_) | ColumnView::Identifiers(_) => Transform::Affine { multiply: 1, add: 0 },
    });
    let mut field = Field {
        column,
        maximum,
        transforms: Arc::new(transforms.collect()),
        meaning: Meaning::Value { base: smallest, step },
    };
    if step > 1 && field.transforms.iter().any(|transform| matches!(transform, Transform::Gather { .. })) {
        field = stepped(events, column, 1);
    }
    field
}

/// See [`Field::compact`].
fn compact(events: &Events<'_>, column: usize) -> Field<'static> {
    let listed = |column: &EventColumn<'_>| match column.shape() {
        ColumnView::Integers(Integers::Dictionary { values, .. }) => Some(values.to_vec()),
        ColumnView::Integers(Integers::Frame { base, packed: Packed::Zero(_), .. }) => Some(vec![base]),
        ColumnView::Integers(Integers::Frame { base, multiplier, packed: Packed::U8(_) }) => {
            Some((0..=255).map(|packed| base.wrapping_add(multiplier.wrapping_mul(packed))).collect())
        }
        _ => None,
    };
    // A summary's few rows are looked at, if they aren't listed.
    let looked_at = |segment: &EventSegment<'_>| {
        let mut values = vec![0; segment.stands_for.as_ref().map(|_| segment.rows)?];
        integers(&segment.columns[column].view(), 0..segment.rows, &mut values);
        values.sort_unstable();
        values.dedup();
        Some(values)
    };
    let lists = events.segments().iter().map(|segment| {
        let listed = listed(&segment.columns[column]).map(|values| (values, true));
        listed.or_else(|| looked_at(segment).map(|values| (values, false)))
    });
    let lists: Option<Vec<(Vec<i64>, bool)>> = lists.collect();
    let Some(lists) = lists.filter(|lists| lists.iter().map(|(list, _)| list.len()).sum::<usize>() <= MAX_LISTED)
    else {
        return stepped(events, column, 1);
    };
    let mut values: Vec<i64> = lists.iter().flat_map(|(list, _)| list).copied().collect();
    values.sort_unstable();
    values.dedup();
    let place = |value: &i64| u32::try_from(values.binary_search(value).unwrap_or_default()).unwrap_or_default();
    let transforms = lists.iter().map(|(list, is_listed)| {
        if *is_listed { Transform::Table(Arc::new(list.iter().map(place).collect())) } else { Transform::Search }
    });
    let maximum = (values.len() as u64).saturating_sub(1);
    Field { column, maximum, transforms: Arc::new(transforms.collect()), meaning: Meaning::Listed(Arc::new(values)) }
}

/// See [`Field::ranked`].
fn ranked(events: &Events<'_>, column: usize) -> Field<'static> {
    let texts = events.texts(column);
    let mut codes: Vec<u32> = (1..).take(texts.len()).collect();
    codes.par_sort_unstable_by_key(|code| texts[*code as usize - 1]);
    let missing = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    let mut ranks = vec![missing; texts.len() + 1];
    for (rank, code) in (0..).zip(&codes) {
        ranks[*code as usize] = rank;
    }
    let transforms = of_all(events, Transform::Table(Arc::new(Lookup::new(ranks))));
    Field { column, maximum: u64::from(missing), transforms, meaning: Meaning::Coded(Arc::new(codes)) }
}

/// The same of each segment.
fn of_all(events: &Events<'_>, transform: Transform) -> Arc<Vec<Transform>> {
    Arc::new(vec![transform; events.segments().len()])
}

/// See [`Field::banded`].
fn banded(events: &Events<'_>, column: usize, bounds: &[i64]) -> Field<'static> {
    let inner = bounds.get(1..).unwrap_or_default();
    let band = |value: i64| inner.partition_point(|bound| *bound <= value);
    let transforms = events.segments().iter().map(|segment| match segment.columns[column].shape() {
        ColumnView::Integers(Integers::Frame { base, .. }) => {
            let above = inner.iter().filter(|bound| **bound > base);
            let thresholds = above.filter_map(|bound| segment.columns[column].packed_from(*bound));
            Transform::Thresholds { add: band(base) as u64, thresholds: thresholds.collect() }
        }
        ColumnView::Integers(Integers::Dictionary { values, .. }) => {
            let bands = values.iter().map(|value| u32::try_from(band(*value)).unwrap_or(u32::MAX));
            Transform::Table(Arc::new(bands.collect()))
        }
        ColumnView::Codes(_) | ColumnView::Identifiers(_) => Transform::Affine { multiply: 0, add: 0 },
    });
    Field {
        column,
        maximum: inner.len() as u64,
        transforms: Arc::new(transforms.collect()),
        meaning: Meaning::Listed(Arc::new(bounds.to_vec())),
    }
}

fn greatest_common_divisor(mut left: u64, mut right: u64) -> u64 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}
