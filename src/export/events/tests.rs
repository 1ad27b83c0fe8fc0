//! Events read back from segments equal the lines that went in.

use std::fs;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, TimestampMillisecondType};
use cartlog_storage::store::{Dictionary, Segment, Snapshot};

use super::*;
use crate::event::{self, BlockParser, EventDictionaries, Position};
use crate::export::{Stream, format};

/// The sample that the main job runs on when it is given none.
fn sample() -> Vec<u8> {
    fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.csv")).unwrap()
}

fn after_header(csv: &[u8]) -> &[u8] {
    &csv[csv.iter().position(|&byte| byte == b'\n').unwrap() + 1..]
}

/// A snapshot of lines without a header, cut into segments of that many lines.
fn snapshot(lines: &[u8], segment_lines: usize) -> Snapshot {
    let dictionaries = EventDictionaries::default();
    let mut parser = BlockParser::new(dictionaries.clone());
    let lines: Vec<&[u8]> = lines.split_inclusive(|&byte| byte == b'\n').collect();
    let segments = lines.chunks(segment_lines).map(|lines| {
        let parsed = parser.parse(&lines.concat(), &Position::of_block("test", 0, 1));
        assert_eq!(parsed.rejects, []);
        Segment::from_batches(&event::schema(), &[parsed.batch]).unwrap()
    });
    let segments = segments.collect();
    let mut frozen: Vec<Dictionary> = Vec::new();
    frozen.resize_with(event::schema().columns.len(), Dictionary::default);
    for (column, texts) in [
        (event::EVENT_TYPE, &dictionaries.event_type),
        (event::CATEGORY_CODE, &dictionaries.category_code),
        (event::BRAND, &dictionaries.brand),
    ] {
        frozen[column] = Dictionary::from_texts(texts.freeze().iter()).unwrap();
    }
    Snapshot::in_memory(event::schema(), segments, frozen)
}

fn written(batches: EventBatches<'_>, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let sink = Box::new(Stream(&mut bytes));
    write_events(batches, format(name).unwrap(), sink, WriteOptions::default()).unwrap();
    bytes
}

#[test]
fn exported_lines_are_the_lines_that_went_in() {
    let csv = sample();
    for segment_lines in [1_000_000, 997] {
        let snapshot = snapshot(after_header(&csv), segment_lines);
        let exported = written(EventBatches::new(&snapshot, Mapping::Exact).unwrap(), "csv");
        assert!(exported == csv, "segments of {segment_lines} lines");
    }
}

#[test]
fn only_selected_rows_are_exported_in_their_order() {
    let csv = sample();
    let lines: Vec<&[u8]> = after_header(&csv).split_inclusive(|&byte| byte == b'\n').collect();
    let snapshot = snapshot(after_header(&csv), 500);
    let every_seventh = |segment: usize, rows: std::ops::Range<usize>, into: &mut Vec<usize>| {
        into.extend(rows.filter(|row| (segment * 500 + row) % 7 == 3));
    };
    let batches = EventBatches::new(&snapshot, Mapping::Exact).unwrap().select(&every_seventh);
    let expected: Vec<&[u8]> = lines.iter().copied().skip(3).step_by(7).collect();
    assert!(after_header(&written(batches, "csv")) == expected.concat());

    let nothing = |_: usize, _: std::ops::Range<usize>, _: &mut Vec<usize>| {};
    let batches = EventBatches::new(&snapshot, Mapping::Exact).unwrap().select(&nothing);
    assert_eq!(written(batches, "csv"), format!("{}\n", event::HEADER).as_bytes());
}

fn one_batch(snapshot: &Snapshot, mapping: Mapping) -> RecordBatch {
    let batches: Vec<EventBatch> = EventBatches::new(snapshot, mapping).unwrap().collect::<Result<_, _>>().unwrap();
    let [batch] = &batches[..] else { panic!("{} batches", batches.len()) };
    batch.rows.clone()
}

const LINES: &str = "\
    2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde-8bb3-4e00-8c23-a032dfed738c\n\
    2019-10-01T02:00:00.250+02:00,cart,-5,-9223372036854775808,appliances.kitchen,nan,0.1,9223372036854775807,\n\
    2019-10-31 23:59:59 UTC,purchase,9223372036854775807,2053013552326770905,,,12.3456,1,not a uuid\n";

#[test]
fn the_exact_mapping_loses_nothing() {
    let snapshot = snapshot(LINES.as_bytes(), 10);
    let batch = one_batch(&snapshot, Mapping::Exact);
    assert_eq!(batch.column(event::PRICE).as_primitive::<Decimal128Type>().values()[..], [357_900, 1000, 123_456]);
    let times = batch.column(event::EVENT_TIME).as_primitive::<TimestampMillisecondType>();
    assert_eq!(times.values()[..], [1_569_888_000_000, 1_569_888_000_250, 1_572_566_399_000]);
    assert_eq!(times.timezone(), Some("UTC"));
    let csv = String::from_utf8(written(EventBatches::new(&snapshot, Mapping::Exact).unwrap(), "csv")).unwrap();
    let expected =
        LINES.replace("2019-10-01T02:00:00.250+02:00", "2019-10-01 00:00:00.250 UTC").replace(",0.1,", ",0.10,");
    assert_eq!(csv, format!("{}\n{expected}", event::HEADER));
}

#[test]
fn the_seed_mapping_has_text_times_and_double_prices() {
    let snapshot = snapshot(LINES.as_bytes(), 10);
    let batch = one_batch(&snapshot, Mapping::Seed { typed_time: false });
    assert_eq!(batch.column(event::PRICE).as_primitive::<Float64Type>().values()[..], [35.79, 0.1, 12.3456]);
    let mut json = Vec::new();
    let mut writer =
        format("json").unwrap().open(batch.schema(), Box::new(Stream(&mut json)), WriteOptions::default()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
    let times: Vec<_> = rows.iter().map(|row| row["event_time"].as_str().unwrap()).collect();
    assert_eq!(times, ["2019-10-01 00:00:00 UTC", "2019-10-01 00:00:00.250 UTC", "2019-10-31 23:59:59 UTC"]);
    assert!(rows[1]["user_session"].is_null());
    assert_eq!(rows[2]["user_session"], "not a uuid");
    let typed = one_batch(&snapshot, Mapping::Seed { typed_time: true });
    assert_eq!(typed.column(0).as_primitive::<TimestampMillisecondType>().value(1), 1_569_888_000_250);
    for mapping in [Mapping::Exact, Mapping::Seed { typed_time: false }, Mapping::Seed { typed_time: true }] {
        assert_eq!(mapping.schema().fields().len(), 9);
        for format in crate::export::formats() {
            written(EventBatches::new(&snapshot, mapping).unwrap(), format.name());
        }
    }
}

#[test]
fn a_range_of_rows_is_what_stands_there() {
    let csv = sample();
    let lines: Vec<&[u8]> = after_header(&csv).split_inclusive(|&byte| byte == b'\n').collect();
    let snapshot = snapshot(after_header(&csv), 500);
    let all = lines.len() as u64;
    for range in [0..all, 0..1, 499..501, 500..1000, 1234..1234, all - 1..all, all..all, 700..all] {
        let batches = EventBatches::new(&snapshot, Mapping::Exact).unwrap().rows(range.clone());
        let expected = lines[range.start as usize..range.end as usize].concat();
        assert!(after_header(&written(batches, "csv")) == expected, "{range:?}");
    }
}

#[test]
fn a_store_of_something_else_is_refused() {
    let mut schema = event::schema();
    schema.columns.swap(0, 1);
    let failure = EventBatches::new(&Snapshot::in_memory(schema, Vec::new(), Vec::new()), Mapping::Exact).unwrap_err();
    assert!(matches!(failure, ExportError::NotEvents { index: 0, .. }), "{failure}");
}

#[test]
fn a_code_without_a_text_is_an_error_and_no_panic() {
    let whole = snapshot(LINES.as_bytes(), 10);
    let segments = vec![Segment::clone(&whole.segments()[0])];
    let without_texts = Snapshot::in_memory(event::schema(), segments, Vec::new());
    let mut batches = EventBatches::new(&without_texts, Mapping::Exact).unwrap();
    let failure = batches.next().unwrap().unwrap_err();
    assert!(matches!(failure, ExportError::Code { column: "event_type", .. }), "{failure}");
    assert!(batches.next().is_none());
}

#[test]
fn results_do_not_depend_on_the_thread_count() {
    let csv = sample();
    let snapshot = Arc::new(snapshot(after_header(&csv), 800));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mapping = Mapping::Seed { typed_time: false };
        pool.install(|| written(EventBatches::new(&snapshot, mapping).unwrap(), "orc"))
    };
    assert!(with(1) == with(4));
}
