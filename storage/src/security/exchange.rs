//! One login: the tokens of a SASL exchange in, the server's tokens out.
//!
//! Invariants:
//! - An exchange ends with its first error: no second token is judged.
//! - What the client is told never says whether the user or the password was wrong.

use super::mechanism::Mechanism;
use super::plain;
use super::scram::{Challenge, ClientFirst};
use super::users::{UserName, Users, is_password};
use super::verifier::Hash;

/// The longest token: user, password and nonce with room to spare.
const MAXIMUM_TOKEN_BYTES: usize = 4096;

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The token isn't one of the mechanism.
    #[error("{0}")]
    Malformed(&'static str),
    /// The client wants to act as somebody else than the user it logs in as.
    #[error("the authorization identity must be the user itself")]
    Identity,
    /// The user isn't known, or the password is wrong: a client isn't told which.
    #[error("authentication failed: wrong user or password")]
    Credentials,
    /// The system has no random numbers.
    #[error("the broker has no random numbers: {0}")]
    Random(std::io::Error),
}

/// What follows a token.
#[derive(Debug)]
pub enum Step {
    /// The server's token is sent and the client's next one awaited.
    Continue(Vec<u8>, Exchange),
    /// The user is who it claims to be; the server's last token is sent.
    Done(Vec<u8>, UserName),
}

/// A login under way.
///
/// ```
/// use cartlog_storage::security::{Exchange, Mechanism, Step, Users};
///
/// let users = Users::from_passwords("anna=pencil")?;
/// let login = Exchange::new(Mechanism::Plain).step(&users, b"\0anna\0pencil")?;
/// assert!(matches!(login, Step::Done(_, user) if user.as_str() == "anna"));
/// assert!(Exchange::new(Mechanism::Plain).step(&users, b"\0anna\0Pencil").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Exchange(State);

#[derive(Debug)]
enum State {
    Plain,
    ScramFirst(Hash),
    ScramFinal { user: String, challenge: Box<Challenge> },
}

impl Exchange {
    /// An exchange that awaits the client's first token.
    #[must_use]
    pub fn new(mechanism: Mechanism) -> Self {
        Self(match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Scram(hash) => State::ScramFirst(hash),
        })
    }

    /// Whether the next step hashes a password, which takes some milliseconds.
    #[must_use]
    pub fn is_costly(&self) -> bool {
        matches!(self.0, State::Plain)
    }

    /// Judges the client's next token.
    ///
    /// # Errors
    /// [`LoginError`]: the login has failed.
    pub fn step(self, users: &Users, token: &[u8]) -> Result<Step, LoginError> {
        if token.len() > MAXIMUM_TOKEN_BYTES {
            return Err(LoginError::Malformed("the token is too long"));
        }
        match self.0 {
            State::Plain => {
                let token = plain::parse(token)?;
                // A password that nobody can have is hashed all the same: it costs what another one costs.
                let admitted = users.verifier(token.user, Hash::Sha256).admits(token.password);
                if admitted && is_password(token.password) {
                    Ok(Step::Done(Vec::new(), principal(token.user)?))
                } else {
                    Err(LoginError::Credentials)
                }
            }
            State::ScramFirst(hash) => {
                let first = ClientFirst::parse(token)?;
                let user = first.user.clone();
                let verifier = users.verifier(&user, hash);
                let (sent, challenge) = first.challenge(verifier).map_err(LoginError::Random)?;
                Ok(Step::Continue(sent, Self(State::ScramFinal { user, challenge: Box::new(challenge) })))
            }
            State::ScramFinal { user, challenge } => {
                let sent = challenge.finish(token)?;
                Ok(Step::Done(sent, principal(&user)?))
            }
        }
    }
}

fn principal(user: &str) -> Result<UserName, LoginError> {
    user.parse().map_err(|_| LoginError::Credentials)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(users: &Users, token: &[u8]) -> Result<Step, LoginError> {
        Exchange::new(Mechanism::Plain).step(users, token)
    }

    #[test]
    fn a_wrong_user_and_a_wrong_password_are_answered_alike() {
        let users = Users::from_passwords("anna=pencil").unwrap();
        let answers = [&b"\0anna\0wrong"[..], b"\0bert\0pencil", b"\0be rt\0pencil", b"\0bert\0wrong"]
            .map(|token| plain(&users, token).unwrap_err().to_string());
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        let long = [b"\0anna\0", "x".repeat(300).as_bytes()].concat();
        assert_eq!(plain(&users, &long).unwrap_err().to_string(), answers[0]);
    }

    #[test]
    fn a_token_without_end_is_refused() {
        let users = Users::from_passwords("anna=pencil").unwrap();
        for mechanism in Mechanism::ALL {
            let refused = Exchange::new(mechanism).step(&users, &vec![b'a'; 5000]);
            assert!(matches!(refused, Err(LoginError::Malformed(_))), "{mechanism}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(token in proptest::collection::vec(any::<u8>(), 0..80)) {
            let users = Users::default();
            for hash in Hash::ALL {
                prop_assert!(!matches!(Exchange::new(Mechanism::Scram(hash)).step(&users, &token), Ok(Step::Done(..))));
            }
        }

        #[test]
        fn a_proof_that_is_made_up_is_refused(proof in proptest::collection::vec(any::<u8>(), 0..120)) {
            let users = Users::default();
            let exchange = Exchange::new(Mechanism::Scram(Hash::Sha256));
            let Step::Continue(_, exchange) = exchange.step(&users, b"n,,n=user,r=abc").unwrap() else {
                panic!("SCRAM has two steps");
            };
            prop_assert!(exchange.step(&users, &proof).is_err());
        }
    }
}
