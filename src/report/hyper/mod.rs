//! A Tableau extract (`.hyper`): tables with types, as Tableau opens them fastest.
//!
//! The format is not published; Tableau's own engine writes it. It comes as the package `tableauhyperapi` of Python, so
//! the tables are written as Parquet, which that engine reads, and a small script makes the extract of them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ReportError;
use crate::export::{self, WriteOptions};
use crate::table::Table;

const SCRIPT: &str = include_str!("extract.py");

/// A folder of tables as Parquet that become one extract. It is removed with its files when this is dropped.
#[derive(Debug)]
pub struct Extract {
    target: PathBuf,
    folder: PathBuf,
}

impl Extract {
    /// Begins the extract that `target` will hold, with a folder beside it for what it is made of.
    ///
    /// # Errors
    /// [`ReportError::Hyper`] if the folder can't be made.
    pub fn begin(target: &Path) -> Result<Self, ReportError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        let folder = target.with_file_name(name);
        std::fs::create_dir(&folder).map_err(|error| failed(target, &format!("{}: {error}", folder.display())))?;
        Ok(Self { target: target.to_owned(), folder })
    }

    /// The file of a table, for whoever writes it in pieces; it is Parquet.
    #[must_use]
    pub fn file(&self, table: &str) -> PathBuf {
        self.folder.join(format!("{table}.parquet"))
    }

    /// Adds a table.
    ///
    /// # Errors
    /// [`ReportError::Export`].
    pub fn add(&self, table: &Table) -> Result<(), ReportError> {
        if let Some(parquet) = export::format("parquet") {
            export::write_table_file(table, parquet, &self.file(&table.name), WriteOptions::default())?;
        }
        Ok(())
    }

    /// Lets `python` make the extract. It appears whole or not at all. Gives the rows of each table, as Tableau's engine counts them.
    ///
    /// # Errors
    /// [`ReportError::NoHyper`] if Tableau's engine isn't there, [`ReportError::Hyper`] with what it says.
    pub fn finish(self, python: &str) -> Result<BTreeMap<String, u64>, ReportError> {
        let made = self.folder.join("made.hyper");
        let absent = |reason: String| ReportError::NoHyper { python: python.to_owned(), reason };
        let done = Command::new(python)
            .args(["-c", SCRIPT])
            .args([self.folder.as_os_str(), made.as_os_str()])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| absent(error.to_string()))?;
        let told = String::from_utf8_lossy(&done.stderr);
        if let Some(reason) = told.trim().strip_prefix("MISSING ") {
            return Err(absent(reason.to_owned()));
        }
        let last = |text: &str| text.trim().lines().last().unwrap_or("it says nothing").to_owned();
        if !done.status.success() {
            return Err(failed(&self.target, &last(&told)));
        }
        let rows = serde_json::from_slice(&done.stdout).map_err(|error| failed(&self.target, &error.to_string()))?;
        let kept = std::fs::File::open(&made).and_then(|file| file.sync_all());
        kept.and_then(|()| std::fs::rename(&made, &self.target))
            .and_then(|()| sync_folder(&self.target))
            .map_err(|error| failed(&self.target, &error.to_string()))?;
        Ok(rows)
    }
}

impl Drop for Extract {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!("can't remove {}: {error}", self.folder.display());
        }
    }
}

fn sync_folder(target: &Path) -> io::Result<()> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

fn failed(path: &Path, reason: &str) -> ReportError {
    ReportError::Hyper { path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_engine_is_told_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("shop.hyper");
        let extract = Extract::begin(&target).unwrap();
        let message = extract.finish("no-such-python").unwrap_err().to_string();
        assert!(message.contains("pip install tableauhyperapi") && message.contains("no-such-python"), "{message}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
