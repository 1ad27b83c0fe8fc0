//! `cartlog broker`: the embedded log as a Kafka server of its own.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use cartlog_storage::broker::{Broker, BrokerOptions};
use cartlog_storage::io::OsDirectory;
use cartlog_storage::log::{Log, LogOptions};
use serde_json::json;

use crate::cli::Usage;
use crate::cli::arguments;
use crate::cli::interrupt;
use crate::cli::settings::Settings;
use crate::kafka;
use crate::pipeline::log_directory;

/// How often a running broker looks whether it has been asked to stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

pub(super) fn execute(options: &arguments::Broker, settings: &Settings) -> Result<()> {
    if settings.brokers.is_some() {
        return Err(Usage("`cartlog broker` is a broker itself; leave --brokers away".to_owned()).into());
    }
    let folder = log_directory(&settings.store);
    let directory = OsDirectory::open(&folder).with_context(|| format!("can't open {}", folder.display()))?;
    let log = Arc::new(Log::open(Arc::new(directory), LogOptions::default())?);
    let interrupt = interrupt::listen()?;
    let runtime = kafka::runtime(settings.threads)?;
    let topics = log.topics().len();
    let options = BrokerOptions {
        listen: options.listen.clone(),
        advertised: options.advertise.clone(),
        default_partitions: options.default_partitions,
        auto_create: !options.no_auto_create,
        insecure: options.insecure,
        ..BrokerOptions::default()
    };
    let broker = runtime.block_on(Broker::bind(log, options))?;
    if settings.json {
        println!("{}", json!({ "address": broker.address().to_string(), "log": folder, "topics": topics }));
    } else if !settings.quiet {
        println!("Kafka clients: {}", broker.address());
        println!("log:           {} ({topics} topics)", folder.display());
        println!("stop:          Ctrl-C");
    }
    while !interrupt.is_requested() {
        thread::sleep(CHECK_INTERVAL);
    }
    runtime.block_on(broker.shutdown())?;
    Ok(())
}
