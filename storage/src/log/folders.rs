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

/// Creates an empty folder for one partition of a topic; one that is there already is set aside.
pub(super) fn create(directory: &dyn Directory, entry: &TopicEntry, index: i32) -> Result<(), LogError> {
    let folder = partition_folder(&entry.name, index);
    if directory.exists(&folder).at("look for", &folder)? {
        set_aside(directory, &folder)?;
    }
    directory.create_all(&folder).at("create", &folder)?;
    let path = format!("{folder}/{METADATA_FILE}");
    let file = directory.create(&path).at("create", &path)?;
    file.append(format!("version: 0\ntopic_id: {}", entry.id).as_bytes()).at("write", &path)?;
    file.sync().at("sync", &path)?;
    directory.sync_directory(&folder).at("sync", &folder)
}

/// Removes the folders of a topic.
pub(super) fn remove(directory: &dyn Directory, entry: &TopicEntry) -> Result<(), LogError> {
    for index in 0..entry.partitions {
        let folder = partition_folder(&entry.name, index);
        // A folder of the same name may belong to a later topic.
        let metadata = directory.map(&format!("{folder}/{METADATA_FILE}")).unwrap_or_default();
        let ours = std::str::from_utf8(&metadata).is_ok_and(|text| text.contains(&entry.id.to_string()));
        if ours {
            directory.remove_all(&folder).at("remove", &folder)?;
        }
    }
    directory.sync_directory("").at("sync", "the log's folder")
}

/// Renames partition folders that no topic owns: the leftovers of a creation that was cut short.
pub(super) fn set_strays_aside(directory: &dyn Directory, catalogue: &Catalogue) -> Result<(), LogError> {
    for name in directory.list("").at("list", "the log's folder")? {
        let metadata = format!("{name}/{METADATA_FILE}");
        let is_partition = directory.exists(&metadata).unwrap_or(false);
        if is_partition && !name.ends_with("-stray") && !catalogue.knows_folder(&name) {
            set_aside(directory, &name)?;
        }
    }
    Ok(())
}

fn set_aside(directory: &dyn Directory, folder: &str) -> Result<(), LogError> {
    let stray = format!("{folder}.{}-stray", TopicId::random());
    tracing::warn!(folder, stray, "a folder that belongs to no topic is set aside");
    directory.rename(folder, &stray).at("set aside", folder)
}
