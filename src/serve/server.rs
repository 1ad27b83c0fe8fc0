//! Connections: bounded in number, in what they may send before it is looked at, and in how long they may take to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answers::Answers;
use super::error::ServeError;
use super::host::Hosts;
use super::routes::routes;

/// Connections served at the same time; more wait.
const MAXIMUM_CONNECTIONS: usize = 512;
/// The bytes of a request's head that are read. What is longer is refused by the library, which has no words for it; the routes have, and
/// take a quarter of it.
const READ_OF_HEAD: usize = 64 << 10;
/// How long the head of a request may take.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// The pause after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long answers on their way may take once the server is to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// A dashboard's server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    routes: Router,
}

impl Server {
    /// Listens on a loopback address; requests wait until [`Server::run`].
    ///
    /// # Errors
    /// [`ServeError::Listen`] if the address can't be had or isn't one of loopback.
    pub async fn bind(listen: &str, answers: Arc<Answers>) -> Result<Self, ServeError> {
        let failed = |reason: String| ServeError::Listen { address: listen.to_owned(), reason };
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            failed(format!("{error}; choose another with --listen 127.0.0.1:PORT (port 0 takes any free one)"))
        })?;
        let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
        if !address.ip().is_loopback() {
            return Err(failed(
                "the dashboard asks for no password, so that it listens on loopback only; reach it from elsewhere by a \
                 tunnel (ssh -L) or a proxy that asks for one"
                    .to_owned(),
            ));
        }
        Ok(Self { listener, routes: routes(answers, Hosts::of(&address.ip().to_string())) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `stop` is there. Then it listens no more, and gives those answers that are on their way some
    /// seconds.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept(), if connections.len() < MAXIMUM_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        let service = TowerToHyperService::new(self.routes.clone());
                        let mut http = http1::Builder::new();
                        http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_buf_size(READ_OF_HEAD);
                        let connection = http.serve_connection(TokioIo::new(stream), service);
                        connections.spawn(until_stopped(connection, stopped.clone()));
                    }
                    Err(error) => {
                        tracing::warn!("can't accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.listener);
        let _ = stopping.send(true);
        let _ = tokio::time::timeout(LAST_ANSWERS, async { while connections.join_next().await.is_some() {} }).await;
    }
}

/// Answers the requests of a connection; once the server is to stop, no more than the one that has come.
async fn until_stopped(
    connection: http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>>,
    mut stopped: watch::Receiver<bool>,
) {
    tokio::pin!(connection);
    let mut ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopped.wait_for(|stopped| *stopped) => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        ended = Some(connection.await);
    }
    if let Some(Err(error)) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}
