//! The metrics in Prometheus' text form (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write as _};
use std::fs;
use std::sync::atomic::Ordering;

use super::BOUNDS_US;
use crate::broker::api::REGISTRY;
use crate::broker::node::Node;

/// Ticks in a second of the times in `/proc/self/stat`, on every architecture this runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// All metrics at this moment.
pub(super) fn render(node: &Node) -> String {
    let mut out = String::new();
    requests(node, &mut out);
    let metrics = &node.metrics;
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    head(&mut out, "cartlog_connections_open", "gauge", "Connections of clients held now.");
    line(&mut out, "cartlog_connections_open", &[], load(&metrics.open_connections));
    head(&mut out, "cartlog_connections_total", "counter", "Connections accepted since the start.");
    line(&mut out, "cartlog_connections_total", &[], load(&metrics.connections));
    head(
        &mut out,
        "cartlog_connections_refused_total",
        "counter",
        "Connections closed at once since there were too many.",
    );
    line(&mut out, "cartlog_connections_refused_total", &[], load(&metrics.refused_connections));
    log(node, &mut out);
    groups(node, &mut out);
    process(&mut out);
    out
}

fn requests(node: &Node, out: &mut String) {
    let apis = || REGISTRY.iter().zip(&node.metrics.apis);
    head(
        out,
        "cartlog_request_errors_total",
        "counter",
        "Requests that could not be answered; their connections were closed.",
    );
    for (api, requests) in apis() {
        line(out, "cartlog_request_errors_total", &[("api", api.name)], requests.errors.load(Ordering::Relaxed));
    }
    let name = "cartlog_request_duration_seconds";
    head(
        out,
        name,
        "histogram",
        "From the arrival of a request until its answer is ready, waiting for its turn included.",
    );
    for (api, requests) in apis() {
        let mut count = 0;
        for (bucket, bound) in requests.buckets.iter().zip(BOUNDS_US.map(Some).into_iter().chain([None])) {
            count += bucket.load(Ordering::Relaxed);
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound_us| seconds(bound_us).to_string());
            line(out, "cartlog_request_duration_seconds_bucket", &[("api", api.name), ("le", &bound)], count);
        }
        let total = seconds(requests.total_us.load(Ordering::Relaxed));
        line(out, "cartlog_request_duration_seconds_sum", &[("api", api.name)], total);
        line(out, "cartlog_request_duration_seconds_count", &[("api", api.name)], count);
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of centuries are still exact")]
fn seconds(duration_us: u64) -> f64 {
    duration_us as f64 / 1e6
}

fn log(node: &Node, out: &mut String) {
    let topics = node.log.topics();
    let each = |out: &mut String, name: &str, help: &str, value: fn(&crate::log::Partition) -> u64| {
        head(out, name, "gauge", help);
        for partition in topics.iter().flat_map(|topic| topic.partitions()) {
            let index = partition.index().to_string();
            line(out, name, &[("topic", partition.topic()), ("partition", &index)], value(partition));
        }
    };
    each(out, "cartlog_log_size_bytes", "Bytes of a partition's records on disk.", crate::log::Partition::bytes);
    each(out, "cartlog_log_start_offset", "The first offset that a partition keeps.", |partition| {
        partition.start().0.unsigned_abs()
    });
    each(out, "cartlog_log_end_offset", "The offset behind a partition's last record.", |partition| {
        partition.end().0.unsigned_abs()
    });
    each(out, "cartlog_log_offline", "1 if a partition could not be opened.", |partition| {
        u64::from(partition.offline().is_some())
    });
}

fn groups(node: &Node, out: &mut String) {
    let groups = node.groups.list();
    head(out, "cartlog_group_members", "gauge", "Members of a consumer group.");
    for group in &groups {
        // A group may have gone since it was listed.
        let members = node.groups.describe(&group.id).map_or(0, |described| described.members.len());
        line(out, "cartlog_group_members", &[("group", &group.id)], members);
    }
    head(out, "cartlog_group_lag", "gauge", "Offsets that a consumer group has still to read, by committed offsets.");
    for group in &groups {
        for topic in node.groups.all_committed(&group.id) {
            for (index, committed) in topic.offsets {
                let Some(partition) = topic.topic.partition(index) else {
                    continue;
                };
                let lag = partition.end().0.saturating_sub(committed.offset).max(0);
                let labels = [("group", &*group.id), ("topic", topic.topic.name()), ("partition", &index.to_string())];
                line(out, "cartlog_group_lag", &labels, lag);
            }
        }
    }
}

/// Memory and processor time, under the names that Prometheus' own clients give them; nothing where there is no `/proc`.
fn process(out: &mut String) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    if let Some(kibibytes) = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()) {
        head(out, "process_resident_memory_bytes", "gauge", "Resident memory of the process.");
        line(out, "process_resident_memory_bytes", &[], kibibytes * 1024);
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, which may hold spaces, ends at the last bracket; the times are the 12th and 13th after it.
    let fields: Vec<_> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    if let Some([Ok(user), Ok(system)]) = fields.get(11..13).map(|two| [two[0].parse::<f64>(), two[1].parse::<f64>()]) {
        head(out, "process_cpu_seconds_total", "counter", "Processor time of the process, user and system.");
        line(out, "process_cpu_seconds_total", &[], (user + system) / TICKS_A_SECOND);
    }
}

// Writing to a string can't fail.
fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    out.push_str(name);
    for (at, (label, text)) in labels.iter().enumerate() {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{}{label}=\"{escaped}\"", if at == 0 { '{' } else { ',' });
    }
    let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut out = String::new();
        line(&mut out, "m", &[("a", "x\"y\\z\n"), ("b", "")], 1.5);
        line(&mut out, "m", &[], 2);
        assert_eq!(out, "m{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1.5\nm 2\n");
    }

    #[test]
    fn the_process_is_measured() {
        let mut out = String::new();
        process(&mut out);
        let value = |name: &str| -> f64 {
            let line = out.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6 && value("process_cpu_seconds_total") >= 0.0, "{out}");
    }
}
