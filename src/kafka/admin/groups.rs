//! Consumer groups: who reads what, and how far behind.
//!
//! A broker lists the groups that it coordinates, so that who lists one can be asked for the rest. Members of the classic
//! protocol tell their partitions in an assignment that is opaque to the broker; those of the consumer protocol (KIP-848)
//! are described by a request of their own.

use std::collections::BTreeMap;

use bytes::{Buf as _, Bytes};
use cartlog_storage::broker::shape::{self, Part};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest, ListGroupsRequest,
    OffsetFetchRequest,
};
use kafka_protocol::protocol::Decodable as _;

use super::{Admin, is_temporary, unless_away};
use crate::kafka::connection::Connection;
use crate::kafka::error::KafkaError;

/// The outline of an assignment, the same in all its versions.
const ASSIGNMENT: &[Part] = &[shape::structs(&[shape::text(), shape::values(4)]), shape::bytes()];
/// The newest version of an assignment that is understood; newer ones begin in the same way.
const ASSIGNMENT_VERSION: i16 = 3;
/// What clients that consume call their protocol.
const CONSUMER: &str = "consumer";

/// A group, its members and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GroupReport {
    /// Its name.
    pub group: String,
    /// What it is doing: `Stable`, `Empty`, …
    pub state: String,
    /// The protocol of its members: `consumer`, `connect`, …; empty if it never had any.
    pub protocol: String,
    /// Its members.
    pub members: Vec<GroupMember>,
    /// What it has committed or is reading, by topic and partition.
    pub partitions: Vec<GroupPartition>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GroupMember {
    /// Its id.
    pub member: String,
    /// What its client calls itself.
    pub client: String,
    /// Where it connects from.
    pub host: String,
    /// The partitions that it reads.
    pub assigned: Vec<(String, i32)>,
}

/// A partition as a group sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GroupPartition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that is to be read next; `None` if nothing was committed.
    pub committed: Option<i64>,
    /// The offset behind the last record; `None` if the topic has gone.
    pub end: Option<i64>,
    /// How many offsets are still to be read.
    pub lag: Option<i64>,
    /// The member that reads it.
    pub member: Option<String>,
    /// Where that member connects from.
    pub host: Option<String>,
}

impl GroupReport {
    /// How many offsets are still to be read, where that is known.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.partitions.iter().filter_map(|partition| partition.lag).sum()
    }
}

impl Admin {
    /// All groups by name.
    ///
    /// # Errors
    /// [`KafkaError`] of the requests.
    pub async fn groups(&mut self) -> Result<Vec<GroupReport>, KafkaError> {
        self.groups_where(|_| true).await
    }

    /// One group.
    ///
    /// # Errors
    /// [`KafkaError::UnknownGroup`], and those of the requests.
    pub async fn group(&mut self, name: &str) -> Result<GroupReport, KafkaError> {
        let mut found = self.groups_where(|group| group == name).await?;
        let unknown = || KafkaError::UnknownGroup { group: name.to_owned(), brokers: self.brokers().to_owned() };
        found.pop().ok_or_else(unknown)
    }

    async fn groups_where(&mut self, wants: impl Fn(&str) -> bool) -> Result<Vec<GroupReport>, KafkaError> {
        let mut groups = Vec::new();
        let numbers: Vec<_> = self.addresses.keys().copied().collect();
        for number in numbers {
            let Some(connection) = unless_away(self.broker(number).await)? else { continue };
            for listed in list(connection).await?.iter().filter(|listed| wants(listed.group_id.as_str())) {
                groups.push(describe(connection, listed).await?);
            }
        }
        let read = |group: &GroupReport| -> Vec<_> {
            group.partitions.iter().map(|partition| (partition.topic.clone(), partition.partition)).collect()
        };
        let mut places: Vec<_> = groups.iter().flat_map(read).collect();
        places.sort_unstable();
        places.dedup();
        let ends = self.ends(&places).await?;
        for partition in groups.iter_mut().flat_map(|group| &mut group.partitions) {
            partition.end = ends.get(&(partition.topic.clone(), partition.partition)).copied();
            partition.lag = partition.end.zip(partition.committed).map(|(end, committed)| (end - committed).max(0));
        }
        groups.sort_by(|left, right| left.group.cmp(&right.group));
        Ok(groups)
    }
}

/// The groups that a broker coordinates, once it knows.
async fn list(connection: &mut Connection) -> Result<Vec<ListedGroup>, KafkaError> {
    let start = std::time::Instant::now();
    loop {
        let answer = connection.ask(&ListGroupsRequest::default()).await?;
        if !is_temporary(answer.error_code) || start.elapsed() > super::GETS_READY {
            connection.check::<ListGroupsRequest>(answer.error_code, None)?;
            return Ok(answer.groups);
        }
        tokio::time::sleep(super::PAUSE).await;
    }
}

/// A group but for the ends of what it reads.
async fn describe(connection: &mut Connection, listed: &ListedGroup) -> Result<GroupReport, KafkaError> {
    let (state, members) = if listed.group_type.eq_ignore_ascii_case(CONSUMER) {
        describe_consumer(connection, listed).await?
    } else {
        describe_classic(connection, listed).await?
    };
    let request = OffsetFetchRequest::default().with_group_id(listed.group_id.clone()).with_topics(None);
    let answer = connection.ask(&request).await?;
    connection.check::<OffsetFetchRequest>(answer.error_code, None)?;
    let mut partitions: BTreeMap<(String, i32), Option<i64>> = BTreeMap::new();
    for topic in &answer.topics {
        for partition in topic.partitions.iter().filter(|partition| partition.error_code == 0) {
            let committed = (partition.committed_offset >= 0).then_some(partition.committed_offset);
            partitions.insert((topic.name.to_string(), partition.partition_index), committed);
        }
    }
    for place in members.iter().flat_map(|member: &GroupMember| &member.assigned) {
        partitions.entry(place.clone()).or_default();
    }
    let partitions = partitions.into_iter().map(|(place, committed)| {
        let member = members.iter().find(|member| member.assigned.contains(&place));
        let (topic, partition) = place;
        GroupPartition {
            topic,
            partition,
            committed,
            end: None,
            lag: None,
            member: member.map(|member| member.member.clone()),
            host: member.map(|member| member.host.clone()),
        }
    });
    Ok(GroupReport {
        group: listed.group_id.to_string(),
        state,
        protocol: listed.protocol_type.to_string(),
        partitions: partitions.collect(),
        members,
    })
}

async fn describe_classic(
    connection: &mut Connection,
    listed: &ListedGroup,
) -> Result<(String, Vec<GroupMember>), KafkaError> {
    let request = DescribeGroupsRequest::default().with_groups(vec![listed.group_id.clone()]);
    let answer = connection.ask(&request).await?;
    let Some(group) = answer.groups.into_iter().next() else {
        return Err(connection.nonsense::<DescribeGroupsRequest>("it describes no group".to_owned()));
    };
    connection.check::<DescribeGroupsRequest>(group.error_code, None)?;
    let is_consumer = group.protocol_type.as_str() == CONSUMER;
    let members = group.members.into_iter().map(|member| GroupMember {
        member: member.member_id.to_string(),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: if is_consumer { assigned(member.member_assignment) } else { Vec::new() },
    });
    Ok((group.group_state.to_string(), members.collect()))
}

async fn describe_consumer(
    connection: &mut Connection,
    listed: &ListedGroup,
) -> Result<(String, Vec<GroupMember>), KafkaError> {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![listed.group_id.clone()]);
    let answer = connection.ask(&request).await?;
    let Some(group) = answer.groups.into_iter().next() else {
        return Err(connection.nonsense::<ConsumerGroupDescribeRequest>("it describes no group".to_owned()));
    };
    if ResponseError::try_from_code(group.error_code) == Some(ResponseError::GroupIdNotFound) {
        // It has gone since it was listed.
        return Ok(("Dead".to_owned(), Vec::new()));
    }
    connection.check::<ConsumerGroupDescribeRequest>(group.error_code, group.error_message.as_deref())?;
    let members = group.members.into_iter().map(|member| GroupMember {
        member: member.member_id.to_string(),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: member
            .assignment
            .topic_partitions
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_name.to_string(), *partition)))
            .collect(),
    });
    Ok((group.group_state.to_string(), members.collect()))
}

/// The partitions of an assignment; none if it isn't understood.
fn assigned(mut assignment: Bytes) -> Vec<(String, i32)> {
    if assignment.len() < 2 {
        return Vec::new();
    }
    let version = assignment.get_i16().clamp(0, ASSIGNMENT_VERSION);
    if shape::check(&assignment, ASSIGNMENT, version, false).is_err() {
        return Vec::new();
    }
    let topics = ConsumerProtocolAssignment::decode(&mut assignment, version).unwrap_or_default().assigned_partitions;
    let places =
        topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic.to_string(), *partition)));
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_of_any_version_is_read_and_a_damaged_one_is_none() {
        let body = b"\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x03\0\0\0\x07\xff\xff\xff\xff";
        for version in [0, 1, 3, 99] {
            let whole = [&i16::to_be_bytes(version)[..], body].concat();
            let expected = vec![("t".to_owned(), 3), ("t".to_owned(), 7)];
            assert_eq!(assigned(whole.clone().into()), expected, "version {version}");
            for length in 0..whole.len() {
                assert_eq!(assigned(Bytes::copy_from_slice(&whole[..length])), [], "{length} bytes");
            }
        }
        assert_eq!(assigned(Bytes::from_static(b"\0\0\x7f\xff\xff\xff")), []);
    }
}
