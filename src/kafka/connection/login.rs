//! Logging in by SASL, with the mechanisms of the crate that rskafka uses too.

use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use rsasl::prelude::{Mechname, SASLClient, SASLConfig};

use super::Connection;
use crate::kafka::advice::advice;
use crate::kafka::error::KafkaError;
use crate::kafka::options::{Mechanism, Sasl};

/// Exchanges that a mechanism may take; SCRAM takes two.
const MAXIMUM_STEPS: usize = 8;

/// Logs in.
///
/// # Errors
/// [`KafkaError::Refused`] if the broker doesn't take the user or the mechanism, or doesn't prove that it knows the
/// password's hash; those of [`Connection::ask`].
pub(super) async fn log_in(connection: &Connection, sasl: &Sasl) -> Result<(), KafkaError> {
    let address = connection.address().to_owned();
    let refused = |error: &dyn std::fmt::Display| advised(&address, error);
    let name = match sasl.mechanism {
        Mechanism::Plain => "PLAIN",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
    };
    let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(name));
    let offered = connection.ask(&handshake).await?;
    let denied = connection.check::<SaslHandshakeRequest>(offered.error_code, None);
    denied.map_err(|error| refused(&error))?;
    let config = SASLConfig::with_credentials(None, sasl.username.clone(), sasl.password.clone());
    let config = config.map_err(|error| refused(&error))?;
    let mechanism = Mechname::parse(name.as_bytes()).map_err(|error| refused(&error))?;
    let mut session = SASLClient::new(config).start_suggested(&[mechanism]).map_err(|error| refused(&error))?;
    let mut received: Option<Bytes> = None;
    for _ in 0..MAXIMUM_STEPS {
        let mut token = Vec::new();
        let state = session.step(received.as_deref(), &mut token).map_err(|error| refused(&error))?;
        if state.has_sent_message() {
            let request = SaslAuthenticateRequest::default().with_auth_bytes(token.into());
            let answer = connection.ask(&request).await?;
            let denied =
                connection.check::<SaslAuthenticateRequest>(answer.error_code, answer.error_message.as_deref());
            denied.map_err(|error| refused(&error))?;
            received = Some(answer.auth_bytes);
        }
        if state.is_finished() {
            return Ok(());
        }
    }
    Err(refused(&"the login doesn't end"))
}

/// A refused login, with what to do about it.
fn advised(address: &str, error: &dyn std::fmt::Display) -> KafkaError {
    let words = error.to_string();
    let reason = advice(&words).map_or_else(|| words.clone(), |advice| format!("{words}; {advice}"));
    KafkaError::Refused { brokers: address.to_owned(), reason }
}
