//! rskafka for the tests: `rskafka-client VERB ADDRESS TOPIC WORD…`.
//!
//! `produce … COMPRESSION` sends each line of standard input, ten a batch; `read … PARTITIONS COUNT` prints
//! `PARTITION OFFSET VALUE` a line; `offset-at … MILLISECONDS` prints where partition 0 goes on from that time.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::time::{Duration, SystemTime};

use rskafka::chrono::{DateTime, TimeDelta};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the whole run may take; rskafka itself has no deadline.
const DEADLINE: Duration = Duration::from_secs(60);
/// Records of one batch.
const BATCH: usize = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    tokio::time::timeout(DEADLINE, run(&words)).await?
}

async fn run(words: &[&str]) -> Outcome<()> {
    let [verb, address, topic, rest @ ..] = words else {
        return Err("VERB ADDRESS TOPIC are expected".into());
    };
    let client = ClientBuilder::new(vec![(*address).to_owned()]).build().await?;
    match (*verb, rest) {
        ("produce", [compression]) => produce(&client, topic, compression).await,
        ("read", [partitions, count]) => read(&client, topic, partitions.parse()?, count.parse()?).await,
        ("offset-at", [time_ms]) => {
            let partition = partition(&client, topic, 0).await?;
            let time = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(time_ms.parse()?);
            let found = partition.get_offset(OffsetAt::Timestamp(time)).await?;
            // -1 stands for the end.
            let offset = if found < 0 { partition.get_offset(OffsetAt::Latest).await? } else { found };
            println!("{offset}");
            Ok(())
        }
        _ => Err(format!("{words:?} is not known").into()),
    }
}

async fn partition(client: &Client, topic: &str, index: i32) -> Outcome<PartitionClient> {
    Ok(client.partition_client(topic, index, UnknownTopicHandling::Retry).await?)
}

async fn produce(client: &Client, topic: &str, compression: &str) -> Outcome<()> {
    let compression = match compression {
        "none" => Compression::NoCompression,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => return Err(format!("{other} is no compression").into()),
    };
    let topics = client.list_topics().await?;
    let found = topics.iter().find(|found| found.name == topic).ok_or("there is no such topic")?;
    let mut targets = Vec::new();
    for &index in &found.partitions {
        targets.push(partition(client, topic, index).await?);
    }
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let now = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(i64::try_from(now_ms)?);
    let values = io::stdin().lock().split(b'\n').collect::<io::Result<Vec<_>>>()?;
    for (number, batch) in values.chunks(BATCH).enumerate() {
        let record = |value: &Vec<u8>| Record {
            key: None,
            value: Some(value.clone()),
            headers: BTreeMap::new(),
            timestamp: now,
        };
        targets[number % targets.len()].produce(batch.iter().map(record).collect(), compression).await?;
    }
    Ok(())
}

async fn read(client: &Client, topic: &str, partitions: i32, count: usize) -> Outcome<()> {
    let mut out = io::stdout().lock();
    let mut got = 0;
    for index in 0..partitions {
        let source = partition(client, topic, index).await?;
        let (mut next, end) = (0, source.get_offset(OffsetAt::Latest).await?);
        while next < end {
            let (records, _) = source.fetch_records(next, 1..1_000_000, 1000).await?;
            for found in records {
                write!(out, "{index} {} ", found.offset)?;
                out.write_all(found.record.value.as_deref().unwrap_or_default())?;
                out.write_all(b"\n")?;
                next = found.offset + 1;
                got += 1;
            }
        }
    }
    if got == count { Ok(()) } else { Err(format!("{got} records are there, {count} are expected").into()) }
}
