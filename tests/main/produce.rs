//! Producing without a store: what is in the topic afterwards, and that nothing is there twice.

use std::collections::BTreeMap;

use cartlog::kafka::{ClientOptions, Compression, KafkaClient, LogRecord, runtime};
use cartlog::pipeline::{Interrupt, LogPlan, NoProgress, ProducePlan, ProduceSummary, produce};
use tempfile::tempdir;

use crate::brokers::{Log, log};
use crate::events::{HEADER, file, lines, text};

fn run(log: &LogPlan, inputs: &[String], change: impl FnOnce(&mut ProducePlan)) -> ProduceSummary {
    let mut plan = ProducePlan::new(inputs.to_vec(), log.clone());
    plan.rows_per_record = 100;
    change(&mut plan);
    produce(&plan, &NoProgress, &Interrupt::default()).unwrap()
}

/// All records of the topic, by partition.
fn records(log: &Log) -> BTreeMap<i32, Vec<LogRecord>> {
    runtime(1).unwrap().block_on(async {
        let served = log.serve().await;
        let client = KafkaClient::connect(&served.brokers, &ClientOptions::default()).await.unwrap();
        let mut records = BTreeMap::new();
        for held in client.describe_topic(&log.plan.topic).await.unwrap() {
            let mut consumer = client.consumer(&log.plan.topic, held.partition, held.earliest);
            let of_partition: &mut Vec<LogRecord> = records.entry(held.partition).or_default();
            while consumer.next_offset() < held.latest {
                of_partition.extend(consumer.fetch().await.unwrap().records);
            }
        }
        served.stop().await;
        records
    })
}

/// The content of a source as the topic's records give it together.
fn content(log: &Log, name: &str) -> String {
    let records = records(log);
    let mut pieces: Vec<LogRecord> = records.into_values().flatten().collect();
    pieces.retain(|record| record.block.as_ref().unwrap().name == name);
    pieces.sort_by_key(|record| record.block.as_ref().unwrap().range.start);
    let mut content = String::from(HEADER);
    for piece in pieces {
        let block = piece.block.unwrap();
        assert_eq!(block.range.start, content.len() as u64, "pieces must follow each other");
        assert_eq!(block.first_line, content.matches('\n').count() as u64 + 1);
        content.push_str(std::str::from_utf8(&piece.value).unwrap());
    }
    content
}

#[test]
fn the_topic_holds_the_file_byte_for_byte_over_all_partitions() {
    let directory = tempdir().unwrap();
    let log = log("produce", directory.path());
    let path = file(directory.path(), "a.csv", &format!("{}not an event\r\n", lines(1, 2050)));
    for compression in [Compression::Lz4, Compression::Zstd] {
        let summary = run(&log.plan, &[text(&path)], |plan| {
            plan.log.compression = compression;
            plan.again = compression == Compression::Zstd;
        });
        assert_eq!((summary.rows_read, summary.rows_produced, summary.rows_duplicate), (2051, 2051, 0));
        assert_eq!(summary.records_produced, 21);
    }
    let by_partition: Vec<usize> = records(&log).values().map(Vec::len).collect();
    assert_eq!(by_partition.len(), 4);
    assert_eq!(by_partition.iter().sum::<usize>(), 42);
    assert!(by_partition.iter().all(|&records| records >= 10), "{by_partition:?}");
}

#[test]
fn producing_twice_adds_nothing_and_a_longer_file_only_its_end() {
    let directory = tempdir().unwrap();
    let log = log("produce-twice", directory.path());
    let all = lines(2, 1000);
    let half: String = all.split_inclusive('\n').take(437).collect();
    let path = file(directory.path(), "a.csv", &half);
    assert_eq!(run(&log.plan, &[text(&path)], |_| {}).rows_produced, 437);
    let again = run(&log.plan, &[text(&path)], |_| {});
    assert_eq!((again.rows_read, again.rows_produced, again.rows_duplicate), (437, 0, 437));
    file(directory.path(), "a.csv", &all);
    let longer = run(&log.plan, &[text(&path)], |plan| plan.rows_per_record = 77);
    assert_eq!((longer.rows_read, longer.rows_produced, longer.rows_duplicate), (1000, 563, 437));
    assert_eq!(content(&log, &text(&path)), format!("{HEADER}{all}"));
}

#[test]
fn a_file_that_begins_like_another_is_produced_too() {
    let directory = tempdir().unwrap();
    let log = log("produce-alike", directory.path());
    let all = lines(3, 500);
    let one = file(directory.path(), "one.csv", &all);
    let other = file(directory.path(), "other.csv", &all.replace("00:05:0", "00:06:0"));
    let summary = run(&log.plan, &[text(&one), text(&other), text(&one)], |_| {});
    assert_eq!((summary.rows_read, summary.rows_produced, summary.rows_duplicate), (1500, 1000, 500));
    let summary = run(&log.plan, &[text(&one), text(&other)], |plan| plan.again = true);
    assert_eq!((summary.rows_produced, summary.rows_duplicate), (1000, 0));
}

#[test]
fn an_interrupted_produce_goes_on_where_it_stopped() {
    let directory = tempdir().unwrap();
    let log = log("produce-interrupted", directory.path());
    let path = file(directory.path(), "a.csv", &lines(4, 300));
    let interrupt = Interrupt::default();
    interrupt.request();
    let plan = ProducePlan::new(vec![text(&path)], log.plan.clone());
    let summary = produce(&plan, &NoProgress, &interrupt).unwrap();
    assert!(summary.interrupted);
    assert_eq!(summary.rows_produced, 0);
    assert_eq!(run(&log.plan, &[text(&path)], |_| {}).rows_produced, 300);
}
