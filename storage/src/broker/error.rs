//! What can go wrong in the broker, apart from what is answered to a client.

use std::io;

use crate::groups::JournalError;
use crate::log::LogError;

/// An error of the broker itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The address can't be listened at.
    #[error("can't listen at {listen}: {source}; choose another address or stop what uses it")]
    Listen {
        /// The address as given.
        listen: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The address is open to others and nothing guards it.
    #[error(
        "{listen} can be reached from other machines, and {missing}; listen at 127.0.0.1, or give users (--users FILE) \
         or client certificates (--tls-client-ca FILE), and encryption (--tls-cert FILE --tls-key FILE), or say that \
         it is wanted so (--insecure)"
    )]
    NotLoopback {
        /// The address as given.
        listen: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// The advertised address isn't `host:port`.
    #[error("{0:?} can't be advertised to clients; expected HOST:PORT")]
    Advertised(String),
    /// The log failed while it was closed.
    #[error("the log was not closed cleanly: {0}")]
    Log(#[from] LogError),
    /// The groups' journal can't be opened.
    #[error("the consumer groups can't be opened: {0}")]
    Groups(#[from] JournalError),
}

/// Why a connection is given up: the client doesn't speak the protocol, or not one that is spoken here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ProtocolError {
    #[error("a frame of {got} bytes was announced, 0 to {maximum} are taken")]
    FrameSize { got: i32, maximum: usize },
    #[error("the request has no complete header")]
    Header,
    #[error("the API with key {0} is not offered")]
    UnknownApi(i16),
    #[error("{api} is not offered in version {version}")]
    UnknownVersion { api: &'static str, version: i16 },
    #[error("the body of {api} version {version} is malformed: {detail}")]
    Malformed { api: &'static str, version: i16, detail: String },
    #[error("{api} was asked for before a login")]
    NotLoggedIn { api: &'static str },
    #[error("the login failed")]
    Refused,
    #[error("an append without acknowledgement failed: {0}")]
    UnacknowledgedAppend(String),
    #[error("the answer to {api} version {version} can't be encoded: {detail}")]
    Encode { api: &'static str, version: i16, detail: String },
}
