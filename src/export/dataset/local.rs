//! A data set in a folder of the file system.

use std::any::Any;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cartlog_storage::io::{Directory, OsDirectory};

use super::Place;
use crate::export::sink::Buffered;
use crate::export::{ExportError, Sink};

/// A folder.
#[derive(Debug)]
pub struct LocalPlace {
    directory: Arc<dyn Directory>,
    path: PathBuf,
}

impl LocalPlace {
    /// The folder at a path, created if it isn't there.
    ///
    /// # Errors
    /// [`ExportError::File`] if it can't be.
    pub fn open(path: &Path) -> Result<Self, ExportError> {
        let directory = OsDirectory::open(path).map_err(|source| ExportError::File {
            path: path.to_owned(),
            action: "creating the folder",
            source,
        })?;
        Ok(Self::of(Arc::new(directory), path))
    }

    /// Any directory, which messages call by this path.
    #[must_use]
    pub fn of(directory: Arc<dyn Directory>, path: &Path) -> Self {
        Self { directory, path: path.to_owned() }
    }

    fn failed(&self, name: &str, action: &'static str) -> impl FnOnce(io::Error) -> ExportError {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        move |source| ExportError::File { path, action, source }
    }

    fn create_parent(&self, name: &str) -> Result<(), ExportError> {
        let folder = folder_of(name);
        self.directory.create_all(folder).map_err(self.failed(folder, "creating the folder"))
    }
}

impl Place for LocalPlace {
    fn describe(&self, name: &str) -> String {
        if name.is_empty() { self.path.display().to_string() } else { self.path.join(name).display().to_string() }
    }

    fn lock(&self, name: &str) -> Result<Option<Box<dyn Any>>, ExportError> {
        self.create_parent(name)?;
        match self.directory.lock(name) {
            Ok(guard) => Ok(Some(Box::new(guard))),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ExportError::Busy { path: self.describe("") }),
            Err(error) => Err(self.failed(name, "locking")(error)),
        }
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ExportError> {
        match self.directory.list(folder) {
            Ok(names) => Ok(names),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.failed(folder, "listing the folder")(error)),
        }
    }

    fn exists(&self, name: &str) -> Result<bool, ExportError> {
        self.directory.exists(name).map_err(self.failed(name, "looking for it"))
    }

    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, ExportError> {
        match self.directory.map(name) {
            Ok(bytes) => Ok(Some(bytes[..bytes.len().min(most)].to_vec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(name, "reading")(error)),
        }
    }

    fn create(&self, name: &str) -> Result<Box<dyn Sink>, ExportError> {
        self.create_parent(name)?;
        let file = self.directory.create(name).map_err(self.failed(name, "creating"))?;
        let path = self.path.join(name);
        Ok(Box::new(LocalFile { file: Buffered::new(file), path }))
    }

    fn create_new(&self, name: &str, bytes: &[u8]) -> Result<bool, ExportError> {
        if self.exists(name)? {
            return Ok(false);
        }
        let new = format!("{name}.new");
        let write = || {
            // What a crash has left; the lock says that nobody is writing it.
            match self.directory.remove(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = self.directory.create(&new)?;
            file.append(bytes)?;
            file.sync()?;
            self.directory.rename(&new, name)?;
            self.directory.sync_directory(folder_of(name))
        };
        write().map_err(self.failed(name, "writing the commit"))?;
        Ok(true)
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, ExportError> {
        if !self.exists(from)? {
            return Ok(false);
        }
        self.create_parent(to)?;
        self.directory.rename(from, to).map_err(self.failed(to, "moving the finished file to it"))?;
        Ok(true)
    }

    fn settle(&self, folders: &BTreeSet<&str>) -> Result<(), ExportError> {
        let sync = |folder: &str| match self.directory.sync_directory(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(self.failed(folder, "writing the folder to disk (fsync)")(error))
            }
            _ => Ok(()),
        };
        folders.iter().copied().try_for_each(sync)?;
        sync("")
    }

    fn remove_folder(&self, folder: &str) -> Result<(), ExportError> {
        match self.directory.remove_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed(folder, "removing")(error)),
            _ => Ok(()),
        }
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A file that is being written.
struct LocalFile {
    file: Buffered,
    path: PathBuf,
}

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for LocalFile {
    fn complete(mut self: Box<Self>) -> Result<(), ExportError> {
        self.file.complete(&self.path)
    }
}
