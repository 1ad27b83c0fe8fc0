//! How fast analyses answer: a million events in several shapes, answers checked against the row count.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::hint::black_box;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use cartlog::analysis::{Filter, Input, Parameters, registry};
use cartlog::event;
use cartlog::table::Table;
use cartlog_storage::store::{Batch, ColumnValues, Dictionary, IdentifierValues, Segment, Snapshot};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ROWS: u64 = 1 << 20;
const SEGMENT_ROWS: u64 = 1 << 18;
const CATEGORIES: u32 = 130;
const BRANDS: u32 = 4000;

/// How the values are spread.
struct Shape {
    name: &'static str,
    users: u64,
    /// Small numbers are as much likelier as the square root says.
    skewed: bool,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "uniform", users: 60_000, skewed: false },
    Shape { name: "skewed", users: 60_000, skewed: true },
    Shape { name: "few_users", users: 10, skewed: false },
    Shape { name: "many_users", users: 1_000_000, skewed: false },
];

/// A small generator of numbers: the same rows each time (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, shape: &Shape, bound: u64) -> u64 {
        let number = self.next() % bound;
        if shape.skewed { number * (self.next() % bound) / bound } else { number }
    }
}

fn segment(random: &mut Random, shape: &Shape, first_row: u64) -> Segment {
    let rows = usize::try_from(SEGMENT_ROWS).unwrap();
    let mut integers = |value: &mut dyn FnMut(&mut Random) -> u64| {
        ColumnValues::Integers((0..rows).map(|_| value(random).cast_signed()).collect())
    };
    let mut second = first_row;
    let times = integers(&mut |_| {
        second += 1;
        1_569_888_000_000 + second / 16 * 1000
    });
    let products = integers(&mut |random| 1_000_000 + random.below(shape, 160_000));
    let categories = integers(&mut |random| 2_053_013_551_876_858_335 + random.below(shape, 691) * 20_685_000);
    let prices = integers(&mut |random| random.below(shape, 257_407) * 100);
    let users = integers(&mut |random| 512_000_000 + random.below(shape, shape.users) * 37);
    let mut codes = |count: u32| {
        let code = |random: &mut Random| u32::try_from(random.below(shape, u64::from(count) + 1)).unwrap();
        ColumnValues::Codes((0..rows).map(|_| code(random)).collect())
    };
    let (codes_of_categories, brands) = (codes(CATEGORIES), codes(BRANDS));
    let types = (0..rows).map(|_| [1, 1, 1, 1, 1, 1, 2, 3][usize::try_from(random.next() % 8).unwrap()]).collect();
    let sessions = IdentifierValues {
        uuids: (0..rows).map(|_| u128::from(random.next() % 50_000)).collect(),
        ..IdentifierValues::default()
    };
    let columns = vec![
        times,
        ColumnValues::Codes(types),
        products,
        categories,
        codes_of_categories,
        brands,
        prices,
        users,
        ColumnValues::Identifiers(sessions),
    ];
    Segment::from_batches(&event::schema(), &[Batch { columns, rows }]).unwrap()
}

fn snapshot(shape: &Shape) -> Snapshot {
    let mut random = Random(7);
    let segments = (0..ROWS / SEGMENT_ROWS).map(|part| segment(&mut random, shape, part * SEGMENT_ROWS)).collect();
    let mut dictionaries = vec![Dictionary::default(); 9];
    let texts =
        |word: &str, count: u32| Dictionary::from_texts((0..count).map(|text| format!("{word}.{text}"))).unwrap();
    dictionaries[event::EVENT_TYPE] = Dictionary::from_texts(["view", "cart", "purchase"]).unwrap();
    dictionaries[event::CATEGORY_CODE] = texts("category", CATEGORIES);
    dictionaries[event::BRAND] = texts("brand", BRANDS);
    Snapshot::in_memory(event::schema(), segments, dictionaries)
}

/// What can be checked of an answer without computing it again.
fn check(name: &str, table: &Table) {
    let counts = |column: &str| -> i64 {
        table.rows.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().iter().sum()
    };
    let all = i64::try_from(ROWS).unwrap();
    let rows = table.rows.num_rows();
    match name {
        "price_sensitivity" => assert_eq!(counts("interaction_count"), all),
        "key_figures" | "daily_activity" | "session_metrics" | "data_quality" => assert_eq!(counts("events"), all),
        "price_bands" | "sales_history" | "product_performance" | "brand_performance" | "hourly_activity" => {
            assert_eq!(counts("views") + counts("carts") + counts("purchases"), all);
        }
        "conversion_funnel" => {
            assert!(counts("sessions") >= counts("viewed").max(counts("carted")).max(counts("purchased")));
            assert!(counts("carted") >= counts("abandoned") && counts("purchased") > 0);
        }
        "price_elasticity" => assert!(counts("sessions") > counts("purchasing_sessions") && rows > 100),
        "customer_segments" => assert!((1..=6).contains(&rows) && counts("orders") >= counts("users")),
        "user_top_category_brand" => assert!(rows > 0 && counts("interaction_count") <= all),
        "top_categories" | "top_category_prices" | "top_interactions" => assert_eq!(rows, 10),
        "category_affinity" => assert_eq!(rows, 100),
        _ => assert!(rows > 0),
    }
}

fn analyses(criterion: &mut Criterion) {
    for shape in &SHAPES {
        let snapshot = snapshot(shape);
        for analysis in registry() {
            let mut group = criterion.benchmark_group(analysis.name());
            group.throughput(Throughput::Elements(ROWS)).sample_size(10);
            group.bench_function(BenchmarkId::from_parameter(shape.name), |bencher| {
                let input = Input::of(&snapshot, &Filter::default()).unwrap();
                check(analysis.name(), &analysis.run(&input, &Parameters::default()).unwrap());
                bencher.iter(|| black_box(analysis.run(&input, &Parameters::default()).unwrap()));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, analyses);
criterion_main!(benches);
