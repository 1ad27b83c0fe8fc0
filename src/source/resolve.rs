//! What was typed, as sources.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SourceError;

/// Something to read events from: a file (or named pipe), or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    StandardInput,
}

impl Source {
    /// Resolves arguments: paths, patterns with `*`, `?` or `[…]` (for what the shell left as it is), and `-` for
    /// standard input. The order is kept; files of one pattern come sorted by name.
    ///
    /// # Errors
    /// [`SourceError`] for an argument that names no file, a folder, or standard input a second time.
    ///
    /// ```
    /// use cartlog::source::Source;
    ///
    /// let error = Source::resolve(&["nowhere.csv".to_owned()]).unwrap_err();
    /// assert_eq!(error.to_string(), "nowhere.csv: no such file");
    /// ```
    pub fn resolve(arguments: &[String]) -> Result<Vec<Self>, SourceError> {
        let mut sources = Vec::with_capacity(arguments.len());
        for argument in arguments {
            if argument == "-" {
                if sources.iter().any(|source: &Self| source.place == Place::StandardInput) {
                    return Err(SourceError::StandardInputTwice);
                }
                sources.push(Self::standard_input());
            } else if is_pattern(argument) && !Path::new(argument).exists() {
                sources.extend(matching(argument)?);
            } else {
                sources.push(Self::file(argument)?);
            }
        }
        Ok(sources)
    }

    /// Standard input.
    #[must_use]
    pub fn standard_input() -> Self {
        Self { name: "standard input".into(), place: Place::StandardInput }
    }

    /// A file.
    ///
    /// # Errors
    /// [`SourceError`] if it is not there, a folder, or not to be looked at.
    pub fn file(path: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let path = path.into();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(SourceError::Folder { path }),
            Ok(_) => Ok(Self { name: path.to_string_lossy().into(), place: Place::File(path) }),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(SourceError::NotFound { path }),
            Err(source) => Err(SourceError::Open { name: path.to_string_lossy().into_owned(), source }),
        }
    }

    /// What the source is called in messages: its path as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes to read, compressed as they are, where that can be known before.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        match &self.place {
            Place::File(path) => fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len()),
            Place::StandardInput => None,
        }
    }
}

fn is_pattern(argument: &str) -> bool {
    argument.contains(['*', '?', '['])
}

fn matching(pattern: &str) -> Result<Vec<Source>, SourceError> {
    let paths = glob::glob(pattern).map_err(|source| SourceError::Pattern { pattern: pattern.to_owned(), source })?;
    let mut sources = Vec::new();
    for path in paths {
        let path = path.map_err(|error| SourceError::Open {
            name: error.path().to_string_lossy().into_owned(),
            source: error.into(),
        })?;
        if !path.is_dir() {
            sources.push(Source::file(path)?);
        }
    }
    if sources.is_empty() { Err(SourceError::NoMatch { pattern: pattern.to_owned() }) } else { Ok(sources) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_sources_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "c.txt", "[x].csv"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("d.csv")).unwrap();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let names = |arguments: &[String]| {
            Source::resolve(arguments)
                .map(|sources| sources.iter().map(|source| source.name().to_owned()).collect::<Vec<_>>())
        };
        let found = names(&[path("c.txt"), "-".to_owned(), path("?.csv")]).unwrap();
        assert_eq!(found, [path("c.txt"), "standard input".to_owned(), path("a.csv"), path("b.csv")]);
        assert_eq!(names(&[path("[x].csv")]).unwrap(), [path("[x].csv")], "an existing file is no pattern");
        let message = |arguments: &[String]| names(arguments).unwrap_err().to_string();
        assert_eq!(message(&[path("x.csv")]), format!("{}: no such file", path("x.csv")));
        assert_eq!(message(&[path("*.gz")]), format!("{}: no file matches this pattern", path("*.gz")));
        assert!(message(&[path("d.csv")]).contains("is a folder; name the files in it"));
        assert!(message(&["-".to_owned(), "-".to_owned()]).contains("only once"));
        assert!(message(&[path("a***b")]).contains("not a valid pattern"));
    }
}
