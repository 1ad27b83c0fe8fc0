//! The coordinator over directories that fail: what was acknowledged is there after a restart.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::io::{Directory, Fault, FaultDirectory, MemoryDirectory};
use crate::log::{Log, LogOptions, TopicConfig, TopicId};

fn open_log(directory: Arc<dyn Directory>) -> Arc<Log> {
    Arc::new(Log::open(directory, LogOptions::default()).unwrap())
}

/// A directory with a log of one topic.
fn with_topic() -> (MemoryDirectory, TopicId) {
    let directory = MemoryDirectory::new();
    let log = open_log(Arc::new(directory.clone()));
    let topic = log.create_topic("t", 4, TopicConfig::default()).unwrap().id();
    (directory, topic)
}

fn new_offset(topic: TopicId, partition: i32, offset: i64) -> NewOffset {
    NewOffset { topic, partition, offset, leader_epoch: 3, metadata: format!("at {offset}").into() }
}

fn commit(groups: &Coordinator, group: &str, offsets: Vec<NewOffset>) -> Result<(), GroupError> {
    groups.commit(group, &Identity::default(), -1, offsets)?.blocking_recv().unwrap_or(Err(GroupError::NotAvailable))
}

#[test]
fn whatever_the_crash_leaves_acknowledged_offsets_are_there() {
    let mut crashes = 0;
    for at in 0.. {
        let (memory, topic) = with_topic();
        let log = open_log(Arc::new(memory.clone()));
        let fault = if at % 2 == 0 { Fault::Crash } else { Fault::TornCrash };
        let directory = FaultDirectory::new(Arc::new(memory.clone()), at / 2, fault);
        let mut acknowledged = [None; 4];
        let mut attempted = [None; 4];
        let mut over = true;
        if let Ok(store) = super::store::GroupStore::open(Arc::new(directory.clone())) {
            let groups = Coordinator::over(Arc::clone(&log), GroupOptions::default(), store);
            for number in 0..12 {
                let partition = number % 4;
                attempted[partition as usize] = Some(i64::from(number));
                match commit(&groups, "g", vec![new_offset(topic, partition, i64::from(number))]) {
                    Ok(()) => acknowledged[partition as usize] = Some(i64::from(number)),
                    Err(_) => over = false,
                }
            }
        } else {
            over = false;
        }
        drop(log);
        for seed in 0..8 {
            let after = memory.after_power_loss(seed);
            let log = open_log(Arc::new(after));
            let groups = Coordinator::open(log, GroupOptions::default()).unwrap();
            for partition in 0..4 {
                let found = groups.committed("g", topic, partition).map(|committed| committed.offset);
                let (least, most) = (acknowledged[partition as usize], attempted[partition as usize]);
                assert!(
                    found >= least && found <= most,
                    "operation {at}, seed {seed}: {found:?}, {least:?} to {most:?}"
                );
            }
            commit(&groups, "g", vec![new_offset(topic, 0, 99)]).unwrap();
        }
        if over {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 40, "{crashes}");
}

#[test]
fn one_failed_write_refuses_one_commit_and_the_next_succeeds() {
    for at in 6..16 {
        let (memory, topic) = with_topic();
        let log = open_log(Arc::new(memory.clone()));
        let directory = FaultDirectory::new(Arc::new(memory.clone()), at, Fault::Once(ErrorKind::StorageFull));
        let store = super::store::GroupStore::open(Arc::new(directory.clone())).unwrap();
        let groups = Coordinator::over(Arc::clone(&log), GroupOptions::default(), store);
        let mut refused = 0;
        let mut expected = None;
        for number in 0..10 {
            match commit(&groups, "g", vec![new_offset(topic, 0, number)]) {
                Ok(()) => expected = Some(number),
                Err(error) => {
                    assert!(matches!(error, GroupError::Storage(_)), "{error}");
                    refused += 1;
                }
            }
            assert_eq!(groups.committed("g", topic, 0).map(|committed| committed.offset), expected);
        }
        assert_eq!(refused, 1, "operation {at}");
        drop((groups, log));
        let groups =
            Coordinator::open(open_log(Arc::new(memory.after_power_loss(0))), GroupOptions::default()).unwrap();
        assert_eq!(groups.committed("g", topic, 0).unwrap().offset, 9);
    }
}

#[test]
fn offsets_stay_through_restarts_and_rewriting() {
    let (memory, topic) = with_topic();
    let long: Arc<str> = "x".repeat(4000).into();
    for round in 0..3 {
        let groups = Coordinator::open(open_log(Arc::new(memory.clone())), GroupOptions::default()).unwrap();
        for number in 0..400 {
            let offset = NewOffset { metadata: Arc::clone(&long), ..new_offset(topic, 0, number) };
            commit(&groups, "g", vec![offset, new_offset(topic, 1, round)]).unwrap();
        }
        commit(&groups, "h", vec![new_offset(topic, 2, round)]).unwrap();
        let found = groups.committed("g", topic, 1).unwrap();
        assert_eq!((found.offset, found.leader_epoch, &*found.metadata), (round, 3, &*format!("at {round}")));
        assert_eq!(groups.committed("g", topic, 0).unwrap().metadata, long);
        assert_eq!(groups.committed("h", topic, 2).unwrap().offset, round);
        assert!(memory.length("cartlog.groups").unwrap() < 2 << 20, "it was rewritten");
    }
}

#[test]
fn offsets_of_a_deleted_topic_do_not_come_back() {
    let (memory, topic) = with_topic();
    let log = open_log(Arc::new(memory.clone()));
    let groups = Coordinator::open(Arc::clone(&log), GroupOptions::default()).unwrap();
    commit(&groups, "g", vec![new_offset(topic, 0, 5)]).unwrap();
    log.delete_topic("t").unwrap();
    assert!(groups.all_committed("g").is_empty());
    let again = log.create_topic("t", 4, TopicConfig::default()).unwrap().id();
    assert_eq!(groups.committed("g", again, 0), None);
    groups.remove_expired(0);
    assert!(groups.list().is_empty(), "nothing is left of the group");
    while groups.committed("g", topic, 0).is_some() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn offsets_of_a_group_without_members_expire() {
    let (memory, topic) = with_topic();
    let retention = Duration::from_secs(60);
    let options = GroupOptions::default().with_offsets_retention(retention);
    let groups = Coordinator::open(open_log(Arc::new(memory.clone())), options).unwrap();
    commit(&groups, "g", vec![new_offset(topic, 0, 5)]).unwrap();
    let committed_ms = groups.committed("g", topic, 0).unwrap().commit_time_ms;
    groups.remove_expired(committed_ms + 59_999);
    assert_eq!(groups.list().len(), 1);
    groups.remove_expired(committed_ms + 60_000);
    assert!(groups.list().is_empty());
    assert_eq!(groups.delete("g").unwrap_err(), GroupError::GroupNotFound("g".to_owned()));
}

#[test]
fn a_deleted_group_is_gone_after_a_restart_and_two_coordinators_are_refused() {
    let (memory, topic) = with_topic();
    let log = open_log(Arc::new(memory.clone()));
    let groups = Coordinator::open(Arc::clone(&log), GroupOptions::default()).unwrap();
    let second = Coordinator::open(Arc::clone(&log), GroupOptions::default()).unwrap_err();
    assert!(matches!(second, JournalError::InUse), "{second}");
    commit(&groups, "g", vec![new_offset(topic, 0, 5)]).unwrap();
    groups.delete("g").unwrap().blocking_recv().unwrap().unwrap();
    drop(groups);
    let groups = Coordinator::open(log, GroupOptions::default()).unwrap();
    assert!(groups.list().is_empty() && groups.committed("g", topic, 0).is_none());
}

#[test]
fn memory_is_bounded() {
    let (memory, topic) = with_topic();
    let options = GroupOptions { max_groups: 2, max_offset_bytes: 500, ..GroupOptions::default() };
    let groups = Coordinator::open(open_log(Arc::new(memory)), options).unwrap();
    commit(&groups, "a", vec![new_offset(topic, 0, 5)]).unwrap();
    commit(&groups, "b", vec![new_offset(topic, 0, 5)]).unwrap();
    assert!(matches!(commit(&groups, "c", vec![]), Err(GroupError::Limit { limit: 2, .. })));
    let long = NewOffset { metadata: "x".repeat(400).into(), ..new_offset(topic, 0, 5) };
    assert!(matches!(commit(&groups, "a", vec![long]), Err(GroupError::Limit { limit: 500, .. })));
}
