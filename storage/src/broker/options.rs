//! What a broker may be told.

use std::sync::Arc;
use std::time::Duration;

use crate::groups::GroupOptions;
use crate::security::{ServerTls, Users};

/// Settings of a broker.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Where to listen, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    /// Where metrics in Prometheus' form are offered at `/metrics`, `HOST:PORT`; nowhere if `None`.
    pub metrics: Option<String>,
    /// What clients are told to connect to, `HOST:PORT`; the address listened at if `None`.
    pub advertised: Option<String>,
    /// Partitions of a topic whose creator names no number.
    pub default_partitions: i32,
    /// Whether asking for an unknown topic creates it, if the client wants so too.
    pub auto_create: bool,
    /// Allows an address that other machines can reach, without credentials and encryption.
    pub insecure: bool,
    /// Who may log in; with `None` nobody has to.
    pub users: Option<Arc<Users>>,
    /// Certificate and key, if connections are encrypted.
    pub tls: Option<ServerTls>,
    /// How long a client may take to encrypt its connection, and then to log in.
    pub login_deadline: Duration,
    /// The largest request taken before a login, in bytes.
    pub max_login_bytes: usize,
    /// The pause before a client is told that its login has failed; it doubles with each failure of an address.
    pub failed_login_pause: Duration,
    /// Connections of one address (other than loopback) held at the same time; one more is closed at once.
    pub max_connections_per_address: usize,
    /// Connections held at the same time; one more is closed at once.
    pub max_connections: usize,
    /// The largest request taken, in bytes.
    pub max_request_bytes: usize,
    /// The most bytes of large requests (over 1 MiB) in memory at the same time, over all connections; more wait.
    pub max_inflight_bytes: usize,
    /// How long a client may take to send the next bytes of a request or to take the next bytes of an answer.
    pub patience: Duration,
    /// How long a connection may do nothing at all.
    pub idle: Duration,
    /// The most record bytes in one answer, whatever the client asks for (one batch may exceed it).
    pub max_fetch_bytes: usize,
    /// Settings of the group coordinator.
    pub groups: GroupOptions,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9092".to_owned(),
            metrics: None,
            advertised: None,
            default_partitions: 1,
            auto_create: true,
            insecure: false,
            users: None,
            tls: None,
            login_deadline: Duration::from_secs(10),
            max_login_bytes: 64 << 10,
            failed_login_pause: Duration::from_millis(250),
            max_connections_per_address: 256,
            max_connections: 1024,
            max_request_bytes: 100 << 20,
            max_inflight_bytes: 512 << 20,
            patience: Duration::from_secs(60),
            idle: Duration::from_secs(600),
            max_fetch_bytes: 55 << 20,
            groups: GroupOptions::default(),
        }
    }
}
