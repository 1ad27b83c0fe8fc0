//! The Kafka client side against a broker: topics, producing, consuming, offsets that are not there.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cartlog::kafka::{BlockHeaders, ClientOptions, Compression, KafkaClient, KafkaError, runtime};

use crate::brokers::{log, unique_topic};

fn with_client<T>(test: impl AsyncFnOnce(KafkaClient) -> T) -> T {
    with_options(&ClientOptions::default(), test)
}

fn with_options<T>(options: &ClientOptions, test: impl AsyncFnOnce(KafkaClient) -> T) -> T {
    let directory = tempfile::tempdir().unwrap();
    runtime(2).unwrap().block_on(async {
        let served = log("kafka", directory.path()).serve().await;
        let client = KafkaClient::connect(&served.brokers, options).await.unwrap();
        let answer = test(client).await;
        served.stop().await;
        answer
    })
}

fn block(number: u64, bytes: usize) -> (BlockHeaders, Bytes) {
    let start = number * bytes as u64;
    let headers = BlockHeaders {
        source: "0123456789abcdef".to_owned(),
        name: "test.csv".to_owned(),
        range: start..start + bytes as u64,
        first_line: number + 1,
    };
    let value = (0..bytes).map(|index| b'a' + ((index as u64 + number) % 26) as u8).collect();
    (headers, value)
}

#[test]
fn topics_are_created_listed_described_and_deleted() {
    with_client(async |client| {
        let name = unique_topic("admin");
        let unknown = client.topic(&name).await.unwrap_err();
        assert!(matches!(unknown, KafkaError::UnknownTopic { .. }), "{unknown}");
        let topic = client.create_topic(&name, 3).await.unwrap();
        assert_eq!(topic.partitions, [0, 1, 2]);
        let exists = client.create_topic(&name, 3).await.unwrap_err();
        assert!(matches!(exists, KafkaError::TopicExists { .. }), "{exists}");
        assert_eq!(client.ensure_topic(&name, 9).await.unwrap(), topic);
        assert!(client.topics().await.unwrap().contains(&topic));
        let offsets = client.describe_topic(&name).await.unwrap();
        assert_eq!(offsets.iter().map(|held| (held.earliest, held.latest)).collect::<Vec<_>>(), [(0, 0); 3]);
        client.delete_topic(&name).await.unwrap();
        assert!(matches!(client.delete_topic(&name).await, Err(KafkaError::UnknownTopic { .. })));
    });
}

#[test]
fn blocks_come_back_byte_for_byte_with_their_headers() {
    with_client(async |client| {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let name = unique_topic("roundtrip");
            client.create_topic(&name, 1).await.unwrap();
            let producer = client.producer(&name, 0, compression);
            let mut on_their_way = tokio::task::JoinSet::new();
            for number in 0..40 {
                let producer = producer.clone();
                on_their_way.spawn(async move {
                    let (headers, value) = block(number, 200_000);
                    (producer.produce(&headers, value).await.unwrap(), number)
                });
            }
            let mut placed = on_their_way.join_all().await;
            placed.sort_unstable();
            assert_eq!(placed.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());

            let mut consumer = client.consumer(&name, 0, 0);
            let mut consumed = Vec::new();
            while consumer.next_offset() < 40 {
                consumed.extend(consumer.fetch().await.unwrap().records);
            }
            assert_eq!(consumed.len(), 40);
            for (record, (offset, number)) in consumed.into_iter().zip(placed) {
                let (headers, value) = block(number, 200_000);
                assert_eq!((record.offset, record.block, record.value), (offset, Some(headers), value));
            }
            client.delete_topic(&name).await.unwrap();
        }
    });
}

#[test]
fn offsets_that_the_log_does_not_hold_are_a_typed_error() {
    with_client(async |client| {
        let name = unique_topic("range");
        client.create_topic(&name, 1).await.unwrap();
        let (headers, value) = block(0, 100);
        client.producer(&name, 0, Compression::Lz4).produce(&headers, value).await.unwrap();
        match client.consumer(&name, 0, 5).fetch().await {
            Err(KafkaError::OffsetOutOfRange { available, lost, .. }) => assert_eq!((available, lost), (0..1, 5..5)),
            other => panic!("{other:?}"),
        }
        let mut at_end = client.consumer(&name, 0, 1);
        assert_eq!(at_end.fetch().await.unwrap().records, []);
        assert_eq!(at_end.next_offset(), 1);
        client.delete_topic(&name).await.unwrap();
    });
}

#[test]
fn a_record_that_is_too_large_says_what_to_do() {
    with_client(async |client| {
        let name = unique_topic("large");
        client.create_topic(&name, 1).await.unwrap();
        let (headers, value) = block(0, 3 << 20);
        let error = client.producer(&name, 0, Compression::None).produce(&headers, value).await.unwrap_err();
        assert!(matches!(error, KafkaError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("--rows-per-record"), "{error}");
        client.delete_topic(&name).await.unwrap();
    });
}

#[test]
fn a_partition_that_does_not_exist_is_reported_in_time() {
    let options = ClientOptions { retry_deadline: std::time::Duration::from_millis(300), ..ClientOptions::default() };
    with_options(&options, async |client| {
        let name = unique_topic("partition");
        client.create_topic(&name, 1).await.unwrap();
        let error = client.offsets(&name, 5).await.unwrap_err();
        let is_named = |error: &KafkaError| matches!(error, KafkaError::UnknownPartition { topic, partition: 5, .. } if *topic == name);
        assert!(is_named(&error), "{error}");
        client.delete_topic(&name).await.unwrap();
    });
}

#[test]
fn blocks_that_wait_are_not_tried_once_one_has_failed_for_good() {
    let deadline = Duration::from_secs(2);
    let options = ClientOptions { retry_deadline: deadline, ..ClientOptions::default() };
    with_options(&options, async |client| {
        let name = unique_topic("waiting");
        client.create_topic(&name, 1).await.unwrap();
        let producer = client.producer(&name, 7, Compression::None);
        let start = Instant::now();
        let mut on_their_way = tokio::task::JoinSet::new();
        for number in 0..100 {
            let producer = producer.clone();
            on_their_way.spawn(async move {
                let (headers, value) = block(number, 1000);
                producer.produce(&headers, value).await.unwrap_err().to_string()
            });
        }
        for error in on_their_way.join_all().await {
            assert!(error.contains("has no partition 7"), "{error}");
        }
        assert!(start.elapsed() < deadline * 2, "{:?}", start.elapsed());
    });
}
