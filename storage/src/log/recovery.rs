//! Opening a partition's segments after whatever happened.
//!
//! What lies before the recovery point (an offset up to which everything was on disk when it was noted) is trusted.
//! From the last index entry before it on, every batch is read and its checksum compared; at the first that isn't
//! sound, or at the zeros that were filled ahead, the log is cut. All earlier segments lie before the recovery point, because
//! a segment is synced when it is closed; should one not (the machine died meanwhile), it is scanned as well. What lies
//! wholly below the start that was noted is the rest of a removal that was cut short, and goes first.

use super::batch::{BatchHeader, Offset};
use super::error::{IoContext as _, LogError};
use super::segment::{Indexes, Scanner, Segment, Step, segment_path};
use crate::io::Directory;

/// A partition's segments, sound up to the last byte.
#[derive(Debug)]
pub(super) struct Recovered {
    /// By ascending base, the growing one last; empty if the partition has no files yet.
    pub(super) segments: Vec<Segment>,
    /// The offset after the last record.
    pub(super) end: Offset,
}

/// Opens all segments of `folder` that hold anything from `kept_from` on, cutting a torn tail.
///
/// # Errors
/// [`LogError::Io`], or [`LogError::Corrupt`] if the damage lies before `recovery_point`, where nothing may be lost.
pub(super) fn recover(
    directory: &dyn Directory,
    folder: &str,
    recovery_point: Offset,
    kept_from: Offset,
    index_interval: u32,
) -> Result<Recovered, LogError> {
    // Records are only removed once all that stays is on disk.
    let recovery_point = recovery_point.max(kept_from);
    let bases = remove_leftovers(directory, folder, kept_from)?;
    if bases.is_empty() && recovery_point > Offset(0) {
        let detail = format!("offsets up to {recovery_point} were on disk, there is no .log file");
        return Err(LogError::Corrupt { path: folder.to_owned(), position: 0, detail });
    }
    let mut recovered = Recovered { segments: Vec::new(), end: bases.first().copied().unwrap_or_default() };
    let mut preceding_bytes = 0;
    for (at, &base) in bases.iter().enumerate() {
        let path = segment_path(folder, base, "log");
        let length = directory.length(&path).at("measure", &path)?;
        let following = bases.get(at + 1).copied();
        // Once something behind a segment was on disk, the cut of the zeros at its end was on disk too, and its length tells
        // where its batches end.
        let trusted = following.is_some_and(|following| following < recovery_point);
        let (size, end, indexes) = if trusted {
            (length, following.unwrap_or(base), None)
        } else {
            let scan = scan(directory, folder, base, length, recovery_point, index_interval)?;
            if scan.end < recovery_point.min(following.unwrap_or(recovery_point)) {
                return Err(LogError::Corrupt {
                    path,
                    position: scan.size,
                    detail: format!("offsets up to {recovery_point} were on disk, sound batches end at {}", scan.end),
                });
            }
            (scan.size, scan.end, Some(scan.indexes))
        };
        recovered.segments.push(Segment::open(
            directory,
            folder,
            base,
            size,
            preceding_bytes,
            index_interval,
            indexes,
        )?);
        recovered.end = end;
        preceding_bytes += size;
        if following.is_some_and(|following| end < following) {
            // What follows a torn batch was never complete: the log ends here.
            remove_from(directory, folder, &bases[at + 1..])?;
            break;
        }
    }
    Ok(recovered)
}

/// Removes what a crash may have left over: segments wholly below `kept_from`, and empty files at the end, after others (a
/// segment that was to be begun). Gives the base offsets of the others.
fn remove_leftovers(directory: &dyn Directory, folder: &str, kept_from: Offset) -> Result<Vec<Offset>, LogError> {
    let mut kept = list_bases(directory, folder)?;
    let below = kept.windows(2).take_while(|pair| pair[1] <= kept_from).count();
    let mut removed: Vec<_> = kept.drain(..below).collect();
    while let [_, .., last] = kept[..] {
        let path = segment_path(folder, last, "log");
        if directory.length(&path).at("measure", &path)? > 0 {
            break;
        }
        kept.pop();
        removed.push(last);
    }
    for base in removed {
        remove_segment(directory, folder, base)?;
    }
    Ok(kept)
}

/// Removes the files of a segment that are there, the `.log` file first: without it the others mean nothing.
///
/// # Errors
/// [`LogError::Io`].
pub(super) fn remove_segment(directory: &dyn Directory, folder: &str, base: Offset) -> Result<(), LogError> {
    for extension in ["log", "index", "timeindex"] {
        let path = segment_path(folder, base, extension);
        if directory.exists(&path).at("look for", &path)? {
            directory.remove(&path).at("remove", &path)?;
        }
    }
    Ok(())
}

/// The base offsets of the `.log` files in a folder, ascending.
pub(super) fn list_bases(directory: &dyn Directory, folder: &str) -> Result<Vec<Offset>, LogError> {
    let names = directory.list(folder).at("list", folder)?;
    let digits = names.iter().filter_map(|name| name.strip_suffix(".log"));
    let mut bases: Vec<Offset> =
        digits.filter(|digits| digits.len() == 20).filter_map(|digits| digits.parse().ok().map(Offset)).collect();
    bases.sort_unstable();
    Ok(bases)
}

struct Scan {
    size: u64,
    end: Offset,
    indexes: Indexes,
}

fn scan(
    directory: &dyn Directory,
    folder: &str,
    base: Offset,
    length: u64,
    recovery_point: Offset,
    index_interval: u32,
) -> Result<Scan, LogError> {
    let path = segment_path(folder, base, "log");
    let reader = directory.open_read(&path).at("open", &path)?;
    let interval = u64::from(index_interval);
    let mut indexes = Indexes::load(directory, folder, base, length).unwrap_or_else(Indexes::new);
    indexes.keep_before(base, recovery_point, length);
    let mut start = indexes.offsets.last().map_or(0, |entry| u64::from(entry.position));
    if let Some(entry) = indexes.offsets.last() {
        let named = Scanner::verifying(&*reader, start, length).next(true).at("read", &path)?;
        let expected = base.0 + i64::from(entry.relative);
        if !matches!(named, Step::Batch(location) if location.header.last_offset().0 == expected) {
            tracing::warn!(segment = path, "the indexes are wrong and are rebuilt");
            indexes = Indexes::new();
            start = 0;
        }
    }
    let (mut size, mut end) = (start, None);
    // The checksum doesn't cover the base offset, so that offsets must follow each other to be believed. Only what was
    // on disk may have gaps.
    let follows = |header: &BatchHeader, end: Option<Offset>| {
        let Some(expected) = end.or((start == 0).then_some(base)) else {
            // The index entry that led here named this batch's last offset.
            return true;
        };
        header.base_offset == expected || (header.base_offset > expected && header.next_offset() <= recovery_point)
    };
    let mut scanner = Scanner::verifying(&*reader, start, length);
    loop {
        match scanner.next(true).at("read", &path)? {
            Step::Batch(location) if follows(&location.header, end) => {
                end = Some(location.header.next_offset());
                size = location.position + location.header.size as u64;
                indexes.observe(base, &location.header, location.position, interval);
            }
            Step::Batch(location) => {
                let (got, position) = (location.header.base_offset, location.position);
                tracing::warn!(segment = path, position, "offset {got} is out of order; the log is cut there");
                break;
            }
            Step::End => break,
            Step::Torn { .. } if scanner.ends_in_zeros().at("read", &path)? => break,
            Step::Torn { position, error } => {
                let dropped = length - position;
                tracing::warn!(segment = path, position, dropped, "the tail is torn ({error}) and is cut");
                break;
            }
        }
    }
    Ok(Scan { size, end: end.unwrap_or(base), indexes })
}

fn remove_from(directory: &dyn Directory, folder: &str, bases: &[Offset]) -> Result<(), LogError> {
    // From the last to the first, so that a crash in between leaves no gap.
    for &base in bases.iter().rev() {
        tracing::warn!(segment = segment_path(folder, base, "log"), "it follows a torn batch and is removed");
        remove_segment(directory, folder, base)?;
    }
    directory.sync_directory(folder).at("sync", folder)
}
