//! The broker as an independent client sees it: rskafka over a real socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, like the tests themselves")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cartlog_storage::broker::{Broker, BrokerHandle, BrokerOptions};
use cartlog_storage::io::OsDirectory;
use cartlog_storage::log::{Log, LogOptions};
use rskafka::chrono::{DateTime, TimeDelta, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use tempfile::TempDir;

async fn start(folder: &TempDir) -> (BrokerHandle, Client) {
    let directory = Arc::new(OsDirectory::open(folder.path()).unwrap());
    let log = Arc::new(Log::open(directory, LogOptions::default().with_segment_bytes(20_000)).unwrap());
    let options = BrokerOptions { listen: "127.0.0.1:0".to_owned(), ..BrokerOptions::default() };
    let broker = Broker::bind(log, options).await.unwrap();
    let client = ClientBuilder::new(vec![broker.address().to_string()]).build().await.unwrap();
    (broker, client)
}

async fn partition(client: &Client, topic: &str, index: i32) -> Arc<PartitionClient> {
    Arc::new(client.partition_client(topic, index, UnknownTopicHandling::Error).await.unwrap())
}

fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
}

fn record(value: &str, milliseconds: i64) -> Record {
    Record {
        key: Some(b"key".to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: BTreeMap::from([("name".to_owned(), b"header".to_vec())]),
        timestamp: time(milliseconds),
    }
}

async fn read_all(client: &PartitionClient) -> Vec<(i64, Record)> {
    let mut records = Vec::new();
    loop {
        let next = records.last().map_or(0, |(offset, _)| offset + 1);
        let (fetched, high_watermark) = client.fetch_records(next, 1..10_000, 100).await.unwrap();
        records.extend(fetched.into_iter().map(|fetched| (fetched.offset, fetched.record)));
        if records.last().is_none_or(|(offset, _)| offset + 1 == high_watermark) {
            return records;
        }
    }
}

#[tokio::test]
async fn records_come_back_in_order_in_every_compression_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, client) = start(&folder).await;
    client.controller_client().unwrap().create_topic("events", 2, 1, 5000).await.unwrap();
    let target = partition(&client, "events", 1).await;
    let mut sent = Vec::new();
    let compressions =
        [Compression::NoCompression, Compression::Gzip, Compression::Lz4, Compression::Snappy, Compression::Zstd];
    for (at, compression) in compressions.into_iter().cycle().take(50).enumerate() {
        let batch: Vec<_> =
            (0..10).map(|row| record(&format!("{at} {row} {}", "x".repeat(100)), 1000 + i64::from(row))).collect();
        let offsets = target.produce(batch.clone(), compression).await.unwrap();
        assert_eq!(offsets, (0..10).map(|row| sent.len() as i64 + row).collect::<Vec<_>>());
        sent.extend(batch);
    }
    let expected: Vec<_> = (0_i64..).zip(sent).collect();
    assert_eq!(read_all(&target).await, expected);
    assert_eq!(target.get_offset(OffsetAt::Earliest).await.unwrap(), 0);
    assert_eq!(target.get_offset(OffsetAt::Latest).await.unwrap(), 500);
    let other = partition(&client, "events", 0).await;
    assert_eq!(other.get_offset(OffsetAt::Latest).await.unwrap(), 0);

    broker.shutdown().await.unwrap();
    drop(client);
    let (broker, client) = start(&folder).await;
    let topics = client.list_topics().await.unwrap();
    assert_eq!(topics.len(), 1);
    assert_eq!(topics[0].partitions.len(), 2);
    assert_eq!(read_all(&*partition(&client, "events", 1).await).await, expected);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_fetch_waits_for_the_append_that_fulfils_it() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, client) = start(&folder).await;
    client.controller_client().unwrap().create_topic("events", 1, 1, 5000).await.unwrap();
    let reader = partition(&client, "events", 0).await;
    let writer = ClientBuilder::new(vec![broker.address().to_string()]).build().await.unwrap();
    let writer = partition(&writer, "events", 0).await;
    let began = std::time::Instant::now();
    let waiting = tokio::spawn(async move { reader.fetch_records(0, 1..1_000_000, 20_000).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    writer.produce(vec![record("late", 5)], Compression::NoCompression).await.unwrap();
    let (records, high_watermark) = waiting.await.unwrap().unwrap();
    assert_eq!((records.len(), high_watermark), (1, 1));
    assert!(began.elapsed() < Duration::from_secs(10), "the append wakes it");
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn errors_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, client) = start(&folder).await;
    let controller = client.controller_client().unwrap();
    controller.create_topic("events", 1, 1, 5000).await.unwrap();
    let named = |error: Error| match error {
        Error::ServerError { protocol_error, .. } => protocol_error,
        other => panic!("{other}"),
    };
    assert_eq!(
        named(controller.create_topic("events", 1, 1, 5000).await.unwrap_err()),
        ProtocolError::TopicAlreadyExists
    );
    assert_eq!(
        named(controller.create_topic("a/b", 1, 1, 5000).await.unwrap_err()),
        ProtocolError::InvalidTopicException
    );
    assert_eq!(
        named(controller.create_topic("more", 1, 3, 5000).await.unwrap_err()),
        ProtocolError::InvalidReplicationFactor
    );
    let target = partition(&client, "events", 0).await;
    assert_eq!(named(target.fetch_records(7, 1..1000, 10).await.unwrap_err()), ProtocolError::OffsetOutOfRange);
    let large = record(&"x".repeat(2 << 20), 0);
    assert_eq!(
        named(target.produce(vec![large], Compression::NoCompression).await.unwrap_err()),
        ProtocolError::MessageTooLarge
    );
    controller.delete_topic("events", 5000).await.unwrap();
    assert!(client.list_topics().await.unwrap().is_empty());
    broker.shutdown().await.unwrap();
}
