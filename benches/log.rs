//! What the log costs without a network: appends, reads and starts, batches of two sizes, answers checked.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use cartlog_storage::io::OsDirectory;
use cartlog_storage::log::{Log, LogOptions, Offset, Partition, TopicConfig};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const HEADER: usize = 61;
/// Bytes appended for the reads and the start.
const LOG_BYTES: usize = 64 << 20;

/// A sound batch of so many records without keys, whose values hold so many bytes.
fn batch(records: usize, value: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for delta in 0..records {
        let mut record = vec![0, 0];
        put_varint(&mut record, delta);
        record.push(1);
        put_varint(&mut record, value);
        record.extend((0..value).map(|at| (at * 31 + delta).to_le_bytes()[0]));
        record.push(0);
        put_varint(&mut body, record.len());
        body.extend_from_slice(&record);
    }
    let count = i32::try_from(records).unwrap();
    let mut content = vec![0, 0];
    content.extend_from_slice(&(count - 1).to_be_bytes());
    content.extend_from_slice(&[1_569_888_000_000_i64.to_be_bytes(); 2].concat());
    content.extend_from_slice(&[0xff; 14]);
    content.extend_from_slice(&count.to_be_bytes());
    content.extend_from_slice(&body);
    let mut batch = vec![0; 8];
    batch.extend_from_slice(&i32::try_from(content.len() + 9).unwrap().to_be_bytes());
    batch.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 2]);
    batch.extend_from_slice(&crc32c::crc32c(&content).to_be_bytes());
    batch.extend_from_slice(&content);
    assert!(batch.len() > HEADER + records * value);
    batch
}

/// A zigzag varint of a number that isn't negative.
fn put_varint(buffer: &mut Vec<u8>, value: usize) {
    let mut rest = value << 1;
    while rest >= 0x80 {
        buffer.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    buffer.push(rest.to_le_bytes()[0]);
}

fn open(folder: &Path) -> Log {
    Log::open(Arc::new(OsDirectory::open(folder).unwrap()), LogOptions::default()).unwrap()
}

fn partition(log: &Log) -> Arc<Partition> {
    let topic = log.topic("bench").unwrap_or_else(|| log.create_topic("bench", 1, TopicConfig::default()).unwrap());
    Arc::clone(&topic.partitions()[0])
}

/// A log of [`LOG_BYTES`] in batches like this one; gives their number.
fn fill(folder: &Path, batch: &[u8]) -> i64 {
    let log = open(folder);
    let partition = partition(&log);
    let batches = LOG_BYTES / batch.len();
    for _ in 0..batches {
        partition.append(batch).unwrap();
    }
    log.close().unwrap();
    i64::try_from(batches).unwrap()
}

fn benches(criterion: &mut Criterion) {
    for (name, records, value) in [("17 kB", 160, 100), ("500 kB", 500, 1000)] {
        let batch = batch(records, value);
        let records = i64::try_from(records).unwrap();

        let mut group = criterion.benchmark_group("log append");
        group.throughput(Throughput::Bytes(batch.len() as u64)).sample_size(20);
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path());
        let appended = partition(&log);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let before = appended.end();
                let next = appended.append(&batch).unwrap().next_offset;
                assert_eq!(next.0, before.0 + records);
            });
        });
        group.finish();
        drop((appended, log));

        let folder = tempfile::tempdir().unwrap();
        let batches = fill(folder.path(), &batch);
        let mut group = criterion.benchmark_group("log fetch of 1 MB, read");
        group.throughput(Throughput::Bytes((1 << 20) / batch.len() as u64 * batch.len() as u64)).sample_size(20);
        let log = open(folder.path());
        let fetched = partition(&log);
        let mut offset = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                offset = (offset + 7 * records) % ((batches - 100).max(1) * records);
                let read = fetched.read(Offset(offset), 1 << 20, true).unwrap();
                let bytes = black_box(read.batches.read_all().unwrap());
                assert_eq!(bytes[..8], (offset / records * records).to_be_bytes());
            });
        });
        group.finish();
        drop((fetched, log));

        let mut group = criterion.benchmark_group("log start, every batch checked");
        group.throughput(Throughput::Bytes(LOG_BYTES as u64)).sample_size(10);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || std::fs::remove_file(folder.path().join("recovery-point-offset-checkpoint")),
                |_| assert_eq!(partition(&open(folder.path())).end(), Offset(batches * records)),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(log, benches);
criterion_main!(log);
