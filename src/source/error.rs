//! What can go wrong with a source.

use std::io;
use std::path::PathBuf;

/// An error that ends the reading of a source. What is wrong with single lines is not: they become rejects.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A named file is not there.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// As it was given.
        path: PathBuf,
    },
    /// A pattern that no file matches.
    #[error("{pattern}: no file matches this pattern")]
    NoMatch {
        /// As it was given.
        pattern: String,
    },
    /// A pattern that is none.
    #[error("{pattern}: not a valid pattern: {source}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        source: glob::PatternError,
    },
    /// A folder where a file is expected.
    #[error("{}: is a folder; name the files in it, for example '{}/*.csv'", path.display(), path.display())]
    Folder {
        /// As it was given.
        path: PathBuf,
    },
    /// Standard input named more than once.
    #[error("-: standard input can be read only once")]
    StandardInputTwice,
    /// A file or folder that can't be opened.
    #[error("{name}: can't be opened: {source}")]
    Open {
        /// The source.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
    /// Reading failed.
    #[error("{name}: reading failed at byte {offset}: {source}")]
    Read {
        /// The source.
        name: String,
        /// Where in the source.
        offset: u64,
        /// The error of the system.
        source: io::Error,
    },
    /// Compressed data that is damaged or cut off. The rows before it have been read.
    #[error(
        "{name}: the {format} data is damaged or cut off after byte {offset} of its content: {source}; every whole line before \
         is read; get the file again and load it again, what is known by then is not loaded twice"
    )]
    Compressed {
        /// The source.
        name: String,
        /// Which compression.
        format: &'static str,
        /// Bytes of content before the damage.
        offset: u64,
        /// What the decompressor says.
        source: io::Error,
    },
    /// A format that is not read.
    #[error("{name}: is {format}, expected CSV (plain or compressed by gzip or zstd), Parquet or ORC; {advice}")]
    OtherFormat {
        /// The source.
        name: String,
        /// What it is.
        format: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A columnar file that can be read only once.
    #[error("{name}: is {format}, which is read from its end; save it as a file and name that")]
    NotAFile {
        /// The source.
        name: String,
        /// What it is.
        format: &'static str,
    },
    /// A columnar file whose columns are not those of events.
    #[error("{name}: the {format} file doesn't hold events: {what}; expected the columns {}", crate::event::HEADER)]
    Columns {
        /// The source.
        name: String,
        /// What it is.
        format: &'static str,
        /// Which columns are wrong, and how.
        what: String,
    },
    /// A columnar file that is not as its format says. The rows before have been read.
    #[error(
        "{name}: the {format} file is damaged after row {rows}: {what}; every row before is read; get the file again and \
         load it again, what is known by then is not loaded twice"
    )]
    Damaged {
        /// The source.
        name: String,
        /// What it is.
        format: &'static str,
        /// How many rows were read before.
        rows: u64,
        /// What is wrong.
        what: String,
    },
    /// A columnar file with something that is not read.
    #[error("{name}: this {format} file can't be read: {what}")]
    Unsupported {
        /// The source.
        name: String,
        /// What it is.
        format: &'static str,
        /// What it is that can't be read, and what to do.
        what: String,
    },
    /// Reading a columnar file failed.
    #[error("{name}: reading failed after row {rows}: {source}")]
    ReadRows {
        /// The source.
        name: String,
        /// How many rows were read before.
        rows: u64,
        /// The error of the system.
        source: io::Error,
    },
    /// A header that names some of the columns, and lacks others or has more.
    #[error("{name}: the header names other columns, `{got}`, expected {}", crate::event::HEADER)]
    HeaderColumns {
        /// The source.
        name: String,
        /// The header.
        got: String,
    },
    /// A header that names the columns in another order.
    #[error("{name}: the header names the columns in another order, expected {}", crate::event::HEADER)]
    ColumnOrder {
        /// The source.
        name: String,
    },
    /// Standard input begins like a source that is known, and then differs.
    #[error(
        "{name}: begins like a source loaded before, but bytes {start} to {end} differ from it; \
         load it from a file, or with --again to load it as another source"
    )]
    Differs {
        /// The source.
        name: String,
        /// Start of the known range.
        start: u64,
        /// End of the known range.
        end: u64,
    },
}
