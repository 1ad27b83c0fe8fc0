//! Whole-log tests: what is there after a restart, whatever happened to the files meanwhile.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Waker};

use proptest::prelude::*;
use tempfile::TempDir;

use super::batch::tests::batch;
use super::*;
use crate::io::{Directory, Fault, FaultDirectory, MemoryDirectory, OsDirectory};

/// What becomes of a file's bytes; `None` if the file goes.
type Damage = fn(Vec<u8>) -> Option<Vec<u8>>;

/// A log in a temporary folder, with segments of a few batches.
struct Bench {
    folder: TempDir,
    options: LogOptions,
}

impl Bench {
    fn new(segment_bytes: u32) -> Self {
        let mut options = LogOptions::default().with_segment_bytes(segment_bytes);
        options.index_interval_bytes = 300;
        Self { folder: tempfile::tempdir().unwrap(), options }
    }

    fn open(&self) -> Log {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Log, LogError> {
        Log::open(Arc::new(OsDirectory::open(self.folder.path()).unwrap()), self.options.clone())
    }

    /// The partition's files with this extension, by base offset.
    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.folder.path().join("events-0"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        files.sort();
        files
    }

    /// Forgets what was on disk, so that the next start scans everything.
    fn forget_checkpoint(&self) {
        let _ = fs::remove_file(self.folder.path().join("recovery-point-offset-checkpoint"));
    }
}

fn events(log: &Log) -> Arc<Partition> {
    let topic = log.topic("events").unwrap_or_else(|| log.create_topic("events", 1, TopicConfig::default()).unwrap());
    Arc::clone(&topic.partitions()[0])
}

/// Appends batches of 3 records, the `n`th (counted from 0) at the time `1000 + n`.
fn append(partition: &Partition, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let appended = partition.append(&batch(3, 1000 + number, format!("batch {number}").as_bytes())).unwrap();
        assert_eq!(appended, Appended { base_offset: Offset(number * 3), next_offset: Offset(number * 3 + 3) });
    }
}

/// Checks that the partition holds exactly the first `count` batches of [`append`], by every way of reading.
fn check(partition: &Partition, count: i64) {
    assert_eq!((partition.start(), partition.end()), (Offset(0), Offset(count * 3)));
    let mut next = Offset(0);
    let mut bytes = 0;
    while next < partition.end() {
        let read = partition.read(next, 400, true).unwrap();
        let batches = read.batches.read_all().unwrap();
        let mut rest = &batches[..];
        assert!(!rest.is_empty());
        while !rest.is_empty() {
            let header = BatchHeader::decode(rest).unwrap();
            header.verify(rest).unwrap();
            let number = next.0 / 3;
            assert_eq!((header.base_offset, header.max_timestamp_ms), (next, 1000 + number));
            let text = format!("batch {number}");
            assert!(rest[..header.size].windows(text.len()).any(|window| window == text.as_bytes()));
            next = header.next_offset();
            bytes += header.size as u64;
            rest = &rest[header.size..];
        }
    }
    assert_eq!(bytes, partition.bytes());
    for offset in 0..count * 3 {
        let read = partition.read(Offset(offset), 1, true).unwrap();
        let header = BatchHeader::decode(&read.batches.read_all().unwrap()).unwrap();
        assert_eq!((header.base_offset.0, header.size), (offset / 3 * 3, read.batches.len()), "the batch of {offset}");
        assert!(partition.read(Offset(offset), 1, false).unwrap().batches.is_empty(), "one byte holds no batch");
    }
    for number in 0..count {
        let found = TimedOffset { timestamp_ms: 1000 + number, offset: Offset(number * 3) };
        assert_eq!(partition.offset_for_time(1000 + number).unwrap(), Some(found));
    }
    assert_eq!(partition.offset_for_time(1000 + count).unwrap(), None);
    let latest = (count > 0).then(|| TimedOffset { timestamp_ms: 999 + count, offset: Offset(count * 3 - 3) });
    assert_eq!(partition.latest_time().unwrap(), latest);
    assert!(partition.read(partition.end(), 1000, true).unwrap().batches.is_empty());
    for outside in [-1, count * 3 + 1] {
        let error = partition.read(Offset(outside), 1000, true).unwrap_err();
        assert!(matches!(error, LogError::OffsetOutOfRange { .. }), "{error}");
    }
}

#[test]
fn everything_is_there_after_a_restart_closed_or_not() {
    for close in [true, false] {
        let bench = Bench::new(2000);
        let log = bench.open();
        append(&events(&log), 0..100);
        check(&events(&log), 100);
        assert!(bench.files("log").len() > 3, "segments roll");
        let (id, cluster) = (log.topic("events").unwrap().id(), log.cluster_id());
        if close {
            log.close().unwrap();
        }
        drop(log);
        let log = bench.open();
        assert_eq!((log.topic("events").unwrap().id(), log.cluster_id()), (id, cluster));
        check(&events(&log), 100);
        append(&events(&log), 100..130);
        check(&events(&log), 130);
        drop(log);
        check(&events(&bench.open()), 130);
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_at_the_last_whole_batch() {
    let bench = Bench::new(1 << 20);
    let log = bench.open();
    append(&events(&log), 0..2);
    let two = events(&log).bytes();
    append(&events(&log), 2..3);
    let three = events(&log).bytes();
    drop(log);
    let file = &bench.files("log")[0];
    let whole = fs::read(file).unwrap();
    for length in two..three {
        for garbage in [false, true] {
            let mut torn = whole[..usize::try_from(length).unwrap()].to_vec();
            if garbage {
                // A file may have got its length before its content.
                torn.resize(whole.len(), 0);
            }
            let kept = if torn == whole { 3 } else { 2 };
            fs::write(file, torn).unwrap();
            bench.forget_checkpoint();
            let log = bench.open();
            check(&events(&log), kept);
            append(&events(&log), kept..4);
            check(&events(&log), 4);
        }
    }
}

#[test]
fn what_was_on_disk_is_never_cut() {
    let bench = Bench::new(1 << 20);
    let log = bench.open();
    append(&events(&log), 0..10);
    log.close().unwrap();
    drop(log);
    let file = &bench.files("log")[0];
    let mut damaged = fs::read(file).unwrap();
    let middle = damaged.len() - 10;
    damaged[middle] ^= 1;
    fs::write(file, &damaged).unwrap();
    let error = bench.try_open().unwrap_err();
    assert!(matches!(error, LogError::Corrupt { .. }), "{error}");
    assert_eq!(fs::read(file).unwrap(), damaged, "the file is left as it was found");
}

#[test]
fn segments_after_a_torn_batch_are_removed() {
    let bench = Bench::new(2000);
    let log = bench.open();
    append(&events(&log), 0..60);
    drop(log);
    bench.forget_checkpoint();
    let files = bench.files("log");
    assert!(files.len() > 3);
    let length = fs::metadata(&files[1]).unwrap().len();
    fs::OpenOptions::new().write(true).open(&files[1]).unwrap().set_len(length - 1).unwrap();
    let log = bench.open();
    assert_eq!(bench.files("log").len(), 2);
    let end = events(&log).end().0;
    check(&events(&log), end / 3);
    append(&events(&log), end / 3..end / 3 + 30);
    check(&events(&log), end / 3 + 30);
}

#[test]
fn missing_and_wrong_indexes_are_rebuilt() {
    let damages: [Damage; 7] = [
        |_| None,
        |_| Some(Vec::new()),
        |bytes| Some(bytes[..bytes.len() - 1].to_vec()),
        |bytes| Some(vec![0; bytes.len()]),
        |bytes| Some(bytes.iter().map(|byte| byte ^ 0x40).collect()),
        // Sorted, but pointing into the middle of batches.
        |bytes| Some(bytes.chunks(8).flat_map(|entry| [&entry[..7], &[entry[7] ^ 1]].concat()).collect()),
        |bytes| Some([&bytes[..], &[0x7f; 24]].concat()),
    ];
    for closed in [true, false] {
        for extension in ["index", "timeindex"] {
            for (at, damage) in damages.iter().enumerate() {
                if extension == "timeindex" && at == 5 {
                    continue;
                }
                let bench = Bench::new(4000);
                let log = bench.open();
                append(&events(&log), 0..100);
                if closed {
                    log.close().unwrap();
                }
                drop(log);
                for file in bench.files(extension) {
                    let bytes = fs::read(&file).unwrap();
                    fs::remove_file(&file).unwrap();
                    if let Some(bytes) = if bytes.is_empty() { None } else { damage(bytes) } {
                        fs::write(&file, bytes).unwrap();
                    }
                }
                let log = bench.open();
                check(&events(&log), 100);
                append(&events(&log), 100..110);
                check(&events(&log), 110);
            }
        }
    }
}

#[test]
fn one_holder_at_a_time() {
    let bench = Bench::new(4000);
    let log = bench.open();
    assert!(matches!(bench.try_open(), Err(LogError::InUse)));
    drop(log);
    bench.open();
}

#[test]
fn topics_come_and_go_for_good() {
    let bench = Bench::new(4000);
    let log = bench.open();
    append(&events(&log), 0..10);
    let first = log.topic("events").unwrap().id();
    let old = events(&log);
    assert!(matches!(log.create_topic("events", 1, TopicConfig::default()), Err(LogError::TopicExists(_))));
    assert_eq!(log.delete_topic("events").unwrap(), first);
    assert!(matches!(log.delete_topic("events"), Err(LogError::UnknownTopic(_))));
    assert!(matches!(old.append(&batch(1, 0, b"")), Err(LogError::UnknownTopic(_))));
    assert!(!bench.folder.path().join("events-0").exists());
    check(&events(&log), 0);
    let second = log.topic("events").unwrap().id();
    assert_ne!(first, second);
    drop(log);
    let log = bench.open();
    assert_eq!(log.topics().iter().map(|topic| topic.id()).collect::<Vec<_>>(), [second]);
    assert_eq!(log.topic_by_id(second).unwrap().name(), "events");
    let metadata = fs::read_to_string(bench.folder.path().join("events-0/partition.metadata")).unwrap();
    assert_eq!(metadata, format!("version: 0\ntopic_id: {second}"));
}

#[test]
fn a_creation_cut_short_is_set_aside_and_a_deletion_cut_short_is_finished() {
    let bench = Bench::new(4000);
    let log = bench.open();
    append(&events(&log), 0..10);
    drop(log);
    let catalogue = bench.folder.path().join("cartlog.topics");
    let with_events = fs::read(&catalogue).unwrap();

    // Folders without an entry: the entry is written last.
    let stray = bench.folder.path().join("half-0");
    fs::create_dir(&stray).unwrap();
    fs::File::create(stray.join("partition.metadata")).unwrap().write_all(b"version: 0\ntopic_id: x").unwrap();
    let log = bench.open();
    assert!(!stray.exists());
    log.create_topic("half", 1, TopicConfig::default()).unwrap();
    log.delete_topic("half").unwrap();
    check(&events(&log), 10);
    drop(log);

    // An entry under "deleting" whose folders are still there.
    let text = String::from_utf8(with_events).unwrap();
    let json = text.split_once('\n').unwrap().1.trim_end();
    let (before, rest) = json.split_once("\"topics\":[").unwrap();
    let entry = rest.split_once("],\"deleting\":[").unwrap().0;
    let json = format!("{before}\"topics\":[],\"deleting\":[{entry}]}}");
    fs::write(&catalogue, format!("cartlog topics 1 {:08x}\n{json}\n", crc32c::crc32c(json.as_bytes()))).unwrap();
    let log = bench.open();
    assert!(log.topics().is_empty());
    assert!(!bench.folder.path().join("events-0").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_together_share_few_syncs() {
    let bench = Bench::new(1 << 20);
    let log = bench.open();
    let partition = events(&log);
    let mut waits = tokio::task::JoinSet::new();
    for number in 0..200 {
        append(&partition, number..number + 1);
        let partition = Arc::clone(&partition);
        waits.spawn(async move { partition.wait_durable(Offset(number * 3 + 3)).await });
    }
    while let Some(wait) = waits.join_next().await {
        wait.unwrap().unwrap();
    }
    let waker = Waker::noop();
    let mut done = std::pin::pin!(partition.wait_durable(Offset(600)));
    assert!(done.as_mut().poll(&mut Context::from_waker(waker)).is_ready(), "what is durable is known at once");
}

fn small_segments() -> LogOptions {
    let mut options = LogOptions::default().with_segment_bytes(700);
    options.index_interval_bytes = 300;
    options
}

/// Creates a topic, appends and syncs by turns over several segments, and closes; gives the number of batches known to
/// be on disk when it ended, well or badly.
fn live(directory: Arc<dyn Directory>) -> (i64, Result<(), LogError>) {
    let mut durable = 0;
    let run = || {
        let log = Log::open(directory, small_segments())?;
        let topic = log.create_topic("events", 1, TopicConfig::default())?;
        let partition = &topic.partitions()[0];
        for number in 0..20 {
            partition.append(&batch(3, 1000 + number, format!("batch {number}").as_bytes()))?;
            if number % 4 == 3 {
                assert_eq!(partition.sync()?, Offset(number * 3 + 3));
                durable = number + 1;
            }
            if number == 11 {
                log.close()?;
            }
        }
        log.close()
    };
    let ended = run();
    (durable, ended)
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_synced() {
    let counting = FaultDirectory::new(Arc::new(MemoryDirectory::new()), u64::MAX, Fault::Crash);
    live(Arc::new(counting.clone())).1.unwrap();
    assert!(counting.operations() > 50);
    for at in 0..counting.operations() {
        for (fault, seed) in [(Fault::Crash, 0), (Fault::Crash, 1), (Fault::TornCrash, 1), (Fault::TornCrash, at + 2)] {
            let memory = MemoryDirectory::new();
            let (durable, ended) = live(Arc::new(FaultDirectory::new(Arc::new(memory.clone()), at, fault)));
            ended.unwrap_err();
            let found = Arc::new(memory.after_power_loss(seed));
            let log = Log::open(found, small_segments()).unwrap_or_else(|error| panic!("operation {at}: {error}"));
            if log.topic("events").is_none() {
                assert_eq!(durable, 0);
                continue;
            }
            let partition = events(&log);
            let kept = partition.end().0 / 3;
            assert!(kept >= durable, "operation {at}, {fault:?}, seed {seed}: {kept} kept, {durable} were on disk");
            check(&partition, kept);
            append(&partition, kept..kept + 5);
            check(&partition, kept + 5);
        }
    }
}

#[tokio::test]
async fn the_first_failed_write_or_sync_latches_the_partition_until_a_restart() {
    let memory = MemoryDirectory::new();
    let log = Log::open(Arc::new(memory.clone()), small_segments()).unwrap();
    append(&events(&log), 0..2);
    log.close().unwrap();
    drop(log);
    let counting = FaultDirectory::new(Arc::new(memory.after_power_loss(0)), u64::MAX, Fault::Crash);
    drop(Log::open(Arc::new(counting.clone()), small_segments()).unwrap());
    let opened = counting.operations();
    // The append is two operations, for the stamp and for the rest of the batch.
    for (fails_at, appended) in [(opened, 2), (opened + 1, 2), (opened + 2, 3)] {
        let disk = Arc::new(memory.after_power_loss(0));
        let full = FaultDirectory::new(disk.clone(), fails_at, Fault::Once(std::io::ErrorKind::StorageFull));
        let log = Log::open(Arc::new(full), small_segments()).unwrap();
        let partition = events(&log);
        let next = || partition.append(&batch(3, 1002, b"batch 2"));
        if appended == 2 {
            assert!(matches!(next(), Err(LogError::Io { .. })), "the append fails");
        } else {
            next().unwrap();
            let error = partition.wait_durable(Offset(9)).await.unwrap_err();
            assert!(matches!(error, LogError::Latched { .. }), "the sync fails: {error}");
        }
        let error = next().unwrap_err();
        assert!(matches!(error, LogError::Latched { .. }) && error.to_string().contains("injected"), "{error}");
        assert!(partition.wait_durable(Offset(100)).await.is_err(), "nobody waits in vain");
        check(&partition, appended);
        drop(partition);
        drop(log);
        let log = Log::open(disk, small_segments()).unwrap();
        check(&events(&log), appended);
        append(&events(&log), appended..10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever happens to the bytes after the recovery point, the log opens with a prefix of what was appended.
    #[test]
    fn damage_leaves_a_prefix(
        durable in 0_i64..20,
        more in 1_i64..20,
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let bench = Bench::new(1500);
        let log = bench.open();
        append(&events(&log), 0..durable);
        log.close().unwrap();
        let safe = bench.files("log").iter().map(|file| fs::metadata(file).unwrap().len()).collect::<Vec<_>>();
        append(&events(&log), durable..durable + more);
        drop(log);
        // One byte is damaged in, or the file cut at, a place after what was known to be on disk.
        let files = bench.files("log");
        let places: Vec<_> = files
            .iter()
            .enumerate()
            .flat_map(|(file, path)| {
                let start = safe.get(file).copied().unwrap_or(0);
                (start..fs::metadata(path).unwrap().len()).map(move |at| (path, usize::try_from(at).unwrap()))
            })
            .collect();
        let (file, at) = places[at.index(places.len())];
        let mut bytes = fs::read(file).unwrap();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = value;
        }
        fs::write(file, bytes).unwrap();
        let log = bench.open();
        let partition = events(&log);
        let kept = partition.end().0 / 3;
        prop_assert!((durable..=durable + more).contains(&kept), "{kept} of {durable}+{more}");
        check(&partition, kept);
        append(&partition, kept..kept + 5);
    }
}
