//! `cartlog topics`: topics of any broker.

use std::io::{self, Write};

use anyhow::Result;
use serde_json::json;

use crate::cli::arguments::{Topics, TopicsAction};
use crate::cli::settings::Settings;
use crate::cli::text;
use crate::kafka::{self, EmbeddedLog, KafkaClient, PartitionOffsets};
use crate::pipeline::{LogPlan, LogTarget};

pub(super) fn execute(options: &Topics, settings: &Settings) -> Result<()> {
    let runtime = kafka::runtime(settings.threads)?;
    runtime.block_on(async {
        let LogPlan { target, client, .. } = settings.log();
        match target {
            LogTarget::Brokers(brokers) => {
                act(options, settings, &KafkaClient::connect(&brokers, &client).await?).await
            }
            LogTarget::Embedded(folder) => {
                let log = EmbeddedLog::start(&folder).await?;
                let done = match KafkaClient::connect(&[log.address().to_string()], &client).await {
                    Ok(client) => act(options, settings, &client).await,
                    Err(error) => Err(error.into()),
                };
                log.shutdown().await?;
                done
            }
        }
    })
}

async fn act(options: &Topics, settings: &Settings, client: &KafkaClient) -> Result<()> {
    let mut out = Vec::new();
    match options.action.as_ref().unwrap_or(&TopicsAction::List) {
        TopicsAction::List => {
            let topics = client.topics().await?;
            if settings.json {
                writeln!(out, "{}", serde_json::to_string(&topics)?)?;
            } else {
                let wide = topics.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
                for topic in &topics {
                    let partitions = text::counted(topic.partitions.len() as u64, "partition");
                    writeln!(out, "{:<wide$}  {partitions}", topic.name)?;
                }
                if topics.is_empty() {
                    writeln!(out, "No topics at {}.", client.brokers())?;
                }
            }
        }
        TopicsAction::Create { name, partitions } => {
            let topic = client.create_topic(name, *partitions).await?;
            if settings.json {
                writeln!(out, "{}", serde_json::to_string(&topic)?)?;
            } else {
                writeln!(
                    out,
                    "Created topic {name} with {}.",
                    text::counted(topic.partitions.len() as u64, "partition")
                )?;
            }
        }
        TopicsAction::Delete { name } => {
            client.delete_topic(name).await?;
            if settings.json {
                writeln!(out, "{}", json!({ "deleted": name }))?;
            } else {
                writeln!(out, "Deleted topic {name}.")?;
            }
        }
        TopicsAction::Describe { name } => {
            let name = name.as_ref().unwrap_or(&settings.topic);
            let partitions = client.describe_topic(name).await?;
            describe(name, &partitions, settings, &mut out)?;
        }
    }
    Ok(io::stdout().write_all(&out)?)
}

fn describe(name: &str, partitions: &[PartitionOffsets], settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    if settings.json {
        writeln!(out, "{}", json!({ "name": name, "partitions": partitions }))?;
        return Ok(());
    }
    writeln!(out, "{name}")?;
    writeln!(out, "  {:>9} {:>14} {:>14} {:>14}", "partition", "earliest", "latest", "records")?;
    for held in partitions {
        let records = held.latest.saturating_sub(held.earliest);
        writeln!(out, "  {:>9} {:>14} {:>14} {records:>14}", held.partition, held.earliest, held.latest)?;
    }
    Ok(())
}
