//! `cartlog serve`: the live dashboard.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio::sync::oneshot;

use super::{no_store, open_store};
use crate::cli::arguments;
use crate::cli::interrupt;
use crate::cli::settings::Settings;
use crate::kafka::{self, Admin, ClientOptions, PartitionReport};
use crate::pipeline::{LogPlan, LogTarget};
use crate::serve::{self, Answers, LogEnd, ServeError, Server};
use cartlog_storage::store::StoreError;

/// How long what nobody waits for may go on after the server has stopped.
const LAST_WORK: Duration = Duration::from_millis(50);
/// How often the brokers are asked where the topic ends.
const LOOK: Duration = Duration::from_secs(2);

pub(super) fn execute(options: &arguments::Serve, settings: &Settings) -> Result<()> {
    let answers = match Answers::open(Arc::new(open_store(settings)?)) {
        Err(ServeError::Store(StoreError::NoStore)) => return Err(no_store(settings)),
        opened => Arc::new(opened?.within(settings.memory)),
    };
    let interrupt = interrupt::listen(interrupt::ANSWERING)?;
    let runtime = kafka::runtime(settings.threads)?;
    let server = runtime.block_on(Server::bind(&options.listen, Arc::clone(&answers)))?;
    let address = server.address()?;
    if settings.json {
        writeln!(io::stdout(), "{}", json!({ "address": address.to_string() }))?;
    } else if !settings.quiet {
        writeln!(io::stdout(), "dashboard: http://{address}/\nstop:      Ctrl-C")?;
    }
    runtime.spawn(serve::prepare(Arc::clone(&answers)));
    if let LogPlan { target: LogTarget::Brokers(brokers), topic, client, .. } = settings.log() {
        runtime.spawn(watch(answers, brokers, topic, client));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let running = runtime.spawn(server.run(async { drop(stopped.await) }));
    interrupt::wait(&interrupt);
    drop(stop);
    runtime.block_on(running)?;
    runtime.shutdown_timeout(LAST_WORK);
    Ok(())
}

/// Tells the dashboard where the topic ends, again and again. Brokers that don't answer are no reason not to show the store.
async fn watch(answers: Arc<Answers>, brokers: Vec<String>, topic: String, client: ClientOptions) {
    let mut connected = None;
    loop {
        let mut admin = match connected.take() {
            Some(admin) => Ok(admin),
            None => Admin::connect(&brokers, &client).await,
        };
        let seen = match &mut admin {
            Ok(admin) => admin.topic(&topic).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match seen {
            Ok(report) => {
                answers.log_ends(report.partitions.iter().map(|partition| end(&topic, partition)).collect());
                connected = admin.ok();
            }
            Err(error) => {
                tracing::debug!("can't tell how far the store is behind {topic}: {error}");
                answers.log_ends(None);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Where a partition ends, if its leader told.
fn end(topic: &str, partition: &PartitionReport) -> Option<LogEnd> {
    let (earliest, latest) = (partition.earliest?, partition.latest?);
    Some(LogEnd { topic: topic.to_owned(), partition: partition.partition, earliest, latest })
}
