//! The state machine step by step, with time as an argument.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::coordinator::Answer;
use super::error::GroupError;
use super::group::{Group, GroupState};
use super::member::{Identity, JoinRequest, Joined, Protocol, SyncRequest, Synced};

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(30);

/// A group at a time of its own.
struct Bench {
    group: Group,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with_delay(Duration::ZERO)
    }

    fn with_delay(delay: Duration) -> Self {
        Self { group: Group::new(None, delay, 0), now: Instant::now() }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.group.next_deadline().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.group.expire(self.now);
            self.check();
        }
        self.now = end;
    }

    /// The invariants of `group.rs`.
    fn check(&self) {
        let group = &self.group;
        match group.state {
            GroupState::Empty => assert!(group.members.is_empty()),
            GroupState::PreparingRebalance => {}
            GroupState::CompletingRebalance | GroupState::Stable => assert!(!group.members.is_empty()),
        }
        assert!(group.leader.as_ref().is_none_or(|leader| group.members.contains_key(leader)));
        for (instance, id) in &group.statics {
            assert_eq!(group.members[id].instance_id.as_ref(), Some(instance));
        }
        for member in group.members.values() {
            assert!(member.join.is_none() || group.state == GroupState::PreparingRebalance);
            assert!(member.sync.is_none() || group.state == GroupState::CompletingRebalance);
        }
    }

    fn join(&mut self, request: JoinRequest) -> Answer<Joined> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.group.join(request, 5, self.now, answer);
        self.check();
        answered
    }

    fn sync(&mut self, joined: &Joined, instance: Option<&str>, assignments: &[(&str, &str)]) -> Answer<Synced> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let assignments =
            assignments.iter().map(|(id, part)| (Arc::from(*id), Bytes::copy_from_slice(part.as_bytes()))).collect();
        let identity = identity(&joined.member_id, instance);
        let request =
            SyncRequest { identity, generation: joined.generation, protocol_type: None, protocol: None, assignments };
        self.group.sync(request, self.now, answer);
        self.check();
        answered
    }

    fn heartbeat(&mut self, joined: &Joined) -> Result<(), GroupError> {
        self.group.heartbeat(&identity(&joined.member_id, None), joined.generation, self.now)
    }

    /// Two members, the first leading, in a stable generation.
    fn two() -> (Self, Joined, Joined) {
        let mut bench = Self::new();
        let first = now(bench.join(wish("", "a", None))).unwrap();
        let second = bench.join(wish("", "b", None));
        let first = now(bench.join(wish(&first.member_id, "a", None))).unwrap();
        let second = now(second).unwrap();
        let theirs = bench.sync(&second, None, &[]);
        let mine = bench.sync(&first, None, &[(&first.member_id, "1"), (&second.member_id, "2")]);
        assert_eq!((&now(mine).unwrap().assignment[..], &now(theirs).unwrap().assignment[..]), (&b"1"[..], &b"2"[..]));
        assert_eq!(bench.group.state, GroupState::Stable);
        (bench, first, second)
    }
}

fn identity(id: &str, instance: Option<&str>) -> Identity {
    Identity { member_id: id.into(), instance_id: instance.map(Into::into) }
}

fn wish(id: &str, client: &str, instance: Option<&str>) -> JoinRequest {
    let protocol = |name: &str| Protocol { name: name.into(), metadata: Bytes::copy_from_slice(client.as_bytes()) };
    JoinRequest {
        member_id: id.into(),
        instance_id: instance.map(Into::into),
        client_id: client.into(),
        client_host: "/127.0.0.1".into(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range"), protocol("sticky")],
        requires_member_id: false,
        can_skip_assignment: true,
    }
}

/// The answer, which must be there.
fn now<T>(mut answer: Answer<T>) -> Result<T, GroupError> {
    answer.try_recv().expect("an answer")
}

#[test]
fn a_member_alone_leads_and_assigns() {
    let mut bench = Bench::new();
    let joined = now(bench.join(wish("", "c", None))).unwrap();
    assert_eq!((joined.generation, &*joined.protocol, &joined.leader), (1, "range", &joined.member_id));
    assert!(joined.member_id.starts_with("c-") && joined.member_id.len() == 38, "{}", joined.member_id);
    assert_eq!((joined.members.len(), &joined.members[0].metadata[..]), (1, &b"c"[..]));
    assert_eq!(bench.group.state, GroupState::CompletingRebalance);
    let synced = now(bench.sync(&joined, None, &[(&joined.member_id, "all")])).unwrap();
    assert_eq!(&synced.assignment[..], b"all");
    assert_eq!(bench.heartbeat(&joined), Ok(()));
    bench.group.leave(&identity(&joined.member_id, None), bench.now).unwrap();
    bench.check();
    assert_eq!(bench.group.state, GroupState::Empty);
    assert_eq!(bench.heartbeat(&joined), Err(GroupError::UnknownMember));
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    let (mut bench, first, second) = Bench::two();
    assert_eq!((first.generation, second.generation), (2, 2));
    assert_eq!((first.members.len(), second.members.len()), (2, 0), "only the leader sees the members");
    let mut third = bench.join(wish("", "c", None));
    assert_eq!(bench.heartbeat(&first), Err(GroupError::RebalanceInProgress));
    assert_eq!(now(bench.sync(&second, None, &[])), Err(GroupError::RebalanceInProgress));
    assert!(third.try_recv().is_err(), "it waits for the others");
    let again: Vec<_> = [(&first, "a"), (&second, "b")]
        .map(|(joined, client)| bench.join(wish(&joined.member_id, client, None)))
        .into_iter()
        .map(|answer| now(answer).unwrap().generation)
        .collect();
    assert_eq!((now(third).unwrap().generation, again), (3, vec![3, 3]));
    assert_eq!(bench.heartbeat(&first), Err(GroupError::IllegalGeneration { got: 2, expected: 3 }));
}

#[test]
fn a_new_member_gets_its_id_first_if_it_can() {
    let mut bench = Bench::new();
    let new = || JoinRequest { requires_member_id: true, ..wish("", "c", None) };
    let Err(GroupError::MemberIdRequired(id)) = now(bench.join(new())) else { panic!("an id") };
    assert_eq!((bench.group.state, bench.group.members.len()), (GroupState::Empty, 0));
    let joined = now(bench.join(JoinRequest { requires_member_id: true, ..wish(&id, "c", None) })).unwrap();
    assert_eq!(joined.member_id, id);
    let Err(GroupError::MemberIdRequired(late)) = now(bench.join(new())) else { panic!("an id") };
    bench.pass(SESSION - Duration::from_secs(1));
    assert_eq!(bench.group.expected.len(), 1);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.group.expected.len(), 0);
    assert_eq!(now(bench.join(wish(&late, "c", None))), Err(GroupError::UnknownMember));
}

#[test]
fn silence_ends_a_session_and_starts_the_next_generation() {
    let (mut bench, first, second) = Bench::two();
    bench.pass(SESSION - Duration::from_secs(1));
    assert_eq!(bench.heartbeat(&first), Ok(()));
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.heartbeat(&second), Err(GroupError::UnknownMember));
    assert_eq!(bench.heartbeat(&first), Err(GroupError::RebalanceInProgress));
    let alone = now(bench.join(wish(&first.member_id, "a", None))).unwrap();
    assert_eq!((alone.generation, alone.members.len()), (3, 1));
}

#[test]
fn who_does_not_join_again_in_time_is_left_behind() {
    let (mut bench, first, second) = Bench::two();
    let mut again = bench.join(wish(&first.member_id, "changed", None));
    for _ in 0..29 {
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.heartbeat(&second), Err(GroupError::RebalanceInProgress));
        assert!(again.try_recv().is_err());
    }
    bench.pass(Duration::from_secs(1));
    let alone = now(again).unwrap();
    assert_eq!((alone.generation, alone.members.len()), (3, 1));
    assert_eq!(bench.heartbeat(&second), Err(GroupError::UnknownMember));
}

#[test]
fn a_lost_connection_of_a_waiting_join_leaves_nothing_behind() {
    let (mut bench, first, _) = Bench::two();
    drop(bench.join(wish("", "gone", None)));
    let waiting = bench.join(wish(&first.member_id, "a", None));
    assert_eq!(bench.group.members.len(), 3);
    bench.pass(SESSION);
    // Neither the one that has gone nor the second member was heard of.
    assert_eq!((now(waiting).unwrap().members.len(), bench.group.members.len()), (1, 1));
    bench.pass(SESSION);
    assert_eq!(bench.group.state, GroupState::Empty);
    assert_eq!(bench.group.next_deadline(), None);
}

#[test]
fn a_leader_that_never_assigns_is_removed() {
    let mut bench = Bench::new();
    let leader = now(bench.join(wish("", "a", None))).unwrap();
    let follower = bench.join(wish("", "b", None));
    let leader = now(bench.join(wish(&leader.member_id, "a", None))).unwrap();
    let mut waiting = bench.sync(&now(follower).unwrap(), None, &[]);
    for _ in 0..29 {
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.heartbeat(&leader), Ok(()));
        assert!(waiting.try_recv().is_err());
    }
    bench.pass(Duration::from_secs(1));
    assert_eq!(now(waiting), Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.heartbeat(&leader), Err(GroupError::UnknownMember));
}

#[test]
fn a_repeated_join_learns_the_generation_without_a_rebalance() {
    let (mut bench, first, second) = Bench::two();
    let again = now(bench.join(wish(&second.member_id, "b", None))).unwrap();
    assert_eq!((again.generation, again.members.len(), bench.group.state), (2, 0, GroupState::Stable));
    let _waiting = bench.join(wish(&first.member_id, "a", None));
    assert_eq!(bench.group.state, GroupState::PreparingRebalance, "the leader wants to assign anew");
}

#[test]
fn protocols_are_chosen_by_votes_among_those_that_all_offer() {
    let mut bench = Bench::with_delay(Duration::from_secs(3));
    let offers = |client: &str, names: &[&str]| JoinRequest {
        protocols: names.iter().map(|name| Protocol { name: (*name).into(), metadata: Bytes::new() }).collect(),
        ..wish("", client, None)
    };
    let answers = [
        bench.join(offers("a", &["x", "range", "sticky"])),
        bench.join(offers("b", &["sticky", "range"])),
        bench.join(offers("c", &["sticky", "range", "x"])),
    ];
    assert_eq!(now(bench.join(offers("d", &["x"]))), Err(GroupError::InconsistentProtocol));
    let other = JoinRequest { protocol_type: "connect".into(), ..wish("", "e", None) };
    assert_eq!(now(bench.join(other)), Err(GroupError::InconsistentProtocol));
    bench.pass(Duration::from_secs(6));
    for answer in answers {
        let joined = now(answer).unwrap();
        assert_eq!((joined.generation, &*joined.protocol), (1, "sticky"), "one generation for all");
    }
    assert_eq!(now(Bench::new().join(offers("f", &[]))), Err(GroupError::InconsistentProtocol));
}

#[test]
fn a_static_member_keeps_its_place_without_a_rebalance() {
    let mut bench = Bench::new();
    let former = now(bench.join(wish("", "a", Some("one")))).unwrap();
    now(bench.sync(&former, Some("one"), &[(&former.member_id, "work")])).unwrap();
    let old = JoinRequest { can_skip_assignment: false, ..wish("", "a", Some("one")) };
    let restarted = now(bench.join(old)).unwrap();
    assert_ne!(restarted.member_id, former.member_id);
    assert_eq!((restarted.generation, &restarted.leader), (1, &former.member_id), "it must not assign");
    assert_eq!(now(bench.sync(&former, Some("one"), &[])), Err(GroupError::FencedInstance));
    assert_eq!(&now(bench.sync(&restarted, Some("one"), &[])).unwrap().assignment[..], b"work");
    let newer = now(bench.join(wish("", "a", Some("one")))).unwrap();
    assert!(newer.skip_assignment && newer.leader == newer.member_id && newer.members.len() == 1);
    assert_eq!(&now(bench.sync(&newer, Some("one"), &[])).unwrap().assignment[..], b"work");
    assert_eq!((bench.group.state, bench.group.generation), (GroupState::Stable, 1));
    bench.group.leave(&identity("", Some("one")), bench.now).unwrap();
    assert_eq!(bench.group.state, GroupState::Empty, "removed by its name alone");
}

#[test]
fn a_static_member_that_starts_again_while_joins_wait_fences_its_former_self() {
    let (mut bench, _, _) = Bench::two();
    let waiting = bench.join(wish("", "c", Some("one")));
    let _again = bench.join(wish("", "c", Some("one")));
    assert_eq!(now(waiting), Err(GroupError::FencedInstance));
    assert_eq!(bench.group.members.len(), 3);
}

#[test]
fn offsets_are_taken_from_members_of_this_generation_or_from_outside_an_empty_group() {
    let (mut bench, first, _) = Bench::two();
    let mut commit = |id: &str, generation| bench.group.check_commit(&identity(id, None), generation, bench.now);
    assert_eq!(commit(&first.member_id, 2), Ok(()));
    assert_eq!(commit(&first.member_id, 1), Err(GroupError::IllegalGeneration { got: 1, expected: 2 }));
    assert_eq!(commit("", -1), Err(GroupError::UnknownMember));
    assert_eq!(commit("x", 2), Err(GroupError::UnknownMember));
    assert_eq!(Bench::new().group.check_commit(&Identity::default(), -1, Instant::now()), Ok(()));
}

#[test]
fn a_full_group_takes_its_own_members_alone() {
    let mut bench = Bench::with_delay(Duration::from_secs(3));
    let answers: Vec<_> = (0..5).map(|number| bench.join(wish("", &number.to_string(), None))).collect();
    assert_eq!(now(bench.join(wish("", "more", None))), Err(GroupError::GroupFull(5)));
    bench.pass(Duration::from_secs(6));
    let joined = now(answers.into_iter().next().unwrap()).unwrap();
    let _again = bench.join(wish(&joined.member_id, "changed", None));
    assert_eq!(bench.group.state, GroupState::PreparingRebalance);
}
