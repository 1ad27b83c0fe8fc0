//! All groups of a log, as the broker asks for them: the state machines, the durable offsets, and time.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::error::{GroupError, JournalError};
use super::format::{GroupInfo, Record};
use super::group::{Group, GroupState};
use super::member::{Identity, JoinRequest, Joined, Parked, SyncRequest, Synced, protocols_bytes};
use super::options::GroupOptions;
use super::store::{GroupStore, Ticket};
use crate::histogram::Histogram;
use crate::log::Log;

/// The longest group id; one that fits where Kafka's protocol has 16 bits for its length.
const MAX_GROUP_ID: usize = i16::MAX as usize;

/// An answer that may have to wait for other members.
pub type Answer<T> = oneshot::Receiver<Result<T, GroupError>>;

/// The group coordinator of a log.
///
/// Its methods answer at once, or give an [`Answer`] to be awaited. [`Coordinator::run`] must run beside them, for
/// members that fall silent.
///
/// ```
/// use std::sync::Arc;
/// use cartlog_storage::groups::{Coordinator, GroupOptions, NewOffset};
/// use cartlog_storage::io::OsDirectory;
/// use cartlog_storage::log::{Log, LogOptions, TopicConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let log = Arc::new(Log::open(Arc::new(OsDirectory::open(folder.path())?), LogOptions::default())?);
/// let topic = log.create_topic("events", 1, TopicConfig::default())?;
/// let groups = Coordinator::open(Arc::clone(&log), GroupOptions::default())?;
/// let commit = NewOffset { topic: topic.id(), partition: 0, offset: 42, leader_epoch: -1, metadata: "half way".into() };
/// groups.commit("readers", &Default::default(), -1, vec![commit])?.await??;
/// assert_eq!(groups.committed("readers", topic.id(), 0).unwrap().offset, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Coordinator {
    pub(super) log: Arc<Log>,
    pub(super) options: GroupOptions,
    pub(super) store: GroupStore,
    pub(super) groups: Mutex<Groups>,
    /// Something is due earlier than was thought.
    wake: Notify,
}

/// The groups in memory: every group that there is.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) by_id: HashMap<Arc<str>, Slot>,
    /// When which group wants to be looked at; at most one entry a group.
    timers: BTreeSet<(Instant, Arc<str>)>,
    /// The bytes that members left here.
    member_bytes: usize,
}

/// A group and what the coordinator notes of it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) group: Group,
    /// Its entry in `timers`; never later than its next deadline.
    timer: Option<Instant>,
    member_bytes: usize,
    /// The last change that was queued for it.
    pub(super) last_change: Ticket,
}

/// A member of a group, for a description.
#[derive(Debug, Clone)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its name if it is static.
    pub instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where the client is.
    pub client_host: Arc<str>,
    /// What came with the chosen protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// What the leader assigned; empty unless the group is stable.
    pub assignment: Bytes,
}

/// A group, for a description.
#[derive(Debug, Clone)]
pub struct GroupDescription {
    /// Its name.
    pub id: Arc<str>,
    /// What it is doing.
    pub state: GroupState,
    /// For consumers `consumer`; empty for a group that never had members.
    pub protocol_type: Arc<str>,
    /// The protocol chosen; empty unless the group is stable.
    pub protocol: Arc<str>,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

impl Coordinator {
    /// Opens the coordinator of a log, reading the journal of its groups.
    ///
    /// # Errors
    /// [`JournalError`] if the journal is damaged, can't be read, or is in use.
    pub fn open(log: Arc<Log>, options: GroupOptions) -> Result<Self, JournalError> {
        let store = GroupStore::open(Arc::clone(log.directory()))?;
        Ok(Self::over(log, options, store))
    }

    /// A coordinator over an open store.
    pub(super) fn over(log: Arc<Log>, options: GroupOptions, store: GroupStore) -> Self {
        let mut groups = Groups::default();
        for (id, entry) in store.table().groups() {
            let group = Group::new(entry.info.as_ref(), options.initial_rebalance_delay, now_ms());
            groups.by_id.insert(Arc::clone(id), Slot::new(group));
        }
        Self { log, options, store, groups: Mutex::new(groups), wake: Notify::new() }
    }

    /// How long changes of groups took to be on disk.
    pub(crate) fn commits(&self) -> &Histogram {
        self.store.commits()
    }

    /// A client joins a group, or joins it again.
    ///
    /// # Errors
    /// In the answer: [`GroupError`].
    pub fn join(&self, group: &str, request: JoinRequest) -> Answer<Joined> {
        let (answer, answered) = oneshot::channel();
        if let Err((answer, error)) = self.try_join(group, request, answer, Instant::now()) {
            let _ = answer.send(Err(error));
        }
        answered
    }

    fn try_join(
        &self,
        group: &str,
        request: JoinRequest,
        answer: Parked<Joined>,
        now: Instant,
    ) -> Result<(), (Parked<Joined>, GroupError)> {
        let (least, most) = (self.options.min_session_timeout, self.options.max_session_timeout);
        if let Err(error) = check_id(group, 1) {
            return Err((answer, error));
        }
        if !(least..=most).contains(&request.session_timeout) {
            return Err((answer, GroupError::InvalidSessionTimeout { got: request.session_timeout, least, most }));
        }
        let mut groups = self.lock();
        let bytes = protocols_bytes(&request.protocols) + request.instance_id.as_ref().map_or(0, |id| id.len());
        if groups.member_bytes + bytes > self.options.max_member_bytes {
            return Err((answer, self.members_too_large()));
        }
        if !groups.by_id.contains_key(group) {
            if !request.member_id.is_empty() {
                return Err((answer, GroupError::UnknownMember));
            }
            if let Err(error) = self.create(&mut groups, group) {
                return Err((answer, error));
            }
        }
        let most_members = self.options.max_group_members;
        self.change(&mut groups, group, |group| group.join(request, most_members, now, answer));
        Ok(())
    }

    /// A member asks for its assignment, and the leader brings everybody's.
    ///
    /// # Errors
    /// In the answer: [`GroupError`].
    pub fn sync(&self, group: &str, request: SyncRequest) -> Answer<Synced> {
        let (answer, answered) = oneshot::channel();
        let mut groups = self.lock();
        let bytes: usize = request.assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        let refused = if groups.member_bytes + bytes > self.options.max_member_bytes {
            Some(self.members_too_large())
        } else if groups.by_id.contains_key(group) {
            None
        } else {
            Some(check_id(group, 1).err().unwrap_or(GroupError::UnknownMember))
        };
        if let Some(error) = refused {
            let _ = answer.send(Err(error));
        } else {
            self.change(&mut groups, group, |group| group.sync(request, Instant::now(), answer));
        }
        answered
    }

    /// A member is alive.
    ///
    /// # Errors
    /// [`GroupError::RebalanceInProgress`] if it must join again, or that it is no member of this generation.
    pub fn heartbeat(&self, group: &str, identity: &Identity, generation: i32) -> Result<(), GroupError> {
        check_id(group, 1)?;
        let mut groups = self.lock();
        let slot = groups.by_id.get_mut(group).ok_or(GroupError::UnknownMember)?;
        // A heartbeat only puts deadlines off, so that no timer is needed for it.
        slot.group.heartbeat(identity, generation, Instant::now())
    }

    /// Members leave a group; gives one result for each.
    ///
    /// # Errors
    /// [`GroupError::InvalidGroupId`]; all else is told member by member.
    pub fn leave(&self, group: &str, leaving: &[Identity]) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        check_id(group, 1)?;
        let mut groups = self.lock();
        if !groups.by_id.contains_key(group) {
            return Ok(leaving.iter().map(|_| Err(GroupError::UnknownMember)).collect());
        }
        let now = Instant::now();
        Ok(self.change(&mut groups, group, |group| leaving.iter().map(|identity| group.leave(identity, now)).collect()))
    }

    /// Every group with its state and protocol type, by name.
    #[must_use]
    pub fn list(&self) -> Vec<GroupDescription> {
        let groups = self.lock();
        let mut list: Vec<_> = groups
            .by_id
            .iter()
            .map(|(id, slot)| GroupDescription {
                id: Arc::clone(id),
                state: slot.group.state,
                protocol_type: Arc::clone(&slot.group.protocol_type),
                protocol: Arc::default(),
                members: Vec::new(),
            })
            .collect();
        list.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        list
    }

    /// Describes a group with its members.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`].
    pub fn describe(&self, id: &str) -> Result<GroupDescription, GroupError> {
        let groups = self.lock();
        let (id, slot) = groups.by_id.get_key_value(id).ok_or_else(|| GroupError::GroupNotFound(id.to_owned()))?;
        let group = &slot.group;
        let protocol = group.protocol.clone().filter(|_| group.state == GroupState::Stable);
        let described = |member: &super::member::Member| MemberDescription {
            member_id: Arc::clone(&member.id),
            instance_id: member.instance_id.clone(),
            client_id: Arc::clone(&member.client_id),
            client_host: Arc::clone(&member.client_host),
            metadata: protocol.as_ref().map_or_else(Bytes::new, |protocol| member.metadata(protocol)),
            assignment: group.assignment(member),
        };
        Ok(GroupDescription {
            id: Arc::clone(id),
            state: group.state,
            protocol_type: Arc::clone(&group.protocol_type),
            members: group.members.values().map(described).collect(),
            protocol: protocol.unwrap_or_default(),
        })
    }

    /// Removes members that fell silent and offsets that nobody wants any more, until dropped.
    pub async fn run(&self) {
        let mut check = tokio::time::interval(self.options.retention_check_interval.max(Duration::from_millis(1)));
        loop {
            let next = self.expire(Instant::now());
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.wake.notified() => {}
                _ = check.tick() => self.remove_expired(now_ms()),
            }
        }
    }

    /// Does what is due and says when to come again.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut groups = self.lock();
        while let Some((due, id)) = groups.timers.first().filter(|(due, _)| *due <= now).cloned() {
            groups.timers.remove(&(due, Arc::clone(&id)));
            if let Some(slot) = groups.by_id.get_mut(&id) {
                slot.timer = None;
            }
            self.change(&mut groups, &id, |group| group.expire(now));
        }
        groups.timers.first().map(|(due, _)| *due)
    }

    /// Changes a group that exists, and takes note of what follows from it.
    pub(super) fn change<T: Default>(&self, groups: &mut Groups, id: &str, change: impl FnOnce(&mut Group) -> T) -> T {
        let Groups { by_id, timers, member_bytes } = groups;
        let Some(slot) = by_id.get_mut(id) else { return T::default() };
        let result = change(&mut slot.group);
        *member_bytes -= slot.member_bytes;
        slot.member_bytes = slot.group.bytes();
        *member_bytes += slot.member_bytes;
        if let Some(next) = slot.group.next_deadline()
            && slot.timer.is_none_or(|timer| next < timer)
        {
            let id: Arc<str> = id.into();
            if let Some(timer) = slot.timer.replace(next) {
                timers.remove(&(timer, Arc::clone(&id)));
            }
            timers.insert((next, id));
            self.wake.notify_one();
        }
        if let Some(info) = slot.group.take_change(now_ms()) {
            self.note(slot, id, info);
        }
        result
    }

    /// Writes down that a group began or ended to have members; nobody waits for that.
    fn note(&self, slot: &mut Slot, id: &str, info: GroupInfo) {
        match self.store.write(vec![Record::Group { group: id.into(), info }]) {
            Ok((ticket, _)) => slot.last_change = ticket,
            Err(error) => tracing::warn!(group = id, "its generation is not written down: {error}"),
        }
    }

    /// Adds an empty group.
    pub(super) fn create(&self, groups: &mut Groups, id: &str) -> Result<(), GroupError> {
        check_id(id, 0)?;
        let limit = self.options.max_groups;
        if groups.by_id.len() >= limit {
            return Err(GroupError::Limit { what: "the number of groups", limit });
        }
        let group = Group::new(None, self.options.initial_rebalance_delay, now_ms());
        groups.by_id.insert(id.into(), Slot::new(group));
        Ok(())
    }

    fn members_too_large(&self) -> GroupError {
        GroupError::Limit { what: "the metadata of all members", limit: self.options.max_member_bytes }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Groups {
    /// Cancels the timer of a group that has been taken out.
    pub(super) fn cancel(&mut self, id: &str, slot: &Slot) {
        if let Some(timer) = slot.timer {
            self.timers.remove(&(timer, id.into()));
        }
    }
}

impl Slot {
    fn new(group: Group) -> Self {
        Self { group, timer: None, member_bytes: 0, last_change: Ticket::default() }
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Checks the length of a group's name. Kafka takes the empty one for offsets alone.
pub(super) fn check_id(id: &str, least: usize) -> Result<(), GroupError> {
    if (least..=MAX_GROUP_ID).contains(&id.len()) {
        Ok(())
    } else {
        Err(GroupError::InvalidGroupId { got: id.len(), maximum: MAX_GROUP_ID })
    }
}

/// The wall clock, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
