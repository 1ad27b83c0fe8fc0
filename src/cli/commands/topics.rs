//! `cartlog topics`: topics and groups of any broker.

use std::io::{self, Write};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::log::with_admin;
use crate::cli::Usage;
use crate::cli::arguments::{Topics, TopicsAction};
use crate::cli::columns::Columns;
use crate::cli::settings::Settings;
use crate::cli::text;
use crate::kafka::{Admin, GroupReport, PartitionReport, TopicReport, TopicSetting};
use crate::pipeline::LogTarget;

pub(super) fn execute(options: &Topics, settings: &Settings) -> Result<()> {
    let action = options.action.as_ref().unwrap_or(&TopicsAction::List);
    if let (LogTarget::Embedded(folder), false) = (settings.log().target, matches!(action, TopicsAction::Create { .. }))
        && !folder.try_exists().unwrap_or(true)
    {
        return Err(anyhow!(
            "there is no log in {}; load something (cartlog run FILE), or name another with --store or brokers with --brokers",
            settings.store.display()
        ));
    }
    let (shown, object) = with_admin(settings, async |admin| act(action, settings, admin).await)?;
    let out = if settings.json { format!("{object}\n") } else { shown };
    Ok(io::stdout().write_all(out.as_bytes())?)
}

/// Does what is asked, and tells it as text and as JSON.
async fn act(action: &TopicsAction, settings: &Settings, admin: &mut Admin) -> Result<(String, Value)> {
    Ok(match action {
        TopicsAction::List => {
            let topics = admin.topics().await?;
            let shown =
                if topics.is_empty() { format!("No topics at {}.\n", admin.brokers()) } else { list(&topics, 0) };
            (shown, topics.iter().map(summary).collect())
        }
        TopicsAction::Create { name, partitions, set } => {
            let topic = admin.create_topic(name, *partitions, &pairs(set)?).await?;
            let partitions = text::counted(topic.partitions.len() as u64, "partition");
            (format!("Created topic {name} with {partitions}.\n"), json!(topic))
        }
        TopicsAction::Alter { name, set, unset } => {
            let mut changes: Vec<_> = pairs(set)?.into_iter().map(|(setting, value)| (setting, Some(value))).collect();
            changes.extend(unset.iter().map(|setting| (setting.clone(), None)));
            if changes.is_empty() {
                return Err(
                    Usage("nothing to change; say what with --set NAME=VALUE or --unset NAME".to_owned()).into()
                );
            }
            admin.alter_topic(name, &changes).await?;
            let set = admin.settings(name).await?;
            (format!("Changed topic {name}.\n{}", show_settings(&set)), json!({ "name": name, "settings": set }))
        }
        TopicsAction::Delete { name } => {
            admin.delete_topic(name).await?;
            (format!("Deleted topic {name}.\n"), json!({ "deleted": name }))
        }
        TopicsAction::Describe { name } => {
            let name = name.as_ref().unwrap_or(&settings.topic);
            let topic = admin.topic(name).await?;
            let set = admin.settings(name).await?;
            let object = json!({ "name": name, "records": topic.records(), "bytes": topic.bytes(),
                "partitions": topic.partitions, "settings": set });
            (describe(&topic, &set), object)
        }
        TopicsAction::Groups { name: None } => {
            let groups = admin.groups().await?;
            let shown = if groups.is_empty() {
                format!("No groups at {}.\n", admin.brokers())
            } else {
                list_groups(&groups, 0)
            };
            (shown, groups.iter().map(group_summary).collect())
        }
        TopicsAction::Groups { name: Some(name) } => {
            let group = admin.group(name).await?;
            let mut object = json!(group);
            object["lag"] = json!(group.lag());
            (describe_group(&group), object)
        }
    })
}

/// Settings as they were typed.
fn pairs(typed: &[String]) -> Result<Vec<(String, String)>> {
    let split = typed.iter().map(|text| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(Usage(format!("--set is {text:?}; it takes NAME=VALUE, such as retention.ms=86400000")).into()),
    });
    split.collect()
}

/// Topics as lines.
pub(super) fn list(topics: &[TopicReport], indent: usize) -> String {
    let mut columns = Columns::new(&["topic", "#partitions", "#records", "#size"]);
    for topic in topics {
        columns.row([
            topic.name.clone(),
            text::count(topic.partitions.len() as u64),
            text::count(topic.records()),
            topic.bytes().map_or_else(unknown, text::bytes),
        ]);
    }
    columns.lines(indent)
}

/// A topic in one object.
pub(super) fn summary(topic: &TopicReport) -> Value {
    let partitions: Vec<_> = topic.partitions.iter().map(|partition| partition.partition).collect();
    json!({ "name": topic.name, "partitions": partitions, "records": topic.records(), "bytes": topic.bytes() })
}

fn describe(topic: &TopicReport, set: &[TopicSetting]) -> String {
    let mut columns =
        Columns::new(&["#partition", "#earliest", "#latest", "#records", "#size", "#leader", "replicas", "in sync"]);
    for partition in &topic.partitions {
        let brokers = |numbers: &[i32]| numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        columns.row([
            partition.partition.to_string(),
            partition.earliest.map_or_else(unknown, |offset| offset.to_string()),
            partition.latest.map_or_else(unknown, |offset| offset.to_string()),
            PartitionReport::records(partition).map_or_else(unknown, text::count),
            partition.bytes.map_or_else(unknown, text::bytes),
            partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            brokers(&partition.replicas),
            brokers(&partition.in_sync),
        ]);
    }
    let size = topic.bytes().map_or_else(String::new, |bytes| format!(", {}", text::bytes(bytes)));
    let records = text::counted(topic.records(), "record");
    let partitions = text::counted(topic.partitions.len() as u64, "partition");
    format!("{}: {partitions}, {records}{size}\n{}{}", topic.name, columns.lines(2), show_settings(set))
}

fn show_settings(set: &[TopicSetting]) -> String {
    if set.is_empty() {
        return "settings: all by default\n".to_owned();
    }
    let mut columns = Columns::new(&["setting", "value", "set for"]);
    for setting in set {
        columns.row([
            setting.name.clone(),
            setting.value.clone().unwrap_or_else(|| "(secret)".to_owned()),
            if setting.is_own { "this topic" } else { "the cluster" }.to_owned(),
        ]);
    }
    columns.lines(2)
}

/// Groups as lines.
pub(super) fn list_groups(groups: &[GroupReport], indent: usize) -> String {
    let mut columns = Columns::new(&["group", "state", "#members", "#partitions", "#lag"]);
    for group in groups {
        columns.row([
            group.group.clone(),
            group.state.clone(),
            text::count(group.members.len() as u64),
            text::count(group.partitions.len() as u64),
            text::count(group.lag().unsigned_abs()),
        ]);
    }
    columns.lines(indent)
}

/// A group in one object.
pub(super) fn group_summary(group: &GroupReport) -> Value {
    json!({ "group": group.group, "state": group.state, "protocol": group.protocol,
        "members": group.members.len(), "partitions": group.partitions.len(), "lag": group.lag() })
}

fn describe_group(group: &GroupReport) -> String {
    let members = text::counted(group.members.len() as u64, "member");
    let lag = text::count(group.lag().unsigned_abs());
    let mut shown = format!("{}: {}, {members}, lag {lag}\n", group.group, group.state);
    let mut columns = Columns::new(&["topic", "#partition", "#committed", "#end", "#lag", "member", "host"]);
    for partition in &group.partitions {
        columns.row([
            partition.topic.clone(),
            partition.partition.to_string(),
            partition.committed.map_or_else(unknown, |offset| offset.to_string()),
            partition.end.map_or_else(unknown, |offset| offset.to_string()),
            partition.lag.map_or_else(unknown, |lag| text::count(lag.unsigned_abs())),
            partition.member.clone().unwrap_or_default(),
            partition.host.clone().unwrap_or_default(),
        ]);
    }
    if !group.partitions.is_empty() {
        shown.push_str(&columns.lines(2));
    }
    shown
}

/// What is shown for what the cluster doesn't tell.
fn unknown() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_typed_as_pairs() {
        let typed = ["retention.ms=5".to_owned(), " a = b=c".to_owned(), "empty=".to_owned()];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(&typed).unwrap(), [pair("retention.ms", "5"), pair("a", "b=c"), pair("empty", "")]);
        for wrong in ["retention.ms", "=5", ""] {
            assert!(pairs(&[wrong.to_owned()]).unwrap_err().to_string().contains("NAME=VALUE"), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_told_is_left_open() {
        let partition = PartitionReport {
            partition: 0,
            leader: None,
            replicas: vec![1, 2],
            in_sync: Vec::new(),
            earliest: None,
            latest: Some(5),
            bytes: None,
        };
        let topic = TopicReport { name: "t".to_owned(), partitions: vec![partition] };
        let shown = describe(&topic, &[]);
        assert!(shown.starts_with("t: 1 partition, 0 records\n"), "{shown}");
        assert!(shown.contains("none  1,2") && shown.contains("all by default"), "{shown}");
        assert!(list(&[topic], 0).ends_with("t               1        0     -\n"));
    }
}
