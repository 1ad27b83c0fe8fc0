//! Loads that something happens to: another producer beside them, a broker that goes away, a process that is killed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cartlog::kafka::{BlockHeaders, ClientOptions, Compression, EmbeddedLog, KafkaClient, runtime};
use cartlog::pipeline::{
    Follow, IngestPlan, Interrupt, LoadPlan, LogPlan, LogTarget, NoProgress, PipelineError, ProducePlan, Progress,
    ProgressUpdate, ingest, load, log_directory, produce, store_directory,
};
use tempfile::tempdir;

use crate::brokers::log;
use crate::events::{file, lines, text};
use crate::stored::{snapshot, sorted_rows};

fn load_plan(directory: &Path, path: &Path, log: LogPlan) -> LoadPlan {
    LoadPlan { rows_per_record: 20, ..LoadPlan::new(vec![text(path)], store_directory(directory), Some(log)) }
}

fn expected(path: &Path) -> Vec<String> {
    let directory = tempdir().unwrap();
    let plan = LoadPlan::new(vec![text(path)], store_directory(directory.path()), None);
    load(&plan, &NoProgress, &Interrupt::default()).unwrap();
    sorted_rows(directory.path())
}

#[test]
fn gaps_left_by_another_producer_are_fetched() {
    let directory = tempdir().unwrap();
    let log = log("beside", directory.path());
    let path = file(directory.path(), "a.csv", &lines(21, 10_000));
    let runtime = runtime(2).unwrap();
    let served = runtime.block_on(log.serve());
    let plan = LogPlan { target: LogTarget::Brokers(served.brokers.clone()), ..log.plan.clone() };
    let is_over = AtomicBool::new(false);
    let (loaded, foreign) = thread::scope(|scope| {
        // Two rows a record, on all partitions, for as long as the load runs.
        let other = scope.spawn(|| {
            runtime.block_on(async {
                let client = KafkaClient::connect(&served.brokers, &ClientOptions::default()).await.unwrap();
                client.ensure_topic(&plan.topic, plan.partitions).await.unwrap();
                let producers: Vec<_> =
                    (0..4).map(|number| client.producer(&plan.topic, number, Compression::Lz4)).collect();
                let no_headers =
                    BlockHeaders { source: "x".to_owned(), name: "x".to_owned(), range: 0..1, first_line: 1 };
                let mut records = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let value = Bytes::from(lines(1000 + records, 2));
                    producers[records as usize % 4].produce(&no_headers, value).await.unwrap();
                    records += 1;
                }
                records
            })
        });
        let loaded = load(&load_plan(directory.path(), &path, plan.clone()), &NoProgress, &Interrupt::default());
        is_over.store(true, Ordering::Relaxed);
        (loaded.unwrap(), other.join().unwrap())
    });
    assert!(loaded.rows_from_log > 0, "nothing came between: the test shows nothing");
    assert_eq!(loaded.rows.rows_stored, 10_000 + loaded.rows_from_log);
    let rest = IngestPlan::new(store_directory(directory.path()), plan);
    let rest = ingest(&rest, &NoProgress, &Interrupt::default()).unwrap();
    assert_eq!(loaded.rows_from_log + rest.rows.rows_stored, 2 * foreign);
    runtime.block_on(served.stop());
}

#[test]
fn a_broker_that_goes_away_ends_the_load_and_the_next_one_goes_on() {
    let directory = tempdir().unwrap();
    let path = file(directory.path(), "a.csv", &lines(22, 20_000));
    let runtime = runtime(2).unwrap();
    let broker = runtime.block_on(EmbeddedLog::start(&log_directory(directory.path()))).unwrap();
    let client = ClientOptions { retry_deadline: Duration::from_millis(300), ..ClientOptions::default() };
    let address = broker.address().to_string();
    let plan = LogPlan { client, ..LogPlan::new(LogTarget::Brokers(vec![address.clone()])) };
    /// Takes the broker away once some rows are through.
    struct Away(std::sync::Mutex<Option<EmbeddedLog>>);
    impl Progress for Away {
        fn update(&self, update: &ProgressUpdate<'_>) {
            if update.rows > 0 {
                self.0.lock().unwrap().take();
            }
        }
    }
    let away = Away(std::sync::Mutex::new(Some(broker)));
    match load(&load_plan(directory.path(), &path, plan), &away, &Interrupt::default()) {
        Err(PipelineError::Kafka(error)) => assert!(error.to_string().contains(&address), "{error}"),
        // It was over before the first report of progress.
        other => assert_eq!(other.unwrap().rows.rows_stored, 20_000),
    }
    drop(away);
    let plan = LogPlan::new(LogTarget::Embedded(log_directory(directory.path())));
    let plan = load_plan(directory.path(), &path, plan);
    // The broker's last connections may still be ending.
    let start = Instant::now();
    while load(&plan, &NoProgress, &Interrupt::default()).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "the log is never free again");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(sorted_rows(directory.path()), expected(&path));
}

#[test]
fn a_killed_load_goes_on_where_the_log_ends() {
    let directory = tempdir().unwrap();
    let path = file(directory.path(), "a.csv", &lines(23, 60_000));
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cartlog"));
        command.current_dir(directory.path()).args(["run", "--no-analyses", "--quiet", "--store", "store"]);
        command.args(["--rows-per-record", "50"]).arg(&path).stdout(Stdio::null()).spawn().unwrap()
    };
    let mut killed = 0;
    for milliseconds in [60, 250, 120, 400, 90] {
        let mut child = run();
        thread::sleep(Duration::from_millis(milliseconds));
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed > 0, "every load was over before it could be killed: the test shows nothing");
    assert!(run().wait().unwrap().success());
    assert_eq!(sorted_rows(&directory.path().join("store")), expected(&path));
}

#[test]
fn a_following_ingest_commits_on_the_way_and_stops_when_asked() {
    /// Remembers how far it is, and checks that lag is what it says.
    #[derive(Default)]
    struct Seen(AtomicU64);
    impl Progress for Seen {
        fn update(&self, update: &ProgressUpdate<'_>) {
            self.0.store(update.rows, Ordering::Relaxed);
            assert!(update.lag.iter().all(|(_, behind)| *behind < 1000), "{:?}", update.lag);
        }
    }
    let directory = tempdir().unwrap();
    let log = log("follow", directory.path());
    let runtime = runtime(2).unwrap();
    let served = runtime.block_on(log.serve());
    let plan = LogPlan { target: LogTarget::Brokers(served.brokers.clone()), ..log.plan.clone() };
    let one = file(directory.path(), "one.csv", &lines(24, 500));
    let two = file(directory.path(), "two.csv", &lines(25, 700));
    let send = |path: &Path| {
        let plan = ProducePlan { rows_per_record: 100, ..ProducePlan::new(vec![text(path)], plan.clone()) };
        produce(&plan, &NoProgress, &Interrupt::default()).unwrap();
    };
    send(&one);
    let (seen, interrupt) = (Seen::default(), Interrupt::default());
    let follow = Follow { commit_interval: Duration::from_millis(50), ..Follow::default() };
    let ingest_plan =
        IngestPlan { follow: Some(follow), ..IngestPlan::new(store_directory(directory.path()), plan.clone()) };
    let wait_until = |what: &str, is_so: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(30), "still not: {what}");
            thread::sleep(Duration::from_millis(20));
        }
    };
    let summary = thread::scope(|scope| {
        let following = scope.spawn(|| ingest(&ingest_plan, &seen, &interrupt).unwrap());
        wait_until("the first file is read", &|| seen.0.load(Ordering::Relaxed) == 500);
        wait_until("the first file is committed", &|| snapshot(directory.path()).rows() == 500);
        send(&two);
        wait_until("the second file is committed", &|| snapshot(directory.path()).rows() == 1200);
        interrupt.request();
        following.join().unwrap()
    });
    assert!(summary.interrupted);
    assert_eq!((summary.rows.rows_stored, summary.records), (1200, 12));
    runtime.block_on(served.stop());
}
