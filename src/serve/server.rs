//! Connections: bounded in number, in what they may send before it is looked at, and in how long they may take to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answers::Answers;
use super::error::ServeError;
use super::host::Hosts;
use super::routes::routes;

/// Connections served at the same time; more wait.
const MAXIMUM_CONNECTIONS: usize = 512;
/// The longest head of a request, in bytes.
const MAXIMUM_HEAD: usize = 16 << 10;
/// How long the head of a request may take.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// The pause after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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

    /// Answers requests until it is dropped.
    pub async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MAXIMUM_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        let service = TowerToHyperService::new(self.routes.clone());
                        let mut http = http1::Builder::new();
                        http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_buf_size(MAXIMUM_HEAD);
                        let connection = http.serve_connection(TokioIo::new(stream), service);
                        connections.spawn(async move {
                            if let Err(error) = connection.await {
                                tracing::debug!("a connection ended: {error}");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!("can't accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}
