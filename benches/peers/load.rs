//! A client that costs next to nothing, so that a measurement shows the broker: ready-made requests, several in flight,
//! answers dropped once their error code and offsets have been looked at.
//!
//! ```text
//! load produce BROKER TOPIC acks=1|-1 records=500 value=1000 inflight=5 producers=1 bytes=2000000000
//! load fetch   BROKER TOPIC max=8388608 bytes=2000000000
//! ```
//!
//! It speaks Produce 8 and Fetch 4 to the leader of partition 0, which must be the broker named, and
//! prints one line of JSON: bytes of record batches, records, seconds.

use std::collections::HashMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
/// Bytes of a record batch before its records.
const BATCH_HEADER: usize = 61;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [command, broker, topic, options @ ..] = &words[..] else {
        println!("load produce|fetch BROKER TOPIC [name=value …]; see benches/peers/README.md");
        return Ok(());
    };
    let options: HashMap<&str, i64> = options
        .iter()
        .filter_map(|option| option.split_once('='))
        .map(|(name, value)| Ok((name, value.parse()?)))
        .collect::<Outcome<_>>()?;
    let option = |name, default| options.get(name).copied().unwrap_or(default);
    let start = Instant::now();
    let (bytes, records) = match command.as_str() {
        "produce" => {
            let batch = batch(option("records", 500), option("value", 1000))?;
            let acks = i16::try_from(option("acks", -1))?;
            let producers = option("producers", 1);
            let each = option("bytes", 1 << 30) / i64::try_from(batch.len())? / producers;
            let request = produce_request(topic, acks, &batch)?;
            let inflight = option("inflight", 5);
            std::thread::scope(|scope| {
                let produce =
                    || produce(&mut connect(broker)?, &request, each, inflight).map_err(|error| error.to_string());
                let running: Vec<_> = (0..producers).map(|_| scope.spawn(produce)).collect();
                running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a panic".to_owned())))
            })?;
            let requests = each * producers;
            (requests * i64::try_from(batch.len())?, requests * option("records", 500))
        }
        "fetch" => {
            let most = i32::try_from(option("max", 8 << 20))?;
            fetch(&mut connect(broker)?, topic, most, option("bytes", 1 << 30))?
        }
        other => return Err(format!("{other} is neither produce nor fetch").into()),
    };
    let seconds = start.elapsed().as_secs_f64();
    println!("{{\"bytes\":{bytes},\"records\":{records},\"seconds\":{seconds}}}");
    Ok(())
}

fn connect(broker: &str) -> Result<TcpStream, String> {
    let socket = TcpStream::connect(broker).map_err(|error| format!("{broker}: {error}"))?;
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(socket)
}

/// A batch of uncompressed records with values of so many random bytes.
fn batch(records: i64, value_bytes: i64) -> Outcome<Vec<u8>> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut body = Vec::new();
    for delta in 0..records {
        let mut record = vec![0, 0];
        put_varint(&mut record, delta);
        put_varint(&mut record, -1);
        put_varint(&mut record, value_bytes);
        for _ in 0..value_bytes {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            record.push(random.to_le_bytes()[0]);
        }
        put_varint(&mut record, 0);
        put_varint(&mut body, i64::try_from(record.len())?);
        body.extend_from_slice(&record);
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = i64::try_from(now.as_millis())?.to_be_bytes();
    let count = i32::try_from(records)?;
    let mut content = vec![0, 0];
    content.extend_from_slice(&(count - 1).to_be_bytes());
    content.extend_from_slice(&now);
    content.extend_from_slice(&now);
    content.extend_from_slice(&[0xff; 14]);
    content.extend_from_slice(&count.to_be_bytes());
    content.extend_from_slice(&body);
    let mut batch = vec![0; 8];
    batch.extend_from_slice(&i32::try_from(content.len() + 9)?.to_be_bytes());
    batch.extend_from_slice(&(-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&crc32c::crc32c(&content).to_be_bytes());
    batch.extend_from_slice(&content);
    Ok(batch)
}

fn put_varint(buffer: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        buffer.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    buffer.push(rest.to_le_bytes()[0]);
}

/// A whole request frame around a body.
fn frame(api: i16, version: i16, body: &[u8]) -> Outcome<Vec<u8>> {
    let mut frame = i32::try_from(body.len() + 14)?.to_be_bytes().to_vec();
    frame.extend_from_slice(&api.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&1_i32.to_be_bytes());
    frame.extend_from_slice(b"\0\x04load");
    frame.extend_from_slice(body);
    Ok(frame)
}

fn put_topic(body: &mut Vec<u8>, topic: &str) -> Outcome<()> {
    body.extend_from_slice(&1_i32.to_be_bytes());
    body.extend_from_slice(&i16::try_from(topic.len())?.to_be_bytes());
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&1_i32.to_be_bytes());
    body.extend_from_slice(&0_i32.to_be_bytes());
    Ok(())
}

fn produce_request(topic: &str, acks: i16, batch: &[u8]) -> Outcome<Vec<u8>> {
    let mut body = vec![0xff, 0xff];
    body.extend_from_slice(&acks.to_be_bytes());
    body.extend_from_slice(&30_000_i32.to_be_bytes());
    put_topic(&mut body, topic)?;
    body.extend_from_slice(&i32::try_from(batch.len())?.to_be_bytes());
    body.extend_from_slice(batch);
    frame(PRODUCE, 8, &body)
}

fn produce(socket: &mut TcpStream, request: &[u8], requests: i64, inflight: i64) -> Outcome<()> {
    let mut answer = Vec::new();
    for sent in 0..requests + inflight {
        if sent >= inflight {
            receive(socket, &mut answer)?;
            // Correlation id, topics, name, partitions, partition: then the error.
            let name = usize::from(u16::from_be_bytes(array(&answer, 8)?));
            let error = i16::from_be_bytes(array(&answer, 10 + name + 8)?);
            if error != 0 {
                return Err(format!("the broker answered with error {error}").into());
            }
        }
        if sent < requests {
            socket.write_all(request)?;
        }
    }
    Ok(())
}

fn fetch(socket: &mut TcpStream, topic: &str, max_bytes: i32, enough: i64) -> Outcome<(i64, i64)> {
    let (mut offset, mut bytes, mut records) = (0_i64, 0_i64, 0_i64);
    let mut answer = Vec::new();
    while bytes < enough {
        let mut body = (-1_i32).to_be_bytes().to_vec();
        for value in [500, 1, max_bytes] {
            body.extend_from_slice(&i32::to_be_bytes(value));
        }
        body.push(0);
        put_topic(&mut body, topic)?;
        body.extend_from_slice(&offset.to_be_bytes());
        body.extend_from_slice(&max_bytes.to_be_bytes());
        socket.write_all(&frame(FETCH, 4, &body)?)?;
        receive(socket, &mut answer)?;
        // Correlation id, throttle time, topics, name, partitions, partition: then error, two watermarks, aborted.
        let name = usize::from(u16::from_be_bytes(array(&answer, 12)?));
        let at = 14 + name + 8;
        let error = i16::from_be_bytes(array(&answer, at)?);
        if error != 0 {
            return Err(format!("the broker answered with error {error}").into());
        }
        // An empty list of aborted transactions may be null.
        let aborted = i32::from_be_bytes(array(&answer, at + 18)?).max(0);
        let mut at = at + 26 + 16 * usize::try_from(aborted)?;
        let before = offset;
        while at + BATCH_HEADER <= answer.len() {
            let base = i64::from_be_bytes(array(&answer, at)?);
            let size = 12 + usize::try_from(i32::from_be_bytes(array(&answer, at + 8)?))?;
            if at + size > answer.len() {
                break;
            }
            offset = base + i64::from(i32::from_be_bytes(array(&answer, at + 23)?)) + 1;
            bytes += i64::try_from(size)?;
            at += size;
        }
        if offset == before {
            return Err(format!("the topic ends after {bytes} bytes").into());
        }
        records += offset - before;
    }
    Ok((bytes, records))
}

/// Reads one answer without its length.
fn receive(socket: &mut TcpStream, answer: &mut Vec<u8>) -> Outcome<()> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    answer.resize(usize::try_from(i32::from_be_bytes(length))?, 0);
    Ok(socket.read_exact(answer)?)
}

fn array<const LENGTH: usize>(bytes: &[u8], at: usize) -> Outcome<[u8; LENGTH]> {
    let found = bytes.get(at..at + LENGTH).ok_or_else(|| format!("an answer of {} bytes", bytes.len()))?;
    Ok(found.try_into()?)
}
