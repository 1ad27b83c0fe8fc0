//! A data set equals the store that it comes from: after exports that follow each other, cross each other or are cut off
//! anywhere, in a folder and in an object store.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cartlog_storage::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use cartlog_storage::store::{Dictionary, Segment, Snapshot, StoreIdentity, StoreWriter, WriterOptions};
use object_store::memory::InMemory;

use super::object::runtime;
use super::*;
use crate::event::{self, BlockParser, EventDictionaries, Position};
use crate::export::{Sink, format};

/// The lines of a store: of four days, forth and back.
fn lines(count: usize) -> Vec<String> {
    let line = |row: usize| format!("2019-10-{:02} 12:00:00 UTC,view,{row},1,,,1.00,2,\n", 1 + row / 7 % 4);
    (0..count).map(line).collect()
}

fn snapshot(lines: &[String], segment_lines: usize) -> Snapshot {
    let dictionaries = EventDictionaries::default();
    let mut parser = BlockParser::new(dictionaries.clone());
    let segment = |lines: &[String]| {
        let parsed = parser.parse(lines.concat().as_bytes(), &Position::of_block("test", 0, 1));
        assert_eq!(parsed.rejects, []);
        Segment::from_batches(&event::schema(), &[parsed.batch]).unwrap()
    };
    let segments = lines.chunks(segment_lines).map(segment).collect();
    let mut frozen: Vec<Dictionary> = Vec::new();
    frozen.resize_with(event::schema().columns.len(), Dictionary::default);
    frozen[event::EVENT_TYPE] = Dictionary::from_texts(dictionaries.event_type.freeze().iter()).unwrap();
    Snapshot::in_memory(event::schema(), segments, frozen)
}

fn store_identity() -> StoreIdentity {
    let directory: Arc<dyn Directory> = Arc::new(MemoryDirectory::new());
    StoreWriter::open(Arc::clone(&directory), event::schema(), WriterOptions::default()).unwrap().close().unwrap();
    StoreIdentity::of(&*directory).unwrap()
}

fn plan<'a>(snapshot: &'a Snapshot, store: &StoreIdentity) -> DataSetPlan<'a> {
    DataSetPlan { since_last: true, ..DataSetPlan::new(snapshot, store.clone(), format("csv").unwrap()) }
}

fn in_memory(directory: &MemoryDirectory) -> Arc<dyn Place> {
    Arc::new(LocalPlace::of(Arc::new(directory.clone()), Path::new("events")))
}

fn object_place() -> Arc<dyn Place> {
    let url = ObjectUrl::parse("s3://bucket/events").unwrap();
    Arc::new(ObjectPlace::of(Arc::new(InMemory::new()), url, runtime().unwrap()))
}

/// The lines that readers see, sorted; every file has its header and stands in the partition of its lines.
fn seen(place: &dyn Place) -> Vec<String> {
    let mut seen = Vec::new();
    for partition in place.list("").unwrap().into_iter().filter(|name| !name.starts_with(['_', '.'])) {
        for file in place.list(&partition).unwrap() {
            assert!(file.ends_with(".csv"), "{file}");
            let text =
                String::from_utf8(place.read(&format!("{partition}/{file}"), usize::MAX).unwrap().unwrap()).unwrap();
            let (header, rest) = text.split_once('\n').unwrap();
            assert_eq!(header, event::HEADER);
            for line in rest.split_inclusive('\n') {
                assert!(line.starts_with(partition.strip_prefix("day=").unwrap()), "{line} in {partition}");
                seen.push(line.to_owned());
            }
        }
    }
    seen.sort_unstable();
    seen
}

fn sorted(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines
}

fn staged(place: &dyn Place) -> Vec<String> {
    place.list(STAGED).unwrap()
}

#[test]
fn each_export_adds_what_is_new() {
    let (store, lines) = (store_identity(), lines(500));
    for place in [in_memory(&MemoryDirectory::new()), object_place()] {
        let mut commits = 0;
        for (step, rows) in [0, 1, 50, 50, 123, 300, 300, 499, 500].into_iter().enumerate() {
            // Segments are merged now and then, which changes nothing.
            let snapshot = snapshot(&lines[..rows], [7, 100, 1000][step % 3]);
            let exported = export_data_set(&place, &plan(&snapshot, &store)).unwrap();
            assert_eq!(exported.is_continued, step > 0);
            commits += u64::from(exported.commit.is_some());
            assert_eq!(exported.commit.map_or(commits, |commit| commit.number), commits);
            assert_eq!(seen(&*place), sorted(&lines[..rows]), "{rows} rows");
            assert!(staged(&*place).is_empty());
        }
        assert_eq!(commits, 7);
        let names = place.list("day=2019-10-01").unwrap();
        assert_eq!(names[..2], ["part-0000000002-00000.csv", "part-0000000003-00000.csv"]);
    }
}

#[test]
fn days_that_come_back_get_another_part() {
    let store = store_identity();
    // More days than files are open at once, forth and back.
    let days = (1..=20).chain((1..=20).rev());
    let lines: Vec<String> =
        days.map(|day| format!("2019-11-{day:02} 12:00:00 UTC,view,{day},1,,,1.00,2,\n")).collect();
    let snapshot = snapshot(&lines, 1);
    let place = in_memory(&MemoryDirectory::new());
    let commit = export_data_set(&place, &plan(&snapshot, &store)).unwrap().commit.unwrap();
    assert_eq!((commit.rows, commit.files.len()), (40, 20 + 4));
    assert_eq!(place.list("day=2019-11-20").unwrap().len(), 1);
    assert_eq!(place.list("day=2019-11-01").unwrap().len(), 2);
    assert_eq!(seen(&*place), sorted(&lines));
}

#[test]
fn a_filter_leaves_out_rows_for_good() {
    let (store, lines) = (store_identity(), lines(300));
    let place = in_memory(&MemoryDirectory::new());
    for rows in [100, 300] {
        let snapshot = snapshot(&lines[..rows], 1000);
        let even = |_: usize, range: std::ops::Range<usize>, into: &mut Vec<usize>| {
            into.extend(range.filter(|row| row % 2 == 0));
        };
        let filter = "product_id % 2 = 0".to_owned();
        let plan = DataSetPlan { selector: Some(&even), filter, ..plan(&snapshot, &store) };
        export_data_set(&place, &plan).unwrap();
        let expected: Vec<String> = lines[..rows].iter().step_by(2).cloned().collect();
        assert_eq!(seen(&*place), sorted(&expected));
    }
    let snapshot = snapshot(&lines, 1000);
    let error = export_data_set(&place, &plan(&snapshot, &store)).unwrap_err().to_string();
    assert!(error.contains("its filter is product_id % 2 = 0, and now none was asked for"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let (store, lines) = (store_identity(), lines(200));
    let refused = |place: &Arc<dyn Place>, snapshot: &Snapshot, change: &dyn Fn(&mut DataSetPlan<'_>)| {
        let mut plan = plan(snapshot, &store);
        change(&mut plan);
        let before = seen(&**place);
        let error = export_data_set(place, &plan).unwrap_err().to_string();
        assert_eq!(seen(&**place), before);
        error
    };
    let directory = MemoryDirectory::new();
    let place = in_memory(&directory);
    let whole = snapshot(&lines, 70);
    export_data_set(&place, &plan(&whole, &store)).unwrap();
    type Change<'a> = &'a dyn Fn(&mut DataSetPlan<'_>);
    let cases: [(&Snapshot, Change<'_>, &str); 5] = [
        (&whole, &|plan| plan.since_last = false, "add --since-last"),
        (&whole, &|plan| plan.store = store_identity(), "it comes from the store "),
        (&whole, &|plan| plan.format = format("json").unwrap(), "its format is csv, and now json was asked for"),
        (&snapshot(&lines[..199], 70), &|_| {}, "the store's first 200 rows, and the store has only had 199 up to now"),
        (&snapshot(&[&lines[1..], &lines[..1]].concat(), 70), &|_| {}, "are no longer those that were exported"),
    ];
    for (snapshot, change, expected) in cases {
        let error = refused(&place, snapshot, change);
        assert!(error.contains(expected), "{error}");
    }
    let lock = directory.lock("_cartlog/lock").unwrap();
    assert!(refused(&place, &whole, &|_| {}).contains("another export is writing this data set"));
    drop(lock);
    directory.damage("_cartlog/commit-0000000001.json", 0, 0xFF).unwrap();
    assert!(refused(&place, &whole, &|_| {}).contains("its commit is damaged"));

    let foreign = in_memory(&MemoryDirectory::new());
    foreign.create("day=2019-10-01/other.csv").unwrap().complete().unwrap();
    let error = export_data_set(&foreign, &plan(&whole, &store)).unwrap_err();
    assert!(matches!(error, ExportError::PartitionsExist { ref found, .. } if found == "day=2019-10-01"), "{error}");
}

#[test]
fn an_export_cut_off_anywhere_in_a_folder_is_seen_whole_or_later() {
    let (store, lines) = (store_identity(), lines(90));
    let first = snapshot(&lines[..40], 1000);
    let second = snapshot(&lines[..70], 1000);
    let third = snapshot(&lines, 1000);
    for fault in [Fault::Crash, Fault::TornCrash] {
        for at in 0.. {
            let directory = MemoryDirectory::new();
            export_data_set(&in_memory(&directory), &plan(&first, &store)).unwrap();
            let faulty = FaultDirectory::new(Arc::new(directory.clone()), at, fault);
            let cut: Arc<dyn Place> = Arc::new(LocalPlace::of(Arc::new(faulty), Path::new("events")));
            let result = export_data_set(&cut, &plan(&second, &store));
            drop(cut);
            // The process is gone, or the power: what was not synced may be there, or not, or in part.
            for after in [directory.clone(), directory.after_power_loss(0), directory.after_power_loss(at + 2)] {
                let place = in_memory(&after);
                check_cut(&*place, &lines[..40], &lines[..70]);
                export_data_set(&place, &plan(&third, &store)).unwrap();
                assert_eq!(seen(&*place), sorted(&lines), "{fault:?} at {at}");
                assert!(staged(&*place).is_empty(), "{fault:?} at {at}");
            }
            if result.is_ok() {
                assert!(at > 20, "{at} operations were cut off");
                break;
            }
        }
    }
}

/// What readers see between a cut and the next export: all of what was there, and of the new rows only committed ones.
fn check_cut(place: &dyn Place, old: &[String], new: &[String]) {
    let seen = seen(place);
    let (old, new) = (sorted(old), sorted(new));
    let distinct: BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "a row is seen twice");
    assert!(old.iter().all(|line| distinct.contains(line)), "a row has vanished");
    let is_committed = last_commit(place).unwrap().unwrap().number == 2;
    let allowed: BTreeSet<_> = if is_committed { new.iter().collect() } else { old.iter().collect() };
    assert!(distinct.is_subset(&allowed), "a row is seen before its commit");
}

/// An object store whose answers fail from a call on, before or after the call has done its work.
struct FaultPlace {
    inner: Arc<dyn Place>,
    at: u64,
    is_late: bool,
    calls: Arc<AtomicU64>,
}

impl FaultPlace {
    fn call<T>(&self, work: impl FnOnce() -> Result<T, ExportError>) -> Result<T, ExportError> {
        cut(&self.calls, self.at, self.is_late, work)
    }
}

fn cut<T>(
    calls: &AtomicU64,
    at: u64,
    is_late: bool,
    work: impl FnOnce() -> Result<T, ExportError>,
) -> Result<T, ExportError> {
    let number = calls.fetch_add(1, Ordering::SeqCst);
    if number < at {
        return work();
    }
    if number == at && is_late {
        let _ = work();
    }
    Err(ExportError::Write(std::io::Error::other("injected fault")))
}

struct FaultSink {
    inner: Option<Box<dyn Sink>>,
    at: u64,
    is_late: bool,
    calls: Arc<AtomicU64>,
}

impl std::io::Write for FaultSink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.inner.as_mut().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for FaultSink {
    fn complete(mut self: Box<Self>) -> Result<(), ExportError> {
        let inner = self.inner.take().unwrap();
        cut(&self.calls, self.at, self.is_late, || inner.complete())
    }
}

impl Place for FaultPlace {
    fn describe(&self, name: &str) -> String {
        self.inner.describe(name)
    }

    fn lock(&self, name: &str) -> Result<Option<Box<dyn Any>>, ExportError> {
        self.inner.lock(name)
    }

    fn is_exclusive(&self) -> bool {
        self.inner.is_exclusive()
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ExportError> {
        self.call(|| self.inner.list(folder))
    }

    fn exists(&self, name: &str) -> Result<bool, ExportError> {
        self.call(|| self.inner.exists(name))
    }

    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, ExportError> {
        self.call(|| self.inner.read(name, most))
    }

    fn create(&self, name: &str) -> Result<Box<dyn Sink>, ExportError> {
        let inner = Some(self.inner.create(name)?);
        Ok(Box::new(FaultSink { inner, at: self.at, is_late: self.is_late, calls: Arc::clone(&self.calls) }))
    }

    fn create_new(&self, name: &str, bytes: &[u8]) -> Result<bool, ExportError> {
        self.call(|| self.inner.create_new(name, bytes))
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, ExportError> {
        self.call(|| self.inner.rename(from, to))
    }

    fn settle(&self, folders: &BTreeSet<&str>) -> Result<(), ExportError> {
        self.inner.settle(folders)
    }

    fn remove_folder(&self, folder: &str) -> Result<(), ExportError> {
        self.call(|| self.inner.remove_folder(folder))
    }
}

#[test]
fn an_export_cut_off_anywhere_in_an_object_store_is_seen_whole_or_later() {
    let (store, lines) = (store_identity(), lines(90));
    let snapshots = [40, 70, 90].map(|rows| snapshot(&lines[..rows], 1000));
    for is_late in [false, true] {
        for at in 0.. {
            let place = object_place();
            export_data_set(&place, &plan(&snapshots[0], &store)).unwrap();
            let calls = Arc::new(AtomicU64::new(0));
            let cut: Arc<dyn Place> = Arc::new(FaultPlace { inner: Arc::clone(&place), at, is_late, calls });
            let result = export_data_set(&cut, &plan(&snapshots[1], &store));
            check_cut(&*place, &lines[..40], &lines[..70]);
            export_data_set(&place, &plan(&snapshots[2], &store)).unwrap();
            assert_eq!(seen(&*place), sorted(&lines), "cut off at {at}, late {is_late}");
            assert!(staged(&*place).is_empty(), "cut off at {at}, late {is_late}");
            if result.is_ok() {
                assert!(at > 10, "{at} calls were cut off");
                break;
            }
        }
    }
}

type Overtake = Box<dyn FnOnce() + Send>;

/// A place where another export is committed just before this one's commit.
struct Overtaken {
    inner: FaultPlace,
    overtake: Mutex<Cell<Option<Overtake>>>,
}

impl Place for Overtaken {
    fn describe(&self, name: &str) -> String {
        self.inner.describe(name)
    }

    fn lock(&self, name: &str) -> Result<Option<Box<dyn Any>>, ExportError> {
        self.inner.lock(name)
    }

    fn is_exclusive(&self) -> bool {
        self.inner.is_exclusive()
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ExportError> {
        self.inner.list(folder)
    }

    fn exists(&self, name: &str) -> Result<bool, ExportError> {
        self.inner.exists(name)
    }

    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, ExportError> {
        self.inner.read(name, most)
    }

    fn create(&self, name: &str) -> Result<Box<dyn Sink>, ExportError> {
        self.inner.create(name)
    }

    fn create_new(&self, name: &str, bytes: &[u8]) -> Result<bool, ExportError> {
        if let Some(overtake) = self.overtake.lock().unwrap().take() {
            overtake();
        }
        self.inner.create_new(name, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, ExportError> {
        self.inner.rename(from, to)
    }

    fn settle(&self, folders: &BTreeSet<&str>) -> Result<(), ExportError> {
        self.inner.settle(folders)
    }

    fn remove_folder(&self, folder: &str) -> Result<(), ExportError> {
        self.inner.remove_folder(folder)
    }
}

#[test]
fn of_two_exports_at_once_one_fails_with_nothing_to_be_seen() {
    let (store, lines) = (store_identity(), lines(90));
    let place = object_place();
    let inner = FaultPlace { inner: Arc::clone(&place), at: u64::MAX, is_late: false, calls: Arc::default() };
    let overtake: Box<dyn FnOnce() + Send> = {
        let (place, store, lines) = (Arc::clone(&place), store.clone(), lines.clone());
        Box::new(move || {
            let faster = snapshot(&lines[..50], 1000);
            export_data_set(&place, &plan(&faster, &store)).unwrap();
        })
    };
    let slower: Arc<dyn Place> = Arc::new(Overtaken { inner, overtake: Mutex::new(Cell::new(Some(overtake))) });
    let all = snapshot(&lines, 1000);
    let error = export_data_set(&slower, &plan(&all, &store)).unwrap_err();
    assert!(matches!(error, ExportError::Crossed { .. }), "{error}");
    assert_eq!(seen(&*place), sorted(&lines[..50]));
    export_data_set(&slower, &plan(&all, &store)).unwrap();
    assert_eq!(seen(&*place), sorted(&lines));
    assert!(staged(&*place).is_empty());
}
