//! What is told, metric by metric.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::process;
use super::text::Text;
use crate::broker::api::REGISTRY;
use crate::broker::node::Node;
use crate::log::{Partition, Topic, Traffic};

/// All metrics at this moment.
pub(super) fn report(node: &Node) -> String {
    let mut out = Text::default();
    out.gauge("cartlog_build_info", "The version that runs; always 1.")
        .value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    requests(node, &mut out);
    connections(node, &mut out);
    let topics = node.log.topics();
    traffic(&topics, &mut out);
    partitions(&topics, &mut out);
    let help = "From the start of a sync of a partition until its records are on disk; one serves all who wait.";
    out.histogram("cartlog_log_sync_duration_seconds", help).durations(&[], node.log.syncs());
    groups(node, &mut out);
    process::report(&mut out);
    out.into_string()
}

fn requests(node: &Node, out: &mut Text) {
    let apis = || REGISTRY.iter().zip(&node.metrics.apis);
    let help = "Requests that could not be answered; their connections were closed.";
    let mut errors = out.counter("cartlog_request_errors_total", help);
    for (api, requests) in apis() {
        errors.value(&[("api", api.name)], load(&requests.errors));
    }
    let help = "From the arrival of a request until its answer is ready, all waiting included.";
    let mut durations = out.histogram("cartlog_request_duration_seconds", help);
    for (api, requests) in apis() {
        durations.durations(&[("api", api.name)], &requests.durations);
    }
}

fn connections(node: &Node, out: &mut Text) {
    let metrics = &node.metrics;
    out.gauge("cartlog_connections_open", "Connections of clients held now.")
        .value(&[], load(&metrics.open_connections));
    out.counter("cartlog_connections_total", "Connections accepted since the start.")
        .value(&[], load(&metrics.connections));
    out.counter("cartlog_connections_refused_total", "Connections closed at once since there were too many.")
        .value(&[], load(&metrics.refused_connections));
    out.counter("cartlog_failed_logins_total", "Logins refused.").value(&[], load(&metrics.failed_logins));
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn traffic(topics: &[Arc<Topic>], out: &mut Text) {
    let mut each = |name, help, value: fn(Traffic) -> u64| {
        let mut metric = out.counter(name, help);
        for topic in topics {
            let sum: u64 = topic.partitions().iter().map(|partition| value(partition.traffic())).sum();
            metric.value(&[("topic", topic.name())], sum);
        }
    };
    each("cartlog_topic_bytes_in_total", "Bytes of batches appended to a topic.", |traffic| traffic.bytes_in);
    each("cartlog_topic_records_in_total", "Records appended to a topic.", |traffic| traffic.records_in);
    each("cartlog_topic_batches_in_total", "Batches appended to a topic.", |traffic| traffic.batches_in);
    each("cartlog_topic_batches_refused_total", "Batches that a topic did not take.", |traffic| {
        traffic.refused_batches
    });
    each("cartlog_topic_bytes_out_total", "Bytes of batches read from a topic.", |traffic| traffic.bytes_out);
}

fn partitions(topics: &[Arc<Topic>], out: &mut Text) {
    let mut each = |name, help, value: fn(&Partition) -> u64| {
        let mut metric = out.gauge(name, help);
        for partition in topics.iter().flat_map(|topic| topic.partitions()) {
            let index = partition.index().to_string();
            metric.value(&[("topic", partition.topic()), ("partition", &index)], value(partition));
        }
    };
    each("cartlog_log_size_bytes", "Bytes of a partition's records on disk.", Partition::bytes);
    each("cartlog_log_start_offset", "The first offset that a partition keeps.", |partition| {
        partition.start().0.unsigned_abs()
    });
    each("cartlog_log_end_offset", "The offset behind a partition's last record.", |partition| {
        partition.end().0.unsigned_abs()
    });
    each("cartlog_log_offline", "1 if a partition could not be opened.", |partition| {
        u64::from(partition.offline().is_some())
    });
    each("cartlog_log_failed", "1 if a partition takes no more appends since the disk failed.", |partition| {
        u64::from(partition.failure().is_some())
    });
}

fn groups(node: &Node, out: &mut Text) {
    let groups = node.groups.list();
    let mut members = out.gauge("cartlog_group_members", "Members of a consumer group.");
    for group in &groups {
        // A group may have gone since it was listed.
        let count = node.groups.describe(&group.id).map_or(0, |described| described.members.len());
        members.value(&[("group", &group.id)], count);
    }
    let help = "Offsets that a consumer group has still to read, by committed offsets.";
    let mut lags = out.gauge("cartlog_group_lag", help);
    for group in &groups {
        for topic in node.groups.all_committed(&group.id) {
            for (index, committed) in topic.offsets {
                let Some(partition) = topic.topic.partition(index) else {
                    continue;
                };
                let lag = partition.end().0.saturating_sub(committed.offset).max(0);
                let labels = [("group", &*group.id), ("topic", topic.topic.name()), ("partition", &index.to_string())];
                lags.value(&labels, lag);
            }
        }
    }
    let help = "From the start of a write of committed offsets until they are on disk; one serves all who wait.";
    out.histogram("cartlog_group_commit_duration_seconds", help).durations(&[], node.groups.commits());
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::broker::options::BrokerOptions;
    use crate::groups::{Coordinator, NewOffset};
    use crate::io::MemoryDirectory;
    use crate::log::{Log, LogOptions, Offset, TopicConfig, batch_for_tests};

    #[tokio::test]
    async fn what_came_in_and_went_out_is_told_by_topic() {
        let directory = Arc::new(MemoryDirectory::new());
        let log = Arc::new(Log::open(directory, LogOptions::default()).unwrap());
        let groups = Coordinator::open(Arc::clone(&log), BrokerOptions::default().groups).unwrap();
        let topic = log.create_topic("events", 2, TopicConfig::default()).unwrap();
        let batch = batch_for_tests(3, 1000, b"value");
        for number in [0, 1, 1] {
            topic.partitions()[number].append(&batch).unwrap();
        }
        assert!(topic.partitions()[0].append(&batch[1..]).is_err());
        let read = topic.partitions()[1].read(Offset(0), usize::MAX, true).unwrap();
        topic.partitions()[0].sync().unwrap();
        let commit = NewOffset { topic: topic.id(), partition: 1, offset: 4, leader_epoch: -1, metadata: "".into() };
        groups.commit("readers", &Default::default(), -1, vec![commit]).unwrap().await.unwrap().unwrap();
        let (_open, closing) = watch::channel(false);
        let node = Node::new(log, groups, BrokerOptions::default(), ("h".to_owned(), 1), closing);
        let told = report(&node);
        for line in [
            format!("cartlog_topic_bytes_in_total{{topic=\"events\"}} {}", 3 * batch.len()),
            "cartlog_topic_records_in_total{topic=\"events\"} 9".to_owned(),
            "cartlog_topic_batches_in_total{topic=\"events\"} 3".to_owned(),
            "cartlog_topic_batches_refused_total{topic=\"events\"} 1".to_owned(),
            format!("cartlog_topic_bytes_out_total{{topic=\"events\"}} {}", read.batches.len()),
            "cartlog_log_end_offset{topic=\"events\",partition=\"1\"} 6".to_owned(),
            "cartlog_log_failed{topic=\"events\",partition=\"0\"} 0".to_owned(),
            "cartlog_log_sync_duration_seconds_count 1".to_owned(),
            "cartlog_group_commit_duration_seconds_count 1".to_owned(),
            "cartlog_group_lag{group=\"readers\",topic=\"events\",partition=\"1\"} 2".to_owned(),
        ] {
            assert!(told.lines().any(|found| found == line), "{line} is missing in\n{told}");
        }
    }
}
