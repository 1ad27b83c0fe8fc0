//! How the client connects, waits and compresses: plain data with the defaults.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::tls::Tls;

/// How a client reaches its brokers and how long it tries.
///
/// ```
/// use cartlog::kafka::ClientOptions;
///
/// let options = ClientOptions { retry_deadline: std::time::Duration::from_secs(5), ..ClientOptions::default() };
/// assert!(options.request_timeout > options.retry_deadline);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long the first connection to any of the brokers may take, all addresses and tries together.
    pub connect_timeout: Duration,
    /// How long one request may go unanswered before its connection is given up and the request is tried again.
    pub request_timeout: Duration,
    /// How long a failing request is tried again before its error is reported.
    pub retry_deadline: Duration,
    /// The same while the broker says that its disk fails, if that is shorter: the embedded log's disk is one's own, and waiting mends
    /// nothing.
    pub storage_deadline: Duration,
    /// Encryption, for brokers that speak TLS.
    pub tls: Option<Tls>,
    /// User and password, for brokers that ask for them.
    pub sasl: Option<Sasl>,
    /// What messages call the brokers, if not by their addresses: the port of a log inside this process passes.
    pub name: Option<String>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            // As long as Kafka's own producers (delivery.timeout.ms): enough for a broker to be missed and replaced.
            retry_deadline: Duration::from_secs(120),
            storage_deadline: Duration::MAX,
            tls: None,
            sasl: None,
            name: None,
        }
    }
}

/// A user and password for SASL authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is proven.
    pub mechanism: Mechanism,
    /// The user.
    pub username: String,
    /// The password; never shown by `Debug`.
    pub password: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// The password itself is sent.
    Plain,
    /// SCRAM with SHA-256.
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

/// How record batches are compressed on their way to the log, and in it.
///
/// ```
/// use cartlog::kafka::Compression;
///
/// assert_eq!("zstd".parse(), Ok(Compression::Zstd));
/// assert_eq!(Compression::default(), Compression::Lz4);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: the least work, the largest log.
    None,
    /// LZ4: about half of the bytes at nearly the speed of parsing.
    #[default]
    Lz4,
    /// Zstandard, level 3: about a fifth of the bytes, and the slowest.
    Zstd,
}

impl Compression {
    /// All of them, by name.
    pub const NAMES: [&'static str; 3] = ["none", "lz4", "zstd"];
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "lz4" => Ok(Self::Lz4),
            "zstd" => Ok(Self::Zstd),
            other => Err(format!("`{other}` is no compression; use none, lz4 or zstd")),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_a_compression_that_prints_it() {
        for name in Compression::NAMES {
            assert_eq!(name.parse::<Compression>().unwrap().to_string(), name);
        }
        assert!("gzip".parse::<Compression>().unwrap_err().contains("none, lz4 or zstd"));
    }

    #[test]
    fn debug_shows_no_password() {
        let sasl = Sasl { mechanism: Mechanism::Plain, username: "anna".to_owned(), password: "geheim".to_owned() };
        let shown = format!("{sasl:?}");
        assert!(shown.contains("anna") && !shown.contains("geheim"));
    }
}
