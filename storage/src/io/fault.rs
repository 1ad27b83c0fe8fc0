//! A directory that fails on request.
//!
//! Every operation that could change or make durable anything counts; at a chosen one the directory fails: once (a disk
//! that is full for a moment), or for good (the process or the machine is gone). A failing append may leave a part of
//! its bytes behind. Together with [`MemoryDirectory::after_power_loss`](super::MemoryDirectory::after_power_loss) a
//! test walks through every point at which a program can be cut off.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{Directory, LockGuard, ReadFile, WriteFile};

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails with this kind of error and does nothing; later ones work.
    Once(ErrorKind),
    /// The disk is full: the operation, or the next that needs space (creating a file or appending), fails, and so do those
    /// after it, `lasts` in all. A failing append leaves the first half of its bytes behind.
    Full {
        /// How many operations fail.
        lasts: u64,
    },
    /// The operation fails and does nothing, and so does every later one, reads included.
    Crash,
    /// As [`Fault::Crash`], but a failing append leaves the first half of its bytes behind.
    TornCrash,
}

/// A [`Directory`] that fails at one operation of another directory.
#[derive(Debug, Clone)]
pub struct FaultDirectory {
    inner: Arc<dyn Directory>,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct Plan {
    fault: Fault,
    at: u64,
    operations: AtomicU64,
    /// Operations that failed for want of space.
    refused: AtomicU64,
}

impl FaultDirectory {
    /// Fails at operation number `at`, counted from 0. `u64::MAX` never fails and only counts.
    #[must_use]
    pub fn new(inner: Arc<dyn Directory>, at: u64, fault: Fault) -> Self {
        Self { inner, plan: Arc::new(Plan { fault, at, operations: AtomicU64::new(0), refused: AtomicU64::new(0) }) }
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.plan.operations.load(Ordering::SeqCst)
    }
}

impl Plan {
    /// Counts an operation; fails if it is the chosen one.
    fn step(&self) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Once(kind) if number == self.at => Err(injected(kind)),
            Fault::Crash | Fault::TornCrash if number >= self.at => Err(injected(ErrorKind::Other)),
            _ => Ok(()),
        }
    }

    /// Counts an operation that needs space.
    fn step_with_space(&self) -> io::Result<()> {
        let full = match self.fault {
            Fault::Full { lasts } if self.operations.load(Ordering::SeqCst) >= self.at => {
                self.refused.fetch_add(1, Ordering::SeqCst) < lasts
            }
            _ => false,
        };
        self.step()?;
        if full { Err(injected(ErrorKind::StorageFull)) } else { Ok(()) }
    }

    /// Fails after the crash.
    fn check_alive(&self) -> io::Result<()> {
        let is_over = self.operations.load(Ordering::SeqCst) > self.at;
        if is_over && self.fault_is_crash() { Err(injected(ErrorKind::Other)) } else { Ok(()) }
    }

    fn fault_is_crash(&self) -> bool {
        matches!(self.fault, Fault::Crash | Fault::TornCrash)
    }

    /// Whether the operation just counted is the one at which a torn write happens.
    fn is_torn(&self) -> bool {
        match self.fault {
            Fault::TornCrash => self.operations.load(Ordering::SeqCst) == self.at + 1,
            Fault::Full { .. } => true,
            Fault::Once(_) | Fault::Crash => false,
        }
    }
}

fn injected(kind: ErrorKind) -> io::Error {
    io::Error::new(kind, "injected fault")
}

impl Directory for FaultDirectory {
    fn place(&self, path: &str) -> String {
        self.inner.place(path)
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        self.plan.step_with_space()?;
        Ok(Box::new(FaultFile { inner: self.inner.create(path)?, plan: Arc::clone(&self.plan) }))
    }

    fn open_append(&self, path: &str, length: u64) -> io::Result<Box<dyn WriteFile>> {
        self.plan.step()?;
        Ok(Box::new(FaultFile { inner: self.inner.open_append(path, length)?, plan: Arc::clone(&self.plan) }))
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn ReadFile>> {
        self.plan.check_alive()?;
        self.inner.open_read(path)
    }

    fn map(&self, path: &str) -> io::Result<Bytes> {
        self.plan.check_alive()?;
        self.inner.map(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.plan.check_alive()?;
        self.inner.list(path)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.plan.check_alive()?;
        self.inner.exists(path)
    }

    fn length(&self, path: &str) -> io::Result<u64> {
        self.plan.check_alive()?;
        self.inner.length(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.step()?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.plan.step()?;
        self.inner.remove(path)
    }

    fn remove_all(&self, path: &str) -> io::Result<()> {
        self.plan.step()?;
        self.inner.remove_all(path)
    }

    fn create_all(&self, path: &str) -> io::Result<()> {
        self.plan.step()?;
        self.inner.create_all(path)
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        self.plan.step()?;
        self.inner.sync_directory(path)
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn LockGuard>> {
        self.plan.check_alive()?;
        self.inner.lock(path)
    }

    fn lock_to_read(&self, path: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        self.plan.check_alive()?;
        self.inner.lock_to_read(path)
    }
}

#[derive(Debug)]
struct FaultFile {
    inner: Box<dyn WriteFile>,
    plan: Arc<Plan>,
}

impl WriteFile for FaultFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.plan.step_with_space() {
            if self.plan.is_torn() {
                self.inner.append(&bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        self.inner.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.plan.step()?;
        self.inner.sync()
    }

    fn fill(&self, zeros: usize) -> io::Result<()> {
        if let Err(error) = self.plan.step_with_space() {
            if self.plan.is_torn() {
                self.inner.fill(zeros / 2)?;
            }
            return Err(error);
        }
        self.inner.fill(zeros)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.plan.step()?;
        self.inner.truncate(length)
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDirectory;
    use super::*;

    #[test]
    fn fails_once_and_goes_on() {
        let directory = FaultDirectory::new(Arc::new(MemoryDirectory::new()), 1, Fault::Once(ErrorKind::StorageFull));
        let file = directory.create("a").unwrap();
        assert_eq!(file.append(b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        file.append(b"y").unwrap();
        assert_eq!(directory.map("a").unwrap(), &b"y"[..]);
        assert_eq!(directory.operations(), 3);
    }

    #[test]
    fn a_torn_crash_leaves_half_and_ends_everything() {
        let memory = MemoryDirectory::new();
        let directory = FaultDirectory::new(Arc::new(memory.clone()), 1, Fault::TornCrash);
        let file = directory.create("a").unwrap();
        assert!(file.append(b"1234").is_err());
        assert!(file.append(b"5").is_err() && file.sync().is_err() && directory.map("a").is_err());
        assert_eq!(memory.map("a").unwrap(), &b"12"[..]);
    }
}
