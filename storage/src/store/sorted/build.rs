//! Building the sorted copy: an external sort by ranges of the column's values.
//!
//! A sample of the values places the bounds of the ranges, about a segment's rows each. One walk over the column lists which rows of
//! every segment belong to each range, four bytes a row; then range after range is gathered, sorted in memory and written, on
//! several threads at once. Where the lists of all ranges would take too much memory, they are made for some ranges at a
//! time, with a walk each.
//!
//! A range of one value with very many rows, one user with half of all events, is cut into several segments by its rows: those share
//! the value, and nothing else is different.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::io::Directory;

use super::manifest::{FileRecord, SortedManifest};
use super::{FOLDER, SortOrder, file_name, in_folder, lock, number, remove_leftovers, remove_stale_copy, verify_copy};
use crate::store::batch::{Batch, ColumnValues};
use crate::store::column::ColumnView;
use crate::store::manifest::{Manifest, SegmentRecord};
use crate::store::snapshot::open_segment;
use crate::store::{Schema, Segment, StoreError, dictionary};
use crate::threads::on_threads;

/// Of so many rows one is looked at to place the bounds.
const SAMPLE_STEP: usize = 64;

/// Bytes of memory that a row takes while its range is sorted and encoded.
const ROW_MEMORY: u64 = 192;

/// Rows that are sorted at once however little memory there is.
const FEWEST_ROWS: usize = 4096;

/// Bytes that a row takes in the lists of rows.
const LISTED_MEMORY: u64 = size_of::<u32>() as u64;

/// How a sorted copy is built.
#[derive(Debug, Clone)]
pub struct SortOptions {
    /// Rows that a segment of the copy has, about; also what the store's own full segments have, of which the small ones at
    /// the end are left out.
    pub segment_rows: usize,
    /// Threads that sort and encode.
    pub threads: usize,
    /// Bytes of memory that may be taken.
    pub memory: u64,
}

impl Default for SortOptions {
    /// A million rows (2^20) a segment, a thread a processor, 1 GiB.
    fn default() -> Self {
        Self {
            segment_rows: 1 << 20,
            threads: thread::available_parallelism().map_or(1, NonZero::get),
            memory: 1 << 30,
        }
    }
}

/// What [`sort_copy`] has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SortSummary {
    /// Rows that the copy holds when it is done.
    pub rows: u64,
    /// Rows sorted and written so far; 0 at the end if the copy was there already.
    pub rows_sorted: u64,
    /// Rows of the small segments at the end, which are read as they are.
    pub rows_left_out: u64,
    /// Segments of the copy.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the copy counts; not if the store has changed what it stands for in the meantime.
    pub is_current: bool,
}

/// Writes the rows of a store again, sorted, and tells `progress` after each segment; an earlier copy is replaced at the end. A copy
/// that is sound and stands for the same segments is left as it is.
///
/// Neither readers nor a writer of the store are disturbed. Disk: as much as the segments that it stands for, twice that while
/// an older copy counts. Memory: as the options say, but 192 bytes for each of 4096 rows at least.
///
/// # Errors
/// [`StoreError::NoStore`]; [`StoreError::Locked`] while another copy is being built; [`StoreError::InvalidSchema`] if the
/// columns are not of the kinds that a [`SortOrder`] names; [`StoreError::Corrupt`] for a damaged segment or dictionary of the
/// store; I/O errors. Nothing has changed then.
pub fn sort_copy(
    directory: &Arc<dyn Directory>,
    order: SortOrder,
    options: &SortOptions,
    progress: impl Fn(&SortSummary) + Sync,
) -> Result<SortSummary, StoreError> {
    let store = Manifest::read(&**directory)?.ok_or(StoreError::NoStore)?;
    order.check(&store.schema)?;
    remove_stale_copy(&**directory)?;
    directory.create_all(FOLDER).map_err(StoreError::io(FOLDER, "creating the folder"))?;
    directory.sync_directory("").map_err(StoreError::folder(&**directory, "", "synced"))?;
    let _lock = lock(&**directory)?;
    let (records, left_out) = store.segments.split_at(settled(&store.segments, options.segment_rows as u64));
    let rows = |records: &[SegmentRecord]| records.iter().map(|record| record.rows).sum::<u64>();
    let mut summary = SortSummary { rows: rows(records), rows_left_out: rows(left_out), ..SortSummary::default() };
    let lengths = dictionary_lengths(&**directory, &store)?;
    if let Some(known) = kept(&**directory, &store, (order, records), &lengths)? {
        let bytes = known.segments.iter().map(|segment| segment.length).sum();
        return Ok(SortSummary { segments: known.segments.len(), bytes, is_current: true, ..summary });
    }
    let opened = on_threads(records.len(), options.threads, |index| {
        let segment = open_segment(&**directory, &records[index], &store.schema)?;
        segment.check_sound(&store.schema, &lengths)?;
        Ok(segment)
    });
    let segments = opened.into_iter().collect::<Result<Vec<Segment>, StoreError>>()?;
    progress(&summary);

    let known = SortedManifest::read(&**directory).unwrap_or_default();
    remove_leftovers(&**directory, known.as_ref())?;
    let names = directory.list(FOLDER).map_err(StoreError::folder(&**directory, FOLDER, "listed"))?;
    let first_file = names.iter().filter_map(|name| number(name)).max().map_or(1, |last| last + 1);
    let sorter = Sorter { directory: &**directory, schema: &store.schema, segments: &segments, order, options };
    let sorted = AtomicU64::new(0);
    let written = sorter.write(first_file, |record| {
        let rows_sorted = sorted.fetch_add(record.rows, Ordering::Relaxed) + record.rows;
        progress(&SortSummary { rows_sorted, ..summary });
    })?;

    let replaced = records.iter().map(FileRecord::of).collect();
    let manifest = SortedManifest { order, replaced, segments: written };
    manifest.replace(&**directory)?;
    remove_leftovers(&**directory, Some(&manifest))?;
    let now = Manifest::read(&**directory)?.ok_or(StoreError::NoStore)?;
    summary.rows_sorted = summary.rows;
    summary.segments = manifest.segments.len();
    summary.bytes = manifest.segments.iter().map(|segment| segment.length).sum();
    summary.is_current = manifest.places(&now.segments).is_some();
    progress(&summary);
    Ok(summary)
}

/// How many of the segments, from the first, a writer will hardly merge any more: those up to the last that is half full at
/// least. All of them, if none is.
fn settled(segments: &[SegmentRecord], full_rows: u64) -> usize {
    let last = segments.iter().rposition(|segment| segment.rows.saturating_mul(2) >= full_rows);
    last.map_or(segments.len(), |last| last + 1)
}

/// The manifest of the copy that is there, if it is the one that would be built.
fn kept(
    directory: &dyn Directory,
    store: &Manifest,
    (order, records): (SortOrder, &[SegmentRecord]),
    lengths: &[usize],
) -> Result<Option<SortedManifest>, StoreError> {
    let known = match SortedManifest::read(directory) {
        Ok(known) => known,
        Err(StoreError::Corrupt { .. } | StoreError::UnknownVersion { .. }) => None,
        Err(error) => return Err(error),
    };
    let known = known.filter(|known| {
        let is_same = known.replaced.iter().zip(records).all(|(known, record)| known.is(record));
        known.order == order && known.replaced.len() == records.len() && is_same
    });
    Ok(known.filter(|_| verify_copy(directory, store, lengths).is_some_and(|report| report.damage.is_empty())))
}

/// How many texts each column's dictionary has.
fn dictionary_lengths(directory: &dyn Directory, store: &Manifest) -> Result<Vec<usize>, StoreError> {
    let mut lengths = vec![usize::MAX; store.schema.columns.len()];
    for (column, &record) in store.schema.dictionary_columns().zip(&store.dictionaries) {
        lengths[column] = dictionary::read(directory, record)?.len();
    }
    Ok(lengths)
}

impl FileRecord {
    fn of(record: &SegmentRecord) -> Self {
        let SegmentRecord { file, rows, length, checksum, .. } = *record;
        Self { file, rows, length, checksum }
    }
}

struct Sorter<'a> {
    directory: &'a dyn Directory,
    schema: &'a Schema,
    segments: &'a [Segment],
    order: SortOrder,
    options: &'a SortOptions,
}

/// The rows that a segment of the copy is made of.
struct Task<'a> {
    /// One a segment of the store: its rows of the range, ascending.
    rows: &'a [Vec<u32>],
    /// Which of all these, one segment's after the other's.
    part: Range<usize>,
}

impl Sorter<'_> {
    /// Writes all segments of the copy, numbered from `file` on.
    fn write(&self, mut file: u64, written: impl Fn(&FileRecord) + Sync) -> Result<Vec<FileRecord>, StoreError> {
        let all_rows: usize = self.segments.iter().map(Segment::rows).sum();
        let threads = self.options.threads.max(1);
        let of_memory = self.options.memory / 2 / ROW_MEMORY / threads as u64;
        let task_rows =
            usize::try_from(of_memory).unwrap_or(usize::MAX).max(FEWEST_ROWS).min(self.options.segment_rows.max(1));
        let bounds = self.bounds(all_rows.div_ceil(task_rows));
        let listed_rows = (self.options.memory / 2 / LISTED_MEMORY).max(task_rows as u64);
        let ranges_at_once = usize::try_from(listed_rows / task_rows as u64).unwrap_or(usize::MAX).max(1);
        let mut records = Vec::new();
        for first in (0..=bounds.len()).step_by(ranges_at_once) {
            let ranges = first..(bounds.len() + 1).min(first.saturating_add(ranges_at_once));
            let lists = self.lists(&bounds, ranges);
            let tasks: Vec<Task<'_>> = lists.iter().flat_map(|rows| tasks(rows, task_rows)).collect();
            let made = on_threads(tasks.len(), threads, |task| {
                let record = self.write_segment(&tasks[task], file + task as u64)?;
                written(&record);
                Ok(record)
            });
            file += tasks.len() as u64;
            records.extend(made.into_iter().collect::<Result<Vec<FileRecord>, StoreError>>()?);
        }
        Ok(records)
    }

    /// Values that cut the rows into about so many ranges of equal size: the first value of each range but the first.
    fn bounds(&self, ranges: usize) -> Vec<i64> {
        let mut sample = Vec::new();
        for segment in self.segments {
            if let ColumnView::Integers(values) = segment.column(self.order.column) {
                sample.extend((0..values.len()).step_by(SAMPLE_STEP).map(|row| values.get(row)));
            }
        }
        sample.sort_unstable();
        let places = (1..ranges).map(|range| sample.len() * range / ranges);
        let bounds: BTreeSet<i64> = places.filter_map(|place| sample.get(place).copied()).collect();
        // A value of more rows than a range gets one of its own.
        let heavy = sample.len() / ranges.max(1);
        let values = sample.chunk_by(PartialEq::eq).filter(|run| run.len() > heavy.max(1));
        let around = values.flat_map(|run| [Some(run[0]), run[0].checked_add(1)]).flatten();
        let least = sample.first().copied().unwrap_or_default();
        bounds.into_iter().chain(around).filter(|bound| *bound > least).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The rows of some of the ranges, one list a range and segment.
    fn lists(&self, bounds: &[i64], ranges: Range<usize>) -> Vec<Vec<Vec<u32>>> {
        let of_segments = on_threads(self.segments.len(), self.options.threads, |index| {
            let mut lists = vec![Vec::new(); ranges.len()];
            if let ColumnView::Integers(values) = self.segments[index].column(self.order.column) {
                let rows: Vec<u32> = (0..values.len() as u32).collect();
                let mut all = Vec::with_capacity(rows.len());
                values.gather(&rows, &mut all);
                for (row, value) in all.into_iter().enumerate() {
                    let range = bounds.partition_point(|bound| *bound <= value);
                    if let Some(list) = range.checked_sub(ranges.start).and_then(|place| lists.get_mut(place)) {
                        list.push(row as u32);
                    }
                }
            }
            lists
        });
        let mut lists: Vec<Vec<Vec<u32>>> = ranges.map(|_| Vec::with_capacity(self.segments.len())).collect();
        for of_segment in of_segments {
            lists.iter_mut().zip(of_segment).for_each(|(into, list)| into.push(list));
        }
        lists
    }

    /// Gathers the rows in the order of the store, so that its columns are read from front to end, sorts, and writes.
    fn write_segment(&self, task: &Task<'_>, file: u64) -> Result<FileRecord, StoreError> {
        let mut batch = Batch::default();
        let mut before = 0;
        for (segment, rows) in self.segments.iter().zip(task.rows) {
            let within = |place: usize| place.saturating_sub(before).min(rows.len());
            let rows_of_part = &rows[within(task.part.start)..within(task.part.end)];
            segment.append_rows(rows_of_part, task.part.len(), &mut batch);
            before += rows.len();
        }
        let order = self.sorted_rows(&batch);
        let batch = batch.chosen(&order);
        let segment = Segment::encode(self.schema, &[batch], 1)?;
        let name = in_folder(&file_name(file));
        let out = self.directory.create(&name).map_err(StoreError::io(&name, "creating"))?;
        segment.write_to(&*out).map_err(StoreError::io(&name, "writing"))?;
        out.sync().map_err(StoreError::io(&name, "syncing"))?;
        Ok(FileRecord { file, rows: segment.rows(), length: segment.length(), checksum: segment.checksum() })
    }

    /// The rows of a batch in order: by value, by the first bits of the identifier, and as they came.
    fn sorted_rows(&self, batch: &Batch) -> Vec<u32> {
        let (Some(ColumnValues::Integers(values)), Some(ColumnValues::Identifiers(identifiers))) =
            (batch.columns.get(self.order.column), batch.columns.get(self.order.within))
        else {
            return (0..batch.rows as u32).collect();
        };
        let keys = values.iter().zip(&identifiers.uuids).zip(0_u32..).map(|((value, uuid), row)| {
            let value = (value ^ i64::MIN) as u64;
            (u128::from(value) << 64) | (uuid >> 96 << 32) | u128::from(row)
        });
        let mut keys: Vec<u128> = keys.collect();
        keys.sort_unstable();
        keys.into_iter().map(|key| key as u32).collect()
    }
}

/// A range's rows as segments of the copy: one, unless a single value has very many.
fn tasks(rows: &[Vec<u32>], task_rows: usize) -> Vec<Task<'_>> {
    let count: usize = rows.iter().map(Vec::len).sum();
    let pieces = if count <= task_rows.saturating_mul(2) { 1 } else { count.div_ceil(task_rows) };
    let bound = |piece: usize| (count as u128 * piece as u128 / pieces as u128) as usize;
    let parts = (0..pieces).map(|piece| bound(piece)..bound(piece + 1)).filter(|part| !part.is_empty());
    parts.map(|part| Task { rows, part }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::batch::IdentifierValues;
    use crate::store::{ColumnSchema, ColumnType};

    #[test]
    fn small_segments_at_the_end_are_left_out() {
        let record = |rows| SegmentRecord { file: rows, rows, length: 0, checksum: 0, origins: Vec::new() };
        for (rows, expected) in [
            (&[][..], 0),
            (&[3], 1),
            (&[3, 4], 2),
            (&[100, 3, 4], 1),
            (&[3, 4, 100], 3),
            (&[100, 50, 49], 2),
            (&[u64::MAX, 1], 1),
        ] {
            let records: Vec<SegmentRecord> = rows.iter().copied().map(record).collect();
            assert_eq!(settled(&records, 100), expected, "{rows:?}");
        }
    }

    #[test]
    fn a_value_of_very_many_rows_is_cut_and_keeps_them_all() {
        let lists = [vec![0, 1, 2], vec![], (0..995).collect()];
        let parts = |task_rows| {
            tasks(&lists, task_rows).into_iter().map(|task| (task.part.start, task.part.end)).collect::<Vec<_>>()
        };
        assert_eq!(parts(500), [(0, 998)]);
        assert_eq!(parts(400), [(0, 332), (332, 665), (665, 998)]);
        assert_eq!(tasks(&[vec![], vec![]], 10).len(), 0);
    }

    #[test]
    fn a_heavy_value_has_a_range_of_its_own() {
        let schema = Schema {
            columns: [("n", ColumnType::Integer), ("id", ColumnType::Identifier)]
                .map(|(name, kind)| ColumnSchema { name: name.to_owned(), kind })
                .to_vec(),
        };
        let rows: Vec<i64> = (0..64_000).map(|row| if row % 3 == 0 { row } else { 7000 }).collect();
        let identifiers = IdentifierValues { uuids: vec![1; rows.len()], ..IdentifierValues::default() };
        let batch = Batch {
            rows: rows.len(),
            columns: vec![ColumnValues::Integers(rows), ColumnValues::Identifiers(identifiers)],
        };
        let segments = [Segment::from_batches(&schema, &[batch]).unwrap()];
        let directory = crate::io::MemoryDirectory::new();
        let order = SortOrder { column: 0, within: 1 };
        let sorter = Sorter {
            directory: &directory,
            schema: &schema,
            segments: &segments,
            order,
            options: &SortOptions::default(),
        };
        let bounds = sorter.bounds(8);
        assert!(bounds.windows(2).any(|pair| pair == [7000, 7001]), "{bounds:?}");
        let lists = sorter.lists(&bounds, 0..bounds.len() + 1);
        assert_eq!(lists.iter().flatten().map(Vec::len).sum::<usize>(), 64_000);
        assert_eq!(lists.iter().flatten().map(Vec::len).max(), Some(42_666));
    }
}
