//! `recovery-point-offset-checkpoint`: up to which offset each partition was on disk, in Kafka's own text form.
//!
//! ```text
//! 0                      version
//! 2                      number of lines that follow
//! events 0 1234          topic, partition, offset
//! events 1 77
//! ```
//!
//! It saves reading the whole last segment at the next start. It may lag behind, it never runs ahead.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::batch::Offset;
use super::error::{IoContext as _, LogError};
use crate::io::Directory;

const PATH: &str = "recovery-point-offset-checkpoint";
const TEMPORARY_PATH: &str = "recovery-point-offset-checkpoint.tmp";
/// How far behind the file may be while the log is busy.
const INTERVAL: Duration = Duration::from_secs(5);

/// The recovery points of all partitions and their file.
#[derive(Debug)]
pub(super) struct Checkpoint {
    directory: Arc<dyn Directory>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    points: BTreeMap<(Arc<str>, i32), Offset>,
    written: Instant,
    changed: bool,
}

impl Checkpoint {
    /// Reads the file; one that is absent or unreadable gives no points, which costs a scan and nothing else.
    pub(super) fn open(directory: Arc<dyn Directory>) -> Self {
        let points = directory.map(PATH).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
        Self { directory, state: Mutex::new(State { points, written: Instant::now(), changed: false }) }
    }

    /// Up to where a partition is known to be on disk.
    pub(super) fn point(&self, topic: &Arc<str>, partition: i32) -> Offset {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.points.get(&(Arc::clone(topic), partition)).copied().unwrap_or_default()
    }

    /// Takes note that everything before `offset` is on disk.
    pub(super) fn note(&self, topic: &Arc<str>, partition: i32, offset: Offset) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.points.insert((Arc::clone(topic), partition), offset);
        state.changed = true;
    }

    /// Forgets a topic.
    pub(super) fn forget(&self, topic: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.points.retain(|(name, _), _| &**name != topic);
        state.changed = true;
    }

    /// Writes the file if it lags behind for long.
    pub(super) fn write_if_due(&self) -> Result<(), LogError> {
        let due = self.state.lock().unwrap_or_else(PoisonError::into_inner).written.elapsed() >= INTERVAL;
        if due { self.write() } else { Ok(()) }
    }

    /// Writes the file if anything has changed.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(super) fn write(&self) -> Result<(), LogError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.changed {
            return Ok(());
        }
        replace(&*self.directory, PATH, TEMPORARY_PATH, encode(&state.points).as_bytes())?;
        state.written = Instant::now();
        state.changed = false;
        Ok(())
    }
}

/// Replaces a small file in one atomic, durable step.
pub(super) fn replace(directory: &dyn Directory, path: &str, temporary: &str, content: &[u8]) -> Result<(), LogError> {
    if directory.exists(temporary).at("look for", temporary)? {
        directory.remove(temporary).at("remove", temporary)?;
    }
    let file = directory.create(temporary).at("create", temporary)?;
    file.append(content).at("write", temporary)?;
    file.sync().at("sync", temporary)?;
    directory.rename(temporary, path).at("put in place", path)?;
    directory.sync_directory("").at("sync the folder of", path)
}

fn encode(points: &BTreeMap<(Arc<str>, i32), Offset>) -> String {
    let mut text = format!("0\n{}\n", points.len());
    for ((topic, partition), offset) in points {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{topic} {partition} {offset}");
    }
    text
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<(Arc<str>, i32), Offset>> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    if lines.next()? != "0" {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let points: BTreeMap<_, _> = lines
        .map(|line| {
            let mut fields = line.split(' ');
            let (topic, partition, offset) = (fields.next()?, fields.next()?, fields.next()?);
            let key = (Arc::from(topic), partition.parse().ok()?);
            fields.next().is_none().then_some((key, Offset(offset.parse().ok()?)))
        })
        .collect::<Option<_>>()?;
    (points.len() == count).then_some(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundtrip() {
        let points =
            BTreeMap::from([((Arc::from("a.b"), 0), Offset(0)), ((Arc::from("events"), 12), Offset(i64::MAX))]);
        assert_eq!(encode(&points), "0\n2\na.b 0 0\nevents 12 9223372036854775807\n");
        assert_eq!(decode(encode(&points).as_bytes()), Some(points));
    }

    #[test]
    fn detects_corruption() {
        for text in ["", "1\n0\n", "0\n2\na 0 1\n", "0\n1\na 0\n", "0\n1\na 0 x\n", "0\n1\na 0 1 2\n", "0\n0\n\u{0}"] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }
}
