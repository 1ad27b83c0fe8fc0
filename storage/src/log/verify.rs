//! Checking every byte of a stopped log.
//!
//! Opening a log trusts what was on disk and reads only what may be torn; this walk trusts nothing. Each batch's header
//! and checksum are compared, and what the checksum doesn't cover: base offsets must follow each other, epochs must be
//! ours. Index entries must name batches that are there, snapshots of producers must have their checksum, and each folder must
//! name its topic. Where the list of topics is damaged, the partitions are those that have folders. Nothing is written; a start
//! afterwards finds the log as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::batch::{BatchError, BatchHeader, Offset};
use super::catalogue::{self, Catalogue, TopicEntry};
use super::checkpoint::Checkpoint;
use super::error::{IoContext as _, LogError};
use super::folders;
use super::index::{Entry, Index, OffsetEntry, TimeEntry};
use super::partition::{LEADER_EPOCH, partition_folder};
use super::producers::Snapshot;
use super::recovery::list_bases;
use super::root::LOCK_PATH;
use super::segment::{Scanner, Step, segment_path};
use super::topic::TopicId;
use crate::io::Directory;

/// What a check of a whole log found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LogReport {
    /// Partitions looked at.
    pub partitions: u64,
    /// Files looked at.
    pub files: u64,
    /// Bytes looked at.
    pub bytes: u64,
    /// Sound batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// What is wrong; empty if the log is sound.
    pub faults: Vec<LogFault>,
}

/// A place where a log is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFault {
    /// The file or folder, relative to the log's folder.
    pub path: String,
    /// Where in the file, in bytes.
    pub position: u64,
    /// The offset that is expected there, where there is one.
    pub offset: Option<Offset>,
    /// What was found and what was expected.
    pub what: String,
}

/// What mends a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Remedy {
    /// [`repair`]: the file follows from the rest of the log.
    Repair,
    /// A copy of the list of topics, which follows from nothing else. Without it nothing of the log can be served.
    CopyOfTopics,
    /// A copy of the file: what it holds stands nowhere else in the log.
    Copy,
}

/// Reads every byte of the log in `directory` and reports each place that is not as it was written. A folder without a log
/// is sound. Costs one pass over the files at the speed of the disk, in bounded memory. A folder that can't be written to is
/// checked as well, without the lock if there is none to be had.
///
/// ```
/// use std::sync::Arc;
/// use cartlog_storage::io::{Directory, MemoryDirectory};
/// use cartlog_storage::log::{Log, LogOptions, TopicConfig, verify};
///
/// # fn main() -> Result<(), cartlog_storage::log::LogError> {
/// let directory: Arc<dyn Directory> = Arc::new(MemoryDirectory::new());
/// let log = Log::open(Arc::clone(&directory), LogOptions::default())?;
/// log.create_topic("events", 2, TopicConfig::default())?;
/// log.close()?;
/// drop(log);
/// let report = verify(&directory)?;
/// assert!(report.is_sound() && report.partitions == 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`LogError::InUse`] while a broker or a load holds the log, [`LogError::Io`] if a file can't be read. Damage is not an
/// error but in the report.
pub fn verify(directory: &Arc<dyn Directory>) -> Result<LogReport, LogError> {
    let mut report = LogReport::default();
    if !Catalogue::is_in(&**directory)? && folders::partitions(&**directory)?.is_empty() {
        return Ok(report);
    }
    let _lock = directory.lock_to_read(LOCK_PATH).map_err(|error| LogError::of_lock(LOCK_PATH, error))?;
    let catalogue = report.sound(Catalogue::read(&**directory))?;
    let starts = report.sound(Checkpoint::of_log_starts(Arc::clone(directory)))?;
    report.files += 2;
    let recovery_points = Checkpoint::of_recovery_points(Arc::clone(directory));
    for place in places(&**directory, catalogue.as_ref())? {
        let kept_from = starts.as_ref().map_or(Offset(0), |starts| starts.point(&place.topic, place.index));
        let on_disk = recovery_points.point(&place.topic, place.index).max(kept_from);
        verify_partition(&**directory, &place.folder, kept_from, on_disk, &mut report)?;
        if directory.exists(&place.folder).at("look for", &place.folder)? {
            verify_small_files(&**directory, &place.folder, place.topic_id, &mut report)?;
        }
    }
    Ok(report)
}

/// Mends what follows from the rest of a log: removes damaged indexes and snapshots of producers, which are made anew of the
/// segments when they are wanted, and names the topic in folders that name another one or none, as far as the list of topics
/// tells it. Gives the paths of these files.
///
/// # Errors
/// [`LogError::InUse`], [`LogError::Io`].
pub fn repair(directory: &Arc<dyn Directory>, report: &LogReport) -> Result<Vec<String>, LogError> {
    let _lock = directory.lock(LOCK_PATH).map_err(|error| LogError::of_lock(LOCK_PATH, error))?;
    let topics = match Catalogue::read(&**directory) {
        Err(LogError::Corrupt { .. } | LogError::NoCatalogue { .. }) => Vec::new(),
        read => read?.topics,
    };
    let damaged: BTreeSet<&str> = report.faults.iter().map(|fault| &*fault.path).collect();
    let caches = damaged.iter().filter(|path| is_cache(path));
    let mut mended: Vec<String> = caches.map(|&path| path.to_owned()).collect();
    for path in &mended {
        directory.remove(path).at("remove", path)?;
    }
    for entry in &topics {
        for folder in (0..entry.partitions).map(|index| partition_folder(&entry.name, index)) {
            let path = folders::metadata_path(&folder);
            if damaged.contains(&*path) {
                if directory.exists(&path).at("look for", &path)? {
                    directory.remove(&path).at("remove", &path)?;
                }
                folders::name_topic(&**directory, &folder, entry.id)?;
                mended.push(path);
            }
        }
    }
    Ok(mended)
}

/// Whether a file is made anew of the segments beside it once it is gone.
fn is_cache(path: &str) -> bool {
    [".index", ".timeindex", ".snapshot"].iter().any(|ending| path.ends_with(ending))
}

/// A partition to be checked.
struct Place {
    folder: String,
    topic: Arc<str>,
    index: i32,
    /// What its folder must name; unknown without a list of topics.
    topic_id: Option<TopicId>,
}

/// The partitions that the list of topics names; without one, those that have a folder.
fn places(directory: &dyn Directory, catalogue: Option<&Catalogue>) -> Result<Vec<Place>, LogError> {
    let Some(catalogue) = catalogue else {
        let of_folder = |folder: String| {
            let (topic, index) = folder.rsplit_once('-')?;
            let (topic, index) = (topic.into(), index.parse().ok()?);
            Some(Place { folder, topic, index, topic_id: None })
        };
        return Ok(folders::partitions(directory)?.into_iter().filter_map(of_folder).collect());
    };
    let of_topic = |entry: &TopicEntry| {
        let (topic, topic_id): (Arc<str>, _) = (entry.name.as_str().into(), Some(entry.id));
        let place =
            move |index| Place { folder: partition_folder(&topic, index), topic: Arc::clone(&topic), index, topic_id };
        (0..entry.partitions).map(place)
    };
    Ok(catalogue.topics.iter().flat_map(of_topic).collect())
}

impl LogFault {
    /// What mends it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        if is_cache(&self.path) || folders::is_metadata(&self.path) {
            Remedy::Repair
        } else if self.path == catalogue::PATH {
            Remedy::CopyOfTopics
        } else {
            Remedy::Copy
        }
    }
}

impl LogReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// Notes a place that is not as it was written.
    pub(crate) fn fault(&mut self, path: &str, position: u64, offset: Option<Offset>, what: String) {
        self.faults.push(LogFault { path: path.to_owned(), position, offset, what });
    }

    /// Notes an error that is damage; passes on one that is not.
    fn sound<T>(&mut self, read: Result<T, LogError>) -> Result<Option<T>, LogError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(LogError::Corrupt { path, position, detail }) => {
                self.fault(&path, position, None, detail);
                Ok(None)
            }
            Err(LogError::NoCatalogue { path, folder }) => {
                self.fault(path, 0, None, format!("the file is gone, but there are partitions here ({folder})"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn verify_partition(
    directory: &dyn Directory,
    folder: &str,
    kept_from: Offset,
    on_disk: Offset,
    report: &mut LogReport,
) -> Result<(), LogError> {
    report.partitions += 1;
    if !directory.exists(folder).at("look for", folder)? {
        report.fault(folder, 0, None, "the partition's folder is gone".to_owned());
        return Ok(());
    }
    let mut bases = list_bases(directory, folder)?;
    // What lies wholly below the start is the rest of a removal that was cut short; the next start removes it.
    let below = bases.windows(2).take_while(|pair| pair[1] <= kept_from).count();
    bases.drain(..below);
    let mut end = bases.first().copied();
    for &base in &bases {
        if let Some(end) = end.filter(|end| *end != base) {
            let what = format!("the segment begins at offset {base}, the one before it ends at {end}");
            report.fault(&segment_path(folder, base, "log"), 0, Some(end), what);
        }
        end = verify_segment(directory, folder, base, report)?;
    }
    // The end is unknown behind damage.
    let end = if bases.is_empty() { Some(Offset(0)) } else { end };
    if let Some(end) = end.filter(|end| *end < on_disk) {
        let what = format!("the records end at offset {end}, but were on disk up to {on_disk}");
        report.fault(folder, 0, Some(end), what);
    }
    Ok(())
}

/// Checks the name that the folder gives its topic, if that is known, and the snapshots of producers.
fn verify_small_files(
    directory: &dyn Directory,
    folder: &str,
    topic: Option<TopicId>,
    report: &mut LogReport,
) -> Result<(), LogError> {
    if let Some(topic) = topic {
        check_file(directory, &folders::metadata_path(folder), report, |bytes| folders::check_metadata(bytes, topic))?;
    }
    for path in Snapshot::paths(directory, folder) {
        check_file(directory, &path, report, Snapshot::check)?;
    }
    Ok(())
}

/// Checks the bytes of a file that must be there; `check` tells where they are wrong, and how.
fn check_file(
    directory: &dyn Directory,
    path: &str,
    report: &mut LogReport,
    check: impl Fn(&[u8]) -> Result<(), (usize, String)>,
) -> Result<(), LogError> {
    if !directory.exists(path).at("look for", path)? {
        report.fault(path, 0, None, "the file is gone".to_owned());
        return Ok(());
    }
    let bytes = directory.map(path).at("read", path)?;
    report.files += 1;
    report.bytes += bytes.len() as u64;
    if let Err((position, what)) = check(&bytes) {
        report.fault(path, position as u64, None, what);
    }
    Ok(())
}

/// Checks a segment's files. Gives the offset after its last record, if that can be told.
fn verify_segment(
    directory: &dyn Directory,
    folder: &str,
    base: Offset,
    report: &mut LogReport,
) -> Result<Option<Offset>, LogError> {
    let path = segment_path(folder, base, "log");
    let reader = directory.open_read(&path).at("open", &path)?;
    let length = reader.length().at("measure", &path)?;
    report.files += 1;
    report.bytes += length;
    let mut offsets = Entries::<OffsetEntry>::open(directory, segment_path(folder, base, "index"), report)?;
    let mut times = Entries::<TimeEntry>::open(directory, segment_path(folder, base, "timeindex"), report)?;
    let mut expected = Expected { next: base, otherwise: base, is_known: true };
    let mut latest_ms = -1;
    let mut scanner = Scanner::verifying(&*reader, 0, length);
    loop {
        match scanner.next(true).at("read", &path)? {
            Step::Batch(location) => {
                let (header, position) = (&location.header, location.position);
                let at = expected.next;
                if let Err(what) = expected.take(header).and_then(|()| check_header(header)) {
                    report.fault(&path, position, Some(at), what);
                    // What an index should say is unknown from here on.
                    (offsets, times) = (Entries::none(), Entries::none());
                    continue;
                }
                report.batches += 1;
                report.records += u64::from(header.record_count.unsigned_abs());
                let relative = u32::try_from(header.last_offset().0.saturating_sub(base.0)).unwrap_or(u32::MAX);
                latest_ms = latest_ms.max(header.max_timestamp_ms);
                offsets.pass(report, position, |entry| (u64::from(entry.position), entry.relative == relative));
                times.pass(report, u64::from(relative), |entry| {
                    (u64::from(entry.relative), entry.timestamp_ms == latest_ms)
                });
            }
            Step::End => break,
            // A log that was not closed; that no batch is missing shows in the end.
            Step::Torn { .. } if scanner.ends_in_zeros().at("read", &path)? => break,
            Step::Torn { position, error } => {
                (offsets, times) = (Entries::none(), Entries::none());
                let is_skipped = matches!(error, BatchError::Checksum { .. }) && scanner.skip().at("read", &path)?;
                let mut what = error.to_string();
                if !is_skipped {
                    what = format!("{what}; the {} bytes from here on can't be told apart", length - position);
                }
                report.fault(&path, position, Some(expected.next), what);
                expected.is_known = false;
                if !is_skipped {
                    break;
                }
            }
        }
    }
    offsets.end(report);
    times.end(report);
    Ok(expected.is_known.then_some(expected.next))
}

/// The offset that the next batch should begin with.
struct Expected {
    next: Offset,
    /// After a batch with a wrong base offset: where the next begins if only that was wrong.
    otherwise: Offset,
    /// False after a batch that can't be read: any later offset will do.
    is_known: bool,
}

impl Expected {
    fn take(&mut self, header: &BatchHeader) -> Result<(), String> {
        let (got, expected) = (header.base_offset, self.next);
        let follows = got == expected || got == self.otherwise || (!self.is_known && got >= expected);
        self.next = header.next_offset();
        self.otherwise = self.next;
        self.is_known = true;
        if follows {
            return Ok(());
        }
        self.otherwise = Offset(expected.0.saturating_add(i64::from(header.last_offset_delta)).saturating_add(1));
        Err(format!("the batch begins with offset {got}, expected {expected}"))
    }
}

/// Checks what the checksum doesn't cover, or covers although it can't be.
fn check_header(header: &BatchHeader) -> Result<(), String> {
    if header.leader_epoch != LEADER_EPOCH {
        return Err(format!("the batch has leader epoch {}, expected {LEADER_EPOCH}", header.leader_epoch));
    }
    if header.record_count.checked_sub(1) != Some(header.last_offset_delta) {
        let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
        return Err(BatchError::Count { count, last_offset_delta }.to_string());
    }
    header.attributes.compression().map(|_| ()).map_err(|error| error.to_string())
}

/// The entries of an index file, walked beside the batches that they name. A file that is missing is made again when it is
/// wanted, and is no fault.
struct Entries<E> {
    path: String,
    index: Index<E>,
    at: usize,
}

impl<E: Entry> Entries<E> {
    fn none() -> Self {
        Self { path: String::new(), index: Index::new(), at: 0 }
    }

    fn open(directory: &dyn Directory, path: String, report: &mut LogReport) -> Result<Self, LogError> {
        if !directory.exists(&path).at("look for", &path)? {
            return Ok(Self::none());
        }
        let bytes = directory.map(&path).at("read", &path)?;
        report.files += 1;
        report.bytes += bytes.len() as u64;
        let Some(index) = Index::open(bytes) else {
            report.fault(&path, 0, None, "the index has a part of an entry, or is not sorted".to_owned());
            return Ok(Self::none());
        };
        Ok(Self { path, index, at: 0 })
    }

    /// Checks the entries up to the batch with this key. `look` gives an entry's key, and whether it is right if it is
    /// this batch's.
    fn pass(&mut self, report: &mut LogReport, key: u64, look: impl Fn(E) -> (u64, bool)) {
        while self.at < self.index.len() {
            let (names, is_right) = look(self.index.get(self.at));
            if names > key {
                return;
            }
            if names < key || !is_right {
                self.fault(report, "names no batch, or not what the batch there is");
            }
            self.at += 1;
        }
    }

    /// Checks that no entry is left.
    fn end(&self, report: &mut LogReport) {
        if self.at < self.index.len() {
            self.fault(report, "lies beyond the last batch");
        }
    }

    fn fault(&self, report: &mut LogReport, what: &str) {
        let position = (self.at * E::LENGTH) as u64;
        report.fault(&self.path, position, None, format!("entry {} of the index {what}", self.at));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::super::batch::tests::batch;
    use super::super::{Log, LogOptions, TopicConfig};
    use super::*;
    use crate::io::OsDirectory;

    fn directory(folder: &Path) -> Arc<dyn Directory> {
        Arc::new(OsDirectory::open(folder).unwrap())
    }

    fn checked(folder: &Path) -> LogReport {
        verify(&directory(folder)).unwrap()
    }

    /// A closed log of one partition with this many batches of three records, in segments of about ten batches.
    fn closed_log(folder: &Path, batches: i64) {
        let mut options = LogOptions::default().with_segment_bytes(1200);
        options.index_interval_bytes = 200;
        let log = Log::open(directory(folder), options).unwrap();
        let topic = log.create_topic("events", 1, TopicConfig::default()).unwrap();
        for number in 0..batches {
            // Times that fall now and then, as producers' do.
            topic.partitions()[0].append(&batch(3, 1000 + number * 7 % 50, b"value")).unwrap();
        }
        log.close().unwrap();
    }

    fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder.join("events-0")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|had| had == extension)).collect();
        files.sort();
        files
    }

    #[test]
    fn a_sound_log_is_told_so_and_a_served_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(checked(folder.path()).files, 0, "nothing there is sound");
        assert!(!folder.path().join(LOCK_PATH).exists(), "nothing is written where no log is");
        closed_log(folder.path(), 40);
        let report = checked(folder.path());
        assert!(report.is_sound(), "{:?}", report.faults);
        assert_eq!((report.partitions, report.batches, report.records), (1, 40, 120));
        assert!(files(folder.path(), "log").len() > 2, "segments roll");
        let log = Log::open(directory(folder.path()), LogOptions::default()).unwrap();
        assert!(matches!(verify(&directory(folder.path())), Err(LogError::InUse)));
        let partition = Arc::clone(&log.topic("events").unwrap().partitions()[0]);
        partition.delete_records(Some(Offset(50))).unwrap();
        partition.append(&batch(2, 5, b"one more")).unwrap();
        drop((partition, log));
        let report = checked(folder.path());
        assert!(report.is_sound(), "after a crash: {:?}", report.faults);
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_segment_is_found_and_located() {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path(), 24);
        for (number, path) in files(folder.path(), "log").into_iter().enumerate() {
            let sound = fs::read(&path).unwrap();
            let size = BatchHeader::decode(&sound).unwrap().size;
            for at in 0..sound.len() {
                let mut damaged = sound.clone();
                damaged[at] ^= 1 << (at % 8);
                fs::write(&path, &damaged).unwrap();
                let report = checked(folder.path());
                let fault = report.faults.first().unwrap_or_else(|| panic!("byte {at} of segment {number}"));
                let name = path.file_name().unwrap().to_str().unwrap();
                assert_eq!(fault.path, format!("events-0/{name}"), "byte {at}");
                assert_eq!(fault.position, (at / size * size) as u64, "byte {at}: {fault:?}");
                let base: i64 = name[..20].parse().unwrap();
                assert_eq!(fault.offset, Some(Offset(base + (at / size * 3) as i64)), "byte {at}: {fault:?}");
            }
            fs::write(&path, &sound).unwrap();
        }
    }

    #[test]
    fn two_damaged_batches_are_two_faults_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path(), 8);
        let path = &files(folder.path(), "log")[0];
        let mut bytes = fs::read(path).unwrap();
        let size = BatchHeader::decode(&bytes).unwrap().size;
        for at in [size - 1, 3 * size - 1] {
            bytes[at] ^= 1;
        }
        fs::write(path, bytes).unwrap();
        let report = checked(folder.path());
        let places: Vec<_> = report.faults.iter().map(|fault| (fault.position, fault.offset)).collect();
        assert_eq!(places, [(0, Some(Offset(0))), (2 * size as u64, Some(Offset(6)))]);
        assert_eq!(report.batches, 6);
    }

    #[test]
    fn a_flipped_bit_anywhere_in_an_index_is_found() {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path(), 24);
        for extension in ["index", "timeindex"] {
            let mut entries = 0;
            for path in files(folder.path(), extension) {
                let sound = fs::read(&path).unwrap();
                entries += sound.len();
                for at in 0..sound.len() {
                    let mut damaged = sound.clone();
                    damaged[at] ^= 1 << (at % 8);
                    fs::write(&path, &damaged).unwrap();
                    let report = checked(folder.path());
                    assert!(!report.is_sound(), "byte {at} of {}", path.display());
                    assert!(report.faults.iter().all(|fault| fault.path.ends_with(extension)), "{:?}", report.faults);
                }
                fs::write(&path, &sound).unwrap();
            }
            assert!(entries > 0, "nothing was flipped");
        }
    }

    #[test]
    fn what_follows_from_the_rest_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path(), 24);
        let directory: Arc<dyn Directory> = Arc::new(OsDirectory::open(folder.path()).unwrap());
        let metadata = folder.path().join("events-0/partition.metadata");
        let named = fs::read(&metadata).unwrap();
        let (index, times) = (&files(folder.path(), "index")[0], &files(folder.path(), "timeindex")[0]);
        let snapshot = &files(folder.path(), "snapshot")[0];
        for path in [index, times, snapshot, &metadata] {
            let mut damaged = fs::read(path).unwrap();
            damaged[0] ^= 1;
            fs::write(path, damaged).unwrap();
        }
        let report = checked(folder.path());
        assert!(report.faults.iter().all(|fault| fault.remedy() == Remedy::Repair), "{:?}", report.faults);
        let mended = repair(&directory, &report).unwrap();
        assert_eq!(mended.len(), 4, "{mended:?}");
        assert!(checked(folder.path()).is_sound() && !index.exists() && !snapshot.exists());
        assert_eq!(fs::read(&metadata).unwrap(), named);
        fs::remove_file(&metadata).unwrap();
        assert_eq!(repair(&directory, &checked(folder.path())).unwrap(), ["events-0/partition.metadata"]);
        // The rest can't be told from anything, and is left.
        let segment = &files(folder.path(), "log")[0];
        let mut damaged = fs::read(segment).unwrap();
        damaged[100] ^= 1;
        fs::write(segment, damaged).unwrap();
        let report = checked(folder.path());
        assert!(!report.is_sound() && repair(&directory, &report).unwrap().is_empty());
        assert_eq!(report.faults[0].remedy(), Remedy::Copy);
    }

    #[test]
    fn without_a_list_of_topics_the_partitions_are_checked_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path(), 24);
        let catalogue = folder.path().join("cartlog.topics");
        let mut damaged = fs::read(&catalogue).unwrap();
        damaged[20] ^= 1;
        fs::write(&catalogue, damaged).unwrap();
        let snapshot = &files(folder.path(), "snapshot")[0];
        fs::write(snapshot, "nothing").unwrap();
        for is_there in [true, false] {
            let report = checked(folder.path());
            assert_eq!((report.partitions, report.batches, report.records), (1, 24, 72));
            let remedies: Vec<_> = report.faults.iter().map(LogFault::remedy).collect();
            assert_eq!(remedies[0], Remedy::CopyOfTopics, "{:?}", report.faults);
            assert_eq!(remedies[1..].is_empty(), !is_there, "{:?}", report.faults);
            if is_there {
                let mended = repair(&directory(folder.path()), &report).unwrap();
                assert_eq!(mended.len(), 1, "what needs no list is mended: {mended:?}");
                fs::remove_file(&catalogue).unwrap();
            }
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_small_file_is_found_and_located() {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path(), 4);
        let snapshots = files(folder.path(), "snapshot");
        assert!(!snapshots.is_empty(), "producers are written down");
        let metadata = folder.path().join("events-0/partition.metadata");
        for path in snapshots.iter().chain([&metadata, &folder.path().join("cartlog.topics")]) {
            let sound = fs::read(path).unwrap();
            for at in 0..sound.len() {
                for bit in 0..8 {
                    let mut damaged = sound.clone();
                    damaged[at] ^= 1 << bit;
                    fs::write(path, &damaged).unwrap();
                    let faults = checked(folder.path()).faults;
                    assert_eq!(faults.len(), 1, "byte {at} of {}: {faults:?}", path.display());
                    assert!(path.ends_with(&faults[0].path), "{faults:?}");
                    if *path == metadata {
                        assert_eq!(faults[0].position, at as u64, "{faults:?}");
                    }
                }
            }
            fs::write(path, &sound).unwrap();
        }
        fs::remove_file(&metadata).unwrap();
        assert_eq!(checked(folder.path()).faults[0].path, "events-0/partition.metadata");
    }

    #[test]
    fn what_is_missing_is_found() {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path(), 24);
        let segments = files(folder.path(), "log");
        for (number, path) in segments.iter().enumerate() {
            let bytes = fs::read(path).unwrap();
            fs::remove_file(path).unwrap();
            // Without the first one the log could have been emptied up to there.
            assert_eq!(checked(folder.path()).is_sound(), number == 0, "segment {number} is gone");
            fs::write(path, &bytes).unwrap();
        }
        let cut = fs::read(&segments[0]).unwrap();
        fs::write(&segments[0], &cut[..cut.len() - 1]).unwrap();
        assert!(!checked(folder.path()).is_sound(), "a segment is cut");
        fs::remove_dir_all(folder.path().join("events-0")).unwrap();
        assert_eq!(checked(folder.path()).faults[0].path, "events-0");
        let catalogue = folder.path().join("cartlog.topics");
        fs::write(&catalogue, "cartlog topics 1 00000000\n{}\n").unwrap();
        assert_eq!(checked(folder.path()).faults[0].path, "cartlog.topics");
    }

    #[test]
    fn a_list_of_topics_that_is_gone_is_told_as_long_as_there_are_partitions() {
        let folder = tempfile::tempdir().unwrap();
        closed_log(folder.path(), 4);
        fs::remove_file(folder.path().join("cartlog.topics")).unwrap();
        assert_eq!(checked(folder.path()).faults[0].path, "cartlog.topics");
        let directory: Arc<dyn Directory> = Arc::new(OsDirectory::open(folder.path()).unwrap());
        let opened = Log::open(Arc::clone(&directory), LogOptions::default());
        assert!(matches!(opened, Err(LogError::NoCatalogue { .. })));
        assert!(folder.path().join("events-0").exists(), "nothing is set aside");
        fs::remove_dir_all(folder.path().join("events-0")).unwrap();
        assert!(checked(folder.path()).is_sound());
        Log::open(directory, LogOptions::default()).unwrap();
    }
}
