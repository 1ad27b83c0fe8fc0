//! Damaged requests against a real broker on a real socket, while a healthy client goes on undisturbed.
//!
//! Valid requests of every announced API and version are truncated, flipped, spliced and lied about in their lengths.
//! The broker may answer or close the connection; it may not panic, stall another client or gather memory.
//! `CARTLOG_FRAMES` is how many damaged frames are judged (10 000 000 for the long run), `CARTLOG_SEED` repeats a run.
//! `CARTLOG_CORPUS` is a folder to write the valid requests to, for `fuzz/` to begin with.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, like the tests themselves")]

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Buf as _, Bytes, BytesMut};
use cartlog_storage::broker::{Broker, BrokerHandle, BrokerOptions};
use cartlog_storage::io::OsDirectory;
use cartlog_storage::log::{Log, LogOptions, TopicConfig};
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerId,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest, DescribeLogDirsRequest,
    DescribeProducersRequest, DescribeTopicPartitionsRequest, ElectLeadersRequest, FetchRequest,
    FindCoordinatorRequest, GroupId, HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest,
    JoinGroupRequest, LeaveGroupRequest, ListConfigResourcesRequest, ListGroupsRequest, ListOffsetsRequest,
    ListPartitionReassignmentsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, ProduceRequest, RequestHeader, RequestKind, SaslAuthenticateRequest,
    SaslHandshakeRequest, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, StrBytes};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::record::Record;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What one request of the healthy client, or one attack's last answer, may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Frames sent on one connection before its answers are read.
const FRAMES_AT_ONCE: usize = 40;
/// What the process may hold beyond its size at the start: attackers, answers in flight and the log's tables.
const MEMORY_BYTES: u64 = 256 << 20;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Numbers that a seed fixes (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic() -> TopicName {
    TopicName(text("t"))
}

/// A valid batch of one record without a key, whose value is one byte.
fn batch() -> Bytes {
    // Attributes, last offset delta, two timestamps, producer id and epoch, base sequence, record count, one record.
    let mut body = vec![0, 0, 0, 0, 0, 0];
    body.extend_from_slice(&[0; 16]);
    body.extend_from_slice(&[0xff; 14]);
    body.extend_from_slice(&[0, 0, 0, 1, 14, 0, 0, 0, 1, 2, b'v', 0]);
    let mut batch = vec![0; 8];
    batch.extend_from_slice(&i32::try_from(9 + body.len()).unwrap().to_be_bytes());
    batch.extend_from_slice(&[0, 0, 0, 0, 2]);
    batch.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    batch.extend_from_slice(&body);
    batch.into()
}

/// A request of this API with something in it; waits are short and nothing but the topic `t` is named.
fn request(key: ApiKey) -> Option<RequestKind> {
    let group = || GroupId(text("g"));
    Some(match key {
        ApiKey::Produce => {
            let partition = PartitionProduceData::default().with_records(Some(batch()));
            let topic = TopicProduceData::default().with_name(topic()).with_partition_data(vec![partition]);
            ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic]).into()
        }
        ApiKey::Fetch => {
            let partition = FetchPartition::default().with_partition_max_bytes(1000);
            let topic = FetchTopic::default().with_topic(topic()).with_partitions(vec![partition]);
            FetchRequest::default().with_max_wait_ms(1).with_max_bytes(1000).with_topics(vec![topic]).into()
        }
        ApiKey::ListOffsets => {
            let partition = ListOffsetsPartition::default().with_timestamp(-1);
            let topic = ListOffsetsTopic::default().with_name(topic()).with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]).into()
        }
        ApiKey::Metadata => {
            let topic = MetadataRequestTopic::default().with_name(Some(topic()));
            MetadataRequest::default().with_topics(Some(vec![topic])).into()
        }
        ApiKey::CreateTopics => {
            let topic = CreatableTopic::default().with_name(topic()).with_num_partitions(1).with_replication_factor(1);
            CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10).with_validate_only(true).into()
        }
        ApiKey::DeleteTopics => DeleteTopicsRequest::default()
            .with_topic_names(vec![TopicName(text("absent"))])
            .with_topics(vec![DeleteTopicState::default().with_name(Some(TopicName(text("absent"))))])
            .into(),
        ApiKey::OffsetCommit => {
            let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
            let topic = OffsetCommitRequestTopic::default().with_name(topic()).with_partitions(vec![partition]);
            OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![topic]).into()
        }
        ApiKey::JoinGroup => {
            let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
            JoinGroupRequest::default()
                .with_group_id(group())
                .with_session_timeout_ms(6000)
                .with_rebalance_timeout_ms(10)
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![protocol])
                .into()
        }
        ApiKey::ApiVersions => ApiVersionsRequest::default()
            .with_client_software_name(text("frames"))
            .with_client_software_version(text("1"))
            .into(),
        ApiKey::OffsetFetch => OffsetFetchRequest::default().with_group_id(group()).into(),
        ApiKey::FindCoordinator => FindCoordinatorRequest::default().with_key(text("g")).into(),
        ApiKey::Heartbeat => HeartbeatRequest::default().with_group_id(group()).into(),
        ApiKey::LeaveGroup => LeaveGroupRequest::default().with_group_id(group()).into(),
        ApiKey::SyncGroup => SyncGroupRequest::default().with_group_id(group()).into(),
        ApiKey::DescribeGroups => DescribeGroupsRequest::default().with_groups(vec![group()]).into(),
        ApiKey::DeleteGroups => DeleteGroupsRequest::default().with_groups_names(vec![group()]).into(),
        ApiKey::OffsetDelete => OffsetDeleteRequest::default().with_group_id(group()).into(),
        ApiKey::ListGroups => ListGroupsRequest::default().into(),
        ApiKey::SaslHandshake => SaslHandshakeRequest::default().with_mechanism(text("PLAIN")).into(),
        ApiKey::SaslAuthenticate => {
            SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0u\0p")).into()
        }
        ApiKey::DeleteRecords => DeleteRecordsRequest::default().into(),
        ApiKey::InitProducerId => InitProducerIdRequest::default().with_transaction_timeout_ms(1000).into(),
        ApiKey::OffsetForLeaderEpoch => OffsetForLeaderEpochRequest::default().into(),
        ApiKey::DescribeConfigs => DescribeConfigsRequest::default().into(),
        ApiKey::AlterConfigs => AlterConfigsRequest::default().into(),
        ApiKey::IncrementalAlterConfigs => IncrementalAlterConfigsRequest::default().into(),
        ApiKey::DescribeLogDirs => DescribeLogDirsRequest::default().into(),
        ApiKey::CreatePartitions => CreatePartitionsRequest::default().with_validate_only(true).into(),
        ApiKey::DescribeCluster => DescribeClusterRequest::default().into(),
        ApiKey::DescribeTopicPartitions => {
            let cursor = Cursor::default().with_topic_name(topic());
            let topic = TopicRequest::default().with_name(topic());
            DescribeTopicPartitionsRequest::default().with_topics(vec![topic]).with_cursor(Some(cursor)).into()
        }
        ApiKey::ListConfigResources => ListConfigResourcesRequest::default().into(),
        ApiKey::ElectLeaders => {
            let topic = TopicPartitions::default().with_topic(topic()).with_partitions(vec![0]);
            ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic])).into()
        }
        ApiKey::AlterPartitionReassignments => {
            let partition = ReassignablePartition::default().with_replicas(Some(vec![BrokerId(1)]));
            let topic = ReassignableTopic::default().with_name(topic()).with_partitions(vec![partition]);
            AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::ListPartitionReassignments => ListPartitionReassignmentsRequest::default().into(),
        ApiKey::DescribeProducers => DescribeProducersRequest::default().into(),
        _ => return None,
    })
}

/// A whole frame with its length, or nothing if the message can't be said in this version.
fn frame(key: ApiKey, version: i16) -> Option<Vec<u8>> {
    framed(key, version, &request(key)?)
}

fn framed(key: ApiKey, version: i16, request: &RequestKind) -> Option<Vec<u8>> {
    let mut message = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(text("frames")));
    header.encode(&mut message, key.request_header_version(version)).ok()?;
    let mut body = BytesMut::new();
    request.encode(&mut body, version).ok()?;
    message.extend_from_slice(&body);
    let mut frame = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&message);
    Some(frame)
}

/// Damages a frame in one of the ways that this test knows.
fn damage(frame: &mut Vec<u8>, all: &[Vec<u8>], numbers: &mut Numbers) {
    let mut keeps_length = true;
    match numbers.below(10) {
        0 => {
            let at = 4 + numbers.below(frame.len() - 4);
            frame.truncate(at);
        }
        1..=3 => {
            for _ in 0..=numbers.below(4) {
                let at = 4 + numbers.below(frame.len() - 4);
                frame[at] ^= 1 << numbers.below(8);
            }
        }
        // A length, count or offset at its limits.
        4 | 5 => {
            let at = 4 + numbers.below(frame.len() - 4);
            let value = *numbers.pick(&[i64::MAX, i64::MIN, -1, 0, 1, -2, 0x7fff_ffff, 0x7fff]);
            let bytes = value.to_be_bytes();
            let width = *numbers.pick(&[1, 2, 4, 8]);
            let end = frame.len().min(at + width);
            let from = if numbers.below(2) == 0 { 0 } else { 8 - width };
            frame[at..end].copy_from_slice(&bytes[from..from + end - at]);
        }
        6 => {
            let (at, other) = (8 + numbers.below(frame.len() - 8), numbers.pick(all));
            frame.truncate(at);
            frame.extend_from_slice(&other[numbers.below(other.len())..]);
        }
        7 => {
            let version = i16::try_from(numbers.below(24)).unwrap() - 2;
            frame[6..8].copy_from_slice(&version.to_be_bytes());
        }
        8 => {
            let at = 4 + numbers.below(frame.len() - 4);
            for byte in &mut frame[at..] {
                *byte = numbers.next().to_le_bytes()[0];
            }
        }
        // The announced size itself: negative, too large, or more than follows.
        _ => {
            keeps_length = false;
            let size = *numbers.pick(&[-1, i32::MIN, i32::MAX, 100 << 20, (100 << 20) + 1, 1 << 20, 0, 3]);
            frame[..4].copy_from_slice(&size.to_be_bytes());
        }
    }
    if keeps_length {
        let size = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&size.to_be_bytes());
    }
}

/// Sends damaged frames on one connection and returns how many the broker has judged: answered, or closed upon.
async fn attack(broker: &BrokerHandle, all: &[Vec<u8>], numbers: &mut Numbers) -> u64 {
    let mut bytes = Vec::new();
    for _ in 0..FRAMES_AT_ONCE {
        let mut frame = numbers.pick(all).clone();
        if numbers.below(20) > 0 {
            damage(&mut frame, all, numbers);
        }
        bytes.extend_from_slice(&frame);
    }
    let mut stream = TcpStream::connect(broker.address()).await.unwrap();
    // The broker may close before all is sent, which is one of its two right answers.
    if numbers.below(500) == 0 {
        for piece in bytes.chunks(97) {
            let _ = stream.write_all(piece).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    } else {
        let _ = stream.write_all(&bytes).await;
    }
    let _ = stream.shutdown().await;
    let mut answers = Vec::new();
    // A damaged wait may be long: whoever waits for that is no concern of the others.
    let _ = tokio::time::timeout(Duration::from_millis(200), stream.read_to_end(&mut answers)).await;
    let (mut rest, mut judged) = (&answers[..], 1);
    while rest.len() >= 4 {
        let size = usize::try_from(rest.get_i32()).unwrap();
        assert!(size >= 4, "an answer of {size} bytes");
        if size > rest.len() {
            break;
        }
        rest.advance(size);
        judged += 1;
    }
    judged
}

/// Produces and fetches until told to stop; every request has a deadline. Returns how many rounds that were.
async fn live_undisturbed(address: String, done: Arc<AtomicBool>) -> (u64, Duration) {
    let client = ClientBuilder::new(vec![address]).build().await.unwrap();
    let partition = client.partition_client("healthy", 0, UnknownTopicHandling::Error).await.unwrap();
    let (mut rounds, mut slowest) = (0, Duration::ZERO);
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let value = format!("round {rounds}").into_bytes();
        let record = Record {
            key: None,
            value: Some(value.clone()),
            headers: std::collections::BTreeMap::new(),
            timestamp: rskafka::chrono::DateTime::UNIX_EPOCH,
        };
        let sent = partition.produce(vec![record], Compression::NoCompression);
        let offsets = tokio::time::timeout(DEADLINE, sent).await.unwrap_or_else(|_| panic!("produce stalled")).unwrap();
        assert_eq!(offsets, [rounds], "offsets have no gap");
        let fetched = partition.fetch_records(rounds, 1..10_000, 100);
        let (records, _) =
            tokio::time::timeout(DEADLINE, fetched).await.unwrap_or_else(|_| panic!("fetch stalled")).unwrap();
        assert_eq!(records[0].record.value.as_deref(), Some(&value[..]));
        slowest = slowest.max(began.elapsed());
        rounds += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (u64::try_from(rounds).unwrap(), slowest)
}

/// The memory of this process that is not a file's, in bytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    u64::from_str(line.split_whitespace().nth(1).unwrap()).unwrap() << 10
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// What the broker announces, as every client asks for it.
async fn announced(broker: &BrokerHandle) -> Vec<(ApiKey, i16, i16)> {
    let mut stream = TcpStream::connect(broker.address()).await.unwrap();
    stream.write_all(&frame(ApiKey::ApiVersions, 3).unwrap()).await.unwrap();
    let size = stream.read_i32().await.unwrap();
    let mut answer = vec![0; usize::try_from(size).unwrap()];
    stream.read_exact(&mut answer).await.unwrap();
    let mut body = Bytes::from(answer);
    body.advance(4);
    let response = ApiVersionsResponse::decode(&mut body, 3).unwrap();
    let known = |key: i16| ApiKey::try_from(key).unwrap_or_else(|()| panic!("no API has the key {key}"));
    response.api_keys.iter().map(|api| (known(api.api_key), api.min_version, api.max_version)).collect()
}

async fn start(folder: &TempDir, options: BrokerOptions) -> BrokerHandle {
    let directory = Arc::new(OsDirectory::open(folder.path()).unwrap());
    let log = Arc::new(Log::open(directory, LogOptions::default()).unwrap());
    log.create_topic("t", 1, TopicConfig::default()).unwrap();
    log.create_topic("healthy", 1, TopicConfig::default()).unwrap();
    let options = BrokerOptions { listen: "127.0.0.1:0".to_owned(), auto_create: false, ..options };
    Broker::bind(log, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn damaged_frames_harm_nobody_else() {
    let seed = setting(
        "CARTLOG_SEED",
        u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap(),
    );
    let wanted = setting("CARTLOG_FRAMES", 20_000);
    eprintln!("CARTLOG_SEED={seed} CARTLOG_FRAMES={wanted}");
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(start(&folder, BrokerOptions::default()).await);
    let mut all = Vec::new();
    let corpus = std::env::var("CARTLOG_CORPUS").ok().map(PathBuf::from);
    for (key, least, most) in announced(&broker).await {
        let before = all.len();
        for (version, frame) in (least..=most).filter_map(|version| Some((version, frame(key, version)?))) {
            if let Some(corpus) = &corpus {
                fs::create_dir_all(corpus).unwrap();
                fs::write(corpus.join(format!("{key:?}-{version}")), &frame).unwrap();
            }
            all.push(frame);
        }
        assert!(all.len() > before, "this test knows no request of {key:?}: add one to `request`");
    }
    let all = Arc::new(all);
    let done = Arc::new(AtomicBool::new(false));
    let healthy = tokio::spawn(live_undisturbed(broker.address().to_string(), Arc::clone(&done)));
    let judged = Arc::new(AtomicU64::new(0));
    let (began, at_start) = (Instant::now(), memory());
    let attackers: Vec<_> = (0..16)
        .map(|attacker| {
            let (broker, all, judged) = (Arc::clone(&broker), Arc::clone(&all), Arc::clone(&judged));
            tokio::spawn(async move {
                let mut numbers = Numbers(seed.wrapping_mul(31).wrapping_add(attacker));
                while judged.load(Ordering::Relaxed) < wanted {
                    judged.fetch_add(attack(&broker, &all, &mut numbers).await, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut most = at_start;
    while attackers.iter().any(|attacker| !attacker.is_finished()) && !healthy.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        most = most.max(memory());
        assert!(most < at_start + MEMORY_BYTES, "{most} bytes of memory, {at_start} at the start; seed {seed}");
    }
    done.store(true, Ordering::Relaxed);
    let (rounds, slowest) = healthy.await.unwrap();
    for attacker in attackers {
        attacker.await.unwrap();
    }
    eprintln!(
        "{} frames in {:?}, memory {} KiB at the start and {} KiB at most, {rounds} rounds of the healthy client, the slowest {slowest:?}",
        judged.load(Ordering::Relaxed),
        began.elapsed(),
        at_start >> 10,
        most >> 10,
    );
    assert!(rounds > 0);
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "panics; seed {seed}");
}

/// A fetch that may be held for 24 days, of a topic that has nothing.
fn held_fetch() -> Vec<u8> {
    let topic = FetchTopic::default().with_topic(topic()).with_partitions(vec![FetchPartition::default()]);
    let fetch = FetchRequest::default().with_max_wait_ms(i32::MAX).with_min_bytes(i32::MAX).with_topics(vec![topic]);
    framed(ApiKey::Fetch, 11, &fetch.into()).unwrap()
}

/// Whether a client that comes now is let in and answered.
async fn is_served(broker: &BrokerHandle) -> bool {
    let mut stream = TcpStream::connect(broker.address()).await.unwrap();
    stream.write_all(&frame(ApiKey::ApiVersions, 3).unwrap()).await.is_ok() && stream.read_i32().await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_left_a_held_fetch_hold_no_place() {
    const PLACES: usize = 32;
    let folder = tempfile::tempdir().unwrap();
    // Only the clients' leaving can end these waits in time.
    let patience = Duration::from_secs(3600);
    let options = BrokerOptions { max_connections: PLACES, patience, ..BrokerOptions::default() };
    let broker = start(&folder, options).await;
    for wave in 0..2 {
        let mut half_closed = Vec::new();
        for place in 0..PLACES {
            let mut stream = TcpStream::connect(broker.address()).await.unwrap();
            stream.write_all(&held_fetch()).await.unwrap();
            // One closes its side and would still hear an answer, the next is gone.
            if place % 2 == 0 {
                stream.shutdown().await.unwrap();
                half_closed.push(stream);
            }
        }
        let began = Instant::now();
        while !is_served(&broker).await {
            assert!(began.elapsed() < 3 * DEADLINE, "wave {wave}: clients that left still hold all places");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
