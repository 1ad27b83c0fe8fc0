//! What can go wrong on the way out.

use std::io;
use std::path::PathBuf;

use arrow_schema::{ArrowError, DataType};
use parquet::errors::ParquetError;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The output can't take the bytes: a full disk, a closed pipe.
    #[error("writing the output failed: {0}")]
    Write(#[from] io::Error),
    /// A system call on a named file failed.
    #[error("{path}: {action} failed: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The error of the system call.
        source: io::Error,
    },
    /// Something that is no ordinary file stands where the file should go.
    #[error("{path} is not an ordinary file and is left alone; name another file, or write to standard output instead")]
    NotAFile {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The format has no such compression.
    #[error("{format} has no compression {got}; choose one of: {expected}")]
    Compression {
        /// The format's name.
        format: &'static str,
        /// What was asked for.
        got: &'static str,
        /// What there is.
        expected: String,
    },
    /// The format can't hold a column of this type.
    #[error("column {column} is of type {got}, which {format} files of cartlog do not hold")]
    ColumnType {
        /// The format's name.
        format: &'static str,
        /// The column's name.
        column: String,
        /// Its type.
        got: DataType,
    },
    /// A batch does not have the columns that the file was begun with.
    #[error("a batch has the columns [{got}], expected [{expected}] as the file was begun with")]
    Schema {
        /// The batch's columns with their types.
        got: String,
        /// The file's columns with their types.
        expected: String,
    },
    /// A value that the format can't represent.
    #[error("column {column}: {format} can't represent {value}; export as parquet instead")]
    Value {
        /// The format's name.
        format: &'static str,
        /// The column's name.
        column: String,
        /// The value.
        value: String,
    },
    /// The store does not hold the nine columns of events.
    #[error("the store's column {index} is {got}, expected {expected}: it does not hold events")]
    NotEvents {
        /// The column's index.
        index: usize,
        /// What the store has there.
        got: String,
        /// What events have there.
        expected: String,
    },
    /// A segment's code stands for nothing.
    #[error("column {column}: code {code} is beyond the {entries} values that there are; run `cartlog verify`")]
    Code {
        /// The column's name.
        column: &'static str,
        /// The code.
        code: u64,
        /// How many values there are.
        entries: u64,
    },
    /// More text than an Arrow array can address.
    #[error("column {column}: its texts take {bytes} bytes, more than the 2 GiB that one Arrow array holds")]
    TooMuchText {
        /// The column's name.
        column: &'static str,
        /// The bytes of all its distinct texts.
        bytes: u64,
    },
    /// The folder holds partitions that no commit names, which the new ones would mix with.
    #[error(
        "{path} holds partitions that are not of a data set of cartlog ({found}); name another place, or remove them first"
    )]
    PartitionsExist {
        /// The folder.
        path: String,
        /// One of the partitions.
        found: String,
    },
    /// There is a data set already.
    #[error("{path} holds a data set already; add --since-last to add what is new to it, or name another place")]
    DataSetExists {
        /// The folder.
        path: String,
    },
    /// A data set that can't be continued.
    #[error("{path}: the data set can't be continued after its commit {commit}: {what}; export to another place")]
    DataSet {
        /// The folder.
        path: String,
        /// The number of the commit.
        commit: u64,
        /// What doesn't fit.
        what: String,
    },
    /// Another export is at work.
    #[error("{path}: another export is writing this data set; wait for it to end")]
    Busy {
        /// The folder.
        path: String,
    },
    /// Another export was committed first.
    #[error("{path} was written by another export at the same time; nothing was added, run the export again")]
    Crossed {
        /// The commit.
        path: String,
    },
    /// An object store refused.
    #[error("{url}: {action} failed: {source}")]
    ObjectStore {
        /// The object.
        url: String,
        /// What was tried.
        action: &'static str,
        /// What the store said.
        source: object_store::Error,
    },
    /// The Arrow library refused.
    #[error("Arrow: {0}")]
    Arrow(ArrowError),
    /// The Parquet library refused.
    #[error("Parquet: {0}")]
    Parquet(ParquetError),
}

impl ExportError {
    /// Whether the reader of the output has gone away (`cartlog export … | head`): nothing to tell anybody.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Write(source) | Self::File { source, .. } => source.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }
}

impl From<ArrowError> for ExportError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, source) => Self::Write(source),
            other => Self::Arrow(other),
        }
    }
}

impl From<ParquetError> for ExportError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(source) => Self::Write(*source),
                Err(source) => Self::Parquet(ParquetError::External(source)),
            },
            other => Self::Parquet(other),
        }
    }
}
