//! The port that metrics are asked for at: HTTP/1.1, one request a connection, everything bounded.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::report::report;
use crate::broker::node::{Node, closed};

/// Requests answered at the same time; more wait.
const MAXIMUM_CONNECTIONS: usize = 8;
/// The longest request taken, headers included.
const MAXIMUM_REQUEST: usize = 8 << 10;
/// How long one request may take, from connecting to the end of its answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// The pause after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests until the broker shuts down.
pub(in crate::broker) async fn serve(listener: TcpListener, node: Arc<Node>) {
    let mut closing = node.closing.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAXIMUM_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let node = Arc::clone(&node);
                    connections.spawn(async move { tokio::time::timeout(DEADLINE, answer(stream, node)).await });
                }
                Err(error) => {
                    tracing::warn!("can't accept a request for metrics: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = closed(&mut closing) => return,
        }
    }
}

async fn answer(mut stream: TcpStream, node: Arc<Node>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).await?;
        if read == 0 || request.len() + read > MAXIMUM_REQUEST {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
    }
    let asked = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let (status, body) = match asked {
        b"GET /metrics HTTP/1.1" | b"GET /metrics HTTP/1.0" => {
            // Groups and partitions may be many: other clients aren't to wait for them.
            let rendered = tokio::task::spawn_blocking(move || report(&node)).await;
            ("200 OK", rendered.map_err(io::Error::other)?)
        }
        _ => ("404 Not Found", "GET /metrics is all there is\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
