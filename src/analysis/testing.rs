//! What the oracles share: events as plain rows, cells of results, and stores made of rows at random.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use cartlog_storage::store::{
    Batch, ColumnValues, ColumnView, Dictionary, IdentifierException, IdentifierValues, Identifiers, Integers, Packed,
    Segment, Snapshot,
};
use proptest::prelude::*;

use super::{
    Chosen, EventColumn, EventSegment, Events, Filter, Input, Missing, Parameters, Summaries, Together, registry,
};
use crate::event::{self, BRAND, CATEGORY_CODE, EVENT_TYPE};
use crate::table::Table;

/// One event as a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) event_time: i64,
    pub(crate) event_type: String,
    pub(crate) product_id: i64,
    pub(crate) category_id: i64,
    pub(crate) category_code: Option<String>,
    pub(crate) brand: Option<String>,
    pub(crate) price: i64,
    pub(crate) user_id: i64,
    pub(crate) user_session: Option<u128>,
}

/// Text that orders the missing value last, as the definitions do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Last {
    Present(String),
    Missing,
}

impl From<&Option<String>> for Last {
    fn from(text: &Option<String>) -> Self {
        text.clone().map_or(Self::Missing, Self::Present)
    }
}

/// A value of a result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Missing,
    Text(String),
    Integer(i64),
    Double(f64),
    /// Days since 1970-01-01.
    Day(i64),
    /// In units of `10^-4`.
    Decimal(i128),
}

/// A result's rows.
pub(crate) type Rows = Vec<Vec<Cell>>;

impl Cell {
    pub(crate) fn money(units: i64) -> Self {
        Self::Decimal(units.into())
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<Last> for Cell {
    fn from(text: Last) -> Self {
        match text {
            Last::Present(text) => Self::Text(text),
            Last::Missing => Self::Missing,
        }
    }
}

/// The rows of a result.
pub(crate) fn rows_of(batch: &RecordBatch) -> Rows {
    let cell = |column: usize, row: usize| {
        let column = batch.column(column);
        if column.is_null(row) {
            return Cell::Missing;
        }
        match column.data_type() {
            DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
            DataType::Int64 => Cell::Integer(column.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => Cell::Double(column.as_primitive::<Float64Type>().value(row)),
            DataType::Date32 => Cell::Day(column.as_primitive::<Date32Type>().value(row).into()),
            DataType::Decimal128(_, 4) => Cell::Decimal(column.as_primitive::<Decimal128Type>().value(row)),
            other => panic!("no result has a column of {other}"),
        }
    };
    (0..batch.num_rows()).map(|row| (0..batch.num_columns()).map(|column| cell(column, row)).collect()).collect()
}

/// How many events have each key, by key.
pub(crate) fn count_by<K: Ord>(events: &[Event], key: impl Fn(&Event) -> K) -> BTreeMap<K, i64> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(key(event)).or_default() += 1;
    }
    counts
}

/// The events of each key, by key.
pub(crate) fn group_by<K: Ord>(events: &[Event], key: impl Fn(&Event) -> K) -> BTreeMap<K, Vec<&Event>> {
    let mut groups: BTreeMap<K, Vec<&Event>> = BTreeMap::new();
    for event in events {
        groups.entry(key(event)).or_default().push(event);
    }
    groups
}

/// The events that belong to a session.
pub(crate) fn in_sessions(events: &[Event]) -> Vec<Event> {
    events.iter().filter(|event| event.user_session.is_some()).cloned().collect()
}

/// How many of the events are of a type.
pub(crate) fn count_of(events: &[&Event], event_type: &str) -> Cell {
    Cell::Integer(events.iter().filter(|event| event.event_type == event_type).count() as i64)
}

/// What the purchases among the events brought in.
pub(crate) fn revenue_of(events: &[&Event]) -> i128 {
    let purchases = events.iter().filter(|event| event.event_type == "purchase");
    purchases.map(|event| i128::from(event.price)).sum()
}

/// How many different values there are.
pub(crate) fn distinct<K: Ord>(values: impl Iterator<Item = K>) -> i64 {
    values.collect::<std::collections::BTreeSet<_>>().len() as i64
}

/// The prices of each key's events, ascending.
pub(crate) fn prices_by<K: Ord>(events: &[Event], key: impl Fn(&Event) -> K) -> BTreeMap<K, Vec<i64>> {
    let mut prices: BTreeMap<K, Vec<i64>> = BTreeMap::new();
    for event in events {
        prices.entry(key(event)).or_default().push(event.price);
    }
    prices.values_mut().for_each(|prices| prices.sort_unstable());
    prices
}

/// The average of prices, by long division: enough decimal digits for the parser to round as it would all of them.
pub(crate) fn average(prices: &[i64]) -> f64 {
    average_of(prices.iter().map(|price| i128::from(*price)).sum(), prices.len() as u128)
}

/// A sum of money divided by a count, in the same way.
pub(crate) fn average_of(sum: i128, count: u128) -> f64 {
    let (mut rest, divisor) = (sum.unsigned_abs(), count * 10_000);
    let mut digits = format!("{}{}.", if sum < 0 { "-" } else { "" }, rest / divisor);
    for _ in 0..60 {
        rest = rest % divisor * 10;
        digits.push(char::from(b'0' + (rest / divisor) as u8));
    }
    digits.parse().unwrap()
}

/// Whether a filter covers an event, straight from its definition.
pub(crate) fn covers(filter: &Filter, event: &Event) -> bool {
    let below = |category: &String| {
        let code = event.category_code.as_ref();
        code.is_some_and(|code| code == category || code.starts_with(&format!("{category}.")))
    };
    filter.from.is_none_or(|from| event.event_time >= from)
        && filter.to.is_none_or(|to| event.event_time < to)
        && (filter.event_types.is_empty() || filter.event_types.contains(&event.event_type))
        && (filter.categories.is_empty() || filter.categories.iter().any(below))
        && (filter.brands.is_empty() || event.brand.as_ref().is_some_and(|brand| filter.brands.contains(brand)))
        && filter.min_price.is_none_or(|price| event.price >= price)
        && filter.max_price.is_none_or(|price| event.price <= price)
        && (filter.products.is_empty() || filter.products.contains(&event.product_id))
        && (filter.users.is_empty() || filter.users.contains(&event.user_id))
        && (filter.missing == Missing::Keep || (event.category_code.is_some() && event.brand.is_some()))
}

/// How the values of a generated store are spread.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Few values everywhere: ties in every order.
    Ties,
    /// Values from all of 64 bits.
    Wide,
}

/// Events of one shape.
pub(crate) fn any_events(shape: Shape) -> impl Strategy<Value = Vec<Event>> {
    let texts = |texts: &'static [&'static str]| prop::sample::select(texts).prop_map(str::to_owned);
    let (ids, prices) = match shape {
        Shape::Ties => {
            ((1..6_i64).boxed(), prop::sample::select(&[0_i64, 99_900, 100_000, 100_001, 249_900, 10_000_000]).boxed())
        }
        Shape::Wide => (
            prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), 500_000_000..600_000_000_i64].boxed(),
            prop_oneof![Just(i64::MIN), Just(i64::MAX), 0..25_740_700_i64].boxed(),
        ),
    };
    let day = match shape {
        Shape::Ties => (-3..3_i64).boxed(),
        // The first and the last day of the calendar stand for times that nobody knows.
        Shape::Wide => prop_oneof![8 => -3..3_i64, 1 => Just(-719_162), 1 => Just(2_932_896)].boxed(),
    };
    let event = (
        (day, 0..86_400_000_i64).prop_map(|(day, instant)| day * 86_400_000 + instant),
        texts(&["view", "view", "view", "cart", "purchase", "remove_from_cart"]),
        ids.clone(),
        ids.clone(),
        prop::option::weighted(0.7, texts(&["a", "a.b", "a.b.c", "ab", "B", "é", "electronics.audio"])),
        prop::option::weighted(0.8, texts(&["nan", "apple", "Apple", "z"])),
        prices,
        ids,
        prop::option::weighted(0.9, 0..9_u128),
    );
    let event = event.prop_map(
        |(event_time, event_type, product_id, category_id, category_code, brand, price, user_id, user_session)| Event {
            event_time,
            event_type,
            product_id,
            category_id,
            category_code,
            brand,
            price,
            user_id,
            user_session,
        },
    );
    prop_oneof![9 => prop::collection::vec(event.clone(), 0..120), 1 => prop::collection::vec(event, 0..2)]
}

/// Filters that cover some of the events of [`any_events`].
pub(crate) fn any_filter() -> impl Strategy<Value = Filter> {
    let sometimes = |texts: &'static [&'static str]| {
        let some = prop::collection::vec(prop::sample::select(texts).prop_map(str::to_owned), 1..3);
        prop_oneof![3 => Just(Vec::new()), 1 => some]
    };
    let instant = prop::option::weighted(0.3, -200_000_000..200_000_000_i64);
    let price = prop::option::weighted(0.3, prop::sample::select(&[i64::MIN, 0, 99_900, 100_000, 10_000_000][..]));
    let ids = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0..7_i64, 1..4)];
    let some = (
        (instant.clone(), instant),
        sometimes(&["view", "purchase", "unknown"]),
        sometimes(&["a", "a.b", "electronics", "absent"]),
        sometimes(&["nan", "apple", "absent"]),
        (price.clone(), price),
        (ids.clone(), ids),
        prop::sample::select(&[Missing::Keep, Missing::Keep, Missing::Drop][..]),
    );
    let some =
        some.prop_map(
            |((from, to), event_types, categories, brands, (min_price, max_price), (products, users), missing)| {
                Filter { from, to, event_types, categories, brands, min_price, max_price, products, users, missing }
            },
        );
    prop_oneof![1 => Just(Filter::default()), 2 => some]
}

/// Events in segments, in memory of their own: every column in one of the shapes that a store may choose.
#[derive(Debug)]
pub(crate) struct Stored {
    segments: Vec<(usize, Vec<StoredColumn>)>,
    texts: [Vec<String>; 3],
}

#[derive(Debug)]
enum StoredColumn {
    Frame { base: i64, multiplier: i64, packed: Numbers, largest: i64 },
    Dictionary { values: Vec<i64>, codes: Numbers },
    Codes(Numbers),
    Identifiers { codes: Numbers, uuids: Vec<u128> },
}

#[derive(Debug)]
enum Numbers {
    Zero(usize),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
}

impl Numbers {
    fn pack(numbers: &[u64]) -> Self {
        match numbers.iter().max().copied().unwrap_or_default() {
            0 => Self::Zero(numbers.len()),
            1..=0xFF => Self::U8(numbers.iter().map(|number| *number as u8).collect()),
            0x100..=0xFFFF => Self::U16(numbers.iter().map(|number| *number as u16).collect()),
            0x1_0000..=0xFFFF_FFFF => Self::U32(numbers.iter().map(|number| *number as u32).collect()),
            _ => Self::U64(numbers.to_vec()),
        }
    }

    fn view(&self) -> Packed<'_> {
        match self {
            Self::Zero(rows) => Packed::Zero(*rows),
            Self::U8(numbers) => Packed::U8(numbers),
            Self::U16(numbers) => Packed::U16(numbers),
            Self::U32(numbers) => Packed::U32(numbers),
            Self::U64(numbers) => Packed::U64(numbers),
        }
    }
}

impl Stored {
    /// Cuts the events into segments of `segment_rows`; `choice` decides the shape of each integer column.
    pub(crate) fn new(events: &[Event], segment_rows: usize, choice: u64) -> Self {
        let mut texts = [const { Vec::new() }; 3];
        let mut code = |dictionary: usize, text: Option<&str>| {
            let texts: &mut Vec<String> = &mut texts[dictionary];
            text.map_or(0, |text| {
                let known = texts.iter().position(|known| known == text);
                known.unwrap_or_else(|| {
                    texts.push(text.to_owned());
                    texts.len() - 1
                }) as u64
                    + 1
            })
        };
        let segments = events.chunks(segment_rows.max(1)).enumerate().map(|(number, rows)| {
            let integers = |column: usize, value: fn(&Event) -> i64| {
                let values: Vec<i64> = rows.iter().map(value).collect();
                StoredColumn::integers(&values, choice >> ((number * 9 + column) % 64) & 1 == 1)
            };
            let codes = |numbers: Vec<u64>| StoredColumn::Codes(Numbers::pack(&numbers));
            let columns = vec![
                integers(0, |event| event.event_time),
                codes(rows.iter().map(|event| code(0, Some(&event.event_type))).collect()),
                integers(2, |event| event.product_id),
                integers(3, |event| event.category_id),
                codes(rows.iter().map(|event| code(1, event.category_code.as_deref())).collect()),
                codes(rows.iter().map(|event| code(2, event.brand.as_deref())).collect()),
                integers(6, |event| event.price),
                integers(7, |event| event.user_id),
                StoredColumn::identifiers(&rows.iter().map(|event| event.user_session).collect::<Vec<_>>()),
            ];
            (rows.len(), columns)
        });
        Self { segments: segments.collect(), texts }
    }

    /// The events as kernels see them.
    pub(crate) fn events(&self) -> Events<'_> {
        let segments = self
            .segments
            .iter()
            .map(|(rows, columns)| EventSegment::new(*rows, columns.iter().map(StoredColumn::view).collect()));
        let [event_types, categories, brands] =
            self.texts.each_ref().map(|texts| texts.iter().map(String::as_str).collect());
        Events::new(segments.collect(), event_types, categories, brands)
    }
}

impl StoredColumn {
    fn integers(values: &[i64], dictionary: bool) -> Self {
        let mut distinct = values.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if dictionary {
            let codes: Vec<u64> = values.iter().map(|value| distinct.binary_search(value).unwrap() as u64).collect();
            return Self::Dictionary { codes: Numbers::pack(&codes), values: distinct };
        }
        let (base, largest) = (distinct[0], distinct[distinct.len() - 1]);
        let distances: Vec<u64> = values.iter().map(|value| value.wrapping_sub(base) as u64).collect();
        let multiplier = if distances.iter().all(|distance| distance % 100 == 0) { 100 } else { 1 };
        let packed: Vec<u64> = distances.iter().map(|distance| distance / multiplier).collect();
        Self::Frame { base, multiplier: multiplier as i64, packed: Numbers::pack(&packed), largest }
    }

    fn identifiers(values: &[Option<u128>]) -> Self {
        let (mut uuids, mut known) = (Vec::new(), HashMap::new());
        let mut code = |value: &Option<u128>| {
            value.map_or(0, |value| {
                *known.entry(value).or_insert_with(|| {
                    uuids.push(value);
                    uuids.len() as u64
                })
            })
        };
        let codes: Vec<u64> = values.iter().map(&mut code).collect();
        Self::Identifiers { codes: Numbers::pack(&codes), uuids }
    }

    fn view(&self) -> EventColumn<'_> {
        let largest_code = |numbers: &Numbers| match numbers {
            Numbers::Zero(_) => 0,
            Numbers::U8(codes) => i64::from(*codes.iter().max().unwrap()),
            Numbers::U16(codes) => i64::from(*codes.iter().max().unwrap()),
            Numbers::U32(_) | Numbers::U64(_) => i64::from(u32::MAX),
        };
        let (view, smallest, largest) = match self {
            Self::Frame { base, multiplier, packed, largest } => {
                let integers = Integers::Frame { base: *base, multiplier: *multiplier, packed: packed.view() };
                (ColumnView::Integers(integers), *base, *largest)
            }
            Self::Dictionary { values, codes } => {
                let integers = Integers::Dictionary { values, codes: codes.view() };
                (ColumnView::Integers(integers), values[0], values[values.len() - 1])
            }
            Self::Codes(codes) => (ColumnView::Codes(codes.view()), 0, largest_code(codes)),
            Self::Identifiers { codes, uuids } => {
                let identifiers = Identifiers { codes: codes.view(), uuids, text_ends: &[], text: &[] };
                (ColumnView::Identifiers(identifiers), 0, largest_code(codes))
            }
        };
        EventColumn::new(view, smallest, largest)
    }
}

/// A store of the events, cut into segments as a load makes them.
pub(crate) fn snapshot(events: &[Event], segment_rows: usize) -> Snapshot {
    let texts: [fn(&Event) -> Option<&str>; 3] =
        [|event| Some(&event.event_type), |event| event.category_code.as_deref(), |event| event.brand.as_deref()];
    let [types, categories, brands] = texts.map(|text| Dictionary::from_texts(events.iter().filter_map(text)).unwrap());
    let segments = events.chunks(segment_rows).map(|rows| {
        let integers = |value: fn(&Event) -> i64| ColumnValues::Integers(rows.iter().map(value).collect());
        let codes = |dictionary: &Dictionary, text: fn(&Event) -> Option<&str>| {
            let code = |event| text(event).map_or(0, |text| dictionary.code(text).unwrap());
            ColumnValues::Codes(rows.iter().map(code).collect())
        };
        let lacks_session = (0..).zip(rows).filter(|(_, event)| event.user_session.is_none());
        let columns = vec![
            integers(|event| event.event_time),
            codes(&types, texts[0]),
            integers(|event| event.product_id),
            integers(|event| event.category_id),
            codes(&categories, texts[1]),
            codes(&brands, texts[2]),
            integers(|event| event.price),
            integers(|event| event.user_id),
            ColumnValues::Identifiers(IdentifierValues {
                uuids: rows.iter().map(|event| event.user_session.unwrap_or_default()).collect(),
                exceptions: lacks_session.map(|(row, _)| IdentifierException { row, text: None }).collect(),
                text: Vec::new(),
            }),
        ];
        Segment::from_batches(&event::schema(), &[Batch { columns, rows: rows.len() }]).unwrap()
    });
    let segments = segments.collect();
    let mut dictionaries = vec![Dictionary::default(); 9];
    (dictionaries[EVENT_TYPE], dictionaries[CATEGORY_CODE], dictionaries[BRAND]) = (types, categories, brands);
    Snapshot::in_memory(event::schema(), segments, dictionaries)
}

/// The same events with the first `count` of them in order of user and session, as a sorted copy has them.
pub(crate) fn sorted_by_user(events: &[Event], count: usize) -> Vec<Event> {
    let mut events = events.to_vec();
    events[..count].sort_by_key(|event| (event.user_id, event.user_session.unwrap_or_default()));
    events
}

/// Runs every analysis on the events, cut into segments, as they are, as a store has them, and beside a sorted copy of some or all of
/// them, and compares with its oracle.
pub(crate) fn check(events: &[Event], filter: &Filter, segment_rows: usize, choice: u64, threads: usize) {
    let stored = Stored::new(events, segment_rows, choice);
    let input = Input::new(stored.events(), filter);
    let copied = match choice % 4 {
        // A short tail: its rows are taken between those that are in order.
        1 => events.len() - events.len().div_ceil(100),
        3 => choice as usize % (events.len() + 1),
        _ => events.len(),
    };
    let copy = Stored::new(&sorted_by_user(events, copied), segment_rows, choice);
    // One that is chosen whatever the filter skips, and one as it is chosen.
    let sorted = [Input::new(copy.events(), filter), Input::new(stored.events(), filter).beside(copy.events())];
    // Sessions numbered for all filters, and the covered rows taken out of either order.
    let (of_stored, of_copy) = (Arc::default(), Arc::default());
    let numbered = || Input::new(stored.events().sharing(&of_stored), filter);
    let mut shared = [numbered(), numbered().beside(copy.events().sharing(&of_copy))];
    let chosen = shared.each_mut().map(|input| Chosen::of(input).unwrap());
    let taken: Vec<Input<'_>> = chosen.iter().zip(&shared).map(|(chosen, input)| chosen.input(input)).collect();
    let snapshot = snapshot(events, segment_rows);
    let loaded = Input::of(&snapshot, filter).unwrap();
    let summaries = Summaries::made(&snapshot);
    let summarised = loaded.clone().beside_summaries(&summaries);
    let covered: Vec<Event> = events.iter().filter(|event| covers(filter, event)).cloned().collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut alone: HashMap<&str, Table> = HashMap::new();
    for analysis in registry() {
        for set in parameter_sets(analysis.name()) {
            let mut parameters = Parameters::default();
            set.iter().for_each(|(name, text)| parameters.set(*analysis, name, text).unwrap());
            let table = pool.install(|| analysis.run(&input, &parameters)).unwrap();
            assert_eq!(table.name, analysis.file_stem());
            // So little memory that each part is a pass of its own.
            let frugal = Input::new(stored.events(), filter).within(1);
            let again = pool.install(|| analysis.run(&frugal, &parameters)).unwrap();
            assert_eq!(table.rows, again.rows, "{} with {set:?} and no memory", analysis.name());
            let frugal = Input::new(stored.events(), filter).beside(copy.events()).within(1);
            for sorted in sorted.iter().chain([&loaded, &summarised, &frugal, &shared[1]]).chain(&taken) {
                let again = pool.install(|| analysis.run(sorted, &parameters)).unwrap();
                assert_eq!(
                    table.rows,
                    again.rows,
                    "{} with {set:?}, of a store, its summaries, shared, and {copied} rows sorted",
                    analysis.name()
                );
            }
            let expected = analysis.oracle(&covered, &parameters);
            assert_eq!(rows_of(&table.rows), expected, "{} with {set:?}", analysis.name());
            if set.is_empty() {
                alone.insert(analysis.name(), table);
            }
        }
    }
    let mut analyses = registry().to_vec();
    if choice.is_multiple_of(2) {
        analyses.reverse();
    }
    let together = Together::of(&analyses);
    let asked = sorted[1].clone().for_all(&together);
    for analysis in analyses {
        let table = pool.install(|| analysis.answer(&asked, &Parameters::default())).unwrap();
        let alone = &alone[analysis.name()];
        assert_eq!((&alone.name, &alone.rows), (&table.name, &table.rows), "asked with all others");
    }
}

fn parameter_sets(analysis: &str) -> &'static [&'static [(&'static str, &'static str)]] {
    match analysis {
        "top_categories" | "top_category_prices" | "top_interactions" => &[&[], &[("limit", "2")]],
        "price_bands" | "price_elasticity" => &[&[], &[("bands", "0")], &[("bands", "0,1,9,10,11,900000000000000")]],
        "category_affinity" => &[&[], &[("min_users", "1")], &[("min_users", "2"), ("limit", "3")]],
        "customer_segments" => {
            &[&[], &[("recent_days", "0"), ("promising_days", "1"), ("loyal_orders", "2"), ("returning_orders", "1")]]
        }
        _ => &[&[]],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn every_analysis_equals_its_oracle(
            events in prop_oneof![any_events(Shape::Ties), any_events(Shape::Wide)],
            filter in any_filter(),
            segment_rows in 1..70_usize,
            choice in any::<u64>(),
            threads in 1..4_usize,
        ) {
            check(&events, &filter, segment_rows, choice, threads);
        }

        #[test]
        fn chosen_rows_are_those_that_the_filter_covers(
            events in any_events(Shape::Ties), filter in any_filter(), segment_rows in 1..70_usize, choice in any::<u64>(),
        ) {
            let stored = Stored::new(&events, segment_rows, choice);
            let mut input = Input::new(stored.events(), &filter);
            let chosen = Chosen::of(&mut input).unwrap();
            prop_assert!(chosen.is_of(&input));
            let chosen = chosen.input(&input);
            prop_assert!(chosen.selection().covers_all());
            for (segment, rows) in chosen.events().segments().iter().zip(events.chunks(segment_rows)) {
                let covered: Vec<&Event> = rows.iter().filter(|event| covers(&filter, event)).collect();
                prop_assert_eq!(segment.rows, covered.len());
                for (row, event) in covered.into_iter().enumerate() {
                    let ColumnView::Integers(prices) = segment.columns[6].view() else { panic!("prices are integers") };
                    prop_assert_eq!(prices.get(row), event.price);
                }
            }
        }

        #[test]
        fn a_selection_has_the_rows_that_the_filter_covers(
            events in any_events(Shape::Ties), filter in any_filter(), segment_rows in 1..70_usize, choice in any::<u64>(),
        ) {
            let stored = Stored::new(&events, segment_rows, choice);
            let input = Input::new(stored.events(), &filter);
            for (segment, rows) in events.chunks(segment_rows).enumerate() {
                let expected: Vec<usize> = (0..rows.len()).filter(|row| covers(&filter, &rows[*row])).collect();
                let mut selected = Vec::new();
                input.selection().rows(input.events(), segment, 0..rows.len(), &mut selected);
                prop_assert!(!input.selection().skips(segment) || expected.is_empty());
                prop_assert_eq!(selected, expected);
            }
        }
    }

    #[test]
    fn many_chunks_and_parts_equal_the_oracle() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let events: Vec<Event> = (0..70_000)
            .map(|row| Event {
                event_time: row * 1000,
                event_type: ["view", "view", "cart", "purchase"][random(4) as usize].to_owned(),
                product_id: random(1000) as i64,
                category_id: 2_053_013_552_226_107_603 + random(300) as i64 * 8_000_000_000,
                category_code: Some(format!("category.{}", random(3))).filter(|_| row % 3 > 0),
                brand: Some(format!("brand{}", random(5))).filter(|_| row % 7 > 0),
                price: random(200_000) as i64 * 100,
                user_id: 510_000_000 + (random(4_000) * random(4_000)) as i64,
                user_session: Some(u128::from(random(20_000))),
            })
            .collect();
        check(&events, &Filter::default(), 30_000, 0x1234_5678_9ABC_DEF0, 3);
        let filter = Filter { event_types: vec!["purchase".into()], from: Some(2_000_000), ..Filter::default() };
        check(&events, &filter, 7_000, 0, 2);
    }
}
