//! What an operator is shown: of the embedded log, or of the cluster that `CARTLOG_TEST_BROKERS` names.

use std::process::Command;

use bytes::Bytes;
use cartlog::kafka::{Admin, BlockHeaders, ClientOptions, Compression, KafkaClient, KafkaError, runtime};
use tempfile::tempdir;

use crate::brokers::log;

#[test]
fn topics_are_shown_with_offsets_sizes_and_settings() {
    let directory = tempdir().unwrap();
    let log = log("operator", directory.path());
    let name = log.plan.topic.clone();
    runtime(2).unwrap().block_on(async {
        let served = log.serve().await;
        let mut admin = Admin::connect(&served.brokers, &ClientOptions::default()).await.unwrap();
        assert!(matches!(admin.topic(&name).await, Err(KafkaError::UnknownTopic { .. })));
        let refused = admin.create_topic(&name, 2, &[("nonsense".to_owned(), "1".to_owned())]).await.unwrap_err();
        assert!(matches!(&refused, KafkaError::Denied { reason, .. } if reason.contains("nonsense")), "{refused}");
        let day = ("retention.ms".to_owned(), "86400000".to_owned());
        admin.create_topic(&name, 2, &[day]).await.unwrap();
        let again = admin.create_topic(&name, 2, &[]).await.unwrap_err();
        assert!(matches!(again, KafkaError::TopicExists { .. }), "{again}");

        let client = KafkaClient::connect(&served.brokers, &ClientOptions::default()).await.unwrap();
        let producer = client.producer(&name, 1, Compression::None);
        let headers = BlockHeaders { source: "x".to_owned(), name: "x".to_owned(), range: 0..1, first_line: 1 };
        for _ in 0..3 {
            producer.produce(&headers, Bytes::from(vec![b'x'; 1000])).await.unwrap();
        }
        let topic = admin.topic(&name).await.unwrap();
        let held: Vec<_> = topic.partitions.iter().map(|held| (held.partition, held.earliest, held.latest)).collect();
        assert_eq!(held, [(0, Some(0), Some(0)), (1, Some(0), Some(3))]);
        assert_eq!((topic.records(), topic.partitions[0].bytes), (3, Some(0)));
        assert!(topic.bytes().is_some_and(|bytes| (3000..6000).contains(&bytes)), "{topic:?}");
        assert!(topic.partitions.iter().all(|held| held.leader.is_some() && held.in_sync == held.replicas));
        assert!(admin.topics().await.unwrap().contains(&topic));

        let change = [("retention.ms".to_owned(), None), ("retention.bytes".to_owned(), Some("5000".to_owned()))];
        admin.alter_topic(&name, &change).await.unwrap();
        let own: Vec<_> = admin.settings(&name).await.unwrap().into_iter().filter(|setting| setting.is_own).collect();
        assert_eq!(own.len(), 1);
        assert_eq!((own[0].name.as_str(), own[0].value.as_deref()), ("retention.bytes", Some("5000")));
        assert!(matches!(admin.group("nobody").await, Err(KafkaError::UnknownGroup { .. })));
        admin.delete_topic(&name).await.unwrap();
        assert!(matches!(admin.topic(&name).await, Err(KafkaError::UnknownTopic { .. })));
        drop((admin, producer, client));
        served.stop().await;
    });
}

#[test]
fn the_command_checks_the_log_and_says_where_it_is_damaged() {
    let directory = tempdir().unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cartlog"));
        let done = command.current_dir(directory.path()).args(words).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    assert_eq!(run(&["generate", "--events", "2000", "--out", "a.csv"]).0, Some(0));
    assert_eq!(run(&["run", "a.csv", "--no-analyses", "--partitions", "1"]).0, Some(0));
    let (code, shown, _) = run(&["inspect"]);
    assert!(code == Some(0) && shown.contains("csv-event-data") && shown.contains("records"), "{shown}");
    let (code, shown, _) = run(&["verify"]);
    assert!(code == Some(0) && shown.contains("log:   1 record in 1 partition"), "{shown}");
    let file = "log/csv-event-data-0/00000000000000000000.log";
    let path = directory.path().join("cartlog-data").join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[500] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    let (code, shown, told) = run(&["verify"]);
    assert_eq!(code, Some(1), "{shown}{told}");
    assert!(shown.contains(&format!("{file} at byte 0")) && shown.contains("(offset 0)"), "{shown}");
    assert!(told.contains("damaged in 1 place") && shown.contains("put them back from a copy"), "{told}{shown}");
    std::fs::write(directory.path().join("cartlog-data/log/cartlog.topics"), "nothing\n").unwrap();
    let (_, shown, told) = run(&["verify"]);
    assert!(told.contains("damaged in 2 places") && shown.contains("which topics there are"), "{told}{shown}");
    assert!(shown.contains("in 1 partition and"), "{shown}");
}
