//! The ways in which a client proves who it is.

use std::fmt;
use std::str::FromStr;

use super::verifier::Hash;

/// A SASL mechanism.
///
/// ```
/// use cartlog_storage::security::Mechanism;
///
/// assert_eq!("SCRAM-SHA-256".parse(), Ok(Mechanism::Scram(cartlog_storage::security::Hash::Sha256)));
/// assert!("GSSAPI".parse::<Mechanism>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself is sent (RFC 4616).
    Plain,
    /// The password is proven without being sent, and the server proves that it knows its verifier (RFC 5802, 7677).
    Scram(Hash),
}

impl Mechanism {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Scram(Hash::Sha256), Self::Scram(Hash::Sha512)];

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(hash) => hash.mechanism(),
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The name of a mechanism that isn't offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SASL mechanism that is offered here")]
pub struct UnknownMechanism;

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name).ok_or(UnknownMechanism)
    }
}
