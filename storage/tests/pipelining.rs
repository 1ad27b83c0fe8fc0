//! Requests of all sizes on one connection, sent without waiting: each is answered, in the order of the requests, and the
//! batches stand in the log in that order too, although large ones are handled on another thread than small ones.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, like the tests themselves")]

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use cartlog_storage::broker::{Broker, BrokerOptions};
use cartlog_storage::io::OsDirectory;
use cartlog_storage::log::{Log, LogOptions, Offset, TopicConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes of the values: small ones come many in a read, the largest are several times what is handled at once.
const SIZES: [usize; 8] = [10, 900_000, 300_000, 5, 70_000, 17_000, 255_000, 263_000];
const REQUESTS: usize = 200;

fn put_varint(buffer: &mut Vec<u8>, value: usize) {
    let mut rest = value << 1;
    while rest >= 0x80 {
        buffer.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    buffer.push(rest.to_le_bytes()[0]);
}

/// A batch of one record whose value is `size` bytes that tell the number of its request.
fn batch(number: usize, size: usize) -> Vec<u8> {
    let mut record = vec![0, 0, 0, 1];
    put_varint(&mut record, size);
    record.extend((0..size).map(|_| number.to_le_bytes()[0]));
    record.push(0);
    let mut body = vec![0, 0, 0, 0, 0, 0];
    body.extend_from_slice(&[0; 16]);
    body.extend_from_slice(&[0xff; 14]);
    body.extend_from_slice(&1_i32.to_be_bytes());
    put_varint(&mut body, record.len());
    body.extend_from_slice(&record);
    let mut batch = vec![0; 8];
    batch.extend_from_slice(&i32::try_from(9 + body.len()).unwrap().to_be_bytes());
    batch.extend_from_slice(&[0, 0, 0, 0, 2]);
    batch.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    batch.extend_from_slice(&body);
    batch
}

/// A frame of Produce 8 for partition 0 of the topic `t`.
fn produce(number: usize, acks: i16) -> Vec<u8> {
    let batch = batch(number, SIZES[number % SIZES.len()]);
    let mut body = vec![0, 0, 0, 8];
    body.extend_from_slice(&i32::try_from(number).unwrap().to_be_bytes());
    body.extend_from_slice(b"\0\x01c\xff\xff");
    body.extend_from_slice(&acks.to_be_bytes());
    body.extend_from_slice(&30_000_i32.to_be_bytes());
    body.extend_from_slice(b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0");
    body.extend_from_slice(&i32::try_from(batch.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&batch);
    let mut frame = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_all_sizes_are_answered_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Arc::new(OsDirectory::open(folder.path()).unwrap());
    let log = Arc::new(Log::open(directory, LogOptions::default()).unwrap());
    let topic = log.create_topic("t", 1, TopicConfig::default()).unwrap();
    let options = BrokerOptions { listen: "127.0.0.1:0".to_owned(), ..BrokerOptions::default() };
    let broker = Broker::bind(log, options).await.unwrap();
    // By turns on disk, in the page cache, and without an answer.
    let acks = |number: usize| [-1, 1, -1, -1, 0, 1, -1][number % 7];
    let (mut answers, mut requests) = TcpStream::connect(broker.address()).await.unwrap().into_split();
    let sending = tokio::spawn(async move {
        for number in 0..REQUESTS {
            requests.write_all(&produce(number, acks(number))).await.unwrap();
        }
        requests
    });
    for number in (0..REQUESTS).filter(|number| acks(*number) != 0) {
        let size = answers.read_i32().await.unwrap();
        let mut answer = vec![0; usize::try_from(size).unwrap()];
        answers.read_exact(&mut answer).await.unwrap();
        let mut answer = Bytes::from(answer);
        assert_eq!(answer.get_i32(), i32::try_from(number).unwrap(), "answers come in the order of requests");
        answer.advance(4 + 3 + 4 + 4);
        assert_eq!(answer.get_i16(), 0, "request {number} is taken");
        assert_eq!(answer.get_i64(), i64::try_from(number).unwrap(), "and stands in its place");
    }
    drop(sending.await.unwrap());
    let partition = Arc::clone(&topic.partitions()[0]);
    for number in 0..REQUESTS {
        let batch =
            partition.read(Offset(i64::try_from(number).unwrap()), 1, true).unwrap().batches.read_all().unwrap();
        let byte = batch[batch.len() - 2];
        assert_eq!((byte, batch.len() > SIZES[number % SIZES.len()]), (number.to_le_bytes()[0], true));
    }
    broker.shutdown().await.unwrap();
}
