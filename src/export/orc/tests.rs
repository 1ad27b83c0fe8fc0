//! Files for other readers: each case as ORC in every compression, and as Arrow for comparison.
//!
//! `CARTLOG_ORC_CASES=FOLDER cargo test --lib orc::tests` writes them to that folder, where tests/interop compares
//! what pyarrow and Spark read with the Arrow file of the same name; without it the folder is temporary, and the test
//! checks that every case can be written.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::types::UInt32Type;
use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt32Array,
};
use proptest::prelude::*;

use super::*;
use crate::export::{AtomicFile, Stream, format};

/// xorshift64: the cases are the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

struct Case {
    name: &'static str,
    batches: Vec<RecordBatch>,
    stripe_bytes: usize,
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn ids(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(values))
}

/// Every type, with rows missing as `is_missing` says.
fn all_types(rows: usize, seed: u64, is_missing: impl Fn(usize) -> bool) -> RecordBatch {
    let mut random = Random(seed);
    let mut values = |make: &mut dyn FnMut(&mut Random) -> i64| -> Vec<Option<i64>> {
        (0..rows).map(|row| (!is_missing(row)).then(|| make(&mut random))).collect()
    };
    let small = values(&mut |random| random.below(100) as i64 - 50);
    let any = values(&mut |random| random.next() as i64);
    let skewed = values(&mut |random| match random.below(50) {
        0 => 2_053_013_555_631_882_655 + random.below(99) as i64,
        1 => -(random.below(1 << 40) as i64),
        _ => 1_000_000 + random.below(4000) as i64,
    });
    let days = values(&mut |random| random.below(80_000) as i64 - 30_000);
    let instants = values(&mut |random| {
        let value = random.below(4_000_000_000_000) as i64 - 1_000_000_000_000;
        if value % 3 == 0 { value.div_euclid(1000) * 1000 } else { value }
    });
    let text = |values: &[Option<i64>], name: fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter(values.iter().map(|value| value.map(name))))
    };
    let decimal = |values: &[Option<i64>], factor: i128, precision, scale| -> ArrayRef {
        let units = values.iter().map(|value| value.map(|value| i128::from(value) * factor));
        Arc::new(Decimal128Array::from_iter(units).with_precision_and_scale(precision, scale).unwrap())
    };
    let instant = TimestampMillisecondArray::from(instants.clone());
    batch(vec![
        ("small", ids(small.clone())),
        ("any", ids(any.clone())),
        ("skewed", ids(skewed.clone())),
        (
            "double",
            Arc::new(Float64Array::from_iter(any.iter().map(|v| v.map(|v| f64::from_bits(v as u64 & !(1 << 62)))))),
        ),
        (
            "repeated",
            text(&small, |value| {
                ["samsung", "apple", "", "ёлка", "小米"][value.unsigned_abs() as usize % 5].to_owned()
            }),
        ),
        ("distinct", text(&any, |value| format!("{value:016x}–session"))),
        ("price", decimal(&skewed.iter().map(|v| v.map(|v| v % 100_000_000)).collect::<Vec<_>>(), 1, 18, 4)),
        ("sum", decimal(&any, 7_000_000_000_000_000_003, 38, 4)),
        ("day", Arc::new(Date32Array::from_iter(days.iter().map(|day| day.map(|day| day as i32))))),
        ("instant", Arc::new(instant.clone().with_timezone("UTC"))),
        ("local", Arc::new(instant)),
    ])
}

fn extremes() -> RecordBatch {
    let edges = [i64::MIN, i64::MAX, 0, -1, 1, i64::MIN + 1, i64::MAX - 1, 1 << 62, -(1 << 62)];
    let mut random = Random(7);
    let rows = 20_000;
    let pick: Vec<Option<i64>> = (0..rows).map(|_| Some(edges[random.below(9) as usize])).collect();
    let rare: Vec<Option<i64>> =
        (0..rows).map(|row| Some(if row % 301 == 300 { edges[row % 9] } else { row as i64 % 7 })).collect();
    let falling: Vec<Option<i64>> = (0..rows as i64).map(|row| Some(i64::MAX - row * row * 10_007)).collect();
    let runs: Vec<Option<i64>> = (0..rows).map(|row| Some(edges[row / 700 % 9])).collect();
    let outliers = (0..rows).map(|_| {
        let base = -4_000_000_000_000_000_000;
        Some(base + random.below(200) as i64 + if random.below(60) == 0 { 1 << random.below(62) } else { 0 })
    });
    let outliers: Vec<Option<i64>> = outliers.collect();
    batch(vec![
        ("pick", ids(pick)),
        ("rare", ids(rare)),
        ("falling", ids(falling)),
        ("runs", ids(runs)),
        ("outliers", ids(outliers)),
        ("rising", ids((0..rows as i64).map(|row| Some(row * 3)))),
    ])
}

fn long_texts() -> RecordBatch {
    let mut random = Random(11);
    let long = |random: &mut Random| "日本語 ñandú \u{10ffff} ".repeat(random.below(3000) as usize);
    let distinct: Vec<Option<String>> = (0..300).map(|row| (row % 7 != 3).then(|| long(&mut random))).collect();
    let few: Vec<Option<String>> = (0..300).map(|row| distinct[row % 4].clone()).collect();
    batch(vec![("distinct", Arc::new(StringArray::from(distinct))), ("few", Arc::new(StringArray::from(few)))])
}

/// Text as a snapshot brings it: codes into one dictionary that all batches share, and into one of their own.
fn dictionaries() -> Vec<RecordBatch> {
    let shared = Arc::new(StringArray::from_iter_values((0..5000).map(|brand| format!("brand {brand}"))));
    let mut random = Random(13);
    let mut codes = |count: usize, limit: u64| {
        let code = |_| (random.below(9) > 0).then(|| random.below(limit) as u32);
        UInt32Array::from_iter((0..count).map(code).collect::<Vec<_>>())
    };
    (0..3)
        .map(|part| {
            let own = StringArray::from_iter_values((0..2000).map(|session| format!("{part}-{}", session / 2)));
            let brand = DictionaryArray::<UInt32Type>::new(codes(25_000, 5000), Arc::<StringArray>::clone(&shared));
            let session = DictionaryArray::<UInt32Type>::new(codes(25_000, 2000), Arc::new(own));
            batch(vec![("brand", Arc::new(brand)), ("session", Arc::new(session))])
        })
        .collect()
}

fn cases() -> Vec<Case> {
    let case = |name, batches| Case { name, batches, stripe_bytes: STRIPE_BYTES };
    vec![
        case("empty", vec![all_types(0, 1, |_| false)]),
        case("one_row", vec![all_types(1, 2, |_| false)]),
        case("golden", vec![all_types(200, 22, |row| row % 9 == 4)]),
        case("full", vec![all_types(35_000, 3, |_| false)]),
        case("some_missing", vec![all_types(35_000, 4, |row| row % 3 == 0 || (12_000..23_000).contains(&row))]),
        case("few_missing", vec![all_types(30_000, 5, |row| row == 17 || row == 29_999)]),
        case("all_missing", vec![all_types(25_000, 6, |_| true)]),
        case("extremes", vec![extremes()]),
        case("long_texts", vec![long_texts()]),
        case("dictionaries", dictionaries()),
        Case {
            name: "many_stripes",
            batches: (0..20).map(|part| all_types(11_000 + part, 100 + part as u64, |row| row % 11 == part)).collect(),
            stripe_bytes: 1 << 20,
        },
    ]
}

fn write_case(case: &Case, compression: Compression, sink: Box<dyn Sink + '_>) {
    let schema = Arc::new(plain_schema(case.batches[0].schema_ref()));
    let mut writer = Box::new(OrcWriter::new(schema, compression, case.stripe_bytes, sink).unwrap());
    for batch in &case.batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn write_the_cases_for_other_readers() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("CARTLOG_ORC_CASES").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    for case in cases() {
        for compression in Orc.compressions() {
            let path = folder.join(format!("{}.{}.orc", case.name, compression.name()));
            write_case(&case, *compression, Box::new(AtomicFile::create(&path).unwrap()));
        }
        let path = folder.join(format!("{}.arrow", case.name));
        let arrow = format("arrow").unwrap();
        let sink = Box::new(AtomicFile::create(&path).unwrap());
        let mut writer = arrow.open(case.batches[0].schema(), sink, WriteOptions::default()).unwrap();
        for batch in &case.batches {
            writer.write(batch).unwrap();
        }
        writer.finish().unwrap();
    }
}

/// golden.orc is the uncompressed file of the case `golden`, as pyarrow and Spark read it with equal values.
#[test]
fn the_bytes_stay_those_that_other_readers_were_shown() {
    let case = cases().into_iter().find(|case| case.name == "golden").unwrap();
    let mut bytes = Vec::new();
    write_case(&case, Compression::None, Box::new(Stream(&mut bytes)));
    let before_version = |bytes: &[u8]| {
        let at = bytes.windows(15).position(|window| window == b"cartlog.version").unwrap();
        bytes[..at].to_vec()
    };
    assert!(before_version(&bytes) == before_version(include_bytes!("golden.orc")));
}

#[test]
fn the_tail_can_be_found_from_the_end() {
    let mut bytes = Vec::new();
    let case = Case { name: "", batches: vec![all_types(10, 9, |_| false)], stripe_bytes: STRIPE_BYTES };
    write_case(&case, Compression::Zstd, Box::new(Stream(&mut bytes)));
    assert!(bytes.starts_with(b"ORC"));
    let postscript_bytes = usize::from(bytes[bytes.len() - 1]);
    assert!(bytes[..bytes.len() - 1].ends_with(b"ORC"));
    assert!(postscript_bytes < 64, "{postscript_bytes}");
}

#[test]
fn the_one_second_that_orc_lacks_is_refused() {
    let instants = |value| batch(vec![("at", Arc::new(TimestampMillisecondArray::from(vec![0, value])) as ArrayRef)]);
    for (value, fits) in [(-1000, true), (-999, false), (-1, false), (1, true), (-1001, true)] {
        let rows = instants(value);
        let mut bytes = Vec::new();
        let sink = Box::new(Stream(&mut bytes));
        let mut writer = Orc.open(rows.schema(), sink, WriteOptions::default()).unwrap();
        writer.write(&rows).unwrap();
        assert_eq!(writer.finish().is_ok(), fits, "{value}");
    }
}

#[test]
fn a_column_of_another_type_is_named() {
    let rows = batch(vec![("flags", Arc::new(UInt32Array::from(vec![1])) as ArrayRef)]);
    let failure = Orc.open(rows.schema(), Box::new(Stream(Vec::new())), WriteOptions::default()).err().unwrap();
    assert_eq!(failure.to_string(), "column flags is of type UInt32, which orc files of cartlog do not hold");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn files_do_not_depend_on_how_rows_come(cuts in prop::collection::vec(1_usize..30_000, 1..4)) {
        let whole = all_types(30_000, 21, |row| row % 5 == 0);
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([30_000]) {
            let end = (start + cut).min(30_000);
            pieces.push(whole.slice(start, end - start));
            start = end;
        }
        let written = |batches| {
            let mut bytes = Vec::new();
            let case = Case { name: "", batches, stripe_bytes: STRIPE_BYTES };
            write_case(&case, Compression::None, Box::new(Stream(&mut bytes)));
            bytes
        };
        prop_assert!(written(pieces) == written(vec![whole]));
    }
}
