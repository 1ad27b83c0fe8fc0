//! Which topics there are, on disk.
//!
//! `cartlog.topics` is the commit point of creating and deleting topics. It is a line with the format's version and the
//! CRC-32C of what follows, then JSON:
//!
//! ```text
//! cartlog topics 1 5f2b8e1c
//! {"cluster_id":"…","topics":[{"name":"events","id":"…","partitions":4,"config":{}}],"deleting":[]}
//! ```
//!
//! Creating topics and partitions: folders first, then the file. Deleting: the file names the topic as being deleted, then
//! the folders and the checkpoints' lines go, then the file forgets it. A folder that the file doesn't know is set aside
//! under another name, never removed.

use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::error::{IoContext as _, LogError};
use super::folders;
use super::settings::TopicConfig;
use super::topic::TopicId;
use crate::io::Directory;

pub(super) const PATH: &str = "cartlog.topics";
const TEMPORARY_PATH: &str = "cartlog.topics.tmp";
const FORMAT: &str = "cartlog topics 1";

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Catalogue {
    /// The id of the log, as Kafka's cluster id.
    pub(super) cluster_id: TopicId,
    pub(super) topics: Vec<TopicEntry>,
    /// Topics that are gone but for their folders.
    pub(super) deleting: Vec<TopicEntry>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TopicEntry {
    pub(super) name: String,
    pub(super) id: TopicId,
    pub(super) partitions: i32,
    pub(super) config: TopicConfig,
}

impl Catalogue {
    /// Whether the file is there: whether the folder holds a log.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(super) fn is_in(directory: &dyn Directory) -> Result<bool, LogError> {
        directory.exists(PATH).at("look for", PATH)
    }

    /// Reads the file; a log without one and without partitions is new.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::Corrupt`] or [`LogError::NoCatalogue`].
    pub(super) fn read(directory: &dyn Directory) -> Result<Self, LogError> {
        if Self::is_in(directory)? {
            return Self::decode(&directory.map(PATH).at("read", PATH)?);
        }
        // It is written before the first folder.
        if let Some(folder) = folders::partitions(directory)?.into_iter().next() {
            return Err(LogError::NoCatalogue { path: PATH, folder });
        }
        Ok(Self { cluster_id: TopicId::random(), topics: Vec::new(), deleting: Vec::new() })
    }

    fn encode(&self) -> Result<String, LogError> {
        let json = serde_json::to_string(self)
            .map_err(|error| LogError::io("encode", PATH, std::io::Error::new(ErrorKind::InvalidData, error)))?;
        Ok(format!("{FORMAT} {:08x}\n{json}\n", crc32c::crc32c(json.as_bytes())))
    }

    fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let corrupt = |position: usize, detail: String| LogError::Corrupt {
            path: PATH.to_owned(),
            position: position as u64,
            detail,
        };
        let text = std::str::from_utf8(bytes).map_err(|error| corrupt(error.valid_up_to(), error.to_string()))?;
        let (header, json) = text.split_once('\n').ok_or_else(|| corrupt(0, "it has no header line".to_owned()))?;
        let checksum = header
            .strip_prefix(FORMAT)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| corrupt(0, format!("its first line is {header:?}, expected {FORMAT:?} and a checksum")))?;
        let json = json.strip_suffix('\n').unwrap_or(json);
        let computed = crc32c::crc32c(json.as_bytes());
        // As text: what differs only in the case of a digit was not written here.
        if checksum != format!("{computed:08x}") {
            let detail = format!("its checksum is {checksum}, the content has {computed:08x}");
            return Err(corrupt(header.len() + 1, detail));
        }
        serde_json::from_str(json).map_err(|error| corrupt(header.len() + error.column(), error.to_string()))
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`LogError::Io`]; the file is as it was.
    pub(super) fn write(&self, directory: &dyn Directory) -> Result<(), LogError> {
        checkpoint::replace(directory, PATH, TEMPORARY_PATH, self.encode()?.as_bytes())
    }

    /// Where the topic of this name stands.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`].
    pub(super) fn position(&self, name: &str) -> Result<usize, LogError> {
        let found = self.topics.iter().position(|entry| entry.name == name);
        found.ok_or_else(|| LogError::UnknownTopic(name.to_owned()))
    }

    /// Whether a folder holds a partition of one of the topics.
    pub(super) fn knows_folder(&self, folder: &str) -> bool {
        folder.rsplit_once('-').is_some_and(|(name, index)| {
            let index: i32 = index.parse().unwrap_or(-1);
            self.topics.iter().any(|entry| entry.name == name && (0..entry.partitions).contains(&index))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Catalogue {
        let entry = |name: &str| TopicEntry {
            name: name.to_owned(),
            id: TopicId::random(),
            partitions: 3,
            config: TopicConfig::default().with_max_batch_bytes(7),
        };
        Catalogue { cluster_id: TopicId::random(), topics: vec![entry("a"), entry("b-1")], deleting: vec![entry("c")] }
    }

    #[test]
    fn roundtrip() {
        let catalogue = sample();
        assert_eq!(Catalogue::decode(catalogue.encode().unwrap().as_bytes()).unwrap(), catalogue);
        assert!(catalogue.knows_folder("b-1-2") && !catalogue.knows_folder("b-1") && !catalogue.knows_folder("a-3"));
    }

    #[test]
    fn detects_corruption() {
        let sound = sample().encode().unwrap().into_bytes();
        for at in 0..sound.len() - 1 {
            for bit in 0..8 {
                let mut damaged = sound.clone();
                damaged[at] ^= 1 << bit;
                assert!(Catalogue::decode(&damaged).is_err(), "byte {at}");
            }
            assert!(Catalogue::decode(&sound[..at]).is_err(), "cut at {at}");
        }
    }
}
