//! The one seam to the file system.
//!
//! The log and the store reach files only through [`Directory`], so that a crash test is an ordinary unit test: the
//! same code runs over the operating system, over memory, and over a directory that fails on request. A directory is
//! rooted: every path given to it is relative to its root and uses `/`.

mod aligned;
mod fault;
mod memory;
mod os;

pub(crate) use aligned::aligned_bytes;
pub use fault::{Fault, FaultDirectory};
pub use memory::MemoryDirectory;
pub use os::OsDirectory;

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};

use bytes::Bytes;

/// A rooted directory tree: the only way to files.
///
/// Every method may fail with the [`io::Error`] of the system call behind it. Nothing is durable before
/// [`WriteFile::sync`] of the file and [`Directory::sync_directory`] of the folder that names it have returned.
pub trait Directory: fmt::Debug + Send + Sync + 'static {
    /// What a file or folder is called where people look for it: for messages.
    fn place(&self, path: &str) -> String;

    /// Creates a new, empty file for appending; fails with `AlreadyExists` if the path exists.
    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>>;

    /// Opens an existing file for appending after its first `length` bytes and cuts the rest off.
    fn open_append(&self, path: &str, length: u64) -> io::Result<Box<dyn WriteFile>>;

    /// Opens a file for positioned reads.
    fn open_read(&self, path: &str) -> io::Result<Box<dyn ReadFile>>;

    /// Maps a whole file read-only. The start is aligned to at least 64 bytes; an empty file gives empty bytes.
    /// The mapping lives as long as any clone or slice of the result, even after the file is removed.
    fn map(&self, path: &str) -> io::Result<Bytes>;

    /// The names (not paths) in a folder, sorted; an absent folder is an error.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// Whether a file or folder stands at the path.
    fn exists(&self, path: &str) -> io::Result<bool>;

    /// The length of a file in bytes.
    fn length(&self, path: &str) -> io::Result<u64>;

    /// Renames a file or folder, replacing a file that stands at `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes a folder with all that is in it.
    fn remove_all(&self, path: &str) -> io::Result<()>;

    /// Creates a folder and its parents; succeeds if it is there already.
    fn create_all(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a folder durable (`fsync` of the directory); `""` is the root.
    fn sync_directory(&self, path: &str) -> io::Result<()>;

    /// Takes the exclusive lock of this path (creating the file), held until the guard drops or the process ends;
    /// fails with `WouldBlock` at once if another holder, in this process or another, has it.
    fn lock(&self, path: &str) -> io::Result<Box<dyn LockGuard>>;

    /// The same for one who only reads, and so may be where nothing can be written: a lock's file that is there is locked as it
    /// is. `None` where there is none and none can be created, or where it may not even be opened: then nobody is kept out.
    fn lock_to_read(&self, path: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        self.lock(path).map(Some)
    }
}

/// A file open for appending by one writer. Appends, fills and cuts must be serialised by the caller; [`WriteFile::sync`] may
/// run beside them.
pub trait WriteFile: fmt::Debug + Send + Sync {
    /// Appends all the bytes at the end.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Appends the slices one after the other, in as few system calls as possible.
    fn append_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        slices.iter().try_for_each(|slice| self.append(slice))
    }

    /// Waits until everything appended before the call is on disk.
    fn sync(&self) -> io::Result<()>;

    /// Says that about `bytes` more will be appended, so that the file system may find room for them in one go. It is a
    /// hint: it changes neither length nor content, and where it isn't possible nothing happens.
    fn reserve(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Writes `zeros` zeros behind the end without moving it: appends go over them. A sync of what lies within them has no
    /// new length and no new blocks to make durable, and costs a write of its bytes alone. What was filled beyond the end is
    /// part of the file's length until [`WriteFile::truncate`] cuts it off.
    fn fill(&self, zeros: usize) -> io::Result<()>;

    /// Cuts the file to `length` bytes, giving back room that was reserved or filled; the next append goes there.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// A file open for positioned reads.
pub trait ReadFile: fmt::Debug + Send + Sync {
    /// Fills `buffer` from `offset`; fails with `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The file's present length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// The file of the operating system behind it, which its bytes can be sent from without reading them; `None` where
    /// there is no such file.
    fn file(&self) -> Option<&File> {
        None
    }
}

/// Holds a lock until dropped.
pub trait LockGuard: fmt::Debug + Send + Sync {}
