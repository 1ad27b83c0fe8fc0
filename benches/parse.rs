//! How fast lines become rows, on one core: blocks of 5000 lines in several shapes, answers checked.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::fmt::Write;
use std::hint::black_box;
use std::ops::Range;

use cartlog::event::{BlockParser, EventDictionaries, Gathered, PRICE, Position, decimal, time};
use cartlog_storage::store::ColumnValues;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 50_000;
const ROWS_PER_BLOCK: usize = 5000;
/// 2019-10-01 in milliseconds.
const START: i64 = 1_569_888_000_000;

/// A small generator of numbers: the same rows each time (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number in the range, small ones far more often.
    fn skewed(&mut self, range: Range<u64>) -> u64 {
        let length = range.end - range.start;
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        range.start + (unit.powi(3) * length as f64) as u64
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// How lines of a benchmark differ from the public data.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Public,
    /// Times in no order, every text as likely as any other.
    Uniform,
    CarriageReturns,
    Quoted,
    NoSession,
    OneInTenDamaged,
}

/// Lines, and the sum of the prices of those that are events.
fn lines(shape: Shape) -> (String, i64, usize) {
    const LEVELS: [&str; 8] =
        ["electronics", "appliances", "kitchen", "smartphone", "audio", "furniture", "auto", "tv"];
    let mut random = Random(7);
    let (mut text, mut sum, mut rows) = (String::new(), 0, 0);
    for row in 0..ROWS {
        let uniform = shape == Shape::Uniform;
        let second = if uniform { random.below(2_600_000) as i64 } else { row as i64 / 16 };
        let event_time = time::format(START + second * 1000);
        let event_type = ["view", "view", "view", "cart", "purchase"][random.skewed(0..5) as usize];
        let product = 1_000_000 + random.skewed(0..60_000_000);
        let category = 2_053_013_552_326_770_905 + random.skewed(0..700) * 8_000_000_017;
        let pick = if uniform { random.below(129) } else { random.skewed(0..190) } as usize;
        let code = match pick {
            129.. => String::new(),
            _ => [LEVELS[pick % 8], LEVELS[pick / 8 % 8], LEVELS[pick / 64 % 8]][..2 + pick % 2].join("."),
        };
        let pick = if uniform { random.below(4303) } else { random.skewed(0..5000) };
        let brand = if pick < 4303 { format!("brand{}", pick * 37 % 4303) } else { String::new() };
        let price = (random.skewed(77..257_407) * 100) as i64;
        let user = 244_951_053 + random.skewed(0..340_000_000);
        let (high, low) = (random.next(), random.next());
        let session = match shape {
            Shape::NoSession => String::new(),
            _ => format!(
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                high >> 32,
                high >> 16 & 0xFFFF,
                high & 0xFFFF,
                low >> 48,
                low & 0xFFFF_FFFF_FFFF
            ),
        };
        let price_text = decimal::format(price);
        let end = if shape == Shape::CarriageReturns { "\r\n" } else { "\n" };
        if shape == Shape::OneInTenDamaged && row % 10 == 9 {
            write!(
                text,
                "{event_time},{event_type},{product},2.05301E+18,{code},{brand},{price_text},{user},{session}{end}"
            )
            .unwrap();
            continue;
        }
        if shape == Shape::Quoted {
            write!(text, "\"{event_time}\",\"{event_type}\",\"{product}\",\"{category}\",\"{code}\",\"{brand}\",\"{price_text}\",\"{user}\",\"{session}\"{end}").unwrap();
        } else {
            write!(
                text,
                "{event_time},{event_type},{product},{category},{code},{brand},{price_text},{user},{session}{end}"
            )
            .unwrap();
        }
        sum += price;
        rows += 1;
    }
    (text, sum, rows)
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, shape) in [
        ("public", Shape::Public),
        ("uniform", Shape::Uniform),
        ("carriage returns", Shape::CarriageReturns),
        ("quoted", Shape::Quoted),
        ("no session", Shape::NoSession),
        ("one in ten damaged", Shape::OneInTenDamaged),
    ] {
        let (text, sum, rows) = lines(shape);
        let text = text.as_bytes();
        let mut ends: Vec<usize> = memchr::memchr_iter(b'\n', text).map(|newline| newline + 1).collect();
        ends.retain({
            let mut line = 0;
            move |_| {
                line += 1;
                line % ROWS_PER_BLOCK == 0
            }
        });
        let mut parser = BlockParser::new(EventDictionaries::default());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (mut found, mut rejected, mut total, mut start) = (0, 0, 0, 0);
                for (block, end) in ends.iter().enumerate() {
                    let first_line = (block * ROWS_PER_BLOCK) as u64 + 1;
                    let position = Position::of_block("rows.csv", start as u64, first_line);
                    let parsed = black_box(parser.parse(&text[start..*end], &position));
                    let ColumnValues::Integers(prices) = &parsed.batch.columns[PRICE] else { unreachable!() };
                    total += prices.iter().sum::<i64>();
                    found += parsed.batch.rows;
                    rejected += parsed.rejects.len();
                    start = *end;
                }
                assert_eq!((found, rejected, total), (rows, ROWS - rows, sum));
            });
        });
    }
    group.finish();
}

/// Messages of one line each, as other producers write them, gathered into batches.
fn messages(criterion: &mut Criterion) {
    let (text, sum, rows) = lines(Shape::Public);
    let lines: Vec<&str> = text.lines().collect();
    let mut parser = BlockParser::new(EventDictionaries::default());
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("messages of one line", |bencher| {
        bencher.iter(|| {
            let (mut found, mut total) = (0, 0);
            for lines in lines.chunks(ROWS_PER_BLOCK) {
                let mut gathered = Gathered::with_room(lines.len());
                let added: u64 = lines
                    .iter()
                    .map(|line| parser.add_message(&mut gathered, line.as_bytes(), || "topic/0@0".to_owned()))
                    .sum();
                let parsed = black_box(gathered.finish());
                let ColumnValues::Integers(prices) = &parsed.batch.columns[PRICE] else { unreachable!() };
                assert_eq!(added as usize, parsed.batch.rows);
                total += prices.iter().sum::<i64>();
                found += parsed.batch.rows;
            }
            assert_eq!((found, total), (rows, sum));
        });
    });
    group.finish();
}

criterion_group!(benches, parse, messages);
criterion_main!(benches);
