//! Where a data set is: the few things that it asks of a folder or an object store.

use std::any::Any;
use std::collections::BTreeSet;

use crate::export::{ExportError, Sink};

/// A tree of files under names with `/`.
pub trait Place: Send + Sync {
    /// What messages call a file, or the whole with `""`.
    fn describe(&self, name: &str) -> String;

    /// Keeps other exports out until what it returns is dropped, where that is possible.
    ///
    /// # Errors
    /// [`ExportError::Busy`] if another export is at work.
    fn lock(&self, name: &str) -> Result<Option<Box<dyn Any>>, ExportError>;

    /// Whether [`Place::lock`] keeps others out.
    fn is_exclusive(&self) -> bool;

    /// The names of files and folders in a folder; none if it isn't there.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, folder: &str) -> Result<Vec<String>, ExportError>;

    /// Whether there is such a file.
    ///
    /// # Errors
    /// What the system says.
    fn exists(&self, name: &str) -> Result<bool, ExportError>;

    /// The first bytes of a file, `most` of them at most, if there is such a file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, ExportError>;

    /// Begins a file under a name that no file has. It is durable when it is complete.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> Result<Box<dyn Sink>, ExportError>;

    /// Makes a file of these bytes, whole and durable, unless there is one already; tells whether it did.
    ///
    /// # Errors
    /// What the system says; then the file may be there or not.
    fn create_new(&self, name: &str, bytes: &[u8]) -> Result<bool, ExportError>;

    /// Moves a file; tells whether it was there.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> Result<bool, ExportError>;

    /// Makes the names in these folders, and in the whole, durable; those that aren't there are passed over.
    ///
    /// # Errors
    /// What the system says.
    fn settle(&self, folders: &BTreeSet<&str>) -> Result<(), ExportError>;

    /// Removes a folder and all that is in it; nothing if it isn't there.
    ///
    /// # Errors
    /// What the system says.
    fn remove_folder(&self, folder: &str) -> Result<(), ExportError>;
}
