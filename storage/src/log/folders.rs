//! The folders of partitions: creating, removing and setting aside.
//!
//! Each holds a `partition.metadata` with its topic's id, as in Kafka, so that a folder is never taken for that of another
//! topic that had the name before.

use super::catalogue::{Catalogue, TopicEntry};
use super::error::{IoContext as _, LogError};
use super::partition::partition_folder;
use super::topic::TopicId;
use crate::io::Directory;

const METADATA_FILE: &str = "partition.metadata";

/// The file that names the topic of a folder.
pub(super) fn metadata_path(folder: &str) -> String {
    format!("{folder}/{METADATA_FILE}")
}

/// Whether a path is that of such a file.
pub(super) fn is_metadata(path: &str) -> bool {
    path.rsplit('/').next() == Some(METADATA_FILE)
}

fn metadata(topic: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic}")
}

/// Checks that a folder's file names this topic; tells where it doesn't, and what is expected.
pub(super) fn check_metadata(bytes: &[u8], topic: TopicId) -> Result<(), (usize, String)> {
    let expected = metadata(topic);
    if bytes == expected.as_bytes() {
        return Ok(());
    }
    let same = bytes.iter().zip(expected.as_bytes()).take_while(|(got, expected)| got == expected).count();
    Err((same, format!("the file says {:?}, expected {expected:?}", String::from_utf8_lossy(bytes))))
}

/// Creates an empty folder for one partition of a topic; one that is there already is set aside.
pub(super) fn create(directory: &dyn Directory, entry: &TopicEntry, index: i32) -> Result<(), LogError> {
    let folder = partition_folder(&entry.name, index);
    if directory.exists(&folder).at("look for", &folder)? {
        set_aside(directory, &folder)?;
    }
    directory.create_all(&folder).at("create", &folder)?;
    name_topic(directory, &folder, entry.id).inspect_err(|_| {
        // A folder that doesn't say whose it is would be in nobody's way, and nobody's to remove.
        let _ = directory.remove_all(&folder);
    })
}

/// Writes the file that names a folder's topic; there must be none.
pub(super) fn name_topic(directory: &dyn Directory, folder: &str, topic: TopicId) -> Result<(), LogError> {
    let path = metadata_path(folder);
    let file = directory.create(&path).at("create", &path)?;
    file.append(metadata(topic).as_bytes()).at("write", &path)?;
    file.sync().at("sync", &path)?;
    directory.sync_directory(folder).at("sync", folder)
}

/// Removes the folders of a topic's partitions from a number on.
pub(super) fn remove(directory: &dyn Directory, entry: &TopicEntry, from: i32) -> Result<(), LogError> {
    for index in from..entry.partitions {
        let folder = partition_folder(&entry.name, index);
        // A folder of the same name may belong to a later topic.
        let metadata = directory.map(&metadata_path(&folder)).unwrap_or_default();
        let ours = std::str::from_utf8(&metadata).is_ok_and(|text| text.contains(&entry.id.to_string()));
        if ours {
            directory.remove_all(&folder).at("remove", &folder)?;
        }
    }
    directory.sync_directory("").at("sync", "the log's folder")
}

/// The folders of partitions, those set aside left out.
pub(super) fn partitions(directory: &dyn Directory) -> Result<Vec<String>, LogError> {
    let mut names = directory.list("").at("list", "the log's folder")?;
    names.retain(|name| !name.ends_with("-stray") && directory.exists(&metadata_path(name)).unwrap_or(false));
    Ok(names)
}

/// Renames partition folders that no topic owns: the leftovers of a creation that was cut short.
pub(super) fn set_strays_aside(directory: &dyn Directory, catalogue: &Catalogue) -> Result<(), LogError> {
    let mut strays = partitions(directory)?.into_iter().filter(|name| !catalogue.knows_folder(name));
    strays.try_for_each(|name| set_aside(directory, &name))
}

fn set_aside(directory: &dyn Directory, folder: &str) -> Result<(), LogError> {
    let stray = format!("{folder}.{}-stray", TopicId::random());
    tracing::warn!(folder, stray, "a folder that belongs to no topic is set aside");
    directory.rename(folder, &stray).at("set aside", folder)
}
