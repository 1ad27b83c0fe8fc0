//! What one export has added to a data set, as the file that makes it count.

use serde::{Deserialize, Serialize};

use super::{FOLDER, Watermark};

/// One export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The version of this file's layout.
    pub version: u32,
    /// Its number; the first is 1.
    #[serde(rename = "commit")]
    pub number: u64,
    /// Which try at this number it is: part of the name of the folder that its files are written in.
    pub attempt: String,
    /// Where the next export goes on.
    #[serde(flatten)]
    pub watermark: Watermark,
    /// The row of the store, counted from 0, at which this export started.
    pub rows_before: u64,
    /// Rows in its files: those up to the watermark that the filter covers.
    pub rows: u64,
    /// The files' format.
    pub format: String,
    /// The filter as a condition of SQL; empty if all rows are exported.
    pub filter: String,
    /// Its files.
    pub files: Vec<CommittedFile>,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedFile {
    /// Its name from the data set on.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
}

impl Commit {
    /// The version written here.
    pub(super) const VERSION: u32 = 1;
    /// Bytes of the longest commit that is read: thousands of days and files.
    pub(super) const LONGEST: usize = 64 << 20;

    /// The name of the file.
    pub(super) fn name(number: u64) -> String {
        format!("{FOLDER}/commit-{number:010}.json")
    }

    /// The number of a file in the folder of commits, if it is one.
    pub(super) fn number_of(name: &str) -> Option<u64> {
        name.strip_prefix("commit-")?.strip_suffix(".json")?.parse().ok()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    pub(super) fn decode(bytes: &[u8], number: u64) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        if bytes.len() > Self::LONGEST {
            return Err(format!("its commit has more than {} bytes, no commit is that long", Self::LONGEST));
        }
        let damaged = |error: serde_json::Error| format!("its commit is damaged: {error}");
        let Version { version } = serde_json::from_slice(bytes).map_err(damaged)?;
        if version != Self::VERSION {
            return Err(format!("its commit has version {version}, expected {}: use a newer cartlog", Self::VERSION));
        }
        let commit: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        let is_inside = |file: &CommittedFile| file.path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if commit.number != number || !commit.files.iter().all(is_inside) {
            return Err("its commit is that of another number, or names files outside the data set".to_owned());
        }
        Ok(commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Commit {
        Commit {
            version: 1,
            number: 7,
            attempt: "00ff".to_owned(),
            watermark: Watermark {
                store: "ab".repeat(16),
                rows_after: 30,
                last_rows: "1a2b3c4d".to_owned(),
                rows_dropped: 5,
            },
            rows_before: 10,
            rows: 20,
            format: "parquet".to_owned(),
            filter: "event_type IN ('cart')".to_owned(),
            files: vec![CommittedFile { path: "day=2019-10-01/part-0.parquet".to_owned(), rows: 20 }],
        }
    }

    #[test]
    fn roundtrip() {
        assert_eq!(Commit::decode(&sample().encode(), 7), Ok(sample()));
        assert_eq!(Commit::number_of("commit-0000000007.json"), Some(7));
        assert_eq!(Commit::name(7), "_cartlog/commit-0000000007.json");
        for other in ["commit-.json", "commit-7", "staged", "lock"] {
            assert_eq!(Commit::number_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_commit_is_told() {
        let bytes = sample().encode();
        assert!(Commit::decode(&bytes, 8).unwrap_err().contains("another number"));
        assert!(Commit::decode(&bytes[..bytes.len() / 2], 7).unwrap_err().contains("damaged"));
        assert!(Commit::decode(b"", 7).unwrap_err().contains("damaged"));
        let newer = String::from_utf8(bytes).unwrap().replace("\"version\": 1", "\"version\": 2");
        assert!(Commit::decode(newer.as_bytes(), 7).unwrap_err().contains("use a newer cartlog"));
        let mut outside = sample();
        outside.files[0].path = "../day=2019-10-01".to_owned();
        assert!(Commit::decode(&outside.encode(), 7).unwrap_err().contains("outside"));
    }
}
