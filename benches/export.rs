//! Events out of a snapshot into files: bytes and rows a second.
//!
//! The shape of the data is that of the public files (heavy-tailed users, products and brands, sessions of a few
//! events, runs of the same second). Each file's answer is checked before it is timed: the CSV equals the lines that
//! went in, the others hold as many rows.

#![expect(clippy::expect_used, reason = "a bench that cannot start has nobody to hand an error to")]

use std::hint::black_box;
use std::io::{self, Write};

use cartlog::event::{self, BlockParser, EventDictionaries, Position};
use cartlog::export::events::{EventBatches, Mapping, write_events};
use cartlog::export::{Sink, Stream, WriteOptions, formats};
use cartlog_storage::store::{Dictionary, Segment, Snapshot};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 200_000;

/// Lines as in the public files, by a fixed sequence of pseudo-random numbers.
fn lines(rows: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let mut out = Vec::with_capacity(rows * 130);
    for row in 0..rows {
        let second = row / 20;
        let product = random(20_000) * random(20_000) / 20_000;
        let user = row as u64 / 200 * 40 + random(40);
        let code = if product % 3 == 0 { String::new() } else { format!("electronics.group{}", product % 129) };
        let brand = if product % 7 == 0 { String::new() } else { format!("brand{}", product % 1500) };
        let kind = ["view", "cart", "purchase"][(random(100) / 95 * (1 + random(2))) as usize];
        let line = writeln!(
            out,
            "2019-10-{:02} {:02}:{:02}:{:02} UTC,{kind},{},{},{code},{brand},{}.{:02},{},{user:08x}-8bb3-4e00-8c23-a032dfed738c",
            1 + second / 86_400,
            second / 3600 % 24,
            second / 60 % 60,
            second % 60,
            1_000_000 + product,
            2_053_013_552_326_770_905 + product % 691 * 1_000_003,
            product % 2574,
            10 + product % 90,
            512_000_000 + user,
        );
        line.expect("writing to memory");
    }
    out
}

fn snapshot(lines: &[u8]) -> Snapshot {
    let dictionaries = EventDictionaries::default();
    let parsed = BlockParser::new(dictionaries.clone()).parse(lines, &Position::of_block("bench", 0, 1));
    assert!(parsed.rejects.is_empty(), "{:?}", parsed.rejects.first());
    let segment = Segment::from_batches(&event::schema(), &[parsed.batch]).expect("a sound batch");
    let texts = |column: usize| match column {
        event::EVENT_TYPE => dictionaries.event_type.freeze(),
        event::CATEGORY_CODE => dictionaries.category_code.freeze(),
        event::BRAND => dictionaries.brand.freeze(),
        _ => std::sync::Arc::default(),
    };
    let frozen = (0..event::schema().columns.len())
        .map(|column| Dictionary::from_texts(texts(column).iter()).expect("few texts"))
        .collect();
    Snapshot::in_memory(event::schema(), vec![segment], frozen)
}

/// Counts what it is given.
#[derive(Default)]
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn export(criterion: &mut Criterion) {
    let lines = lines(ROWS);
    let snapshot = snapshot(&lines);
    let write = |format: &str, sink: Box<dyn Sink + '_>| {
        let batches = EventBatches::new(&snapshot, Mapping::of_format(format, false)).expect("a store of events");
        let format = cartlog::export::format(format).expect("a format of the registry");
        write_events(batches, format, sink, WriteOptions::default()).expect("writing to memory")
    };

    let mut csv = Vec::new();
    assert_eq!(write("csv", Box::new(Stream(&mut csv))), ROWS as u64);
    assert!(csv[event::HEADER.len() + 1..] == lines, "the CSV equals the lines that went in");

    let mut group = criterion.benchmark_group("export");
    group.sample_size(10).throughput(Throughput::Bytes(lines.len() as u64));
    for format in formats() {
        let mut size = Counter::default();
        assert_eq!(write(format.name(), Box::new(Stream(&mut size))), ROWS as u64);
        println!("{}: {} bytes of CSV become {}", format.name(), lines.len(), size.0);
        group.bench_function(BenchmarkId::from_parameter(format.name()), |bencher| {
            bencher.iter(|| write(format.name(), Box::new(Stream(Counter::default()))));
        });
    }
    group.finish();
}

criterion_group!(benches, export);
criterion_main!(benches);
