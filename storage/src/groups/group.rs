//! The classic group protocol as a state machine: members in, generations out.
//!
//! ```text
//!             a member joins                    all have joined
//!   Empty ───────────────────► PreparingRebalance ────────────────► CompletingRebalance
//!     ▲                          ▲   │   ▲                                │
//!     └── all have gone ─────────│───┘   └── a member comes or goes ──────┤
//!                                │                                        │ the leader assigns
//!                                └──── a member comes or goes ── Stable ◄─┘
//! ```
//!
//! There are no sockets here, no timers and no clock: time comes in with each call, and a question that can't be
//! answered yet is kept with its member. The rules are those of Apache Kafka's classic group coordinator, with one
//! difference: a member whose connection is lost while its join waits is given up after its session timeout, not after five
//! minutes.
//!
//! Invariants:
//! - `Empty` has no members; every other state but `PreparingRebalance` has at least one.
//! - The leader is a member; each name in `statics` stands for a member of that instance.
//! - Joins wait only in `PreparingRebalance`, syncs only in `CompletingRebalance`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::GroupError;
use super::format::GroupInfo;
use super::member::{Identity, Joined, JoinedMember, Member, Parked, SyncRequest, Synced};
use super::subscription;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// What a group is doing; the names are Kafka's. A group that isn't there is said to be `Dead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    /// No members, perhaps offsets.
    Empty,
    /// Members are joining, or must join again.
    PreparingRebalance,
    /// Members have joined, the leader is to assign the work.
    CompletingRebalance,
    /// Every member has its work.
    Stable,
}

impl GroupState {
    /// The state's name in Kafka.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) state: GroupState,
    pub(super) generation: i32,
    /// Empty until a member joins.
    pub(super) protocol_type: Arc<str>,
    pub(super) protocol: Option<Arc<str>>,
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id.
    pub(super) statics: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids that were given to new members which have not joined with them, and when they are given up.
    pub(super) expected: BTreeMap<Arc<str>, Instant>,
    /// When the present phase ends, whoever is missing.
    phase_end: Option<Instant>,
    /// While the first members of an empty group are awaited: for how much longer that may go on after `phase_end`.
    first_wait: Option<Duration>,
    /// A member has come since `phase_end` was set.
    newcomer: bool,
    /// When the last member left, in milliseconds since 1970.
    pub(super) empty_since_ms: i64,
    initial_delay: Duration,
    /// Whether [`Group::info`] has changed since it was last asked for.
    changed: bool,
}

impl Group {
    /// A group without members.
    pub(super) fn new(info: Option<&GroupInfo>, initial_delay: Duration, now_ms: i64) -> Self {
        Self {
            state: GroupState::Empty,
            generation: info.map_or(0, |info| info.generation),
            protocol_type: info.map_or_else(|| "".into(), |info| Arc::clone(&info.protocol_type)),
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            expected: BTreeMap::new(),
            phase_end: None,
            first_wait: None,
            newcomer: false,
            // A group that had members when the broker ended is as good as empty since now.
            empty_since_ms: info.map(|info| info.empty_since_ms).filter(|&since| since >= 0).unwrap_or(now_ms),
            initial_delay,
            changed: false,
        }
    }

    /// What is to be kept on disk, if it has changed since the last call.
    pub(super) fn take_change(&mut self, now_ms: i64) -> Option<GroupInfo> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let is_empty = self.state == GroupState::Empty;
        if is_empty {
            self.empty_since_ms = now_ms;
        }
        Some(GroupInfo {
            protocol_type: Arc::clone(&self.protocol_type),
            generation: self.generation,
            empty_since_ms: if is_empty { now_ms } else { -1 },
        })
    }

    /// Answers a member's question for its assignment, now or when the leader has brought it.
    pub(super) fn sync(&mut self, request: SyncRequest, now: Instant, answer: Parked<Synced>) {
        let member_id = match self.check_sync(&request) {
            Ok(member_id) => member_id,
            Err(error) => {
                let _ = answer.send(Err(error));
                return;
            }
        };
        let leads = self.leader.as_ref() == Some(&member_id);
        if let Some(member) = self.members.get_mut(&member_id) {
            member.touch(now);
            member.has_synced = true;
            if let Some(earlier) = member.sync.replace(answer) {
                let _ = earlier.send(Err(GroupError::RebalanceInProgress));
            }
        }
        if self.state == GroupState::CompletingRebalance && leads {
            let mut assignments: BTreeMap<_, _> = request.assignments.into_iter().collect();
            for member in self.members.values_mut() {
                member.assignment = assignments.remove(&member.id).unwrap_or_default();
            }
            self.state = GroupState::Stable;
        }
        if self.state == GroupState::Stable {
            let protocol = self.protocol.clone().unwrap_or_default();
            for member in self.members.values_mut() {
                if let Some(answer) = member.sync.take() {
                    let assignment = member.assignment.clone();
                    let protocol_type = Arc::clone(&self.protocol_type);
                    let _ = answer.send(Ok(Synced { protocol_type, protocol: Arc::clone(&protocol), assignment }));
                    member.touch(now);
                }
            }
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<Arc<str>, GroupError> {
        let member_id = self.check_member(&request.identity)?;
        self.check_generation(request.generation)?;
        let differs =
            |said: &Option<Arc<str>>, is: Option<&Arc<str>>| said.as_ref().is_some_and(|said| is != Some(said));
        if differs(&request.protocol_type, Some(&self.protocol_type))
            || differs(&request.protocol, self.protocol.as_ref())
        {
            return Err(GroupError::InconsistentProtocol);
        }
        match self.state {
            GroupState::Empty => Err(GroupError::UnknownMember),
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(member_id),
        }
    }

    /// Takes note that a member is alive, and tells it whether it must join again.
    pub(super) fn heartbeat(&mut self, identity: &Identity, generation: i32, now: Instant) -> Result<(), GroupError> {
        let member_id = self.check_member(identity)?;
        self.check_generation(generation)?;
        if let Some(member) = self.members.get_mut(&member_id) {
            member.touch(now);
        }
        if self.state == GroupState::PreparingRebalance { Err(GroupError::RebalanceInProgress) } else { Ok(()) }
    }

    /// Lets a member go, or a static one be removed by its name alone.
    pub(super) fn leave(&mut self, identity: &Identity, now: Instant) -> Result<(), GroupError> {
        if self.expected.remove(&identity.member_id).is_some() {
            self.complete_join_if_all_are_here(now);
            return Ok(());
        }
        let member_id = match &identity.instance_id {
            Some(instance) if identity.member_id.is_empty() => self.statics.get(instance).cloned(),
            _ => Some(self.check_member(identity)?),
        };
        self.remove_member(&member_id.ok_or(GroupError::UnknownMember)?);
        self.after_removal(now);
        Ok(())
    }

    /// Checks whether offsets may be committed with this identity and generation (none of both is from outside the
    /// group, which is allowed while it is empty).
    pub(super) fn check_commit(
        &mut self,
        identity: &Identity,
        generation: i32,
        now: Instant,
    ) -> Result<(), GroupError> {
        if generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        if generation < 0 && identity.member_id.is_empty() && identity.instance_id.is_none() {
            return Err(GroupError::UnknownMember);
        }
        let member_id = self.check_member(identity)?;
        self.check_generation(generation)?;
        if self.state == GroupState::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(&member_id) {
            member.touch(now);
        }
        Ok(())
    }

    /// Whether offsets of a topic may be deleted.
    pub(super) fn check_offset_deletion(&self, topic: &str) -> Result<(), GroupError> {
        let reads = || self.subscribed_topics().is_none_or(|topics| topics.contains(topic));
        if self.state != GroupState::Empty && reads() { Err(GroupError::SubscribedToTopic) } else { Ok(()) }
    }

    /// The topics that the members read; `None` if they don't say so in the way of consumers.
    pub(super) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        let mut topics = BTreeSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol = self.protocol.as_ref().filter(|_| &*self.protocol_type == CONSUMER)?;
        for member in self.members.values() {
            subscription::add_topics(&member.metadata(protocol), &mut topics)?;
        }
        Some(topics)
    }

    /// When something must happen even if nobody asks.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.values().map(|member| member.deadline);
        members.chain(self.expected.values().copied()).chain(self.phase_end).min()
    }

    /// Does what is due.
    pub(super) fn expire(&mut self, now: Instant) {
        self.expected.retain(|_, deadline| *deadline > now);
        let mut silent = Vec::new();
        for member in self.members.values_mut().filter(|member| member.deadline <= now) {
            if member.is_waiting() { member.touch(now) } else { silent.push(Arc::clone(&member.id)) }
        }
        for id in &silent {
            tracing::info!(member = &**id, "a member was silent for longer than its session timeout and is removed");
            self.remove_member(id);
        }
        if silent.is_empty() {
            self.complete_join_if_all_are_here(now);
        } else {
            self.after_removal(now);
        }
        if self.phase_end.is_some_and(|end| end <= now) {
            self.end_phase(now);
        }
    }

    fn end_phase(&mut self, now: Instant) {
        match (self.state, self.first_wait) {
            (GroupState::PreparingRebalance, Some(rest)) if self.newcomer && !rest.is_zero() => {
                let wait = self.initial_delay.min(rest);
                self.newcomer = false;
                self.first_wait = Some(rest - wait);
                self.phase_end = Some(now + wait);
            }
            (GroupState::PreparingRebalance, _) => self.complete_join(now),
            (GroupState::CompletingRebalance | GroupState::Stable, _) => {
                self.phase_end = None;
                let late: Vec<_> = self
                    .members
                    .values()
                    .filter(|member| !member.has_synced)
                    .map(|member| Arc::clone(&member.id))
                    .collect();
                late.iter().for_each(|id| self.remove_member(id));
                if !late.is_empty() {
                    self.after_removal(now);
                }
            }
            (GroupState::Empty, _) => self.phase_end = None,
        }
    }

    /// Checks that a member is who it says (KIP-345) and gives its id.
    pub(super) fn check_member(&self, identity: &Identity) -> Result<Arc<str>, GroupError> {
        if let Some(instance) = &identity.instance_id {
            let current = self.statics.get(instance).ok_or(GroupError::UnknownMember)?;
            if *current != identity.member_id {
                return Err(GroupError::FencedInstance);
            }
        }
        let found = self.members.get_key_value(&identity.member_id);
        found.map(|(id, _)| Arc::clone(id)).ok_or(GroupError::UnknownMember)
    }

    fn check_generation(&self, got: i32) -> Result<(), GroupError> {
        let expected = self.generation;
        if got == expected { Ok(()) } else { Err(GroupError::IllegalGeneration { got, expected }) }
    }

    /// Removes a member and gives up its open questions.
    pub(super) fn remove_member(&mut self, id: &str) {
        let Some(mut member) = self.members.remove(id) else { return };
        member.refuse(&GroupError::UnknownMember);
        if let Some(instance) = &member.instance_id
            && self.statics.get(instance) == Some(&member.id)
        {
            self.statics.remove(instance);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Lets the others share the work of those who have gone.
    pub(super) fn after_removal(&mut self, now: Instant) {
        match self.state {
            GroupState::Empty => {}
            GroupState::PreparingRebalance => self.complete_join_if_all_are_here(now),
            GroupState::CompletingRebalance | GroupState::Stable => self.prepare_rebalance(now),
        }
    }

    /// Asks all members to join again.
    pub(super) fn prepare_rebalance(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            if let Some(answer) = member.sync.take() {
                let _ = answer.send(Err(GroupError::RebalanceInProgress));
                member.touch(now);
            }
        }
        let patience = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        let was_empty = self.state == GroupState::Empty;
        self.state = GroupState::PreparingRebalance;
        if was_empty {
            self.newcomer = false;
            self.first_wait = Some(patience.saturating_sub(self.initial_delay));
            self.phase_end = Some(now + self.initial_delay);
            if self.initial_delay.is_zero() {
                self.complete_join(now);
            }
        } else {
            self.phase_end = Some(now + patience);
            self.complete_join_if_all_are_here(now);
        }
    }

    /// Begins the next generation if nobody is missing.
    pub(super) fn complete_join_if_all_are_here(&mut self, now: Instant) {
        let all = self.expected.is_empty() && self.members.values().all(|member| member.join.is_some());
        // The first members of a group are awaited even if all that are known are here, unless all have gone.
        let waits = self.first_wait.is_some() && !self.members.is_empty();
        if self.state == GroupState::PreparingRebalance && all && !waits {
            self.complete_join(now);
        }
    }

    /// Notes that a member has come while the first ones are awaited.
    pub(super) fn note_newcomer(&mut self) {
        self.newcomer = true;
    }

    fn complete_join(&mut self, now: Instant) {
        let missing = self.members.values().filter(|member| member.join.is_none() && member.instance_id.is_none());
        for id in missing.map(|member| Arc::clone(&member.id)).collect::<Vec<_>>() {
            tracing::info!(member = &*id, "a member did not join again in time and is removed");
            self.remove_member(&id);
        }
        let has_joined = |id: &Arc<str>| self.members.get(id).is_some_and(|member| member.join.is_some());
        if !self.leader.as_ref().is_some_and(has_joined) {
            let candidate = self.members.values().find(|member| member.join.is_some());
            match candidate.map(|member| Arc::clone(&member.id)) {
                None if !self.members.is_empty() => {
                    // Only static members, none of them here: they keep their places until their sessions end.
                    let patience = self.members.values().map(|member| member.rebalance_timeout).max();
                    self.phase_end = Some(now + patience.unwrap_or_default().max(Duration::from_millis(1)));
                    self.first_wait = None;
                    return;
                }
                leader => self.leader = leader,
            }
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.first_wait = None;
        self.changed = true;
        self.protocol = self.choose_protocol();
        let (Some(protocol), Some(leader)) = (self.protocol.clone(), self.leader.clone()) else {
            self.state = GroupState::Empty;
            self.phase_end = None;
            return;
        };
        self.state = GroupState::CompletingRebalance;
        let patience = self.members.values().map(|member| member.rebalance_timeout).max();
        self.phase_end = Some(now + patience.unwrap_or_default());
        let mut everybody = self.members_for_leader();
        for member in self.members.values_mut() {
            member.has_synced = false;
            let Some(answer) = member.join.take() else { continue };
            let leads = member.id == leader;
            member.touch(now);
            let _ = answer.send(Ok(Joined {
                generation: self.generation,
                protocol_type: Arc::clone(&self.protocol_type),
                protocol: Arc::clone(&protocol),
                leader: Arc::clone(&leader),
                member_id: Arc::clone(&member.id),
                members: if leads { std::mem::take(&mut everybody) } else { Vec::new() },
                skip_assignment: false,
            }));
        }
    }

    /// All members as the leader sees them.
    pub(super) fn members_for_leader(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.clone().unwrap_or_default();
        let seen = |member: &Member| JoinedMember {
            member_id: Arc::clone(&member.id),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(&protocol),
        };
        self.members.values().map(seen).collect()
    }

    /// The protocol that all members offer and most prefer; of equals the one that the first member likes better.
    pub(super) fn choose_protocol(&self) -> Option<Arc<str>> {
        let first = self.members.values().next()?;
        let offered_by_all = |name: &str| self.members.values().all(|member| member.offers(name));
        let candidates: Vec<_> = first.protocols.iter().filter(|protocol| offered_by_all(&protocol.name)).collect();
        let votes = |name: &Arc<str>| {
            let vote = |member: &&Member| {
                let favourite =
                    member.protocols.iter().find(|offer| candidates.iter().any(|one| one.name == offer.name));
                favourite.is_some_and(|favourite| favourite.name == *name)
            };
            self.members.values().filter(vote).count()
        };
        // The first of those with the most votes.
        let best = candidates.iter().rev().max_by_key(|candidate| votes(&candidate.name))?;
        Some(Arc::clone(&best.name))
    }

    /// The bytes that members left here.
    pub(super) fn bytes(&self) -> usize {
        let expected: usize = self.expected.keys().map(|id| id.len()).sum();
        expected + self.members.values().map(Member::bytes).sum::<usize>()
    }

    /// A member's assignment, for tests and descriptions.
    pub(super) fn assignment(&self, member: &Member) -> Bytes {
        if self.state == GroupState::Stable { member.assignment.clone() } else { Bytes::new() }
    }
}
