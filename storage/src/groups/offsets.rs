//! Committing, fetching and deleting offsets, and the groups that go with their last one.

use std::sync::Arc;

use super::coordinator::{Answer, Coordinator, Groups, Slot, check_id, now_ms};
use super::error::GroupError;
use super::format::{Committed, Record};
use super::group::{CONSUMER, GroupState};
use super::member::Identity;
use super::table::Entry;
use crate::log::{Topic, TopicId};

/// An offset to be committed.
#[derive(Debug, Clone)]
pub struct NewOffset {
    /// The topic, by the id that no later topic of its name has.
    pub topic: TopicId,
    /// The partition's number.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read, or -1.
    pub leader_epoch: i32,
    /// The client's own text.
    pub metadata: Arc<str>,
}

/// The offsets that a group committed in one topic, by partition.
#[derive(Debug, Clone)]
pub struct TopicOffsets {
    /// The topic.
    pub topic: Arc<Topic>,
    /// Partitions and what was committed, ascending.
    pub offsets: Vec<(i32, Committed)>,
}

/// A deletion of offsets that has begun.
#[derive(Debug)]
pub struct OffsetDeletion {
    /// For each partition whether its offset may be deleted, in the order asked.
    pub results: Vec<Result<(), GroupError>>,
    /// Comes when those that may be deleted are gone for good.
    pub done: Answer<()>,
}

impl Coordinator {
    /// Checks whether an offset of this partition may be committed with this text, and names the topic's id.
    ///
    /// # Errors
    /// [`GroupError::UnknownPartition`] or [`GroupError::OffsetMetadataTooLarge`].
    pub fn check_offset(&self, topic: Option<&Topic>, partition: i32, metadata: &str) -> Result<TopicId, GroupError> {
        let topic = topic.filter(|topic| topic.partition(partition).is_some()).ok_or(GroupError::UnknownPartition)?;
        let (got, maximum) = (metadata.len(), self.options.max_offset_metadata_bytes);
        if got > maximum { Err(GroupError::OffsetMetadataTooLarge { got, maximum }) } else { Ok(topic.id()) }
    }

    /// Commits offsets together. They are durable when the answer comes, and visible from then on. A generation below 0
    /// without a member commits from outside the group, which is created if it isn't there.
    ///
    /// # Errors
    /// [`GroupError`] if the group refuses; in the answer [`GroupError::Storage`] if the offsets can't be written.
    pub fn commit(
        &self,
        group: &str,
        identity: &Identity,
        generation: i32,
        offsets: Vec<NewOffset>,
    ) -> Result<Answer<()>, GroupError> {
        check_id(group, 0)?;
        let mut groups = self.lock();
        if !groups.by_id.contains_key(group) {
            if generation >= 0 {
                return Err(GroupError::IllegalGeneration { got: generation, expected: -1 });
            }
            self.create(&mut groups, group)?;
        }
        let slot = groups.by_id.get_mut(group).ok_or(GroupError::NotAvailable)?;
        slot.group.check_commit(identity, generation, std::time::Instant::now())?;
        let (name, commit_time_ms): (Arc<str>, _) = (group.into(), now_ms());
        let records: Vec<_> = offsets
            .into_iter()
            .map(|new| Record::Offset {
                group: Arc::clone(&name),
                topic: new.topic,
                partition: new.partition,
                committed: Committed {
                    offset: new.offset,
                    leader_epoch: new.leader_epoch,
                    commit_time_ms,
                    metadata: new.metadata,
                },
            })
            .collect();
        let bytes: usize = records.iter().map(Record::encoded_length).sum();
        let limit = self.options.max_offset_bytes;
        if self.store.table().bytes() + self.store.waiting_bytes() + bytes > limit {
            return Err(GroupError::Limit { what: "the committed offsets of all groups", limit });
        }
        self.write(slot, records)
    }

    /// The offset that a group committed, if any.
    #[must_use]
    pub fn committed(&self, group: &str, topic: TopicId, partition: i32) -> Option<Committed> {
        self.store.table().offset(group, topic, partition).cloned()
    }

    /// All offsets that a group committed in topics that are there, by topic and partition.
    #[must_use]
    pub fn all_committed(&self, group: &str) -> Vec<TopicOffsets> {
        let topics = self.log.topics();
        let table = self.store.table();
        let Some(entry) = table.group(group) else { return Vec::new() };
        topics
            .into_iter()
            .filter_map(|topic| {
                let range = (topic.id(), i32::MIN)..=(topic.id(), i32::MAX);
                let offsets: Vec<_> = entry
                    .offsets
                    .range(range)
                    .map(|((_, partition), committed)| (*partition, committed.clone()))
                    .collect();
                (!offsets.is_empty()).then_some(TopicOffsets { topic, offsets })
            })
            .collect()
    }

    /// Begins to delete offsets of a group.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`], or [`GroupError::NotEmpty`] if the members are no consumers.
    pub fn delete_offsets(
        &self,
        group: &str,
        partitions: &[(Option<Arc<Topic>>, i32)],
    ) -> Result<OffsetDeletion, GroupError> {
        check_id(group, 1)?;
        let mut groups = self.lock();
        let slot = groups.by_id.get_mut(group).ok_or_else(|| GroupError::GroupNotFound(group.to_owned()))?;
        if slot.group.state != GroupState::Empty && &*slot.group.protocol_type != CONSUMER {
            return Err(GroupError::NotEmpty);
        }
        let mut records = Vec::new();
        let results = partitions
            .iter()
            .map(|(topic, partition)| {
                let topic = topic.as_ref().ok_or(GroupError::UnknownPartition)?;
                slot.group.check_offset_deletion(topic.name())?;
                records.push(Record::OffsetRemoved { group: group.into(), topic: topic.id(), partition: *partition });
                Ok(())
            })
            .collect();
        Ok(OffsetDeletion { results, done: self.write(slot, records)? })
    }

    /// Deletes a group without members; the answer comes when it is gone for good.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`] or [`GroupError::NotEmpty`].
    pub fn delete(&self, group: &str) -> Result<Answer<()>, GroupError> {
        let mut groups = self.lock();
        let slot = groups.by_id.get_mut(group).ok_or_else(|| GroupError::GroupNotFound(group.to_owned()))?;
        if slot.group.state != GroupState::Empty {
            return Err(GroupError::NotEmpty);
        }
        let answer = self.write(slot, vec![Record::GroupRemoved { group: group.into() }])?;
        groups.forget(group);
        Ok(answer)
    }

    /// Forgets the offsets of topics that are not there any more, offsets that were kept for long enough, and groups
    /// without members and offsets.
    pub(super) fn remove_expired(&self, now_ms: i64) {
        let mut groups = self.lock();
        let ids: Vec<_> = groups.by_id.keys().cloned().collect();
        for id in ids {
            let Some(slot) = groups.by_id.get_mut(&id) else { continue };
            // A commit that is on its way to the disk decides about the offset that it replaces.
            if !self.store.is_settled(slot.last_change) {
                continue;
            }
            let table = self.store.table();
            let entry = table.group(&id);
            let expired = entry.map_or_else(Vec::new, |entry| self.expired(slot, entry, now_ms));
            let is_over = slot.group.members.is_empty()
                && slot.group.expected.is_empty()
                && slot.group.state == GroupState::Empty
                && entry.is_none_or(|entry| entry.offsets.len() == expired.len());
            let records = match entry {
                Some(_) if is_over => vec![Record::GroupRemoved { group: Arc::clone(&id) }],
                _ => expired
                    .into_iter()
                    .map(|(topic, partition)| Record::OffsetRemoved { group: Arc::clone(&id), topic, partition })
                    .collect(),
            };
            drop(table);
            if !records.is_empty()
                && let Err(error) = self.write(slot, records)
            {
                tracing::warn!(group = &*id, "its expired offsets stay until the next check: {error}");
                continue;
            }
            if is_over {
                groups.forget(&id);
            }
        }
    }

    /// The offsets of a group that nobody wants any more, by the rules of KIP-211.
    fn expired(&self, slot: &Slot, entry: &Entry, now_ms: i64) -> Vec<(TopicId, i32)> {
        let group = &slot.group;
        let retention = i64::try_from(self.options.offsets_retention.as_millis()).unwrap_or(i64::MAX);
        let subscribed = group.subscribed_topics();
        let is_simple = group.protocol_type.is_empty();
        let is_expired = |topic: &Topic, committed: &Committed| {
            let since = match group.state {
                // Nobody reads: the offsets of a former generation count from its end.
                GroupState::Empty if !is_simple => committed.commit_time_ms.max(group.empty_since_ms),
                GroupState::Empty => committed.commit_time_ms,
                _ if subscribed.as_ref().is_some_and(|topics| !topics.contains(topic.name())) => {
                    committed.commit_time_ms
                }
                _ => return false,
            };
            now_ms.saturating_sub(since) >= retention
        };
        let topics: std::collections::HashMap<_, _> =
            self.log.topics().into_iter().map(|topic| (topic.id(), topic)).collect();
        let gone = entry
            .offsets
            .iter()
            .filter(|((topic, _), committed)| topics.get(topic).is_none_or(|topic| is_expired(topic, committed)));
        gone.map(|(place, _)| *place).collect()
    }

    fn write(&self, slot: &mut Slot, records: Vec<Record>) -> Result<Answer<()>, GroupError> {
        let (ticket, answer) = self.store.write(records)?;
        slot.last_change = ticket;
        Ok(answer)
    }
}

impl Groups {
    fn forget(&mut self, group: &str) {
        // A group without members left no bytes here.
        if let Some(slot) = self.by_id.remove(group) {
            self.cancel(group, &slot);
        }
    }
}
