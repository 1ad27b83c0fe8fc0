//! One member of a group, and what members and coordinator tell each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::error::GroupError;

/// An answer that is given later; it is dropped when its client is gone.
pub(super) type Parked<T> = oneshot::Sender<Result<T, GroupError>>;

/// A way of sharing out work that a member offers, with what the leader must know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// For consumers the assignor, as `range`.
    pub name: Arc<str>,
    /// Opaque here; for consumers the subscribed topics.
    pub metadata: Bytes,
}

/// A wish to be a member.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// Empty for a new member.
    pub member_id: Arc<str>,
    /// The name of a static member (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where the client is, as Kafka writes it: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long the member may be silent.
    pub session_timeout: Duration,
    /// How long the member may take to join again when the group rebalances.
    pub rebalance_timeout: Duration,
    /// For consumers `consumer`.
    pub protocol_type: Arc<str>,
    /// What the member offers, the best first.
    pub protocols: Vec<Protocol>,
    /// Whether a new member must join twice, the second time with the id it was given (KIP-394).
    pub requires_member_id: bool,
    /// Whether the member understands that it leads and must not assign anything (KIP-814).
    pub can_skip_assignment: bool,
}

/// What a member learns when its group's next generation begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The generation.
    pub generation: i32,
    /// The type of the group's protocols.
    pub protocol_type: Arc<str>,
    /// The protocol chosen.
    pub protocol: Arc<str>,
    /// The leader's member id.
    pub leader: Arc<str>,
    /// The member's own id.
    pub member_id: Arc<str>,
    /// All members, for the leader alone.
    pub members: Vec<JoinedMember>,
    /// The leader must take the assignment as it is (KIP-814).
    pub skip_assignment: bool,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its name if it is static.
    pub instance_id: Option<Arc<str>>,
    /// What came with the chosen protocol.
    pub metadata: Bytes,
}

/// A member's question for its part of the work; the leader's brings everybody's.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// Who asks.
    pub identity: Identity,
    /// In which generation it believes to be.
    pub generation: i32,
    /// The protocol type it believes in, if it says so.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol it believes in, if it says so.
    pub protocol: Option<Arc<str>>,
    /// The leader's assignment for each member id.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

/// A member's part of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The type of the group's protocols.
    pub protocol_type: Arc<str>,
    /// The protocol chosen.
    pub protocol: Arc<str>,
    /// What the leader assigned; empty if nothing.
    pub assignment: Bytes,
}

/// How a member says who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its member id, or empty.
    pub member_id: Arc<str>,
    /// Its name if it is static.
    pub instance_id: Option<Arc<str>>,
}

/// A member as the coordinator sees it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// When it is given up unless it is heard of.
    pub(super) deadline: Instant,
    /// Its question for the next generation, which waits for the others.
    pub(super) join: Option<Parked<Joined>>,
    /// Its question for its assignment, which waits for the leader.
    pub(super) sync: Option<Parked<Synced>>,
    /// Whether it has asked for its assignment in this generation.
    pub(super) has_synced: bool,
}

impl Member {
    pub(super) fn new(id: Arc<str>, request: JoinRequest, now: Instant, answer: Parked<Joined>) -> Self {
        let mut member = Self {
            id,
            instance_id: request.instance_id.clone(),
            client_id: Arc::clone(&request.client_id),
            client_host: Arc::clone(&request.client_host),
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            deadline: now,
            join: None,
            sync: None,
            has_synced: false,
        };
        member.park_join(request, now, answer);
        member
    }

    /// Takes over what a (re)join says, and keeps its answer for later.
    pub(super) fn park_join(&mut self, request: JoinRequest, now: Instant, answer: Parked<Joined>) {
        self.client_id = request.client_id;
        self.client_host = request.client_host;
        self.session_timeout = request.session_timeout;
        self.rebalance_timeout = request.rebalance_timeout;
        self.protocols = request.protocols;
        if let Some(earlier) = self.join.replace(answer) {
            // The client asks again while its first question is open: only the last is answered with a generation.
            let _ = earlier.send(Err(GroupError::RebalanceInProgress));
        }
        self.touch(now);
    }

    /// The member was heard of.
    pub(super) fn touch(&mut self, now: Instant) {
        self.deadline = now + self.session_timeout;
    }

    /// Whether its client waits for an answer, so that it can't be heard of otherwise.
    pub(super) fn is_waiting(&self) -> bool {
        self.join.as_ref().is_some_and(|answer| !answer.is_closed())
            || self.sync.as_ref().is_some_and(|answer| !answer.is_closed())
    }

    /// Gives up its open questions.
    pub(super) fn refuse(&mut self, error: &GroupError) {
        // The clients may have gone.
        if let Some(answer) = self.join.take() {
            let _ = answer.send(Err(error.clone()));
        }
        if let Some(answer) = self.sync.take() {
            let _ = answer.send(Err(error.clone()));
        }
    }

    /// What came with a protocol.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|offered| &*offered.name == protocol);
        found.map_or_else(Bytes::new, |offered| offered.metadata.clone())
    }

    /// Whether it offers a protocol of this name.
    pub(super) fn offers(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|offered| &*offered.name == protocol)
    }

    /// The bytes that it left here.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.id.len() + self.client_id.len() + self.instance_id.as_ref().map_or(0, |id| id.len());
        texts + protocols_bytes(&self.protocols) + self.assignment.len()
    }
}

/// The bytes of a member's offers.
pub(super) fn protocols_bytes(protocols: &[Protocol]) -> usize {
    protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len()).sum()
}
