//! Idempotent producers and the time of arrival, through a whole log and its restarts.

use std::sync::Arc;

use super::batch::tests::{batch, idempotent};
use super::{BatchHeader, Log, LogError, LogOptions, Offset, Partition, ProducerError, TopicConfig};
use crate::io::{Directory, MemoryDirectory};

const PRODUCER: i64 = 77;

fn open(directory: &Arc<MemoryDirectory>) -> Log {
    Log::open(Arc::clone(directory) as Arc<dyn Directory>, LogOptions::default().with_segment_bytes(1024)).unwrap()
}

fn send(partition: &Partition, number: i32) -> Result<Offset, LogError> {
    let sent = idempotent(&batch(2, 1_569_888_000_000, &[b'v'; 100]), PRODUCER, 0, number * 2);
    partition.append(&sent).map(|appended| appended.base_offset)
}

fn check_memory(partition: &Partition, sent: i32) {
    for number in sent - 5..sent {
        assert_eq!(send(partition, number).unwrap(), Offset(i64::from(number) * 2), "a repeat keeps its place");
    }
    assert_eq!(partition.end(), Offset(i64::from(sent) * 2), "a repeat is not written");
    let refused = send(partition, sent + 1).unwrap_err();
    assert!(matches!(refused, LogError::Producer(ProducerError::OutOfOrder { .. })), "{refused}");
}

#[test]
fn repeats_are_known_after_every_kind_of_restart() {
    let directory = Arc::new(MemoryDirectory::default());
    let log = open(&directory);
    let topic = log.create_topic("t", 1, TopicConfig::default()).unwrap();
    for number in 0..20 {
        send(&topic.partitions()[0], number).unwrap();
    }
    check_memory(&topic.partitions()[0], 20);
    drop((topic, log));

    // As after a kill: nothing was written down.
    let log = open(&directory);
    let topic = log.topic("t").unwrap();
    check_memory(&topic.partitions()[0], 20);
    send(&topic.partitions()[0], 20).unwrap();
    log.close().unwrap();
    drop((topic, log));

    // After a clean stop there is a snapshot of the end.
    let path = "t-0/00000000000000000042.snapshot";
    assert!(directory.exists(path).unwrap());
    let log = open(&directory);
    check_memory(&log.topic("t").unwrap().partitions()[0], 21);
    drop(log);

    // Without it all headers are walked.
    directory.remove(path).unwrap();
    let log = open(&directory);
    check_memory(&log.topic("t").unwrap().partitions()[0], 21);
}

#[test]
fn a_snapshot_ahead_of_the_log_is_not_believed() {
    let directory = Arc::new(MemoryDirectory::default());
    let log = open(&directory);
    let topic = log.create_topic("t", 1, TopicConfig::default()).unwrap();
    for number in 0..7 {
        send(&topic.partitions()[0], number).unwrap();
    }
    log.close().unwrap();
    drop((topic, log));
    let (from, to) = ("t-0/00000000000000000014.snapshot", "t-0/00000000000000000099.snapshot");
    directory.rename(from, to).unwrap();
    let log = open(&directory);
    assert!(!directory.exists(to).unwrap());
    check_memory(&log.topic("t").unwrap().partitions()[0], 7);
}

#[test]
fn the_time_of_arrival_replaces_that_of_the_producer() {
    let directory = Arc::new(MemoryDirectory::default());
    let log = open(&directory);
    let mut config = TopicConfig::default();
    config.set("message.timestamp.type", "LogAppendTime").unwrap();
    let topic = log.create_topic("t", 1, config).unwrap();
    let partition = &topic.partitions()[0];
    let time = partition.append(&batch(3, 5, b"v")).unwrap().append_time_ms.unwrap();
    assert!(time > 1_700_000_000_000);
    let stored = partition.read(Offset(0), 1000, true).unwrap().batches.read_all().unwrap();
    let header = BatchHeader::of_produced(&stored, 1000).unwrap();
    assert!(header.attributes.is_log_append_time());
    assert_eq!(header.max_timestamp_ms, time);
    assert_eq!(partition.offset_for_time(time).unwrap().unwrap().offset, Offset(0));
    assert_eq!(partition.latest_time().unwrap().unwrap().timestamp_ms, time);
}
