//! Checking every byte of the journal of a stopped log.
//!
//! Opening the journal cuts a tail that was never acknowledged and refuses any other damage; this walk reports both, and
//! changes nothing. Behind a broken frame it goes on with the next whole one.

use std::sync::Arc;

use super::error::{IoContext as _, JournalError};
use super::format::{FRAME_HEADER_LENGTH, HEADER_LENGTH, PATH, Record, decode_frame, decode_header, find_later_frame};
use super::store::LOCK_PATH;
use crate::io::Directory;
use crate::log::LogReport;
use crate::wire::u64_at;

/// Reads every byte of the committed offsets in a log's folder and adds each place that is not as it was written to the
/// log's report. A folder without them is sound.
///
/// ```
/// use std::sync::Arc;
/// use cartlog_storage::groups::{self, Coordinator, GroupOptions};
/// use cartlog_storage::io::{Directory, MemoryDirectory};
/// use cartlog_storage::log::{self, Log, LogOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory: Arc<dyn Directory> = Arc::new(MemoryDirectory::new());
/// let log = Arc::new(Log::open(Arc::clone(&directory), LogOptions::default())?);
/// drop(Coordinator::open(Arc::clone(&log), GroupOptions::default())?);
/// drop(log);
/// let mut report = log::verify(&directory)?;
/// groups::verify(&directory, &mut report)?;
/// assert!(report.is_sound());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`JournalError::InUse`] while a broker holds it, [`JournalError::UnknownVersion`], [`JournalError::Io`]. Damage is not an
/// error but in the report.
pub fn verify(directory: &Arc<dyn Directory>, report: &mut LogReport) -> Result<(), JournalError> {
    if !directory.exists(PATH).at("look for", PATH)? {
        return Ok(());
    }
    let _lock = directory.lock_to_read(LOCK_PATH).map_err(|error| JournalError::of_lock(LOCK_PATH, error))?;
    let bytes = directory.map(PATH).at("read", PATH)?;
    report.files += 1;
    report.bytes += bytes.len() as u64;
    let salt = match decode_header(&bytes) {
        Ok(salt) => salt,
        Err(JournalError::Corrupt { position, detail, .. }) => {
            report.fault(PATH, position, None, detail);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let (mut at, mut number) = (HEADER_LENGTH, 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        match decode_frame(salt, number, rest) {
            Ok(payload) => {
                if let Err(error) = Record::decode_all(payload) {
                    report.fault(PATH, (at + FRAME_HEADER_LENGTH + error.at) as u64, None, error.what);
                }
                at += FRAME_HEADER_LENGTH + payload.len();
                number += 1;
            }
            Err(detail) => match find_later_frame(salt, number, rest) {
                Some(later) => {
                    let what = format!("{detail}; a whole frame follows at byte {}", at + later);
                    report.fault(PATH, at as u64, None, what);
                    // Its number stands behind its length.
                    number = u64_at(rest, later + 4);
                    at += later;
                }
                None => {
                    let what = format!("{detail}; the {} bytes from here on are cut at the next start", rest.len());
                    report.fault(PATH, at as u64, None, what);
                    break;
                }
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::offset;
    use super::super::journal::{Journal, payloads};
    use super::*;
    use crate::io::MemoryDirectory;
    use crate::log::LogFault;

    /// A journal of three frames, and where each begins.
    fn written() -> (MemoryDirectory, Vec<u64>) {
        let directory = MemoryDirectory::new();
        let mut journal = Journal::open(Arc::new(directory.clone()), drop).unwrap();
        let mut starts = Vec::new();
        for number in 0..3 {
            starts.push(journal.length());
            let record = offset("g", 1, 0, number);
            journal.append(&payloads(std::iter::once(record)).next().unwrap()).unwrap();
        }
        (directory, starts)
    }

    fn faults(directory: &MemoryDirectory) -> Vec<LogFault> {
        let mut report = LogReport::default();
        let directory: Arc<dyn Directory> = Arc::new(directory.clone());
        verify(&directory, &mut report).unwrap();
        report.faults
    }

    #[test]
    fn every_flipped_bit_is_found_and_located() {
        let (directory, starts) = written();
        assert_eq!(faults(&directory), []);
        for at in 0..directory.length(PATH).unwrap() {
            for bit in 0..8 {
                let damaged = directory.after_power_loss(1);
                damaged.damage(PATH, at, 1 << bit).unwrap();
                let found = faults(&damaged);
                let expected = starts.iter().rev().find(|start| **start <= at).copied().unwrap_or(0);
                assert_eq!(found.len(), 1, "byte {at}: {found:?}");
                assert_eq!((found[0].path.as_str(), found[0].position), (PATH, expected), "byte {at}: {found:?}");
            }
        }
    }

    #[test]
    fn two_broken_frames_are_two_faults_and_a_torn_tail_is_one() {
        let (directory, starts) = written();
        let damaged = directory.after_power_loss(1);
        for start in [starts[0], starts[2]] {
            damaged.damage(PATH, start + 20, 1).unwrap();
        }
        let positions: Vec<_> = faults(&damaged).iter().map(|fault| fault.position).collect();
        assert_eq!(positions, [starts[0], starts[2]]);
        let torn = directory.after_power_loss(1);
        torn.open_append(PATH, starts[2] + 3).unwrap();
        assert_eq!(faults(&torn)[0].position, starts[2]);
        assert_eq!(torn.length(PATH).unwrap(), starts[2] + 3, "nothing is changed");
    }
}
