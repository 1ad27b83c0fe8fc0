//! The directory of the operating system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use memmap2::Mmap;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{Directory, LockGuard, ReadFile, WriteFile};

/// What files are filled with, again and again: it stays in the processor's cache.
static ZEROS: [u8; 32 << 10] = [0; 32 << 10];

/// A [`Directory`] of real files below a root folder.
#[derive(Debug, Clone)]
pub struct OsDirectory {
    root: PathBuf,
}

impl OsDirectory {
    /// Opens the folder at `root`, creating it and its parents when absent.
    ///
    /// # Errors
    /// The error of the system call when the folder can't be created.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        let absent: Vec<&Path> = root.ancestors().take_while(|folder| !folder.exists()).collect();
        fs::create_dir_all(&root)?;
        // The new folders' names are made durable, or all that is synced inside them could go with them.
        for parent in absent.iter().filter_map(|folder| folder.parent()) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { root })
    }

    /// The folder this directory is rooted at.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Directory for OsDirectory {
    fn place(&self, path: &str) -> String {
        self.at(path).display().to_string()
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.at(path))?;
        Ok(Box::new(OsWriteFile { file, end: AtomicU64::new(0) }))
    }

    fn open_append(&self, path: &str, length: u64) -> io::Result<Box<dyn WriteFile>> {
        let file = OpenOptions::new().write(true).open(self.at(path))?;
        let present = file.metadata()?.len();
        if present < length {
            return Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                format!("{} holds {present} bytes, expected at least {length}", self.at(path).display()),
            ));
        }
        // Also where nothing is to be cut: room that was reserved behind the end is given back.
        file.set_len(length)?;
        Ok(Box::new(OsWriteFile { file, end: AtomicU64::new(length) }))
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(OsReadFile { file: File::open(self.at(path))? }))
    }

    fn map(&self, path: &str) -> io::Result<Bytes> {
        let file = File::open(self.at(path))?;
        if file.metadata()?.len() == 0 {
            return Ok(Bytes::new());
        }
        #[expect(unsafe_code, reason = "the memory map is what the store is read through")]
        // SAFETY: a map is undefined behaviour if the file changes or shrinks under it. Files handed to `map` are
        // write-once: the store renames them into place complete and never writes to them again, replaces them only
        // by rename (which leaves the mapped inode alone) and holds a lock against a second writer.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Bytes::from_owner(map))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = fs::read_dir(self.at(path))?
            .map(|entry| {
                entry?.file_name().into_string().map_err(|name| {
                    io::Error::new(ErrorKind::InvalidData, format!("file name {} is not UTF-8", name.display()))
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.at(path).try_exists()
    }

    fn length(&self, path: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.at(path))?.len())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_all(&self, path: &str) -> io::Result<()> {
        fs::remove_dir_all(self.at(path))
    }

    fn create_all(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.at(path))
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn LockGuard>> {
        OsLock::of(OpenOptions::new().create(true).truncate(false).write(true).open(self.at(path))?)
    }

    fn lock_to_read(&self, path: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        match self.lock(path) {
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {}
            locked => return locked.map(Some),
        }
        let Ok(file) = File::open(self.at(path)) else { return Ok(None) };
        match OsLock::of(file) {
            // File systems of a network may lock nothing but what is open for writing.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Ok(None),
            locked => locked.map(Some),
        }
    }
}

#[derive(Debug)]
struct OsWriteFile {
    file: File,
    /// Where the next append goes; behind it the file may hold zeros.
    end: AtomicU64,
}

impl OsWriteFile {
    fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }
}

impl WriteFile for OsWriteFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.append_vectored(&[IoSlice::new(bytes)])
    }

    fn append_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        // A failed append leaves the end where it was, so that the next goes over its rest.
        let end = write_at(&self.file, slices, self.end())?;
        self.end.store(end, Ordering::Relaxed);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn reserve(&self, bytes: u64) {
        // Without room for all of it, or on a file system that can't, each write finds its own room as usual.
        let _ = rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.end(), bytes);
    }

    fn fill(&self, zeros: usize) -> io::Result<()> {
        let mut slices = vec![IoSlice::new(&ZEROS); zeros / ZEROS.len()];
        slices.push(IoSlice::new(&ZEROS[..zeros % ZEROS.len()]));
        write_at(&self.file, &slices, self.end())?;
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.end.store(length, Ordering::Relaxed);
        Ok(())
    }
}

/// Writes the slices one after the other from `position` on; gives the position behind them.
fn write_at(file: &File, slices: &[IoSlice<'_>], mut position: u64) -> io::Result<u64> {
    let mut owned: Vec<IoSlice<'_>> = slices.to_vec();
    let mut rest = &mut owned[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match rustix::io::pwritev(file, rest, position) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(position)
}

#[derive(Debug)]
struct OsReadFile {
    file: File,
}

impl ReadFile for OsReadFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

#[derive(Debug)]
struct OsLock {
    _file: File,
}

impl OsLock {
    fn of(file: File) -> io::Result<Box<dyn LockGuard>> {
        match file.try_lock() {
            Ok(()) => Ok(Box::new(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::Error::from(ErrorKind::WouldBlock)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl LockGuard for OsLock {}
