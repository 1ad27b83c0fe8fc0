//! HTTP for object stores, on hyper and the TLS that the rest of cartlog has.
//!
//! The library's own client would bring a second provider of cryptography, HTTP/2 and compression. What is asked of an
//! object store is a few kinds of small requests and large uploads to one host, for which connections that are used again
//! are all that is needed.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long connecting, and a whole request with its answer, may take; a failed one is tried again by the library.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest answer: a page of a listing, a commit.
const MAX_ANSWER: usize = 64 << 20;

/// Connections kept for use again.
const KEPT: usize = 8;

/// Makes clients for the library.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Connections::default()))
    }
}

/// A connection that is not in use, and where it leads to.
type Idle = (String, SendRequest<HttpRequestBody>);

/// Connections to the hosts of a store.
#[derive(Default)]
struct Connections {
    idle: Mutex<Vec<Idle>>,
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl HttpService for Connections {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            match timeout(REQUEST_TIMEOUT, self.ask(request)).await {
                Ok(answer) => answer,
                Err(elapsed) => Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
            }
        })
    }
}

impl Connections {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let place = Address::of(request.uri())?;
        let request = at_origin(request, &place)?;
        let mut connection = match self.take(&place.key).await {
            Some(connection) => connection,
            None => match timeout(CONNECT_TIMEOUT, self.open(&place)).await {
                Ok(opened) => opened.map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?,
                Err(elapsed) => return Err(HttpError::new(HttpErrorKind::Connect, elapsed)),
            },
        };
        let (parts, body) = connection.send_request(request).await.map_err(of_hyper)?.into_parts();
        if body.size_hint().lower() > MAX_ANSWER as u64 {
            return Err(HttpError::new(HttpErrorKind::Decode, io::Error::other("an answer that is too long")));
        }
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| HttpError::new_boxed(HttpErrorKind::Interrupted, error))?.to_bytes();
        self.give_back(place.key, connection);
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(body)))
    }

    /// A connection that was used before and is still open.
    async fn take(&self, key: &str) -> Option<SendRequest<HttpRequestBody>> {
        loop {
            let mut connection = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                let place = idle.iter().position(|(of, _)| of == key)?;
                idle.swap_remove(place).1
            };
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn give_back(&self, key: String, connection: SendRequest<HttpRequestBody>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT && !connection.is_closed() {
            idle.push((key, connection));
        }
    }

    async fn open(&self, place: &Address) -> io::Result<SendRequest<HttpRequestBody>> {
        let stream = TcpStream::connect((place.host.trim_matches(['[', ']']), place.port)).await?;
        stream.set_nodelay(true)?;
        if !place.is_secure {
            return spawn(TokioIo::new(stream)).await;
        }
        let host = place.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = TlsConnector::from(self.tls()?).connect(name, stream).await?;
        spawn(TokioIo::new(stream)).await
    }

    /// The certificates of the operating system, read once.
    fn tls(&self) -> io::Result<Arc<ClientConfig>> {
        let mut known = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(Arc::clone(known));
        }
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(io::Error::other("the operating system has no certificates to trust; set SSL_CERT_FILE"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
        Ok(Arc::clone(known.insert(Arc::new(config))))
    }
}

/// Speaks HTTP/1.1 over a stream, in a task that ends with the connection.
async fn spawn<S>(stream: TokioIo<S>) -> io::Result<SendRequest<HttpRequestBody>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(stream).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the object store ended");
        }
    });
    Ok(sender)
}

/// Where a request goes.
struct Address {
    /// Scheme, host and port: what connections are shared by.
    key: String,
    host: String,
    port: u16,
    is_secure: bool,
}

impl Address {
    fn of(uri: &Uri) -> Result<Self, HttpError> {
        let is_secure = uri.scheme_str() != Some("http");
        let authority = uri.authority().ok_or_else(|| wrong("an address without a host"))?;
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let host = authority.host().to_owned();
        Ok(Self { key: format!("{is_secure} {host}:{port}"), host, port, is_secure })
    }
}

/// The request as it is sent to its host: the path alone, and the host in its header.
fn at_origin(request: HttpRequest, place: &Address) -> Result<Request<HttpRequestBody>, HttpError> {
    let (mut parts, body) = request.into_parts();
    if !parts.headers.contains_key(HOST) {
        let is_usual = place.port == if place.is_secure { 443 } else { 80 };
        let host = if is_usual { place.host.clone() } else { format!("{}:{}", place.host, place.port) };
        parts.headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| wrong("a host that is none"))?);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().map_err(|_| wrong("a path that is none"))?;
    Ok(Request::from_parts(parts, body))
}

fn of_hyper(error: hyper::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_canceled() || error.is_closed() || error.is_incomplete_message() {
        HttpErrorKind::Interrupted
    } else {
        HttpErrorKind::Request
    };
    HttpError::new(kind, error)
}

fn wrong(what: &'static str) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, io::Error::new(io::ErrorKind::InvalidInput, what))
}
