//! What the journal says, in memory: the committed offsets of every group.
//!
//! Invariants:
//! - The table holds what is durable: a record comes here after it was synced.
//! - `bytes` is the length of the records that would write the table anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::format::{Committed, GroupInfo, Record};
use crate::log::TopicId;

/// The durable part of all groups.
#[derive(Debug, Default)]
pub(super) struct Table {
    groups: HashMap<Arc<str>, Entry>,
    bytes: usize,
}

/// The durable part of one group.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// `None` for a group that never had members.
    pub(super) info: Option<GroupInfo>,
    /// By topic and partition.
    pub(super) offsets: BTreeMap<(TopicId, i32), Committed>,
}

impl Table {
    /// Applies a record.
    pub(super) fn apply(&mut self, record: Record) {
        let added = record.encoded_length();
        match record {
            Record::Offset { group, topic, partition, committed } => {
                let entry = self.groups.entry(Arc::clone(&group)).or_default();
                let before = entry.offsets.insert((topic, partition), committed);
                self.bytes += added;
                self.bytes -= before.map_or(0, |before| offset_length(&group, before));
            }
            Record::OffsetRemoved { group, topic, partition } => {
                let entry = self.groups.get_mut(&group);
                let before = entry.and_then(|entry| entry.offsets.remove(&(topic, partition)));
                self.bytes -= before.map_or(0, |before| offset_length(&group, before));
            }
            Record::Group { group, info } => {
                let entry = self.groups.entry(Arc::clone(&group)).or_default();
                let before = entry.info.replace(info);
                self.bytes += added;
                self.bytes -= before.map_or(0, |info| Record::Group { group, info }.encoded_length());
            }
            Record::GroupRemoved { group } => {
                let removed = self.groups.remove_entry(&group);
                self.bytes -= removed
                    .map_or(0, |(group, entry)| entry.into_records(&group).map(|record| record.encoded_length()).sum());
            }
        }
    }

    /// The length of the records that would write the table anew.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The groups, in no order.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.groups.iter()
    }

    /// The durable part of one group.
    pub(super) fn group(&self, group: &str) -> Option<&Entry> {
        self.groups.get(group)
    }

    /// An offset as committed.
    pub(super) fn offset(&self, group: &str, topic: TopicId, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.offsets.get(&(topic, partition))
    }

    /// The records that write the table anew.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        self.groups.iter().flat_map(|(group, entry)| {
            let offsets = entry.offsets.clone();
            Entry { info: entry.info.clone(), offsets }.into_records(group)
        })
    }
}

impl Entry {
    fn into_records(self, group: &Arc<str>) -> impl Iterator<Item = Record> {
        let info = self.info.map(|info| Record::Group { group: Arc::clone(group), info });
        let offsets = self.offsets.into_iter().map(|((topic, partition), committed)| Record::Offset {
            group: Arc::clone(group),
            topic,
            partition,
            committed,
        });
        info.into_iter().chain(offsets)
    }
}

fn offset_length(group: &Arc<str>, committed: Committed) -> usize {
    Record::Offset { group: Arc::clone(group), topic: TopicId([0; 16]), partition: 0, committed }.encoded_length()
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::offset;
    use super::*;

    fn rewritten_length(table: &Table) -> usize {
        table.records().map(|record| record.encoded_length()).sum()
    }

    #[test]
    fn the_length_is_that_of_the_records() {
        let mut table = Table::default();
        let info = |generation| GroupInfo { protocol_type: "consumer".into(), generation, empty_since_ms: 5 };
        let changes = [
            offset("a", 1, 0, 1),
            offset("a", 1, 1, 2),
            offset("b", 1, 0, 3),
            offset("a", 1, 0, 4),
            Record::Group { group: "a".into(), info: info(1) },
            Record::Group { group: "a".into(), info: info(2) },
            Record::OffsetRemoved { group: "a".into(), topic: TopicId([1; 16]), partition: 1 },
            Record::OffsetRemoved { group: "a".into(), topic: TopicId([1; 16]), partition: 1 },
            Record::OffsetRemoved { group: "x".into(), topic: TopicId([1; 16]), partition: 1 },
            Record::GroupRemoved { group: "b".into() },
            Record::GroupRemoved { group: "b".into() },
        ];
        for change in changes {
            table.apply(change);
            assert_eq!(table.bytes(), rewritten_length(&table));
        }
        let mut copy = Table::default();
        table.records().for_each(|record| copy.apply(record));
        assert_eq!(copy.group("a").unwrap().info, Some(info(2)));
        assert_eq!(copy.offset("a", TopicId([1; 16]), 0).unwrap().offset, 4);
        assert!(copy.offset("a", TopicId([1; 16]), 1).is_none() && copy.group("b").is_none());
        table.apply(Record::GroupRemoved { group: "a".into() });
        assert_eq!(table.bytes(), 0);
    }
}
