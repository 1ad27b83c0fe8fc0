//! What can go wrong in the store, said so that the message alone locates the fault.

use std::io;
use std::sync::Arc;

use crate::io::Directory;

/// An error of the columnar store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A system call failed.
    #[error("store file {path:?}: {operation} failed: {source}")]
    Io {
        /// The file, relative to the store's folder.
        path: String,
        /// What was tried.
        operation: &'static str,
        /// The system's own error.
        source: io::Error,
    },
    /// A folder of the store, its own or one in it, can't be looked into or made durable.
    #[error("the store's folder {folder} can't be {operation}: {source}")]
    Folder {
        /// The folder, where people find it.
        folder: String,
        /// What was tried: `listed` or `synced`.
        operation: &'static str,
        /// The system's own error.
        source: io::Error,
    },
    /// The system gives no more memory maps.
    #[error(
        "store file {file:?} can't be mapped: {source}; raise the limit of maps (vm.max_map_count) or of address space \
         (ulimit -v), or merge segments into fewer with `cartlog compact`"
    )]
    NoMap {
        /// The file, relative to the store's folder.
        file: String,
        /// The system's own error.
        source: io::Error,
    },
    /// Another writer holds the store.
    #[error("the store is locked by another writer: wait for it to end, or stop it (readers need no lock)")]
    Locked,
    /// A file's bytes are not what the format or their checksum demands.
    #[error(
        "store file {file:?} is damaged at byte {offset}: {what}; run `cartlog verify`, then restore the file or load again"
    )]
    Corrupt {
        /// The file, relative to the store's folder.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// What was found there and what was expected.
        what: String,
    },
    /// A file was written by a version of cartlog that this one does not know.
    #[error("store file {file:?} has format version {got}, this cartlog reads version {expected}: use a newer cartlog")]
    UnknownVersion {
        /// The file, relative to the store's folder.
        file: String,
        /// The version in the file.
        got: u32,
        /// The newest version known here.
        expected: u32,
    },
    /// A file that the manifest names is not there.
    #[error("store file {file:?} is missing although the manifest names it: restore it from a copy, or load again")]
    MissingFile {
        /// The file, relative to the store's folder.
        file: String,
    },
    /// There is no manifest, although files of a store are there.
    #[error("the store's manifest is missing but {file:?} is there: restore the manifest, or empty the folder by hand")]
    MissingManifest {
        /// One of the files found.
        file: String,
    },
    /// There is no store in the folder.
    #[error("there is no store here yet: load something first")]
    NoStore,
    /// The store was created with other columns.
    #[error("the store was created with other columns ({got}; expected {expected}): use another folder for it")]
    SchemaMismatch {
        /// The columns of the store.
        got: String,
        /// The columns asked for.
        expected: String,
    },
    /// A schema that no store can hold.
    #[error("invalid schema: {reason}")]
    InvalidSchema {
        /// What is wrong with it.
        reason: String,
    },
    /// Rows that do not fit the schema or themselves.
    #[error("invalid batch: {reason}")]
    InvalidBatch {
        /// What is wrong with it.
        reason: String,
    },
    /// A delivery whose text or range is beyond the store's limits.
    #[error("invalid delivery: {reason}")]
    InvalidDelivery {
        /// What is wrong with it.
        reason: String,
    },
    /// A dictionary text longer than the format allows.
    #[error("a dictionary text has {got} bytes, at most {limit} are allowed")]
    TextTooLong {
        /// Its length in bytes.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A dictionary that can't take another text.
    #[error("the dictionary is full: {entries} distinct texts, {bytes} bytes")]
    DictionaryFull {
        /// Texts in it.
        entries: usize,
        /// Bytes of all texts in it.
        bytes: usize,
    },
    /// The next offset of a partition would go backwards.
    #[error(
        "topic {topic:?} partition {partition}: next offset {got} is before {known}, which the store has already; \
         the topic was re-created or the delivery came twice"
    )]
    PositionBackwards {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset brought by the delivery.
        got: i64,
        /// The offset known to the store.
        known: i64,
    },
    /// A delivery brings a byte range of a source that the store has already.
    #[error("source {name:?} ({id}): bytes {start}..{end} overlap a range that is stored already: claim ranges first")]
    RangeOverlap {
        /// The source's identity.
        id: String,
        /// The source's display name.
        name: String,
        /// The start of the range brought.
        start: u64,
        /// Its end, exclusive.
        end: u64,
    },
    /// What was read again is not what a damaged file was made of.
    #[error("store file {file:?} can't be made anew: {what}")]
    NotTheRows {
        /// The file, relative to the store's folder.
        file: String,
        /// What differs.
        what: String,
    },
    /// Numbers that must agree do not: a defect of cartlog, caught before it reached the disk.
    #[error("store invariant broken: {what}; nothing was written, please report this")]
    Invariant {
        /// The invariant and the numbers.
        what: String,
    },
    /// The store stopped at an earlier error.
    #[error("the store stopped at an earlier error and takes nothing more until it is opened again: {first}")]
    Latched {
        /// That error.
        first: Arc<StoreError>,
    },
}

impl StoreError {
    /// Turns an I/O error into one that names the file and what was tried.
    pub(crate) fn io(path: &str, operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), operation, source }
    }

    /// Turns an I/O error into one that names the folder, in full: what is wrong with a folder is found outside of it.
    pub(crate) fn folder(
        directory: &dyn Directory,
        path: &str,
        operation: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Folder { folder: directory.place(path), operation, source }
    }

    /// A damaged file.
    pub(crate) fn corrupt(file: &str, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, what: what.into() }
    }
}
