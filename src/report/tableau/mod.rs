//! A packaged Tableau workbook: the results as CSV files, and sheets and dashboards that draw them.
//!
//! The package (`.twbx`) is a zip of `cartlog.twb`, an XML document, and the files under `Data/cartlog`. Data sources are
//! live connections to these files by relative paths, so that the workbook opens wherever it is put. Ids are text (64
//! bits don't fit Tableau's numbers), missing texts are shown as `(missing)`, and no category is merged with another.
//!
//! Source of the document's form: Tableau's published XSD of its workbooks
//! (<https://github.com/tableau/tableau-document-schemas>), versions 2018.1 and 2026.1.

mod document;
mod sheets;
mod source;
mod version;
mod xml;

use std::io::{Cursor, Write as _};
use std::path::Path;

use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use self::document::Document;
use self::sheets::SHEETS;
use self::source::{DataSource, FOLDER};
pub use self::version::TableauVersion;
use super::ReportError;
use crate::export::{self, AtomicFile, ExportError, Sink, Stream, WriteOptions};
use crate::table::Table;

/// The name of the document inside the package.
const DOCUMENT: &str = "cartlog.twb";

/// The names of the tables that the workbook shows, each once.
#[must_use]
pub fn tables() -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for sheet in SHEETS {
        if !names.contains(&sheet.table) {
            names.push(sheet.table);
        }
    }
    names
}

/// Writes the workbook of these tables, which are those of [`tables`], to a file that appears whole or not at all.
/// Gives the bytes of the file.
///
/// # Errors
/// [`ReportError`].
pub fn write_workbook(tables: &[Table], version: TableauVersion, path: &Path) -> Result<u64, ReportError> {
    let sources: Vec<DataSource<'_>> = tables.iter().map(DataSource::of).collect();
    let document = Document { version, sources: &sources }.workbook()?;
    let mut bytes = Vec::new();
    document.write_document(&mut bytes).map_err(ExportError::Write)?;
    let mut files = vec![(DOCUMENT.to_owned(), bytes)];
    for source in &sources {
        let mut bytes = Vec::new();
        if let Some(csv) = export::format("csv") {
            export::write_table(source.table, csv, Box::new(Stream(&mut bytes)), WriteOptions::default())?;
        }
        files.push((format!("{FOLDER}/{}", source.file()), bytes));
    }
    let package = pack(&files).map_err(|source| ReportError::Pack { path: path.to_owned(), source })?;
    let mut file = Box::new(AtomicFile::create(path)?);
    file.write_all(&package).map_err(ExportError::Write)?;
    file.complete()?;
    Ok(package.len() as u64)
}

/// The files as a zip archive, the same bytes for the same content.
fn pack(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, ZipError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(name.as_str(), SimpleFileOptions::default())?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests;
