//! cartlog's own log inside the process, spoken to like any other broker.
//!
//! It is served over TCP on the loopback interface and never called directly, so that a cluster elsewhere can take
//! its place without anything else changing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cartlog_storage::broker::{Broker, BrokerHandle, BrokerOptions};
use cartlog_storage::io::OsDirectory;
use cartlog_storage::log::{Log, LogError, LogOptions};

use super::error::KafkaError;
use super::options::ClientOptions;

/// The log of a directory, served on a free loopback port for as long as this lives.
///
/// Dropping it is like a crash of the broker: what was acknowledged is on disk. [`EmbeddedLog::shutdown`] spares the
/// next start the recovery.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cartlog::kafka::{ClientOptions, EmbeddedLog, KafkaClient, runtime};
///
/// let directory = tempfile::tempdir()?;
/// runtime(2)?.block_on(async {
///     let log = EmbeddedLog::start(directory.path()).await?;
///     let client = KafkaClient::connect(&[log.address().to_string()], &ClientOptions::default()).await?;
///     client.create_topic("clicks", 4).await?;
///     assert_eq!(client.topics().await?.len(), 1);
///     log.shutdown().await?;
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct EmbeddedLog {
    broker: BrokerHandle,
    log: Arc<Log>,
    directory: String,
}

impl EmbeddedLog {
    /// Opens (or creates) the log and serves it on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Embedded`] if the directory or its log cannot be opened, is served by another process already,
    /// or no loopback port is to be had.
    pub async fn start(directory: &Path) -> Result<Self, KafkaError> {
        let root = directory.to_owned();
        let directory = directory.display().to_string();
        let failed = |reason: String| KafkaError::Embedded { directory: directory.clone(), reason };
        // Opening recovers what a crash has left, which may take a while.
        let opened = tokio::task::spawn_blocking(move || open(&root)).await;
        let log = opened.map_err(|error| failed(error.to_string()))?.map_err(&failed)?;
        let options = BrokerOptions { listen: "127.0.0.1:0".to_owned(), ..BrokerOptions::default() };
        let broker = Broker::bind(Arc::clone(&log), options).await.map_err(|error| failed(error.to_string()))?;
        Ok(Self { broker, log, directory })
    }

    /// Whether all partitions of a topic could be opened.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Embedded`] naming the first one that couldn't.
    pub fn check(&self, topic: &str) -> Result<(), KafkaError> {
        let Some(topic) = self.log.topic(topic) else { return Ok(()) };
        let offline = topic.partitions().iter().find_map(|partition| partition.offline());
        offline.map_or(Ok(()), |error| {
            let reason = format!("{error}; `cartlog verify` shows all that is damaged");
            Err(KafkaError::Embedded { directory: self.directory.clone(), reason })
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.broker.address()
    }

    /// The options of a client of this log, whose messages call it by its directory.
    #[must_use]
    pub fn options(&self, options: &ClientOptions) -> ClientOptions {
        ClientOptions { name: Some(self.directory.clone()), ..options.clone() }
    }

    /// Stops serving once all answers are given and everything is on disk.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Embedded`] if the log could not be closed in order; it will recover at the next start.
    pub async fn shutdown(self) -> Result<(), KafkaError> {
        let Self { broker, log, directory } = self;
        drop(log);
        broker.shutdown().await.map_err(|error| KafkaError::Embedded { directory, reason: error.to_string() })
    }
}

/// Opens the log of a directory.
fn open(directory: &Path) -> Result<Arc<Log>, String> {
    let root = OsDirectory::open(directory)
        .map_err(|error| format!("can't be created: {error}; name a folder that can be written to with --store"))?;
    match Log::open(Arc::new(root), LogOptions::default()) {
        Ok(log) => Ok(Arc::new(log)),
        Err(LogError::InUse) => {
            Err("is served by another process already; if that is `cartlog broker`, go through it \
                                     with --brokers 127.0.0.1:9092, else wait for the other job to end"
                .to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Admin, KafkaClient};
    use super::*;

    #[tokio::test]
    async fn messages_name_the_directory_and_no_port() {
        let directory = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::start(directory.path()).await.unwrap();
        let address = [log.address().to_string()];
        let options = log.options(&ClientOptions::default());
        let client = KafkaClient::connect(&address, &options).await.unwrap();
        let mut admin = Admin::connect(&address, &options).await.unwrap();
        admin.create_topic("clicks", 1, &[]).await.unwrap();
        let unknown = client.topic("nowhere").await.unwrap_err();
        let refused =
            admin.alter_topic("clicks", &[("no.setting".to_owned(), Some("1".to_owned()))]).await.unwrap_err();
        for message in [unknown, refused].map(|error| error.to_string()) {
            let is_named = message.contains(&*directory.path().to_string_lossy());
            assert!(is_named && !message.contains(&address[0]), "{message}");
        }
        drop((client, admin));
        log.shutdown().await.unwrap();
    }
}
