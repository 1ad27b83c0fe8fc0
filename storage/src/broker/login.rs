//! Who a connection belongs to, from its first byte to its last.
//!
//! ```text
//! Unknown ──SaslHandshake──► Proving ──SaslAuthenticate…──► Known ──SaslHandshake──► Known, proving again
//!                               └──────────────────────────► Refused
//! ```
//!
//! Invariants:
//! - Nothing but `ApiVersions` and the two SASL APIs is handled before the user is known.
//! - Who is known once stays the same: another user on the same connection is refused (KIP-368).
//! - A refused connection handles nothing more; it is closed once its answer is sent, and the answer waits a while.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_protocol::ResponseError;

use super::node::Node;
use crate::security::{Exchange, LoginError, Mechanism, Step, UserName, Users};

const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;

/// The login of one connection. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Login {
    users: Arc<Users>,
    peer: IpAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    user: Option<UserName>,
    exchange: Option<Exchange>,
    /// Tokens come without a request around them, as after `SaslHandshake` version 0.
    is_raw: bool,
    is_refused: bool,
}

impl Login {
    /// The login of a client that has just connected.
    pub(super) fn new(users: Arc<Users>, peer: IpAddr) -> Self {
        let state = State { user: None, exchange: None, is_raw: false, is_refused: false };
        Self { users, peer, state: Arc::new(Mutex::new(state)) }
    }

    /// Whether a request of this API is handled now.
    pub(super) fn admits(&self, key: i16) -> bool {
        let state = self.state();
        let is_known = state.user.is_some() || matches!(key, API_VERSIONS | SASL_HANDSHAKE | SASL_AUTHENTICATE);
        is_known && !state.is_refused
    }

    /// Whether the user is known.
    pub(super) fn is_known(&self) -> bool {
        self.state().user.is_some()
    }

    /// Whether the connection is to be closed.
    pub(super) fn is_refused(&self) -> bool {
        self.state().is_refused
    }

    /// Whether the next frame is a token and no request.
    pub(super) fn takes_raw_token(&self) -> bool {
        let state = self.state();
        state.is_raw && state.exchange.is_some()
    }

    /// Begins to prove a user. `is_raw` says that tokens come without requests.
    ///
    /// # Errors
    /// `UNSUPPORTED_SASL_MECHANISM`.
    pub(super) fn begin(&self, mechanism: &str, is_raw: bool) -> Result<(), ResponseError> {
        let mechanism: Mechanism = mechanism.parse().map_err(|_| ResponseError::UnsupportedSaslMechanism)?;
        let mut state = self.state();
        state.exchange = Some(Exchange::new(mechanism));
        state.is_raw = is_raw;
        Ok(())
    }

    /// Judges the client's next token and gives the server's. Waits before it tells of a failure.
    ///
    /// # Errors
    /// `ILLEGAL_SASL_STATE` without a handshake before, `SASL_AUTHENTICATION_FAILED` otherwise, with what the client is
    /// told.
    pub(super) async fn step(&self, node: &Node, token: Vec<u8>) -> Result<Vec<u8>, (ResponseError, String)> {
        let Some(exchange) = self.state().exchange.take() else {
            self.state().is_refused = true;
            return Err((ResponseError::IllegalSaslState, "SaslHandshake comes before SaslAuthenticate".to_owned()));
        };
        let failure = match self.judge(node, exchange, token).await {
            Ok(Step::Continue(sent, exchange)) => {
                self.state().exchange = Some(exchange);
                return Ok(sent);
            }
            Ok(Step::Done(sent, user)) => match self.admit(user) {
                Ok(()) => {
                    node.addresses.forgive(self.peer);
                    return Ok(sent);
                }
                Err(failure) => failure,
            },
            Err(failure) => failure.to_string(),
        };
        self.state().is_refused = true;
        node.metrics.failed_logins.fetch_add(1, Ordering::Relaxed);
        let pause = node.addresses.failed(self.peer, node.options.failed_login_pause);
        tracing::warn!(client = %self.peer, "login failed: {failure}");
        tokio::time::sleep(pause).await;
        Err((ResponseError::SaslAuthenticationFailed, failure))
    }

    async fn judge(&self, node: &Node, exchange: Exchange, token: Vec<u8>) -> Result<Step, LoginError> {
        if !exchange.is_costly() {
            return exchange.step(&self.users, &token);
        }
        // Few passwords are hashed at the same time: a flood of logins leaves processors to the clients who are in.
        let _permit = node.hashing.acquire().await;
        let users = Arc::clone(&self.users);
        let judged = tokio::task::spawn_blocking(move || exchange.step(&users, &token)).await;
        judged.unwrap_or(Err(LoginError::Malformed("the token could not be judged")))
    }

    fn admit(&self, user: UserName) -> Result<(), String> {
        let mut state = self.state();
        match &state.user {
            Some(known) if *known != user => Err(format!("this connection belongs to {known} already")),
            _ => {
                state.user = Some(user);
                Ok(())
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, Bytes};
    use tempfile::TempDir;
    use tokio::sync::watch;

    use super::super::error::ProtocolError;
    use super::super::options::BrokerOptions;
    use super::super::session::{Response, Session};
    use super::super::transport::Piece;
    use super::*;
    use crate::groups::Coordinator;
    use crate::io::OsDirectory;
    use crate::log::{Log, LogOptions};

    fn connect() -> (TempDir, Arc<Node>, Session) {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(Arc::new(OsDirectory::open(folder.path()).unwrap()), LogOptions::default()).unwrap();
        let users = Arc::new(Users::from_passwords("anna=pencil,bert=rubber").unwrap());
        let pause = std::time::Duration::from_millis(1);
        let options =
            BrokerOptions { users: Some(Arc::clone(&users)), failed_login_pause: pause, ..BrokerOptions::default() };
        let (_, closing) = watch::channel(false);
        let log = Arc::new(log);
        let groups = Coordinator::open(Arc::clone(&log), options.groups.clone()).unwrap();
        let node = Arc::new(Node::new(log, groups, options, ("h".to_owned(), 1), closing));
        (folder, node, Session::new(IpAddr::from([127, 0, 0, 1]), Some(&users)))
    }

    fn request(key: i16, version: i16, body: &[u8]) -> Bytes {
        let mut frame = Vec::new();
        frame.put_i16(key);
        frame.put_i16(version);
        frame.extend_from_slice(b"\0\0\0\x07\0\x02me");
        frame.extend_from_slice(body);
        frame.into()
    }

    fn handshake(version: i16, mechanism: &str) -> Bytes {
        let mut body = Vec::new();
        body.put_u16(u16::try_from(mechanism.len()).unwrap());
        body.extend_from_slice(mechanism.as_bytes());
        request(SASL_HANDSHAKE, version, &body)
    }

    fn authenticate(token: &[u8]) -> Bytes {
        let mut body = Vec::new();
        body.put_u32(u32::try_from(token.len()).unwrap());
        body.extend_from_slice(token);
        request(SASL_AUTHENTICATE, 1, &body)
    }

    /// The answer after its length.
    async fn send(session: &mut Session, node: &Arc<Node>, frame: Bytes) -> Result<Vec<u8>, ProtocolError> {
        let answer = match session.handle(node, frame)? {
            Response::Ready(answer) => answer,
            Response::Alone(answer) | Response::Later(answer) => answer.await?,
            Response::Silent => panic!("an answer is expected"),
        };
        let bytes = answer.pieces.into_iter().map(|piece| match piece {
            Piece::Memory(bytes) => bytes,
            Piece::File(_) => panic!("nothing is fetched"),
        });
        Ok(bytes.collect::<Vec<_>>().concat()[4..].to_vec())
    }

    fn error(answer: &[u8]) -> i16 {
        i16::from_be_bytes([answer[4], answer[5]])
    }

    const LIST_ALL: &[u8] = &[0; 4];

    #[tokio::test]
    async fn nothing_is_told_before_a_login_but_what_is_offered() {
        let (_folder, node, mut session) = connect();
        assert!(!session.is_admitted());
        assert_eq!(error(&send(&mut session, &node, request(API_VERSIONS, 0, &[])).await.unwrap()), 0);
        for key in [0, 1, 2, 3, 19, 20] {
            let refused = send(&mut session, &node, request(key, 1, LIST_ALL)).await;
            assert!(matches!(refused, Err(ProtocolError::NotLoggedIn { .. })), "{key}: {refused:?}");
        }
        send(&mut session, &node, handshake(1, "PLAIN")).await.unwrap();
        assert!(send(&mut session, &node, request(3, 1, LIST_ALL)).await.is_err(), "a handshake is no login");
    }

    #[tokio::test]
    async fn a_login_opens_the_connection_and_stays_the_same_user() {
        let (_folder, node, mut session) = connect();
        assert_eq!(error(&send(&mut session, &node, handshake(1, "PLAIN")).await.unwrap()), 0);
        let answer = send(&mut session, &node, authenticate(b"\0anna\0pencil")).await.unwrap();
        assert_eq!(error(&answer), 0);
        assert_eq!(answer[answer.len() - 8..], [0; 8], "the session has no end");
        assert!(session.is_admitted());
        send(&mut session, &node, request(3, 1, LIST_ALL)).await.unwrap();
        for (token, expected) in [(&b"\0anna\0pencil"[..], 0), (b"\0bert\0rubber", 58)] {
            send(&mut session, &node, handshake(1, "PLAIN")).await.unwrap();
            assert_eq!(error(&send(&mut session, &node, authenticate(token)).await.unwrap()), expected);
        }
        assert!(session.is_refused(), "nobody becomes somebody else");
        assert!(send(&mut session, &node, request(3, 1, LIST_ALL)).await.is_err());
    }

    #[tokio::test]
    async fn a_failed_login_ends_the_connection() {
        for token in [&b"\0anna\0wrong"[..], b"\0nobody\0pencil", b"", b"\0root\0"] {
            let (_folder, node, mut session) = connect();
            send(&mut session, &node, handshake(1, "PLAIN")).await.unwrap();
            let answer = send(&mut session, &node, authenticate(token)).await.unwrap();
            assert_eq!(error(&answer), 58, "SASL_AUTHENTICATION_FAILED");
            assert!(session.is_refused() && !session.is_admitted());
            assert!(send(&mut session, &node, handshake(1, "PLAIN")).await.is_err());
        }
        let (_folder, node, mut session) = connect();
        let answer = send(&mut session, &node, authenticate(b"\0anna\0pencil")).await.unwrap();
        assert_eq!(error(&answer), 34, "ILLEGAL_SASL_STATE without a handshake");
        assert!(session.is_refused());
    }

    #[tokio::test]
    async fn an_unknown_mechanism_is_told_what_is_offered() {
        let (_folder, node, mut session) = connect();
        let answer = send(&mut session, &node, handshake(1, "GSSAPI")).await.unwrap();
        assert_eq!(error(&answer), 33, "UNSUPPORTED_SASL_MECHANISM");
        let told = String::from_utf8_lossy(&answer).into_owned();
        assert!(Mechanism::ALL.iter().all(|mechanism| told.contains(mechanism.name())), "{told}");
        assert_eq!(error(&send(&mut session, &node, handshake(1, "SCRAM-SHA-512")).await.unwrap()), 0);
    }

    #[tokio::test]
    async fn tokens_without_requests_are_taken_after_the_oldest_handshake() {
        let (_folder, node, mut session) = connect();
        send(&mut session, &node, handshake(0, "PLAIN")).await.unwrap();
        let answer = send(&mut session, &node, Bytes::from_static(b"\0anna\0pencil")).await.unwrap();
        assert!(answer.is_empty() && session.is_admitted());
        send(&mut session, &node, request(3, 1, LIST_ALL)).await.unwrap();
        let (_folder, node, mut session) = connect();
        send(&mut session, &node, handshake(0, "PLAIN")).await.unwrap();
        assert_eq!(send(&mut session, &node, Bytes::from_static(b"\0anna\0no")).await, Err(ProtocolError::Refused));
    }
}
