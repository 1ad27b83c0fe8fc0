//! Who becomes a member, and when that makes the group rebalance.

use std::sync::Arc;
use std::time::Instant;

use super::error::GroupError;
use super::group::{Group, GroupState};
use super::member::{Identity, JoinRequest, Joined, Member, Parked};
use crate::log::TopicId;

impl Group {
    /// Answers a wish to be a member: at once, or when the next generation begins.
    pub(super) fn join(&mut self, request: JoinRequest, most_members: usize, now: Instant, answer: Parked<Joined>) {
        let result = self.check_join(&request, most_members);
        if let Err(error) = result {
            let _ = answer.send(Err(error));
            return;
        }
        if !request.member_id.is_empty() {
            self.join_again(request, now, answer);
            return;
        }
        let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
        let id: Arc<str> = format!("{name}-{}", uuid::Uuid::from_bytes(TopicId::random().0)).into();
        let replaced = request.instance_id.as_ref().and_then(|instance| self.statics.get(instance)).cloned();
        if let Some(replaced) = replaced {
            self.replace_static(&replaced, &id, request, now, answer);
        } else if request.requires_member_id && request.instance_id.is_none() {
            self.expected.insert(Arc::clone(&id), now + request.session_timeout);
            let _ = answer.send(Err(GroupError::MemberIdRequired(id)));
        } else {
            self.add_member(&id, request, now, answer);
        }
    }

    fn check_join(&self, request: &JoinRequest, most_members: usize) -> Result<(), GroupError> {
        let is_offered_by_all = |name: &str| self.members.values().all(|member| member.offers(name));
        let is_consistent = if self.members.is_empty() {
            !request.protocol_type.is_empty() && !request.protocols.is_empty()
        } else {
            request.protocol_type == self.protocol_type
                && request.protocols.iter().any(|protocol| is_offered_by_all(&protocol.name))
        };
        if !is_consistent {
            return Err(GroupError::InconsistentProtocol);
        }
        let is_known = self.members.contains_key(&request.member_id) || self.expected.contains_key(&request.member_id);
        let replaces = request.instance_id.as_ref().is_some_and(|instance| self.statics.contains_key(instance));
        let size = self.members.len() + self.expected.len();
        if size >= most_members && !is_known && !replaces {
            return Err(GroupError::GroupFull(size));
        }
        Ok(())
    }

    /// A member that has an id already.
    fn join_again(&mut self, request: JoinRequest, now: Instant, answer: Parked<Joined>) {
        if request.instance_id.is_none() && self.expected.remove(&request.member_id).is_some() {
            let id = Arc::clone(&request.member_id);
            self.add_member(&id, request, now, answer);
            return;
        }
        let identity = Identity { member_id: Arc::clone(&request.member_id), instance_id: request.instance_id.clone() };
        let id = match self.check_member(&identity) {
            Ok(id) => id,
            Err(error) => {
                let _ = answer.send(Err(error));
                return;
            }
        };
        let leads = self.leader.as_ref() == Some(&id);
        let Some(member) = self.members.get_mut(&id) else { return };
        let is_as_before = member.protocols == request.protocols;
        let knows_already = match self.state {
            // The answer to its join was lost, or this is a repetition.
            GroupState::CompletingRebalance => is_as_before,
            // A leader that joins again wants to assign anew, as topics may have changed.
            GroupState::Stable => is_as_before && !leads,
            GroupState::Empty | GroupState::PreparingRebalance => false,
        };
        if knows_already {
            member.touch(now);
            let joined = self.present_generation(&id, false);
            let _ = answer.send(Ok(joined));
            return;
        }
        member.park_join(request, now, answer);
        if self.state == GroupState::PreparingRebalance {
            self.complete_join_if_all_are_here(now);
        } else {
            self.prepare_rebalance(now);
        }
    }

    fn add_member(&mut self, id: &Arc<str>, request: JoinRequest, now: Instant, answer: Parked<Joined>) {
        if self.members.is_empty() {
            self.protocol_type = Arc::clone(&request.protocol_type);
        }
        if let Some(instance) = &request.instance_id {
            self.statics.insert(Arc::clone(instance), Arc::clone(id));
        }
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(id));
        }
        self.members.insert(Arc::clone(id), Member::new(Arc::clone(id), request, now, answer));
        if self.state == GroupState::PreparingRebalance {
            self.note_newcomer();
            self.complete_join_if_all_are_here(now);
        } else {
            self.prepare_rebalance(now);
        }
    }

    /// A static member has started again: it takes the place of its former self, with its assignment (KIP-345).
    fn replace_static(
        &mut self,
        former: &str,
        id: &Arc<str>,
        request: JoinRequest,
        now: Instant,
        answer: Parked<Joined>,
    ) {
        let Some(mut member) = self.members.remove(former) else { return };
        member.refuse(&GroupError::FencedInstance);
        member.id = Arc::clone(id);
        if let Some(instance) = &request.instance_id {
            self.statics.insert(Arc::clone(instance), Arc::clone(id));
        }
        let led = self.leader.as_deref() == Some(former);
        if led {
            self.leader = Some(Arc::clone(id));
        }
        let can_skip = request.can_skip_assignment;
        member.park_join(request, now, answer);
        self.members.insert(Arc::clone(id), member);
        match self.state {
            GroupState::PreparingRebalance => self.complete_join_if_all_are_here(now),
            GroupState::Stable if self.choose_protocol() == self.protocol => {
                let mut joined = self.present_generation(id, can_skip);
                if led && !can_skip {
                    // A client that doesn't know how to skip the assignment must not think that it leads.
                    joined.leader = former.into();
                    joined.members.clear();
                }
                let answer = self.members.get_mut(id).and_then(|member| member.join.take());
                if let Some(answer) = answer {
                    let _ = answer.send(Ok(joined));
                }
            }
            // The leader assigns by the former id, or another protocol is chosen: all must join again.
            _ => self.prepare_rebalance(now),
        }
    }

    /// What a member learns of the generation that there is.
    fn present_generation(&self, id: &Arc<str>, skips: bool) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let leads = leader == *id;
        Joined {
            generation: self.generation,
            protocol_type: Arc::clone(&self.protocol_type),
            protocol: self.protocol.clone().unwrap_or_default(),
            leader,
            member_id: Arc::clone(id),
            members: if leads { self.members_for_leader() } else { Vec::new() },
            skip_assignment: leads && skips,
        }
    }
}
