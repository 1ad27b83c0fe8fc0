//! What is stored in place of a password: a salted, iterated hash that checks a proof but can't make one.
//!
//! RFC 5802, section 3:
//!
//! ```text
//! SaltedPassword = PBKDF2-HMAC(password, salt, iterations)
//! StoredKey      = H(HMAC(SaltedPassword, "Client Key"))        checks what the client proves
//! ServerKey      = HMAC(SaltedPassword, "Server Key")           proves the server to the client
//! ```
//!
//! In text a verifier has PostgreSQL's form, `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`, the last three in
//! base64, so that one can be taken over from there.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

/// The longest password, in bytes of UTF-8: what is longer would only be work for whoever hashes it.
pub const MAXIMUM_PASSWORD_BYTES: usize = 256;
/// Iterations of new verifiers: the most that Apache Kafka's own tools store, since clients repeat them at each login.
const ITERATIONS: u32 = 16_384;
/// Fewer than these are refused by Kafka's clients (RFC 7677 asks for as many).
const FEWEST_ITERATIONS: u32 = 4096;
/// More than these would make each login a burden.
const MOST_ITERATIONS: u32 = 1_000_000;
const SALT_LENGTH: usize = 16;
const SHORTEST_SALT: usize = 8;
const LONGEST_SALT: usize = 64;

/// A hash function of SCRAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256 (RFC 7677).
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Both, in the order in which they are stored.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name of the SCRAM mechanism with this hash.
    #[must_use]
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// Bytes of a hash.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    pub(super) fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        // An HMAC takes a key of any length; the other arm is never reached.
        match self {
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map_or_else(|_| Vec::new(), |mac| mac.chain_update(message).finalize().into_bytes().to_vec()),
            Self::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .map_or_else(|_| Vec::new(), |mac| mac.chain_update(message).finalize().into_bytes().to_vec()),
        }
    }

    /// `SaltedPassword`; the cost of a login by password.
    pub(super) fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut salted = vec![0; self.length()];
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut salted),
        }
        salted
    }
}

/// A salted, iterated hash of a password. `Debug` shows none of its keys.
///
/// ```
/// use cartlog_storage::security::{Hash, Verifier};
///
/// let verifier = Verifier::of(Hash::Sha256, "pencil")?;
/// assert!(verifier.admits("pencil") && !verifier.admits("Pencil"));
/// assert_eq!(verifier.to_string().parse(), Ok(verifier));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(super) hash: Hash,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
    pub(super) stored_key: Vec<u8>,
    pub(super) server_key: Vec<u8>,
}

impl Verifier {
    /// The verifier of a password, with a new salt. Takes some milliseconds.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn of(hash: Hash, password: &str) -> std::io::Result<Self> {
        let mut salt = vec![0; SALT_LENGTH];
        getrandom::getrandom(&mut salt)?;
        Ok(Self::with(hash, password, salt, ITERATIONS))
    }

    /// The verifier of a password with a given salt and number of iterations.
    pub(super) fn with(hash: Hash, password: &str, salt: Vec<u8>, iterations: u32) -> Self {
        let salted = hash.salted_password(password.as_bytes(), &salt, iterations);
        let stored_key = hash.digest(&hash.hmac(&salted, b"Client Key"));
        let server_key = hash.hmac(&salted, b"Server Key");
        Self { hash, salt, iterations, stored_key, server_key }
    }

    /// A verifier that admits nobody and costs what this one costs, for a user who doesn't exist. The same `secret`
    /// and name give the same salt, as they would for a user.
    pub(super) fn of_nobody(hash: Hash, iterations: u32, secret: &[u8], name: &str) -> Self {
        let mut salt = hash.hmac(secret, name.as_bytes());
        salt.truncate(SALT_LENGTH);
        // Keys that no password is known for: hashes of the secret under other names.
        let stored_key = hash.hmac(secret, &[b"stored", name.as_bytes()].concat());
        let server_key = hash.hmac(secret, &[b"server", name.as_bytes()].concat());
        Self { hash, salt, iterations, stored_key, server_key }
    }

    /// Whether this is the password, in a time that doesn't depend on it. Takes some milliseconds.
    #[must_use]
    pub fn admits(&self, password: &str) -> bool {
        let salted = self.hash.salted_password(password.as_bytes(), &self.salt, self.iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        self.hash.digest(&client_key).ct_eq(&self.stored_key).into()
    }

    /// Iterations that verifiers get unless told otherwise.
    pub(super) const fn default_iterations() -> u32 {
        ITERATIONS
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash, salt, iterations, stored_key, server_key } = self;
        let [salt, stored, server] = [salt, stored_key, server_key].map(|bytes| STANDARD.encode(bytes));
        write!(formatter, "{}${iterations}:{salt}${stored}:{server}", hash.mechanism())
    }
}

/// Why a text is no verifier; it quotes nothing of it, because it may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// The parts aren't there.
    #[error("expected SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY or the same with 512")]
    Form,
    /// The number of iterations can't be used.
    #[error("the iterations must be a number from {FEWEST_ITERATIONS} to {MOST_ITERATIONS}")]
    Iterations,
    /// The salt isn't base64 or has an unusual length.
    #[error("the salt must be {SHORTEST_SALT} to {LONGEST_SALT} bytes in base64")]
    Salt,
    /// A key isn't base64 of the hash's length.
    #[error("a key isn't base64 of the hash's length")]
    Key,
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('$');
        let (Some(name), Some(salt), Some(keys), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(VerifierError::Form);
        };
        let hash = Hash::ALL.into_iter().find(|hash| hash.mechanism() == name).ok_or(VerifierError::Form)?;
        let (iterations, salt) = salt.split_once(':').ok_or(VerifierError::Form)?;
        let (stored, server) = keys.split_once(':').ok_or(VerifierError::Form)?;
        let iterations = iterations.parse().map_err(|_| VerifierError::Iterations)?;
        if !(FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) {
            return Err(VerifierError::Iterations);
        }
        let salt = STANDARD.decode(salt).map_err(|_| VerifierError::Salt)?;
        if !(SHORTEST_SALT..=LONGEST_SALT).contains(&salt.len()) {
            return Err(VerifierError::Salt);
        }
        let key = |text| match STANDARD.decode(text) {
            Ok(key) if key.len() == hash.length() => Ok(key),
            _ => Err(VerifierError::Key),
        };
        Ok(Self { hash, salt, iterations, stored_key: key(stored)?, server_key: key(server)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundtrip() {
        for hash in Hash::ALL {
            let verifier = Verifier::with(hash, "pencil", vec![7; 16], FEWEST_ITERATIONS);
            assert_eq!(verifier.to_string().parse(), Ok(verifier.clone()));
            assert!(verifier.admits("pencil"));
            for wrong in ["", "Pencil", "pencil ", "penci"] {
                assert!(!verifier.admits(wrong), "{wrong:?}");
            }
        }
    }

    #[test]
    fn two_verifiers_of_a_password_share_nothing() {
        let [one, two] = [(); 2].map(|()| Verifier::of(Hash::Sha256, "pencil").unwrap());
        assert!(one.salt != two.salt && one.stored_key != two.stored_key && one.server_key != two.server_key);
    }

    #[test]
    fn what_is_no_verifier_is_refused() {
        let good = Verifier::with(Hash::Sha256, "pencil", vec![7; 16], FEWEST_ITERATIONS).to_string();
        for (from, to, error) in [
            ("SHA-256", "SHA-1", VerifierError::Form),
            ("4096", "4095", VerifierError::Iterations),
            ("4096", "4294967296", VerifierError::Iterations),
            ("4096:Bw", "4096:B", VerifierError::Salt),
            ("SHA-256", "SHA-512", VerifierError::Key),
            ("$", ":", VerifierError::Form),
        ] {
            assert!(good.contains(from), "{good}");
            assert_eq!(good.replacen(from, to, 1).parse::<Verifier>(), Err(error), "{from}");
        }
    }

    /// The example's password and salt, in the form that PostgreSQL stores.
    #[test]
    fn the_keys_are_those_of_rfc_7677() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::with(Hash::Sha256, "pencil", salt, 4096);
        assert_eq!(
            verifier.to_string(),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
             WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }
}
