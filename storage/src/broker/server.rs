//! Listening, and the life of the whole broker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::addresses::Arrival;
use super::connection;
use super::error::BrokerError;
use super::metrics;
use super::node::{Node, closed};
use super::options::BrokerOptions;
use super::transport::Transport;
use crate::groups::Coordinator;
use crate::log::Log;
use crate::security::ServerTls;

/// How long clients get to take their last answers at a shutdown.
const GRACE: Duration = Duration::from_secs(5);
/// The pause after the system refused a connection, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The broker: a [`Log`] behind a listening socket.
///
/// ```
/// use std::sync::Arc;
/// use cartlog_storage::broker::{Broker, BrokerOptions};
/// use cartlog_storage::io::OsDirectory;
/// use cartlog_storage::log::{Log, LogOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let log = Arc::new(Log::open(Arc::new(OsDirectory::open(folder.path())?), LogOptions::default())?);
/// let options = BrokerOptions { listen: "127.0.0.1:0".to_owned(), ..BrokerOptions::default() };
/// let broker = Broker::bind(log, options).await?;
/// println!("clients connect to {}", broker.address());
/// broker.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Broker;

/// A running broker; dropping it ends all connections at once.
#[derive(Debug)]
pub struct BrokerHandle {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    log: Arc<Log>,
    closing: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Broker {
    /// Listens and serves clients on the current Tokio runtime until the handle is shut down or dropped.
    ///
    /// # Errors
    /// [`BrokerError::NotLoopback`] if others could reach the address and `insecure` isn't set, [`BrokerError::Listen`]
    /// if the system refuses it, [`BrokerError::Advertised`] if the advertised address is malformed.
    pub async fn bind(log: Arc<Log>, options: BrokerOptions) -> Result<BrokerHandle, BrokerError> {
        let failed = |source: io::Error| BrokerError::Listen { listen: options.listen.clone(), source };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(&options.listen).await.map_err(failed)?.collect();
        if let Some(missing) = missing(&options)
            && !options.insecure
            && addresses.iter().any(|address| !address.ip().is_loopback())
        {
            return Err(BrokerError::NotLoopback { listen: options.listen, missing });
        }
        let listener = TcpListener::bind(&addresses[..]).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let advertised = advertised(&options, address)?;
        let metrics = match &options.metrics {
            Some(listen) => Some(listen_for_metrics(listen, options.insecure).await?),
            None => None,
        };
        let metrics_address = metrics.as_ref().and_then(|listener| listener.local_addr().ok());
        let (closing, receiver) = watch::channel(false);
        if options.insecure && missing(&options).is_some() && !address.ip().is_loopback() {
            tracing::warn!(%address, "reachable from other machines without credentials or encryption");
        }
        let groups = Coordinator::open(Arc::clone(&log), options.groups.clone())?;
        let node = Node::new(Arc::clone(&log), groups, options, advertised, receiver);
        let node = Arc::new(node);
        let task = tokio::spawn(async move {
            let metrics = metrics.map(|listener| tokio::spawn(metrics::serve(listener, Arc::clone(&node))));
            accept(listener, node).await;
            if let Some(metrics) = metrics {
                metrics.abort();
            }
        });
        tracing::info!(%address, "listening");
        Ok(BrokerHandle { address, metrics_address, log, closing, task })
    }
}

impl BrokerHandle {
    /// The address listened at, with the port that was given or found free.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address at which metrics are offered, if they are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The log that is served.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Takes no more requests, sends the answers that are owed, and writes the log to disk.
    ///
    /// # Errors
    /// [`BrokerError::Log`] if the log can't be written.
    pub async fn shutdown(mut self) -> Result<(), BrokerError> {
        self.closing.send_replace(true);
        if (&mut self.task).await.is_err() {
            tracing::error!("the broker ended in a panic");
        }
        let log = Arc::clone(&self.log);
        match tokio::task::spawn_blocking(move || log.close()).await {
            Ok(closed) => Ok(closed?),
            Err(_) => Ok(()),
        }
    }
}

impl Drop for BrokerHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens for requests for metrics.
async fn listen_for_metrics(listen: &str, insecure: bool) -> Result<TcpListener, BrokerError> {
    let failed = |source: io::Error| BrokerError::Listen { listen: listen.to_owned(), source };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(listen).await.map_err(failed)?.collect();
    if !insecure && addresses.iter().any(|address| !address.ip().is_loopback()) {
        let missing = "metrics are told to whoever asks, without credentials or encryption";
        return Err(BrokerError::NotLoopback { listen: listen.to_owned(), missing });
    }
    TcpListener::bind(&addresses[..]).await.map_err(failed)
}

/// What an address that others can reach lacks: credentials, encryption or both.
fn missing(options: &BrokerOptions) -> Option<&'static str> {
    let has_credentials = options.users.is_some() || options.tls.as_ref().is_some_and(ServerTls::asks_clients);
    match (has_credentials, options.tls.is_some()) {
        (true, true) => None,
        (true, false) => Some("this broker doesn't encrypt its connections"),
        (false, true) => Some("this broker asks for no credentials"),
        (false, false) => Some("this broker neither asks for credentials nor encrypts its connections"),
    }
}

/// Host and port told to clients.
fn advertised(options: &BrokerOptions, listening: SocketAddr) -> Result<(String, u16), BrokerError> {
    let Some(advertised) = &options.advertised else {
        let ip = listening.ip();
        // An address that means "any" can't be connected to from elsewhere, but from here it can.
        let host = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
        return Ok((host, listening.port()));
    };
    let malformed = || BrokerError::Advertised(advertised.clone());
    let (host, port) = advertised.rsplit_once(':').ok_or_else(malformed)?;
    let port = port.parse().map_err(|_| malformed())?;
    if host.is_empty() { Err(malformed()) } else { Ok((host.trim_matches(['[', ']']).to_owned(), port)) }
}

async fn accept(listener: TcpListener, node: Arc<Node>) {
    let mut closing = node.closing.clone();
    let mut connections = JoinSet::new();
    // Never ends by itself.
    let coordination = node.groups.run();
    tokio::pin!(coordination);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    while connections.try_join_next().is_some() {}
                    let limit = node.options.max_connections_per_address;
                    node.metrics.connections.fetch_add(1, Ordering::Relaxed);
                    if connections.len() >= node.options.max_connections {
                        node.metrics.refused_connections.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!(%client, "connection refused: {} are open", connections.len());
                    } else if let Some(arrival) = node.addresses.arrive(client.ip(), limit) {
                        connections.spawn(serve(Arc::clone(&node), stream, client, arrival));
                    } else {
                        node.metrics.refused_connections.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!(%client, "connection refused: its address holds {limit} of them");
                    }
                }
                Err(error) => {
                    tracing::warn!("can't accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = &mut coordination => {}
            () = closed(&mut closing) => break,
        }
    }
    drop(listener);
    let finished = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} });
    if finished.await.is_err() {
        tracing::warn!("{} connections did not take their last answers and are closed", connections.len());
    }
}

/// A connection that is held, for as long as this lives.
struct OpenConnection(Arc<Node>);

impl OpenConnection {
    fn of(node: &Arc<Node>) -> Self {
        node.metrics.open_connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(node))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.metrics.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(node: Arc<Node>, stream: TcpStream, client: SocketAddr, _arrival: Arrival) {
    let _open = OpenConnection::of(&node);
    // Answers are sent whole; waiting for more to send with them would only delay them.
    let served = match stream.set_nodelay(true) {
        Ok(()) => match Transport::accept(stream, node.options.tls.as_ref(), node.options.login_deadline).await {
            Ok(transport) => connection::serve(node, transport, client).await,
            Err(error) => {
                tracing::warn!(%client, "connection closed: no TLS session: {error}");
                return;
            }
        },
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::debug!(%client, "a connection was lost: {error}");
    }
}
