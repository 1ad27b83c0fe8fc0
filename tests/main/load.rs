//! Loading: through the log and without it, again, overlapping, interrupted, beside other producers.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use cartlog::kafka::{BlockHeaders, ClientOptions, Compression, KafkaClient, runtime};
use cartlog::pipeline::{
    IngestPlan, IngestSummary, Interrupt, LoadPlan, LoadSummary, LogPlan, LogTarget, NoProgress, PipelineError,
    ProducePlan, RejectLimit, ingest, load, log_directory, produce, store_directory,
};
use tempfile::tempdir;

use crate::brokers::{Log, log};
use crate::events::{HEADER, file, lines, text};
use crate::stored::{rows, snapshot, sorted_rows};

fn try_run(
    store: &Path,
    log: Option<&LogPlan>,
    inputs: &[&Path],
    change: impl FnOnce(&mut LoadPlan),
) -> Result<LoadSummary, PipelineError> {
    let inputs = inputs.iter().map(|input| text(input)).collect();
    let mut plan = LoadPlan::new(inputs, store_directory(store), log.cloned());
    plan.rows_per_record = 100;
    change(&mut plan);
    load(&plan, &NoProgress, &Interrupt::default())
}

/// Loads files into a store, through a log if there is one.
pub(crate) fn run(store: &Path, log: Option<&LogPlan>, inputs: &[&Path]) -> LoadSummary {
    try_run(store, log, inputs, |_| {}).unwrap()
}

fn run_ingest(store: &Path, log: &LogPlan) -> IngestSummary {
    ingest(&IngestPlan::new(store_directory(store), log.clone()), &NoProgress, &Interrupt::default()).unwrap()
}

/// Rows read, stored, rejected, duplicate.
fn counts(summary: &LoadSummary) -> (u64, u64, u64, u64) {
    let rows = summary.rows;
    (rows.rows_read, rows.rows_stored, rows.rows_rejected, rows.rows_duplicate)
}

/// The rows of these files loaded on their own, without a log.
fn expected(inputs: &[&Path]) -> Vec<String> {
    let directory = tempdir().unwrap();
    run(directory.path(), None, inputs);
    sorted_rows(directory.path())
}

/// Appends records to the log as another producer would.
fn append(log: &Log, records: &[(i32, Option<BlockHeaders>, &str)]) {
    runtime(1).unwrap().block_on(async {
        let served = log.serve().await;
        let client = KafkaClient::connect(&served.brokers, &ClientOptions::default()).await.unwrap();
        client.ensure_topic(&log.plan.topic, log.plan.partitions).await.unwrap();
        for (partition, headers, value) in records {
            let headers = headers.clone().unwrap_or_else(|| BlockHeaders {
                // A range that is not as long as the value makes the record a foreign one.
                source: "foreign".to_owned(),
                name: "foreign".to_owned(),
                range: 0..1,
                first_line: 1,
            });
            let producer = client.producer(&log.plan.topic, *partition, Compression::None);
            producer.produce(&headers, Bytes::from(value.as_bytes().to_vec())).await.unwrap();
        }
        served.stop().await;
    });
}

#[test]
fn a_load_without_a_log_keeps_the_order_of_the_file() {
    let directory = tempdir().unwrap();
    let path = file(directory.path(), "a.csv", &lines(1, 1234));
    let summary = run(directory.path(), None, &[&path]);
    assert_eq!(counts(&summary), (1234, 1234, 0, 0));
    assert_eq!(summary.records_produced, 0);
    let times: Vec<i64> =
        rows(directory.path()).iter().map(|row| row.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted() && times.len() == 1234);
}

#[test]
fn a_load_through_the_log_stores_what_a_load_without_it_does() {
    let directory = tempdir().unwrap();
    let log = log("load", directory.path());
    let damaged = format!("{}not an event\n\n{}2019-10-01,view\n", lines(1, 1017), lines(2, 512));
    let path = file(directory.path(), "a.csv", &damaged);
    let summary = run(directory.path(), Some(&log.plan), &[&path]);
    assert_eq!(counts(&summary), (1531, 1529, 2, 0));
    assert_eq!(summary.rows_from_log, 0);
    assert_eq!(summary.records_produced, 16);
    assert_eq!(sorted_rows(directory.path()), expected(&[&path]));
    let rejects: Vec<_> = snapshot(directory.path()).rejects().unwrap().map(Result::unwrap).collect();
    let mut places: Vec<_> = rejects.iter().map(|reject| (reject.line, reject.byte_offset, &reject.raw[..])).collect();
    places.sort_unstable();
    let content = format!("{HEADER}{damaged}");
    let place = |line: &str| content.find(line).unwrap() as u64;
    assert_eq!(
        places,
        [
            (1019, place("not an event"), &b"not an event"[..]),
            (1533, place("2019-10-01,view"), &b"2019-10-01,view"[..]),
        ]
    );

    // The log alone gives the same store, rejects at the same places included.
    let replayed = tempdir().unwrap();
    let ingested = run_ingest(replayed.path(), &log.plan);
    assert_eq!((ingested.rows, ingested.records), (summary.rows, 16));
    assert_eq!(sorted_rows(replayed.path()), sorted_rows(directory.path()));
    let mut again: Vec<_> = snapshot(replayed.path()).rejects().unwrap().map(Result::unwrap).collect();
    again.sort_unstable_by_key(|reject| reject.line);
    let mut rejects = rejects;
    rejects.sort_unstable_by_key(|reject| reject.line);
    assert_eq!(again, rejects);
    assert_eq!(run_ingest(replayed.path(), &log.plan).rows.rows_read, 0, "nothing is left to read");
}

#[test]
fn loading_twice_adds_nothing_to_store_or_log() {
    let directory = tempdir().unwrap();
    let log = log("load-twice", directory.path());
    let path = file(directory.path(), "a.csv", &format!("{}oops\n", lines(3, 999)));
    assert_eq!(counts(&run(directory.path(), Some(&log.plan), &[&path])), (1000, 999, 1, 0));
    let again = run(directory.path(), Some(&log.plan), &[&path]);
    assert_eq!(counts(&again), (1000, 0, 0, 1000));
    assert_eq!(again.records_produced, 0);
    let without = run(directory.path(), None, &[&path]);
    assert_eq!(counts(&without), (1000, 0, 0, 1000));
    let asked_for = try_run(directory.path(), Some(&log.plan), &[&path], |plan| plan.again = true).unwrap();
    assert_eq!(counts(&asked_for), (1000, 999, 1, 0));
    assert_eq!(snapshot(directory.path()).rows(), 2 * 999);
}

#[test]
fn a_file_that_grows_is_stored_once_however_small_it_was() {
    for through_log in [true, false] {
        let directory = tempdir().unwrap();
        let log = log("grows", directory.path());
        let plan = through_log.then_some(&log.plan);
        let all = lines(8, 300);
        let of = |rows: usize| -> String { all.split_inclusive('\n').take(rows).collect() };
        let write = |content: &str| file(directory.path(), "a.csv", content);
        assert_eq!(counts(&run(directory.path(), plan, &[&write(&of(10))])), (10, 10, 0, 0));
        // Cut off in the middle of a line, which is read again once it is whole.
        let cut = of(20).trim_end().rsplit_once(",5").unwrap().0.to_owned();
        assert_eq!(counts(&run(directory.path(), plan, &[&write(&cut)])), (20, 9, 1, 10));
        assert_eq!(counts(&run(directory.path(), plan, &[&write(&of(25))])), (25, 6, 0, 19));
        // Its last line without a newline is whole, and is no other line when the newline comes.
        assert_eq!(counts(&run(directory.path(), plan, &[&write(of(200).trim_end())])), (200, 175, 0, 25));
        let path = write(&all);
        assert_eq!(counts(&run(directory.path(), plan, &[&path])), (300, 100, 0, 200));
        assert_eq!(counts(&run(directory.path(), plan, &[&path])), (300, 0, 0, 300));
        assert_eq!(sorted_rows(directory.path()), expected(&[&path]));
        if through_log {
            let replayed = tempdir().unwrap();
            run_ingest(replayed.path(), &log.plan);
            assert_eq!(sorted_rows(replayed.path()), expected(&[&path]));
        }
    }
}

#[test]
fn a_load_that_is_to_stop_waits_for_no_broker() {
    let directory = tempdir().unwrap();
    let path = file(directory.path(), "a.csv", &lines(10, 10));
    let log = LogPlan::new(LogTarget::Brokers(vec!["127.0.0.1:1".to_owned()]));
    let plan = LoadPlan::new(vec![text(&path)], store_directory(directory.path()), Some(log));
    let (interrupt, start) = (Interrupt::default(), Instant::now());
    interrupt.request();
    let summary = load(&plan, &NoProgress, &interrupt).unwrap();
    assert_eq!((summary.interrupted, summary.rows.rows_read), (true, 0));
    assert!(start.elapsed() < plan.log.unwrap().client.connect_timeout / 2, "{:?}", start.elapsed());
}

#[test]
fn a_partition_that_cannot_be_opened_is_told_at_once() {
    let directory = tempdir().unwrap();
    let plan = LogPlan::new(LogTarget::Embedded(log_directory(directory.path())));
    let path = file(directory.path(), "a.csv", &lines(9, 1000));
    run(directory.path(), Some(&plan), &[&path]);
    let segment = log_directory(directory.path()).join(format!("{}-1/00000000000000000000.log", plan.topic));
    let mut damaged = std::fs::read(&segment).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&segment, damaged).unwrap();
    std::fs::remove_file(segment.with_extension("index")).unwrap();
    let error = try_run(directory.path(), Some(&plan), &[&path], |_| {}).unwrap_err().to_string();
    assert!(error.contains("-1 is offline") && error.contains("cartlog verify"), "{error}");
}

#[test]
fn a_store_that_was_lost_is_read_again_from_the_log() {
    let directory = tempdir().unwrap();
    let log = log("store-lost", directory.path());
    let path = file(directory.path(), "a.csv", &lines(4, 1500));
    run(directory.path(), Some(&log.plan), &[&path]);
    let rows = sorted_rows(directory.path());
    std::fs::remove_dir_all(store_directory(directory.path())).unwrap();
    let summary = run(directory.path(), Some(&log.plan), &[&path]);
    assert_eq!(counts(&summary), (3000, 1500, 0, 1500));
    assert_eq!((summary.rows_from_log, summary.records_produced), (1500, 0));
    assert_eq!(sorted_rows(directory.path()), rows);
}

#[test]
fn what_a_producer_left_in_the_log_is_not_produced_again() {
    let directory = tempdir().unwrap();
    let log = log("producer-left", directory.path());
    let all = lines(5, 1000);
    let half: String = all.split_inclusive('\n').take(555).collect();
    let path = file(directory.path(), "a.csv", &half);
    let plan = ProducePlan { rows_per_record: 37, ..ProducePlan::new(vec![text(&path)], log.plan.clone()) };
    produce(&plan, &NoProgress, &Interrupt::default()).unwrap();
    file(directory.path(), "a.csv", &all);
    let summary = run(directory.path(), Some(&log.plan), &[&path]);
    assert_eq!(counts(&summary), (1555, 1000, 0, 555));
    assert_eq!((summary.rows_from_log, summary.records_produced), (555, 5));
    assert_eq!(sorted_rows(directory.path()), expected(&[&path]));
}

#[test]
fn two_producers_that_cut_the_same_file_differently_are_stored_once() {
    let directory = tempdir().unwrap();
    let log = log("overlap", directory.path());
    let path = file(directory.path(), "a.csv", &format!("{}oops\n{}", lines(6, 640), lines(7, 360)));
    for (rows_per_record, again) in [(100, false), (33, true), (257, true)] {
        // `again` only keeps the producer from looking into the topic: the id is put back below.
        let plan = ProducePlan { rows_per_record, again, ..ProducePlan::new(vec![text(&path)], log.plan.clone()) };
        if again {
            // The same blocks as a producer that knows nothing of the topic would send.
            let content = std::fs::read_to_string(&path).unwrap();
            append(&log, &blocks(&content, rows_per_record, &source_id(&path)));
        } else {
            produce(&plan, &NoProgress, &Interrupt::default()).unwrap();
        }
    }
    let summary = run_ingest(directory.path(), &log.plan);
    assert_eq!((summary.rows.rows_read, summary.rows.rows_stored, summary.rows.rows_rejected), (3003, 1000, 1));
    assert_eq!(summary.rows.rows_duplicate, 2002);
    assert_eq!(sorted_rows(directory.path()), expected(&[&path]));
    assert_eq!(counts(&run(directory.path(), Some(&log.plan), &[&path])), (1001, 0, 0, 1001));
}

/// The id of a file, as a load of it in a store of its own says.
fn source_id(path: &Path) -> String {
    let directory = tempdir().unwrap();
    run(directory.path(), None, &[path]);
    snapshot(directory.path()).sources()[0].id.to_string()
}

/// A file's lines in blocks, over four partitions, in an order of their own.
fn blocks<'a>(content: &'a str, rows: usize, id: &str) -> Vec<(i32, Option<BlockHeaders>, &'a str)> {
    let mut blocks = Vec::new();
    let (mut start, mut line) = (HEADER.len(), 2);
    while start < content.len() {
        let length: usize = content[start..].split_inclusive('\n').take(rows).map(str::len).sum();
        let headers = BlockHeaders {
            source: id.to_owned(),
            name: "copy.csv".to_owned(),
            range: start as u64..(start + length) as u64,
            first_line: line,
        };
        let partition = i32::try_from(blocks.len() * 7 % 4).unwrap();
        blocks.push((partition, Some(headers), &content[start..start + length]));
        line += rows as u64;
        start += length;
    }
    blocks.reverse();
    blocks
}

#[test]
fn records_of_others_are_stored_by_offset() {
    let directory = tempdir().unwrap();
    let log = log("foreign", directory.path());
    let json = r#"[{"event_time":"2019-10-01 00:00:00 UTC","event_type":"view","product_id":1,"category_id":2,"price":1.5,"user_id":3},{"event_type":"view"}]"#;
    let csv = format!("{}what is this\n", lines(8, 3));
    append(&log, &[(1, None, &csv), (1, None, json), (3, None, "\n"), (3, None, &lines(9, 2))]);
    let path = file(directory.path(), "a.csv", &lines(10, 450));
    let summary = run(directory.path(), Some(&log.plan), &[&path]);
    assert_eq!(counts(&summary), (458, 456, 2, 0));
    assert_eq!(summary.rows_from_log, 8);
    let rejects: Vec<_> = snapshot(directory.path()).rejects().unwrap().map(Result::unwrap).collect();
    let mut places: Vec<_> = rejects.iter().map(|reject| (&reject.source[..], reject.line)).collect();
    places.sort_unstable();
    let topic = &log.plan.topic;
    assert_eq!(places, [(&format!("{topic}/1@0")[..], 4), (&format!("{topic}/1@1")[..], 1)]);
    assert_eq!(run_ingest(directory.path(), &log.plan).rows.rows_read, 0);
}

#[test]
fn rows_beyond_the_limit_stop_the_load_and_what_was_read_is_kept() {
    let directory = tempdir().unwrap();
    let log = log("limit", directory.path());
    let path = file(directory.path(), "a.csv", &format!("{}bad\nworse\n{}", lines(11, 150), lines(12, 850)));
    let limited = |limit| try_run(directory.path(), Some(&log.plan), &[&path], |plan| plan.max_rejected = Some(limit));
    match limited(RejectLimit::Rows(1)) {
        Err(PipelineError::TooManyRejected { rows, .. }) => assert_eq!(rows.rows_rejected, 2),
        other => panic!("{other:?}"),
    }
    assert!(snapshot(directory.path()).rows() >= 98);
    let rest = limited(RejectLimit::Percent(1.0)).unwrap();
    assert_eq!(rest.rows.rows_read, 1002 + rest.rows_from_log);
    assert_eq!(sorted_rows(directory.path()), expected(&[&path]));
}

#[test]
fn an_interrupted_load_goes_on_where_it_stopped() {
    let directory = tempdir().unwrap();
    let log = log("interrupt", directory.path());
    let path = file(directory.path(), "a.csv", &lines(13, 20_000));
    /// Interrupts once some rows are through.
    struct After(u64, Interrupt);
    impl cartlog::pipeline::Progress for After {
        fn update(&self, update: &cartlog::pipeline::ProgressUpdate<'_>) {
            if update.rows >= self.0 {
                self.1.request();
            }
        }
    }
    let plan = LoadPlan {
        rows_per_record: 10,
        ..LoadPlan::new(vec![text(&path)], store_directory(directory.path()), Some(log.plan.clone()))
    };
    let interrupt = Interrupt::default();
    let first = load(&plan, &After(1, interrupt.clone()), &interrupt).unwrap();
    assert_eq!(first.rows.rows_stored, snapshot(directory.path()).rows());
    let second = load(&plan, &NoProgress, &Interrupt::default()).unwrap();
    assert_eq!(second.rows_from_log, 0, "an interrupted load leaves log and store at the same place");
    assert_eq!(second.rows.rows_duplicate, first.rows.rows_stored);
    assert_eq!(first.rows.rows_stored + second.rows.rows_stored, 20_000);
    assert_eq!(sorted_rows(directory.path()), expected(&[&path]));
}

#[test]
fn a_topic_created_anew_is_noticed() {
    let directory = tempdir().unwrap();
    let log = log("anew", directory.path());
    let path = file(directory.path(), "a.csv", &lines(14, 1000));
    run(directory.path(), Some(&log.plan), &[&path]);
    runtime(1).unwrap().block_on(async {
        let served = log.serve().await;
        let client = KafkaClient::connect(&served.brokers, &ClientOptions::default()).await.unwrap();
        client.delete_topic(&log.plan.topic).await.unwrap();
        served.stop().await;
    });
    let more = file(directory.path(), "b.csv", &lines(15, 100));
    match try_run(directory.path(), Some(&log.plan), &[&path, &more], |_| {}) {
        // Where topics have ids that the client can learn, a new topic is simply a new one.
        Ok(summary) => assert_eq!(counts(&summary), (1100, 100, 0, 1000)),
        Err(error) => assert!(error.to_string().contains("created anew"), "{error}"),
    }
}
