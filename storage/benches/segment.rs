//! Encoding a segment: a million rows shaped like shop events, column kinds apart and together.
//!
//! `cargo bench -p cartlog-storage --bench segment` prints the fastest of several runs (the one that was disturbed
//! least), in milliseconds and rows a second, the bytes a row of each column, and checks that the rows read back are
//! the rows that went in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cartlog_storage::io::OsDirectory;
use cartlog_storage::store::{
    Batch, ColumnSchema, ColumnType, ColumnValues, ColumnView, Delivery, IdentifierValues, Schema, Segment, StoreError,
    StoreWriter, WriterOptions,
};

const ROWS: usize = 1 << 20;
const ROWS_A_BATCH: usize = 5000;
const RUNS: usize = 15;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit, small ones far more often: a heavy tail.
    fn skewed(&mut self, limit: u64) -> u64 {
        let bits = 64 - (limit - 1).leading_zeros();
        (self.next() >> (64 - bits + (self.next() % u64::from(bits)) as u32 / 2)) % limit
    }
}

fn schema() -> Schema {
    let columns = [
        ("event_time", ColumnType::Timestamp),
        ("event_type", ColumnType::Dictionary),
        ("product_id", ColumnType::Integer),
        ("category_id", ColumnType::Integer),
        ("category_code", ColumnType::Dictionary),
        ("brand", ColumnType::Dictionary),
        ("price", ColumnType::Decimal { scale: 4 }),
        ("user_id", ColumnType::Integer),
        ("user_session", ColumnType::Identifier),
    ];
    let columns = columns.into_iter().map(|(name, kind)| ColumnSchema { name: name.to_owned(), kind }).collect();
    Schema { columns }
}

/// Rows in time order: some 16 a second, sessions of some five rows of which thousands are open at a time.
fn batches() -> Vec<Batch> {
    let mut random = Random(1);
    let open: Vec<(u64, u128)> = (0..20_000).map(|_| (random.next(), u128::from(random.next()))).collect();
    let mut open = open;
    let mut time = 1_570_000_000;
    (0..ROWS.div_ceil(ROWS_A_BATCH))
        .map(|number| {
            let rows = ROWS_A_BATCH.min(ROWS - number * ROWS_A_BATCH);
            let mut integers: [Vec<i64>; 5] = Default::default();
            let mut codes: [Vec<u32>; 3] = Default::default();
            let mut uuids = Vec::new();
            for _ in 0..rows {
                time += i64::from(random.next().is_multiple_of(16));
                let product = random.skewed(60_000);
                let category = product * 7 % 691;
                let at = (random.next() % open.len() as u64) as usize;
                if random.next().is_multiple_of(5) {
                    open[at] = (random.next(), (u128::from(random.next()) << 64) | u128::from(random.next()));
                }
                let (user, session) = open[at];
                integers[0].push(time * 1000);
                integers[1].push(1_000_000 + product as i64 * 977);
                integers[2].push(2_053_013_552_326_770_905 + category as i64 * 8_388_608_123);
                integers[3].push(((product * product + random.next() % 3) % 257_407) as i64 * 100);
                integers[4].push(512_000_000 + (user % 60_000_000) as i64);
                codes[0].push(1 + u32::from(random.next().is_multiple_of(20)));
                codes[1].push(if category.is_multiple_of(3) { 0 } else { category as u32 % 129 + 1 });
                codes[2].push(if product.is_multiple_of(7) { 0 } else { product as u32 % 3500 + 1 });
                uuids.push(session);
            }
            let [times, products, categories, prices, users] = integers.map(ColumnValues::Integers);
            let [types, category_codes, brands] = codes.map(ColumnValues::Codes);
            let sessions = ColumnValues::Identifiers(IdentifierValues { uuids, ..IdentifierValues::default() });
            Batch {
                columns: vec![times, types, products, categories, category_codes, brands, prices, users, sessions],
                rows,
            }
        })
        .collect()
}

fn fastest(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..RUNS).map(once).min().unwrap_or_default()
}

fn report(what: &str, time: Duration) {
    let rate = ROWS as f64 / time.as_secs_f64() / 1e6;
    println!("{what:<28} {:>8.2} ms {rate:>8.1} M rows/s", time.as_secs_f64() * 1e3);
}

fn check(segment: &Segment, batches: &[Batch]) {
    for column in [0, 2, 3, 6, 7] {
        let expected = batches.iter().flat_map(|batch| match &batch.columns[column] {
            ColumnValues::Integers(values) => &values[..],
            _ => &[],
        });
        let ColumnView::Integers(values) = segment.column(column) else { continue };
        assert!(expected.enumerate().all(|(row, &value)| values.get(row) == value), "column {column} differs");
    }
}

fn main() -> Result<(), StoreError> {
    let (schema, batches) = (schema(), batches());
    for (index, column) in schema.columns.iter().enumerate() {
        let single = Schema { columns: vec![column.clone()] };
        let columns: Vec<Batch> = batches
            .iter()
            .map(|batch| Batch { columns: vec![batch.columns[index].clone()], rows: batch.rows })
            .collect();
        let time = fastest(|| drop(Segment::encode(&single, &columns, 1)));
        let bytes = Segment::from_batches(&single, &columns)?.column_length(0) as f64 / ROWS as f64;
        report(&format!("{:<14} {bytes:>6.2} B/row", column.name), time);
    }
    report("all columns, one thread", fastest(|| drop(Segment::encode(&schema, &batches, 1))));
    report("all columns, two threads", fastest(|| drop(Segment::encode(&schema, &batches, 2))));
    let segment = Segment::from_batches(&schema, &batches)?;
    check(&segment, &batches);
    println!("{:.2} bytes a row", segment.length() as f64 / ROWS as f64);
    report("every checksum", fastest(|| assert!(segment.damaged_pages().is_empty())));

    let folder = tempfile::tempdir().map_err(|source| StoreError::Io {
        path: String::new(),
        operation: "creating a temporary folder",
        source,
    })?;
    let directory = OsDirectory::open(folder.path()).map_err(|source| StoreError::Io {
        path: String::new(),
        operation: "opening the temporary folder",
        source,
    })?;
    let writer = StoreWriter::open(Arc::new(directory), schema, WriterOptions::default())?;
    for column in [1, 4, 5] {
        (0..4000).try_for_each(|n| writer.dictionary(column).code_for(&format!("text {n}")).map(|_| ()))?;
    }
    let time = fastest(|| {
        for batch in &batches {
            let appended = writer.append(Delivery { batch: batch.clone(), ..Delivery::default() });
            assert!(appended.is_ok(), "{appended:?}");
        }
        let committed = writer.commit();
        assert!(committed.is_ok(), "{committed:?}");
    });
    report("append and durable commit", time);
    let summary = writer.close()?;
    assert_eq!(summary.totals.rows_stored, (RUNS * ROWS) as u64);
    Ok(())
}
