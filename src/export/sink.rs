//! Where an export's bytes go: an open stream, or a file that appears whole or not at all.
//!
//! Invariants:
//! - Nothing stands under a file's final name before every byte of it is on disk.
//! - A writer that is dropped before its end leaves nothing behind.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cartlog_storage::io::{Directory, OsDirectory, WriteFile};

use super::ExportError;

/// Takes the bytes of one output, and is told when they are complete.
pub trait Sink: Write + Send {
    /// Ends the output: flushes it and makes it durable where that means something.
    ///
    /// # Errors
    /// [`ExportError::Write`] or [`ExportError::File`] when the last bytes can't be written.
    fn complete(self: Box<Self>) -> Result<(), ExportError>;
}

/// Any [`Write`] as a [`Sink`]: standard output, a socket, `&mut Vec<u8>`. Completing it flushes it.
///
/// ```
/// use cartlog::export::{Sink, Stream};
/// use std::io::Write;
///
/// let mut bytes = Vec::new();
/// let mut sink = Box::new(Stream(&mut bytes));
/// sink.write_all(b"brand,sales\n")?;
/// sink.complete()?;
/// assert_eq!(bytes, b"brand,sales\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stream<W>(pub W);

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send> Sink for Stream<W> {
    fn complete(mut self: Box<Self>) -> Result<(), ExportError> {
        Ok(self.flush()?)
    }
}

const BUFFER_BYTES: usize = 1 << 20;

/// A file that takes its bytes in large pieces.
#[derive(Debug)]
pub(super) struct Buffered {
    file: Box<dyn WriteFile>,
    buffer: Vec<u8>,
}

impl Buffered {
    pub(super) fn new(file: Box<dyn WriteFile>) -> Self {
        Self { file, buffer: Vec::with_capacity(BUFFER_BYTES) }
    }

    /// Writes what is left and waits until all of it is on disk; `path` is what messages call the file.
    pub(super) fn complete(&mut self, path: &Path) -> Result<(), ExportError> {
        self.write_buffer().map_err(|source| failure(path, "writing", source))?;
        self.file.sync().map_err(|source| failure(path, "writing to disk (fsync)", source))
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.append(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.write_buffer()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.file.append(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    /// Does nothing: bytes count only when the file is complete.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is written under a temporary name beside its own and renamed when complete.
///
/// The temporary name starts with a dot, so that readers of a folder (Spark, Hive) pass it by. Dropped before
/// [`Sink::complete`], the temporary is removed; a file that stood under the name before is untouched.
///
/// ```
/// use cartlog::export::{AtomicFile, Sink};
/// use std::io::Write;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("price_bands.csv");
/// let mut file = Box::new(AtomicFile::create(&path)?);
/// file.write_all(b"band,sales\n")?;
/// assert!(!path.exists());
/// file.complete()?;
/// assert_eq!(std::fs::read(&path)?, b"band,sales\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    directory: Arc<dyn Directory>,
    path: PathBuf,
    name: String,
    temporary: String,
    file: Buffered,
    complete: bool,
}

impl AtomicFile {
    /// Begins the file at `path`; its folder is created when absent. A symbolic link is followed, so that the file it
    /// points to is replaced and the link stays.
    ///
    /// # Errors
    /// [`ExportError::NotAFile`] when something else than an ordinary file stands at the path,
    /// [`ExportError::File`] when the folder or the temporary file can't be created.
    pub fn create(path: &Path) -> Result<Self, ExportError> {
        let path = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => return Err(ExportError::NotAFile { path: path.to_owned() }),
            Ok(_) => fs::canonicalize(path).map_err(|source| failure(path, "resolving the path", source))?,
            Err(_) => path.to_owned(),
        };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(ExportError::NotAFile { path });
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = OsDirectory::open(folder).map_err(|source| failure(folder, "creating the folder", source))?;
        Self::create_in(Arc::new(directory), name, &path)
    }

    /// Begins the file `name` of `directory`; `path` is what messages call it.
    ///
    /// # Errors
    /// [`ExportError::File`] when the temporary file can't be created.
    pub fn create_in(directory: Arc<dyn Directory>, name: &str, path: &Path) -> Result<Self, ExportError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{name}.{}-{number}.tmp", process::id());
        let file = directory
            .create(&temporary)
            .map_err(|source| failure(path, "creating a temporary file beside it", source))?;
        Ok(Self {
            directory,
            path: path.to_owned(),
            name: name.to_owned(),
            temporary,
            file: Buffered::new(file),
            complete: false,
        })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for AtomicFile {
    fn complete(mut self: Box<Self>) -> Result<(), ExportError> {
        self.file.complete(&self.path)?;
        self.directory
            .rename(&self.temporary, &self.name)
            .map_err(|source| failure(&self.path, "renaming the temporary file to it", source))?;
        self.complete = true;
        self.directory
            .sync_directory("")
            .map_err(|source| failure(&self.path, "writing its folder to disk (fsync)", source))
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.complete {
            // The file is only a temporary that no reader looks at: failing to remove it loses nothing.
            let _ = self.directory.remove(&self.temporary);
        }
    }
}

fn failure(path: &Path, action: &'static str, source: io::Error) -> ExportError {
    ExportError::File { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out/deeper/table.csv");
        let mut file = Box::new(AtomicFile::create(&path).unwrap());
        let long = vec![b'x'; 3 * BUFFER_BYTES + 7];
        file.write_all(b"head").unwrap();
        file.write_all(&long).unwrap();
        file.write_all(b"tail").unwrap();
        assert!(!path.exists());
        file.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), [b"head", &long[..], b"tail"].concat());
        assert_eq!(names(path.parent().unwrap()), ["table.csv"]);
    }

    #[test]
    fn a_dropped_file_leaves_nothing_and_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["table.csv"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target.csv"), folder.path().join("link.csv"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut file = Box::new(AtomicFile::create(&link).unwrap());
        file.write_all(b"new").unwrap();
        file.complete().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_device_or_folder_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for path in [Path::new("/dev/null"), folder.path()] {
            assert!(matches!(AtomicFile::create(path), Err(ExportError::NotAFile { .. })), "{}", path.display());
        }
    }
}
