//! Whole-log tests: what is there after a restart, whatever happened to the files meanwhile.

use std::fs;
use std::io::{ErrorKind, Write as _};
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
        assert_eq!((appended.base_offset, appended.next_offset), (Offset(number * 3), Offset(number * 3 + 3)));
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
fn the_latest_record_is_found_wherever_the_start_lies() {
    // Two segments at least, times that rise, fall and come again.
    let times = [5, 9, 1, 7, 7, 3, 9, 2, 8, 8, 1, 4, 4, 0];
    for close in [true, false] {
        let bench = Bench::new(600);
        let log = bench.open();
        let partition = events(&log);
        for time in times {
            partition.append(&batch(3, 1000 + time, b"some value")).unwrap();
        }
        assert!(bench.files("log").len() > 2, "segments roll");
        if close {
            log.close().unwrap();
        }
        drop((partition, log));
        let log = bench.open();
        let partition = events(&log);
        for start in 0..times.len() as i64 * 3 {
            partition.delete_records(Some(Offset(start))).unwrap();
            let kept = (start..).take_while(|offset| *offset < times.len() as i64 * 3);
            let records = kept.map(|offset| (times[offset as usize / 3], -offset)).max();
            let expected =
                records.map(|(time, offset)| TimedOffset { timestamp_ms: 1000 + time, offset: Offset(-offset) });
            assert_eq!(partition.latest_time().unwrap(), expected, "from {start}");
        }
        partition.delete_records(None).unwrap();
        assert_eq!(partition.latest_time().unwrap(), None, "nothing remains");
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
    let log = bench.open();
    let partition = events(&log);
    assert!(matches!(partition.offline(), Some(LogError::Offline { .. })));
    for error in [
        partition.append(&batch(1, 0, b"")).map(|_| ()).unwrap_err(),
        partition.read(Offset(0), 1000, true).map(|_| ()).unwrap_err(),
        partition.offset_for_time(0).map(|_| ()).unwrap_err(),
        partition.delete_records(None).map(|_| ()).unwrap_err(),
        partition.sync().map(|_| ()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("is damaged at byte"), "{error}");
    }
    let others = log.create_topic("others", 1, TopicConfig::default()).unwrap();
    append(&others.partitions()[0], 0..10);
    log.close().unwrap();
    drop(log);
    assert_eq!(fs::read(file).unwrap(), damaged, "the file is left as it was found");
    damaged[middle] ^= 1;
    fs::write(file, damaged).unwrap();
    check(&events(&bench.open()), 10);
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
    log.create_topic("events_of.shops", 1, TopicConfig::default()).unwrap();
    let colliding = log.create_topic("events.of_shops", 1, TopicConfig::default());
    assert!(matches!(colliding, Err(LogError::TopicNameCollides { .. })));
    log.delete_topic("events_of.shops").unwrap();
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

#[test]
fn a_creation_that_fails_leaves_nothing() {
    let mut seen = [0, 0];
    for at in 0.. {
        let memory = MemoryDirectory::new();
        drop(Log::open(Arc::new(memory.clone()), LogOptions::default()).unwrap());
        let full = Fault::Once(ErrorKind::StorageFull);
        let counting = FaultDirectory::new(Arc::new(memory.clone()), u64::MAX, full);
        drop(Log::open(Arc::new(counting.clone()), LogOptions::default()).unwrap());
        let faulty = FaultDirectory::new(Arc::new(memory.clone()), counting.operations() + at, full);
        let log = Log::open(Arc::new(faulty), LogOptions::default()).unwrap();
        if log.create_topic("events", 3, TopicConfig::default()).is_ok() {
            assert!(seen[1] > 9 && seen[0] < 9, "{seen:?}");
            break;
        }
        // Nobody is in the way of the next try, nor of a start.
        assert!(log.topic("events").is_none(), "at {at}");
        let left = memory.list("").unwrap().into_iter().filter(|name| name.starts_with("events")).count();
        // Where the entry couldn't be written down it may be there all the same, so that the folders stay, for the next start to judge.
        assert!(matches!(left, 0 | 3), "{left} folders at {at}");
        seen[usize::from(left == 0)] += 1;
        log.create_topic("events", 3, TopicConfig::default()).unwrap();
    }
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

/// Segments in which zeros are written ahead of the batches after the first few. The second begins where the recovery point
/// stands after the close in [`live`], so that the cut of the first may not be on disk.
fn filled_segments() -> LogOptions {
    let mut options = LogOptions::default().with_segment_bytes(1300);
    options.index_interval_bytes = 300;
    options.fill_ahead_bytes = 512;
    options
}

#[test]
fn zeros_ahead_are_no_batches_and_go_when_the_log_is_closed() {
    let mut bench = Bench::new(1 << 20);
    bench.options.fill_ahead_bytes = 512;
    let lengths =
        |bench: &Bench| -> u64 { bench.files("log").iter().map(|file| fs::metadata(file).unwrap().len()).sum() };
    let mut count = 0;
    for more in [3, 10, 1, 25] {
        let log = bench.open();
        let partition = events(&log);
        assert_eq!(lengths(&bench), partition.bytes(), "a start cuts off the zeros");
        append(&partition, count..count + more);
        count += more;
        check(&partition, count);
        let filled = lengths(&bench);
        assert!(partition.bytes() < 512 || filled.is_multiple_of(512), "{filled} of {}", partition.bytes());
        drop((partition, log));
        let directory: Arc<dyn Directory> = Arc::new(OsDirectory::open(bench.folder.path()).unwrap());
        let report = verify(&directory).unwrap();
        assert!(report.is_sound() && report.batches == count.unsigned_abs(), "{report:?}");
    }
    bench.forget_checkpoint();
    let log = bench.open();
    check(&events(&log), count);
    append(&events(&log), count..count + 1);
    assert!(lengths(&bench) > events(&log).bytes());
    log.close().unwrap();
    assert_eq!(lengths(&bench), events(&log).bytes());
    append(&events(&log), count + 1..count + 3);
    check(&events(&log), count + 3);
    // Something else than zeros behind the batches is damage.
    drop(log);
    let file = bench.files("log")[0].clone();
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() = 1;
    fs::write(file, bytes).unwrap();
    let directory: Arc<dyn Directory> = Arc::new(OsDirectory::open(bench.folder.path()).unwrap());
    assert!(!verify(&directory).unwrap().is_sound());
    check(&events(&bench.open()), count + 3);
}

/// Sizes are those of the batches: zeros count for no limit, and a segment that is closed has none.
#[test]
fn zeros_ahead_count_for_no_limit() {
    let mut bench = Bench::new(1300);
    bench.options.fill_ahead_bytes = 512;
    let log = bench.open();
    let partition = events(&log);
    append(&partition, 0..40);
    let lengths = |bench: &Bench| -> Vec<u64> {
        bench.files("log").iter().map(|file| fs::metadata(file).unwrap().len()).collect()
    };
    let size = batch(3, 1000, b"batch 10").len() as u64;
    let found = lengths(&bench);
    let (growing, closed) = found.split_last().unwrap();
    assert!(closed.len() > 2, "{found:?}");
    // As many batches as fit, the shorter ones of the beginning apart, and nothing behind them.
    assert!(closed.iter().skip(1).all(|length| *length == 1300 / size * size), "{found:?}");
    assert!(found.iter().sum::<u64>() >= partition.bytes(), "{growing} bytes grow");
    check(&partition, 40);
    log.alter_topic("events", |config| config.set("retention.bytes", "1500")).unwrap();
    partition.retain(0).unwrap();
    let kept = lengths(&bench);
    assert!(partition.start() > Offset(0) && kept.len() < found.len(), "{kept:?} of {found:?}");
    let (oldest, bytes) = (kept[0], partition.bytes());
    assert!(bytes >= 1500 && bytes - oldest < 1500, "{bytes} bytes, {oldest} of them in the oldest segment");
}

/// Creates a topic, appends and syncs by turns over several segments, and closes; gives the number of batches known to
/// be on disk when it ended, well or badly.
fn live(directory: Arc<dyn Directory>, options: LogOptions) -> (i64, Result<(), LogError>) {
    let mut durable = 0;
    let run = || {
        let log = Log::open(directory, options)?;
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
    power_cuts(&small_segments());
}

#[test]
fn a_power_cut_among_zeros_written_ahead_loses_nothing_that_was_synced() {
    power_cuts(&filled_segments());
}

fn power_cuts(options: &LogOptions) {
    let counting = FaultDirectory::new(Arc::new(MemoryDirectory::new()), u64::MAX, Fault::Crash);
    live(Arc::new(counting.clone()), options.clone()).1.unwrap();
    assert!(counting.operations() > 50);
    for at in 0..counting.operations() {
        let torn = [(Fault::TornCrash, 1), (Fault::TornCrash, at + 2), (Fault::TornCrash, at + 1000)];
        for (fault, seed) in [(Fault::Crash, 0), (Fault::Crash, 1)].into_iter().chain(torn) {
            let memory = MemoryDirectory::new();
            let failing = FaultDirectory::new(Arc::new(memory.clone()), at, fault);
            let (durable, ended) = live(Arc::new(failing.clone()), options.clone());
            // The syncs that closed segments ask for run beside, so that not every run has as many operations.
            assert!(ended.is_err() || failing.operations() <= at || durable == 20, "operation {at}: {ended:?}");
            let found = Arc::new(memory.after_power_loss(seed));
            let log = Log::open(found, options.clone()).unwrap_or_else(|error| panic!("operation {at}: {error}"));
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
async fn a_failed_sync_latches_the_partition_until_a_restart() {
    let memory = MemoryDirectory::new();
    let log = Log::open(Arc::new(memory.clone()), small_segments()).unwrap();
    append(&events(&log), 0..2);
    log.close().unwrap();
    drop(log);
    let counting = FaultDirectory::new(Arc::new(memory.after_power_loss(0)), u64::MAX, Fault::Crash);
    drop(Log::open(Arc::new(counting.clone()), small_segments()).unwrap());
    // The append is two operations, for the stamp and for the rest of the batch.
    let fails_at = counting.operations() + 2;
    let disk = Arc::new(memory.after_power_loss(0));
    let failing = FaultDirectory::new(disk.clone(), fails_at, Fault::Once(std::io::ErrorKind::Other));
    let log = Log::open(Arc::new(failing), small_segments()).unwrap();
    let partition = events(&log);
    append(&partition, 2..3);
    let error = partition.wait_durable(Offset(9)).await.unwrap_err();
    assert!(matches!(error, LogError::Latched { .. }), "the sync fails: {error}");
    let error = partition.append(&batch(3, 1003, b"batch 3")).unwrap_err();
    assert!(matches!(error, LogError::Latched { .. }) && error.to_string().contains("injected"), "{error}");
    assert!(partition.wait_durable(Offset(100)).await.is_err(), "nobody waits in vain");
    check(&partition, 3);
    drop(partition);
    drop(log);
    let log = Log::open(disk, small_segments()).unwrap();
    check(&events(&log), 3);
    append(&events(&log), 3..10);
}

/// At any operation of a run over several segments the disk is full for a while: each batch is taken or refused, what
/// was taken is there, and once there is space appends go on without a gap.
#[test]
fn a_full_disk_refuses_batches_and_loses_none() {
    for options in [small_segments(), filled_segments()] {
        full_disks(&options);
    }
}

fn full_disks(options: &LogOptions) {
    let counting = FaultDirectory::new(Arc::new(MemoryDirectory::new()), u64::MAX, Fault::Crash);
    live(Arc::new(counting.clone()), options.clone()).1.unwrap();
    let mut refused = 0;
    for at in 0..counting.operations() {
        for lasts in [1, 2, 7] {
            let memory = MemoryDirectory::new();
            let full = FaultDirectory::new(Arc::new(memory.clone()), at, Fault::Full { lasts });
            let Ok(log) = Log::open(Arc::new(full), options.clone()) else {
                continue;
            };
            let Ok(topic) = log.create_topic("events", 1, TopicConfig::default()) else {
                continue;
            };
            let partition = &topic.partitions()[0];
            let mut taken = 0;
            while taken < 20 {
                match partition.append(&batch(3, 1000 + taken, format!("batch {taken}").as_bytes())) {
                    Ok(appended) => {
                        assert_eq!(appended.base_offset, Offset(taken * 3));
                        taken += 1;
                    }
                    Err(LogError::Io { .. }) => refused += 1,
                    Err(error) => panic!("operation {at}: {error}"),
                }
                check(partition, taken);
            }
            assert_eq!(partition.sync().unwrap(), Offset(60));
            drop(topic);
            drop(log);
            let log = Log::open(Arc::new(memory.after_power_loss(at)), options.clone()).unwrap();
            check(&events(&log), 20);
        }
    }
    assert!(refused > 20, "{refused} appends met a full disk");
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

#[test]
fn removed_records_stay_removed() {
    for crash in [false, true] {
        let bench = Bench::new(1000);
        let log = bench.open();
        let partition = events(&log);
        append(&partition, 0..40);
        let files = bench.files("log").len();
        // In the middle of a segment, and of a batch.
        assert_eq!(partition.delete_records(Some(Offset(50))).unwrap(), Offset(50));
        assert_eq!(partition.delete_records(Some(Offset(20))).unwrap(), Offset(50), "the start never goes back");
        assert!(bench.files("log").len() < files, "segments wholly below the start are removed");
        for outside in [-2, 121] {
            let error = partition.delete_records(Some(Offset(outside))).unwrap_err();
            assert!(matches!(error, LogError::OffsetOutOfRange { .. }), "{error}");
        }
        if !crash {
            log.close().unwrap();
        }
        drop(partition);
        drop(log);
        let checkpoint = fs::read_to_string(bench.folder.path().join("log-start-offset-checkpoint")).unwrap();
        assert_eq!(checkpoint, "0\n1\nevents 0 50\n");
        // A file that a crash brought back.
        fs::write(bench.folder.path().join("events-0/00000000000000000000.log"), b"anything").unwrap();
        let log = bench.open();
        let partition = events(&log);
        assert_eq!((partition.start(), partition.end()), (Offset(50), Offset(120)));
        assert!(!bench.folder.path().join("events-0/00000000000000000000.log").exists());
        match partition.read(Offset(49), 1000, true).unwrap_err() {
            LogError::OffsetOutOfRange { start, end, .. } => assert_eq!((start, end), (Offset(50), Offset(120))),
            error => panic!("{error}"),
        }
        assert!(!partition.read(Offset(50), 1000, true).unwrap().batches.is_empty());
        assert_eq!(partition.offset_for_time(0).unwrap().map(|found| found.offset), Some(Offset(50)));
        assert_eq!(partition.delete_records(None).unwrap(), Offset(120));
        append(&partition, 40..45);
        drop(partition);
        drop(log);
        let log = bench.open();
        assert_eq!((events(&log).start(), events(&log).end()), (Offset(120), Offset(135)));
        log.delete_topic("events").unwrap();
        drop(log);
        check(&events(&bench.open()), 0);
    }
}

#[test]
fn old_segments_go_by_time_and_by_size() {
    let bench = Bench::new(1000);
    let log = bench.open();
    let partition = events(&log);
    append(&partition, 0..40);
    let slow = partition.read(Offset(0), 1000, true).unwrap();
    partition.retain(i64::MAX).unwrap();
    assert_eq!(partition.start(), Offset(0), "by default everything is kept");
    let set = |name: &str, value: &str| log.alter_topic("events", |config| config.set(name, value)).unwrap();
    set("retention.ms", "100");
    partition.retain(1110).unwrap();
    let start = partition.start().0 / 3;
    assert!((1..=10).contains(&start), "segments whose latest time is 1010 or later stay: {start}");
    assert!(!slow.batches.read_all().unwrap().is_empty(), "a reader keeps the removed file");
    set("retention.ms", "-1");
    set("retention.bytes", "1500");
    partition.retain(0).unwrap();
    let bytes = partition.bytes();
    assert!((1500..2600).contains(&bytes), "one segment less would be below the limit: {bytes}");
    assert_eq!(bench.files("log").iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>(), bytes);
    set("retention.ms", "5");
    partition.retain(10_000).unwrap();
    assert_eq!((partition.start(), partition.end(), partition.bytes()), (Offset(120), Offset(120), 0));
    partition.retain(10_000).unwrap();
    append(&partition, 40..42);
    drop(partition);
    drop(log);
    let log = bench.open();
    assert_eq!((events(&log).start(), events(&log).end()), (Offset(120), Offset(126)));
    assert_eq!(
        log.topic("events").unwrap().config().get(Setting::find("retention.ms").unwrap()),
        Some(SettingValue::Number(5))
    );
}

#[test]
fn records_are_looked_into_where_the_topic_asks_for_it() {
    let bench = Bench::new(1 << 20);
    let log = bench.open();
    let partition = events(&log);
    let set = |name: &str, value: &str| log.alter_topic("events", |config| config.set(name, value)).unwrap();
    let stored = |offset| {
        let bytes = partition.read(Offset(offset), 1 << 20, true).unwrap().batches.read_all().unwrap();
        BatchHeader::of_produced(&bytes, bytes.len()).unwrap()
    };
    let sent = batch(3, 1000, &[b'x'; 500]);
    set("compression.type", "zstd");
    partition.append(&sent).unwrap();
    let header = stored(0);
    assert_eq!((header.attributes.compression(), header.record_count), (Ok(Compression::Zstd), 3));
    assert!(header.size < sent.len() / 2, "{} of {} bytes", header.size, sent.len());
    set("cleanup.policy", "compact");
    let refused = partition.append(&sent).unwrap_err();
    assert!(matches!(&refused, LogError::Batch(BatchError::WithoutKey(records)) if *records == [0, 1, 2]), "{refused}");
    assert_eq!(partition.end(), Offset(3));
    set("cleanup.policy", "delete");
    set("compression.type", "producer");
    partition.append(&sent).unwrap();
    assert_eq!(stored(3).size, sent.len());
}

#[test]
fn settings_take_effect_at_once_and_survive() {
    let bench = Bench::new(1 << 20);
    let log = bench.open();
    let partition = events(&log);
    append(&partition, 0..10);
    let set = |name: &str, value: &str| log.alter_topic("events", |config| config.set(name, value)).unwrap();
    assert!(log.alter_topic("events", |config| config.set("compression.type", "brotli")).is_err());
    assert!(matches!(log.alter_topic("none", |_| Ok(())), Err(LogError::UnknownTopic(_))));
    set("max.message.bytes", "20");
    assert!(matches!(partition.append(&batch(1, 1010, b"")), Err(LogError::Batch(BatchError::TooLarge { .. }))));
    set("max.message.bytes", "1000");
    set("segment.ms", "5");
    append(&partition, 10..30);
    assert!(bench.files("log").len() > 3, "batches that span more than 5 ms");
    std::thread::sleep(std::time::Duration::from_millis(20));
    let before = bench.files("log").len();
    partition.roll_if_old().unwrap();
    assert_eq!(bench.files("log").len(), before + 1);
    partition.roll_if_old().unwrap();
    assert_eq!(bench.files("log").len(), before + 1, "an empty segment stays");
    check(&partition, 30);
    drop(partition);
    drop(log);
    let log = bench.open();
    check(&events(&log), 30);
    assert!(matches!(events(&log).append(&[0; 1001]), Err(LogError::Batch(_))));
}

#[test]
fn partitions_are_added_for_good() {
    let bench = Bench::new(1000);
    let log = bench.open();
    append(&events(&log), 0..10);
    let id = log.topic("events").unwrap().id();
    for count in [-1, 0, 1] {
        let error = log.create_partitions("events", count).unwrap_err();
        assert!(matches!(error, LogError::NotMorePartitions { present: 1, .. }), "{error}");
    }
    assert!(matches!(log.create_partitions("none", 2), Err(LogError::UnknownTopic(_))));
    assert!(matches!(log.create_partitions("events", 10_001), Err(LogError::InvalidPartitionCount { .. })));
    let topic = log.create_partitions("events", 3).unwrap();
    append(&topic.partitions()[2], 0..5);
    check(&events(&log), 10);
    drop(topic);
    drop(log);
    let log = bench.open();
    let topic = log.topic("events").unwrap();
    assert_eq!((topic.partitions().len(), topic.id()), (3, id));
    check(&topic.partitions()[2], 5);
    check(&topic.partitions()[0], 10);
}

#[test]
fn a_power_cut_while_records_are_removed_leaves_a_log_that_opens() {
    let run = |directory: Arc<dyn Directory>, removed: &mut i64| -> Result<(), LogError> {
        let log = Log::open(directory, small_segments())?;
        let partition = events_or(&log)?;
        for number in 0..20 {
            partition.append(&batch(3, 1000 + number, format!("batch {number}").as_bytes()))?;
        }
        partition.delete_records(Some(Offset(25)))?;
        *removed = 25;
        log.alter_topic("events", |config| config.set("retention.ms", "5"))?;
        partition.retain(1030)?;
        // From a partition that a sync in the background has latched it removes nothing, and that stays latched.
        if partition.check_writable().is_ok() {
            *removed = 60;
        }
        partition.append(&batch(3, 1020, b"batch 20"))?;
        log.close()
    };
    let counting = FaultDirectory::new(Arc::new(MemoryDirectory::new()), u64::MAX, Fault::Crash);
    let mut removed = 0;
    run(Arc::new(counting.clone()), &mut removed).unwrap();
    assert_eq!(removed, 60);
    for at in 0..counting.operations() {
        for seed in [0, 1, at + 2, at + 1000] {
            let memory = MemoryDirectory::new();
            let mut removed = 0;
            let _ = run(Arc::new(FaultDirectory::new(Arc::new(memory.clone()), at, Fault::TornCrash)), &mut removed);
            let log = Log::open(Arc::new(memory.after_power_loss(seed)), small_segments()).unwrap();
            if log.topic("events").is_none() {
                assert_eq!(removed, 0);
                continue;
            }
            let partition = events(&log);
            assert!(partition.offline().is_none(), "operation {at}, seed {seed}: {:?}", partition.offline());
            let (start, end) = (partition.start().0, partition.end().0);
            assert!(start >= removed && end >= start && end >= removed, "operation {at}, seed {seed}: {start} {end}");
            let appended = partition.append(&batch(3, 2000, b"next")).unwrap();
            assert_eq!(appended.base_offset, Offset(end));
            let mut next = Offset(start);
            while next < partition.end() {
                let read = partition.read(next, 1, true).unwrap().batches.read_all().unwrap();
                let header = BatchHeader::decode(&read).unwrap();
                let holds = header.base_offset <= next && next < header.next_offset();
                assert!(holds, "operation {at}, seed {seed}, {start} to {end}: {next} is not in {header:?}");
                next = header.next_offset();
            }
        }
    }
}

fn events_or(log: &Log) -> Result<Arc<Partition>, LogError> {
    Ok(Arc::clone(&log.create_topic("events", 1, TopicConfig::default())?.partitions()[0]))
}

/// Waits until `holds`, which must be within seconds.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what} did not happen");
}

#[test]
fn what_has_waited_is_written_to_disk_and_what_is_old_goes_unasked() {
    for (name, value) in [("flush.messages", "6"), ("flush.ms", "0")] {
        let memory = MemoryDirectory::new();
        let options = LogOptions::default().with_retention_check(std::time::Duration::ZERO);
        let log = Log::open(Arc::new(memory.clone()), options.clone()).unwrap();
        let partition = events(&log);
        log.alter_topic("events", |config| config.set("flush.ms", "9223372036854775807")).unwrap();
        log.alter_topic("events", |config| config.set(name, value)).unwrap();
        append(&partition, 0..2);
        eventually(name, || {
            let after = Log::open(Arc::new(memory.after_power_loss(0)), options.clone()).unwrap();
            events(&after).end() == Offset(6)
        });
        log.alter_topic("events", |config| config.set("retention.ms", "1000")).unwrap();
        eventually("retention", || partition.start() == Offset(6));
        check_empty_from(&partition, 6);
    }
}

fn check_empty_from(partition: &Partition, start: i64) {
    assert_eq!((partition.start(), partition.end(), partition.bytes()), (Offset(start), Offset(start), 0));
    assert!(partition.read(Offset(start - 1), 1000, true).is_err());
    assert!(partition.read(Offset(start), 1000, true).unwrap().batches.is_empty());
}

/// Measures the start after 10 GB of log in segments of 1 GB that nobody asked to be on disk, the holder gone without
/// closing. Run it alone: `cargo test -p cartlog-storage --lib -- --ignored --nocapture ten_gigabytes`.
#[test]
#[ignore = "writes 10 GB"]
fn a_start_after_ten_gigabytes_takes_less_than_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Log::open(Arc::new(OsDirectory::open(folder.path()).unwrap()), LogOptions::default()).unwrap();
    let log = open();
    let partition = events(&log);
    let sent = batch(3, 1000, &vec![7; 300_000]);
    while partition.bytes() < 10_000_000_000 {
        partition.append(&sent).unwrap();
    }
    let end = partition.end();
    drop(partition);
    drop(log);
    let started = std::time::Instant::now();
    let log = open();
    let took = started.elapsed();
    println!("{} bytes opened in {took:?}", events(&log).bytes());
    assert_eq!(events(&log).end(), end);
    assert!(took.as_secs_f64() < 2.0, "{took:?}");
}
