//! A directory in memory that knows what a power loss would leave.
//!
//! It keeps beside every file what has been synced of it, and beside the names what
//! [`sync_directory`](Directory::sync_directory) has made durable, so that [`MemoryDirectory::after_power_loss`] can
//! give a directory as a real disk might come back: unsynced bytes absent, torn or zeroed, unsynced cuts undone,
//! unsynced names missing, in any combination. Folders themselves are taken to be durable at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Directory, LockGuard, ReadFile, WriteFile, aligned_bytes};

/// A [`Directory`] in memory, for tests. Clones share the files.
#[derive(Debug, Clone, Default)]
pub struct MemoryDirectory {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Debug, Default)]
struct Tree {
    /// Full path → file.
    names: BTreeMap<String, Arc<Mutex<File>>>,
    durable_names: BTreeMap<String, Arc<Mutex<File>>>,
    /// What changed `names` since their folders were synced, oldest first.
    changes: Vec<Change>,
    folders: BTreeSet<String>,
    locks: BTreeSet<String>,
}

/// One atomic change of names: these go, those come.
#[derive(Debug)]
struct Change {
    removed: Vec<String>,
    added: Vec<(String, Arc<Mutex<File>>)>,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// Where the next append goes; zeros may follow it.
    end: usize,
    /// What was on disk after the last sync.
    disk: Vec<u8>,
    /// Below this nothing has changed since.
    unchanged: usize,
    /// Whether something that was on disk has been cut off since: it comes back after a power loss.
    is_cut: bool,
}

impl MemoryDirectory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a disk might hold after the power failed now; another `seed` gives another of the possible outcomes.
    ///
    /// Seed 0 loses all that was not synced, seed 1 loses nothing; other seeds decide change by change.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let tree = locked(&self.tree);
        let mut chance = Chance { seed, state: seed };
        let mut names = tree.durable_names.clone();
        for change in tree.changes.iter().filter(|_| chance.keeps()) {
            change.apply(&mut names);
        }
        let names: BTreeMap<_, _> = names
            .into_iter()
            .map(|(name, file)| {
                let bytes = locked(&file).after_power_loss(&mut chance);
                (name, Arc::new(Mutex::new(File::on_disk(bytes))))
            })
            .collect();
        let after = Tree { durable_names: names.clone(), names, folders: tree.folders.clone(), ..Tree::default() };
        Self { tree: Arc::new(Mutex::new(after)) }
    }

    /// Flips the bits of `mask` in one byte of a file, as a failing disk does.
    ///
    /// # Errors
    /// `NotFound` if there is no such file or byte.
    pub fn damage(&self, path: &str, offset: u64, mask: u8) -> io::Result<()> {
        let file = self.file(path)?;
        let mut file = locked(&file);
        let byte = usize::try_from(offset).ok().and_then(|at| file.bytes.get_mut(at));
        *byte.ok_or_else(|| missing(path))? ^= mask;
        Ok(())
    }

    fn file(&self, path: &str) -> io::Result<Arc<Mutex<File>>> {
        locked(&self.tree).names.get(path).cloned().ok_or_else(|| missing(path))
    }
}

impl Directory for MemoryDirectory {
    fn place(&self, path: &str) -> String {
        format!("memory:{path}")
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        let mut tree = locked(&self.tree);
        if tree.names.contains_key(path) || tree.folders.contains(path) {
            return Err(io::Error::new(ErrorKind::AlreadyExists, path.to_owned()));
        }
        let folder = folder_of(path);
        if !folder.is_empty() && !tree.folders.contains(folder) {
            return Err(missing(folder));
        }
        let file = Arc::new(Mutex::new(File::default()));
        tree.change(Change { removed: Vec::new(), added: vec![(path.to_owned(), Arc::clone(&file))] });
        Ok(Box::new(Handle { file }))
    }

    fn open_append(&self, path: &str, length: u64) -> io::Result<Box<dyn WriteFile>> {
        let file = self.file(path)?;
        if (locked(&file).bytes.len() as u64) < length {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{path} is shorter than {length} bytes")));
        }
        let handle = Handle { file };
        handle.truncate(length)?;
        Ok(Box::new(handle))
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(Handle { file: self.file(path)? }))
    }

    fn map(&self, path: &str) -> io::Result<Bytes> {
        let file = self.file(path)?;
        let file = locked(&file);
        Ok(aligned_bytes(file.bytes.len(), std::iter::once(&file.bytes[..])))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let tree = locked(&self.tree);
        if !path.is_empty() && !tree.folders.contains(path) {
            return Err(missing(path));
        }
        let names = tree.names.keys().chain(&tree.folders).filter(|name| folder_of(name) == path);
        let names: BTreeSet<String> = names.map(|name| name_of(name).to_owned()).collect();
        Ok(names.into_iter().collect())
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let tree = locked(&self.tree);
        Ok(path.is_empty() || tree.names.contains_key(path) || tree.folders.contains(path))
    }

    fn length(&self, path: &str) -> io::Result<u64> {
        Ok(locked(&*self.file(path)?).bytes.len() as u64)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut tree = locked(&self.tree);
        if let Some(file) = tree.names.get(from).cloned() {
            tree.change(Change { removed: vec![from.to_owned()], added: vec![(to.to_owned(), file)] });
            return Ok(());
        }
        if !tree.folders.contains(from) {
            return Err(missing(from));
        }
        if tree.folders.contains(to) || tree.names.contains_key(to) {
            return Err(io::Error::new(ErrorKind::AlreadyExists, to.to_owned()));
        }
        let moved = |name: &str| name.strip_prefix(from).map(|rest| format!("{to}{rest}"));
        let inside = |name: &str| is_inside(name, from);
        let files: Vec<_> = tree.names.iter().filter(|(name, _)| inside(name)).collect();
        let removed = files.iter().map(|(name, _)| (*name).clone()).collect();
        let added = files.iter().filter_map(|(name, file)| Some((moved(name)?, Arc::clone(file)))).collect();
        tree.change(Change { removed, added });
        let folders: Vec<_> = tree.folders.iter().filter(|name| *name == from || inside(name)).cloned().collect();
        for folder in folders {
            tree.folders.remove(&folder);
            tree.folders.extend(moved(&folder));
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.file(path)?;
        locked(&self.tree).change(Change { removed: vec![path.to_owned()], added: Vec::new() });
        Ok(())
    }

    fn remove_all(&self, path: &str) -> io::Result<()> {
        let mut tree = locked(&self.tree);
        if !tree.folders.contains(path) {
            return Err(missing(path));
        }
        let removed = tree.names.keys().filter(|name| is_inside(name, path)).cloned().collect();
        tree.change(Change { removed, added: Vec::new() });
        tree.folders.retain(|name| name != path && !is_inside(name, path));
        Ok(())
    }

    fn create_all(&self, path: &str) -> io::Result<()> {
        let mut tree = locked(&self.tree);
        let mut folder = path;
        while !folder.is_empty() {
            tree.folders.insert(folder.to_owned());
            folder = folder_of(folder);
        }
        Ok(())
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        if !self.exists(path)? {
            return Err(missing(path));
        }
        let mut tree = locked(&self.tree);
        let (synced, changes) =
            std::mem::take(&mut tree.changes).into_iter().partition(|change: &Change| change.is_in(path));
        tree.changes = changes;
        for change in synced {
            change.apply(&mut tree.durable_names);
        }
        Ok(())
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn LockGuard>> {
        if !locked(&self.tree).locks.insert(path.to_owned()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock { tree: Arc::clone(&self.tree), path: path.to_owned() }))
    }
}

impl Tree {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Arc<Mutex<File>>>) {
        for name in &self.removed {
            names.remove(name);
        }
        names.extend(self.added.iter().cloned());
    }

    /// Whether syncing the folder makes this change durable.
    fn is_in(&self, folder: &str) -> bool {
        let mut names = self.removed.iter().chain(self.added.iter().map(|(name, _)| name));
        names.any(|name| folder_of(name) == folder || is_inside(name, folder))
    }
}

impl File {
    fn on_disk(bytes: Vec<u8>) -> Self {
        Self { end: bytes.len(), disk: bytes.clone(), unchanged: bytes.len(), bytes, is_cut: false }
    }

    /// Writes over what stands at `at` and makes the file longer if need be.
    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.unchanged = self.unchanged.min(at);
        let over = bytes.len().min(self.bytes.len() - at);
        self.bytes[at..at + over].copy_from_slice(&bytes[..over]);
        self.bytes.extend_from_slice(&bytes[over..]);
    }

    fn truncate(&mut self, length: usize) {
        self.is_cut |= length < self.disk.len();
        self.unchanged = self.unchanged.min(length);
        self.bytes.resize(length, 0);
        self.end = length;
    }

    fn sync(&mut self) {
        self.disk.truncate(self.unchanged);
        self.disk.extend_from_slice(&self.bytes[self.unchanged..]);
        self.unchanged = self.bytes.len();
        self.is_cut = false;
    }

    fn after_power_loss(&self, chance: &mut Chance) -> Vec<u8> {
        if self.is_cut && !chance.keeps() {
            return self.disk.clone();
        }
        // What is not written is as it was on disk, unless that was cut.
        let old = if self.is_cut { &self.disk[..self.unchanged] } else { &self.disk[..] };
        let unsynced = self.bytes.len() - self.unchanged;
        let written = self.unchanged + if chance.keeps() { unsynced } else { chance.below(unsynced) };
        let mut bytes = self.bytes[..written].to_vec();
        bytes.extend_from_slice(old.get(written..).unwrap_or_default());
        // The length may reach the disk before the bytes do, and later bytes before earlier ones.
        if unsynced > 0 && chance.zeroes() {
            let kept = self.unchanged + chance.below(unsynced);
            bytes = self.bytes[..kept].to_vec();
            bytes.extend_from_slice(old.get(kept..).unwrap_or_default());
            bytes.resize(self.bytes.len(), 0);
            let again = kept + chance.below(self.bytes.len() - kept);
            if chance.keeps() {
                bytes[again..].copy_from_slice(&self.bytes[again..]);
            }
        }
        bytes
    }
}

/// Decides what survives.
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn keeps(&mut self) -> bool {
        match self.seed {
            0 => false,
            1 => true,
            _ => self.next() & 1 == 0,
        }
    }

    fn zeroes(&mut self) -> bool {
        self.seed > 1 && self.next().is_multiple_of(4)
    }

    fn below(&mut self, limit: usize) -> usize {
        if self.seed == 0 || limit == 0 { 0 } else { (self.next() % limit as u64) as usize }
    }

    /// The SplitMix64 generator (Steele, Lea & Flood, "Fast splittable pseudorandom number generators").
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[derive(Debug)]
struct Handle {
    file: Arc<Mutex<File>>,
}

impl WriteFile for Handle {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = locked(&self.file);
        let end = file.end;
        file.write(end, bytes);
        file.end += bytes.len();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        locked(&self.file).sync();
        Ok(())
    }

    fn fill(&self, zeros: usize) -> io::Result<()> {
        let mut file = locked(&self.file);
        let end = file.end;
        file.write(end, &vec![0; zeros]);
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| ErrorKind::InvalidInput)?;
        locked(&self.file).truncate(length);
        Ok(())
    }
}

impl ReadFile for Handle {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let file = locked(&self.file);
        let bytes = usize::try_from(offset).ok().and_then(|at| file.bytes.get(at..)?.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(locked(&self.file).bytes.len() as u64)
    }
}

#[derive(Debug)]
struct Lock {
    tree: Arc<Mutex<Tree>>,
    path: String,
}

impl LockGuard for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        locked(&self.tree).locks.remove(&self.path);
    }
}

/// Locks; a panic elsewhere leaves the files as whole as a real disk would be.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(path: &str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, path.to_owned())
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn is_inside(path: &str, folder: &str) -> bool {
    !folder.is_empty() && path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(directory: &MemoryDirectory, path: &str) -> Vec<u8> {
        directory.map(path).unwrap().to_vec()
    }

    #[test]
    fn only_synced_bytes_and_names_are_sure_to_survive() {
        let directory = MemoryDirectory::new();
        let file = directory.create("a").unwrap();
        file.append(b"synced").unwrap();
        file.sync().unwrap();
        assert!(!directory.after_power_loss(0).exists("a").unwrap());
        directory.sync_directory("").unwrap();
        file.append(b" not").unwrap();
        assert_eq!(content(&directory, "a"), b"synced not");
        assert_eq!(content(&directory.after_power_loss(0), "a"), b"synced");
        assert_eq!(content(&directory.after_power_loss(1), "a"), b"synced not");
        for seed in 2..50 {
            assert!(content(&directory.after_power_loss(seed), "a").starts_with(b"synced"));
        }
    }

    #[test]
    fn what_is_written_over_synced_zeros_is_there_in_part_or_whole() {
        let directory = MemoryDirectory::new();
        let file = directory.create("a").unwrap();
        file.append(b"12").unwrap();
        file.fill(6).unwrap();
        assert_eq!(content(&directory, "a"), b"12\0\0\0\0\0\0");
        file.sync().unwrap();
        directory.sync_directory("").unwrap();
        file.append(b"3456").unwrap();
        assert_eq!(content(&directory, "a"), b"123456\0\0");
        assert_eq!(content(&directory.after_power_loss(0), "a"), b"12\0\0\0\0\0\0");
        assert_eq!(content(&directory.after_power_loss(1), "a"), b"123456\0\0");
        for seed in 2..50 {
            let found = content(&directory.after_power_loss(seed), "a");
            let fits = |(at, byte): (usize, &u8)| *byte == b"123456\0\0"[at] || (at >= 2 && *byte == 0);
            assert!(found.len() == 8 && found.iter().enumerate().all(fits), "{found:?}");
        }
        file.sync().unwrap();
        file.truncate(6).unwrap();
        assert_eq!(content(&directory.after_power_loss(0), "a"), b"123456\0\0");
        assert_eq!(content(&directory.after_power_loss(1), "a"), b"123456");
    }

    #[test]
    fn an_unsynced_cut_comes_back() {
        let directory = MemoryDirectory::new();
        let file = directory.create("a").unwrap();
        file.append(b"123456").unwrap();
        file.sync().unwrap();
        directory.sync_directory("").unwrap();
        file.truncate(4).unwrap();
        file.truncate(2).unwrap();
        file.append(b"x").unwrap();
        assert_eq!(content(&directory.after_power_loss(0), "a"), b"123456");
        assert_eq!(content(&directory.after_power_loss(1), "a"), b"12x");
        file.sync().unwrap();
        assert_eq!(content(&directory.after_power_loss(0), "a"), b"12x");
    }

    #[test]
    fn an_unsynced_rename_is_undone_whole() {
        let directory = MemoryDirectory::new();
        for (name, text) in [("old", b"1"), ("new", b"2")] {
            let file = directory.create(name).unwrap();
            file.append(text).unwrap();
            file.sync().unwrap();
        }
        directory.sync_directory("").unwrap();
        directory.rename("new", "old").unwrap();
        let before = directory.after_power_loss(0);
        assert_eq!((content(&before, "old"), content(&before, "new")), (b"1".to_vec(), b"2".to_vec()));
        directory.sync_directory("").unwrap();
        let after = directory.after_power_loss(0);
        assert_eq!((content(&after, "old"), after.exists("new").unwrap()), (b"2".to_vec(), false));
    }

    #[test]
    fn folders_are_listed_moved_and_removed() {
        let directory = MemoryDirectory::new();
        directory.create_all("a/b").unwrap();
        directory.create("a/b/file").unwrap();
        assert!(directory.create("missing/file").is_err());
        assert_eq!(directory.list("").unwrap(), ["a"]);
        assert_eq!(directory.list("a").unwrap(), ["b"]);
        directory.rename("a/b", "a/c").unwrap();
        assert_eq!(directory.list("a/c").unwrap(), ["file"]);
        assert!(directory.list("a/b").is_err());
        directory.remove_all("a").unwrap();
        assert_eq!(directory.list("").unwrap(), [""; 0]);
    }

    #[test]
    fn a_lock_is_held_until_dropped() {
        let directory = MemoryDirectory::new();
        let guard = directory.lock("lock").unwrap();
        assert_eq!(directory.clone().lock("lock").unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(guard);
        directory.lock("lock").unwrap();
    }
}
