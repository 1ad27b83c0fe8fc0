//! One connection to one broker, and the requests on their way over it.
//!
//! Several may ask at once: a broker answers in the order it was asked in, and a task of the connection hands each answer
//! to whom it is for. Every exchange has a deadline, and an answer is bounded before memory is reserved for it: by its
//! size, and by its outline before it is decoded. After an error the connection is not used again.

mod ask;
mod login;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use cartlog_storage::broker::shape;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, Request as _, StrBytes};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

pub(super) use self::ask::Ask;
use super::advice::advice;
use super::error::KafkaError;
use super::options::Sasl;

/// The largest answer taken; metadata of ten thousand partitions have less than a megabyte.
const MAXIMUM_ANSWER: usize = 64 << 20;
/// Bytes of an answer that memory is reserved for before they have come: room for what a fetch asks for.
const RESERVED: usize = 3 << 20;
const CLIENT_ID: &str = "cartlog";

/// How connections are made.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) sasl: Option<Sasl>,
    /// What messages call the brokers, if not by their addresses.
    pub(super) name: Option<Arc<str>>,
    /// How long connecting with its login may take.
    pub(super) connect: Duration,
    /// How long one request may take.
    pub(super) timeout: Duration,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to one broker.
pub(super) struct Connection {
    address: Arc<str>,
    /// What messages call the broker.
    name: Arc<str>,
    timeout: Duration,
    /// What the broker offers, by key.
    offered: HashMap<i16, (i16, i16)>,
    last_id: AtomicI32,
    sending: Mutex<Sending>,
    /// Why no more answers come.
    lost: Arc<OnceLock<String>>,
    reading: AbortHandle,
}

/// The side that requests are written to, one after the other.
struct Sending {
    stream: WriteHalf<Box<dyn Stream>>,
    /// Tells the reading task, in the order of the requests, whom the answers are for.
    expected: mpsc::UnboundedSender<oneshot::Sender<Bytes>>,
    /// Whether a request was given up while it was being written: what would follow it makes no sense.
    is_cut: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Connector {
    /// Connects to `address`, encrypts the connection and logs in, as the settings want.
    ///
    /// # Errors
    /// [`KafkaError::Connect`], [`KafkaError::Refused`], or those of [`Connection::ask`].
    pub(super) async fn connect(&self, address: &str) -> Result<Connection, KafkaError> {
        let start = Instant::now();
        match tokio::time::timeout(self.connect, self.open(address)).await {
            Ok(connected) => connected,
            Err(_) => Err(KafkaError::Connect {
                brokers: self.name_of(address).to_string(),
                waited: start.elapsed(),
                reason: "no answer in time".to_owned(),
            }),
        }
    }

    /// What messages call the broker at an address.
    fn name_of(&self, address: &str) -> Arc<str> {
        self.name.clone().unwrap_or_else(|| address.into())
    }

    async fn open(&self, address: &str) -> Result<Connection, KafkaError> {
        let start = Instant::now();
        let failed = |error: std::io::Error| {
            let (brokers, reason) = (self.name_of(address).to_string(), error.to_string());
            match advice(&reason) {
                Some(advice) => KafkaError::Refused { brokers, reason: format!("{reason}; {advice}") },
                None => KafkaError::Connect { brokers, waited: start.elapsed(), reason },
            }
        };
        let plain = TcpStream::connect(address).await.map_err(failed)?;
        plain.set_nodelay(true).map_err(failed)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(plain),
            Some(config) => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
                let name = name.map_err(|_| KafkaError::Address { address: address.to_owned() })?;
                Box::new(TlsConnector::from(Arc::clone(config)).connect(name, plain).await.map_err(failed)?)
            }
        };
        let mut connection = Connection::over(stream, address, self.name_of(address), self.timeout);
        let answer = connection.ask(&ApiVersionsRequest::default()).await?;
        connection.check::<ApiVersionsRequest>(answer.error_code, None)?;
        let offered = answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        connection.offered = offered.collect();
        if let Some(sasl) = &self.sasl {
            login::log_in(&connection, sasl).await?;
        }
        Ok(connection)
    }
}

impl Connection {
    /// A connection that nothing but what is offered can be asked of.
    fn over(stream: Box<dyn Stream>, address: &str, name: Arc<str>, timeout: Duration) -> Self {
        let (answers, stream) = tokio::io::split(stream);
        let (expected, waiting) = mpsc::unbounded_channel();
        let lost = Arc::new(OnceLock::new());
        let reading = tokio::spawn(hand_out(answers, waiting, Arc::clone(&lost))).abort_handle();
        Self {
            address: address.into(),
            name,
            timeout,
            offered: HashMap::from([(ApiVersionsRequest::KEY, (0, 0))]),
            last_id: AtomicI32::new(0),
            sending: Mutex::new(Sending { stream, expected, is_cut: false }),
            lost,
            reading,
        }
    }

    /// Where it leads.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The version of a request that both sides speak.
    pub(super) fn version_of<R: Ask>(&self) -> Option<i16> {
        let (least, most) = self.offered.get(&R::KEY)?;
        let version = R::SPOKEN.1.min(*most);
        (version >= R::SPOKEN.0.max(*least)).then_some(version)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`KafkaError::Request`] if the connection is lost, the broker doesn't offer the request or doesn't answer in time,
    /// [`KafkaError::Protocol`] if the answer can't be.
    pub(super) async fn ask<R: Ask>(&self, request: &R) -> Result<R::Response, KafkaError> {
        let start = Instant::now();
        let Some(version) = self.version_of::<R>() else {
            let reason = format!("it offers this in no version from {} to {}", R::SPOKEN.0, R::SPOKEN.1);
            return Err(self.lost::<R>(start, reason));
        };
        let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let frame = encode(request, version, id).map_err(|detail| self.nonsense::<R>(detail))?;
        let answer = match tokio::time::timeout(self.timeout, self.exchange(&frame)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(reason)) => return Err(self.lost::<R>(start, reason)),
            Err(_) => return Err(self.lost::<R>(start, "no answer in time".to_owned())),
        };
        decode::<R>(answer, version, id).map_err(|detail| self.nonsense::<R>(detail))
    }

    /// Turns an error code of an answer into an error.
    pub(super) fn check<R: Ask>(&self, code: i16, message: Option<&str>) -> Result<(), KafkaError> {
        ResponseError::try_from_code(code).map_or(Ok(()), |error| Err(self.denied::<R>(error, message)))
    }

    /// The error for an answer that says no.
    pub(super) fn denied<R: Ask>(&self, error: ResponseError, message: Option<&str>) -> KafkaError {
        let reason = message.map_or_else(|| format!("{error:?}"), |message| format!("{message} ({error:?})"));
        KafkaError::Denied { what: R::WHAT.to_owned(), brokers: self.name.to_string(), code: error.code(), reason }
    }

    /// The error for an answer that makes no sense.
    pub(super) fn nonsense<R: Ask>(&self, reason: String) -> KafkaError {
        KafkaError::Protocol { what: R::WHAT.to_owned(), brokers: self.name.to_string(), reason }
    }

    fn lost<R: Ask>(&self, start: Instant, reason: String) -> KafkaError {
        let (what, brokers) = (R::WHAT.to_owned(), self.name.to_string());
        KafkaError::Request { what, brokers, attempts: 1, waited: start.elapsed(), reason }
    }

    /// Sends a frame, and gives the next answer that is nobody else's.
    async fn exchange(&self, frame: &[u8]) -> Result<Bytes, String> {
        let answer = self.send(frame).await?;
        answer.await.map_err(|_| self.lost.get().cloned().unwrap_or_else(|| "the connection was closed".to_owned()))
    }

    async fn send(&self, frame: &[u8]) -> Result<oneshot::Receiver<Bytes>, String> {
        let mut sending = self.sending.lock().await;
        if std::mem::replace(&mut sending.is_cut, true) {
            return Err("a request before it was cut off".to_owned());
        }
        let (answer, answered) = oneshot::channel();
        // Without a task that reads, the answer is dropped, and waiting for it ends at once.
        let _ = sending.expected.send(answer);
        sending.stream.write_all(frame).await.map_err(|error| error.to_string())?;
        sending.stream.flush().await.map_err(|error| error.to_string())?;
        sending.is_cut = false;
        Ok(answered)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Hands answers to those who wait for them, until one can't be read.
async fn hand_out(
    mut answers: ReadHalf<Box<dyn Stream>>,
    mut waiting: mpsc::UnboundedReceiver<oneshot::Sender<Bytes>>,
    lost: Arc<OnceLock<String>>,
) {
    while let Some(next) = waiting.recv().await {
        match read_answer(&mut answers).await {
            // One who no longer waits has been told that there is no answer in time.
            Ok(answer) => drop(next.send(answer)),
            Err(error) => {
                lost.get_or_init(|| error.to_string());
                return;
            }
        }
    }
}

async fn read_answer(stream: &mut ReadHalf<Box<dyn Stream>>) -> std::io::Result<Bytes> {
    let length = stream.read_i32().await?;
    let length = usize::try_from(length).ok().filter(|length| *length <= MAXIMUM_ANSWER).ok_or_else(|| {
        std::io::Error::other(format!("message too large: an answer of {length} bytes was announced"))
    })?;
    let mut answer = BytesMut::with_capacity(length.min(RESERVED));
    let mut rest = stream.take(length as u64);
    while answer.len() < length {
        if rest.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(answer.freeze())
}

/// A request frame with its length.
fn encode<R: Ask>(request: &R, version: i16, correlation_id: i32) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut frame = BytesMut::zeroed(4);
    header.encode(&mut frame, R::header_version(version)).map_err(|error| error.to_string())?;
    request.encode(&mut frame, version).map_err(|error| error.to_string())?;
    let length = u32::try_from(frame.len() - 4).map_err(|error| error.to_string())?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Takes an answer apart, header first.
fn decode<R: Ask>(mut answer: Bytes, version: i16, correlation_id: i32) -> Result<R::Response, String> {
    if answer.len() < 4 {
        return Err(format!("it has {} bytes", answer.len()));
    }
    let got = answer.get_i32();
    if got != correlation_id {
        return Err(format!("it is for request {got}, request {correlation_id} was sent"));
    }
    let flexible = version >= R::FLEXIBLE_SINCE;
    if flexible {
        let rest = shape::skip_tags(&answer)?.len();
        answer.advance(answer.len() - rest);
    }
    shape::check(&answer, R::ANSWER, version, flexible)?;
    R::Response::decode(&mut answer, version).map_err(|error| error.to_string())
}
