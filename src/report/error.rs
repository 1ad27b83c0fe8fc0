//! Why a report can't be made.

use std::path::PathBuf;

use zip::result::ZipError;

use crate::export::ExportError;

/// Why a report can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A table that a sheet shows was not given.
    #[error("the report shows the table {table}, which was not given; make it with `cartlog analyze`")]
    MissingTable {
        /// The table's name.
        table: String,
    },
    /// A table lacks a column that a sheet shows.
    #[error("the report shows the column {column} of {table}, which that table does not have")]
    MissingColumn {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
    },
    /// A table can't be written as CSV, or the file can't be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Tableau's engine isn't there.
    #[error(
        "an extract is written by Tableau's own engine, which {python} doesn't have ({reason}): pip install tableauhyperapi, \
         and name that Python with --python"
    )]
    NoHyper {
        /// The Python that was asked.
        python: String,
        /// What it said.
        reason: String,
    },
    /// Tableau's engine failed.
    #[error("{path}: the extract can't be made: {reason}")]
    Hyper {
        /// The extract.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A picture can't be drawn.
    #[error("the picture can't be drawn: {reason}")]
    Picture {
        /// What went wrong, and what to do.
        reason: String,
    },
    /// The package can't be made.
    #[error("{path}: packing the workbook failed: {source}")]
    Pack {
        /// The package.
        path: PathBuf,
        /// What went wrong.
        source: ZipError,
    },
}
