//! Checkpoints: an offset of each partition, in Kafka's own text form.
//!
//! ```text
//! 0                      version
//! 2                      number of lines that follow
//! events 0 1234          topic, partition, offset
//! events 1 77
//! ```
//!
//! There are two. `recovery-point-offset-checkpoint` says up to which offset each partition was on disk: it saves
//! reading the whole last segment at the next start, may lag behind, and never runs ahead.
//! `log-start-offset-checkpoint` says below which offset records were removed, and is written before they go.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batch::Offset;
use super::error::{IoContext as _, LogError};
use super::partition::Partition;
use crate::io::Directory;

/// How far behind a checkpoint may be while the log is busy.
const INTERVAL: Duration = Duration::from_secs(5);

/// An offset of each partition, and the file that keeps them.
#[derive(Debug)]
pub(super) struct Checkpoint {
    directory: Arc<dyn Directory>,
    path: &'static str,
    temporary_path: &'static str,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    points: BTreeMap<(Arc<str>, i32), Offset>,
    written: Instant,
    changed: bool,
}

impl Checkpoint {
    /// Up to where each partition is on disk. A file that is absent or unreadable gives no points, which costs a scan
    /// and nothing else.
    pub(super) fn of_recovery_points(directory: Arc<dyn Directory>) -> Self {
        const PATH: &str = "recovery-point-offset-checkpoint";
        let points = directory.map(PATH).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
        Self::new(directory, PATH, "recovery-point-offset-checkpoint.tmp", points)
    }

    /// Below which offset each partition has been emptied.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if the file is there but unreadable: removed records would come back.
    pub(super) fn of_log_starts(directory: Arc<dyn Directory>) -> Result<Self, LogError> {
        const PATH: &str = "log-start-offset-checkpoint";
        let points = if directory.exists(PATH).at("look for", PATH)? {
            decode(&directory.map(PATH).at("read", PATH)?).ok_or_else(|| LogError::Corrupt {
                path: PATH.to_owned(),
                position: 0,
                detail: "a version, a count and as many lines of topic, partition and offset are expected".to_owned(),
            })?
        } else {
            BTreeMap::new()
        };
        Ok(Self::new(directory, PATH, "log-start-offset-checkpoint.tmp", points))
    }

    fn new(
        directory: Arc<dyn Directory>,
        path: &'static str,
        temporary_path: &'static str,
        points: BTreeMap<(Arc<str>, i32), Offset>,
    ) -> Self {
        let state = Mutex::new(State { points, written: Instant::now(), changed: false });
        Self { directory, path, temporary_path, state }
    }

    /// The offset of a partition; 0 if none is known.
    pub(super) fn point(&self, topic: &Arc<str>, partition: i32) -> Offset {
        self.lock().points.get(&(Arc::clone(topic), partition)).copied().unwrap_or_default()
    }

    /// Takes note of a partition's offset, unless its topic was deleted.
    pub(super) fn note(&self, partition: &Partition, offset: Offset) {
        let mut state = self.lock();
        // Looked at under the lock that `forget` takes after the deletion: a later topic of this name starts afresh.
        if !partition.is_deleted() {
            let key = (Arc::clone(partition.shared_topic()), partition.index());
            state.changed |= state.points.insert(key, offset) != Some(offset);
        }
    }

    /// Forgets a topic.
    pub(super) fn forget(&self, topic: &str) {
        let mut state = self.lock();
        let before = state.points.len();
        state.points.retain(|(name, _), _| &**name != topic);
        state.changed |= state.points.len() < before;
    }

    /// Writes the file if it lags behind for long.
    pub(super) fn write_if_due(&self) -> Result<(), LogError> {
        let due = self.lock().written.elapsed() >= INTERVAL;
        if due { self.write() } else { Ok(()) }
    }

    /// Writes the file if anything has changed.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(super) fn write(&self) -> Result<(), LogError> {
        let mut state = self.lock();
        if !state.changed {
            return Ok(());
        }
        replace(&*self.directory, self.path, self.temporary_path, encode(&state.points).as_bytes())?;
        state.written = Instant::now();
        state.changed = false;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
