//! A broker in this process, and the rules that it is held to.

use std::sync::Arc;
use std::time::Duration;

use cartlog_storage::broker::{Broker, BrokerHandle, BrokerOptions};
use cartlog_storage::io::{Directory, OsDirectory};
use cartlog_storage::log::{Log, LogOptions, TopicConfig, verify};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// What is waited for the answers of one input; a request may ask for a longer wait, which nobody has to see end.
const PATIENCE: Duration = Duration::from_millis(100);
/// What the request of a healthy client may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// A healthy client comes after so many inputs.
const HEALTHY_EVERY: u64 = 64;
/// The log is checked and begun anew after so many inputs.
const LOG_EVERY: u64 = 5_000;
/// `ApiVersions` version 0, without a client id.
const HEALTHY: &[u8] = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff";

/// The broker, its log's folder, and how many inputs it got.
pub(crate) struct Bench {
    runtime: Runtime,
    served: Option<(BrokerHandle, TempDir)>,
    fed: u64,
}

impl Bench {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self { runtime: runtime.expect("a runtime"), served: None, fed: 0 }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let (broker, _) = self.served.get_or_insert_with(|| self.runtime.block_on(serve()));
        self.runtime.block_on(send(broker, bytes));
        self.fed += 1;
        if self.fed.is_multiple_of(HEALTHY_EVERY) {
            self.runtime.block_on(check_healthy(broker));
        }
        if self.fed.is_multiple_of(LOG_EVERY)
            && let Some((broker, folder)) = self.served.take()
        {
            self.runtime.block_on(broker.shutdown()).expect("the log is closed");
            check_log(&folder);
        }
    }
}

async fn serve() -> (BrokerHandle, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(directory(&folder), LogOptions::default()).expect("a new log");
    log.create_topic("t", 1, TopicConfig::default()).expect("a topic");
    let options = BrokerOptions {
        listen: "127.0.0.1:0".to_owned(),
        auto_create: false,
        patience: PATIENCE,
        ..BrokerOptions::default()
    };
    (Broker::bind(Arc::new(log), options).await.expect("a broker"), folder)
}

fn directory(folder: &TempDir) -> Arc<dyn Directory> {
    Arc::new(OsDirectory::open(folder.path()).expect("the folder is there"))
}

/// Sends an input and checks that only whole answers come back.
async fn send(broker: &BrokerHandle, bytes: &[u8]) {
    let mut stream = TcpStream::connect(broker.address()).await.expect("the broker accepts");
    // It may close before all is sent, which is one of its two right answers.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answers = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answers)).await;
    let mut rest = &answers[..];
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let size = i32::from_be_bytes(*size);
        assert!(size >= 4, "an answer of {size} bytes");
        let Some(after) = after.get(size.unsigned_abs() as usize..) else {
            break;
        };
        rest = after;
    }
}

async fn check_healthy(broker: &BrokerHandle) {
    let asked = async {
        let mut stream = TcpStream::connect(broker.address()).await?;
        stream.write_all(HEALTHY).await?;
        let mut head = [0; 10];
        stream.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(head)
    };
    let head = tokio::time::timeout(DEADLINE, asked).await.expect("a healthy client is answered in time");
    let head = head.expect("a healthy client is answered");
    assert_eq!(head[4..], *b"\0\0\0\x07\0\0", "a healthy client got another's answer");
}

/// What the inputs left behind must be a sound log that opens.
fn check_log(folder: &TempDir) {
    let report = verify(&directory(folder)).expect("the log is read");
    assert!(report.is_sound(), "{:?}", report.faults);
    let log = Log::open(directory(folder), LogOptions::default()).expect("the log opens");
    for topic in log.topics() {
        let offline = topic.partitions().iter().find_map(|partition| partition.offline());
        assert!(offline.is_none(), "{offline:?}");
    }
}
