//! The users of a broker, and what their passwords are checked against.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::verifier::{Hash, MAXIMUM_PASSWORD_BYTES, Verifier, VerifierError};

/// The longest name, in bytes.
const MAXIMUM_NAME_BYTES: usize = 128;
/// More users than these are a mistake, or a task for something larger.
const MAXIMUM_USERS: usize = 10_000;

/// An error in users, or in where they come from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
    /// A name can't be used.
    #[error(
        "a user name has 1 to {MAXIMUM_NAME_BYTES} bytes and no spaces, colons or control characters, and no # first"
    )]
    Name,
    /// A password is empty or too long, or can't be sent by every mechanism.
    #[error("a password has 1 to {MAXIMUM_PASSWORD_BYTES} bytes and no zero byte")]
    Password,
    /// There are too many users.
    #[error("more than {MAXIMUM_USERS} users")]
    TooMany,
    /// The same user is there twice.
    #[error("user {0} is there twice")]
    Twice(UserName),
    /// The text of an environment variable isn't a list of users; nothing of it is quoted, since it holds passwords.
    #[error("part {part} is not NAME=PASSWORD")]
    Form {
        /// Which part, from 1 on.
        part: usize,
    },
    /// A line of a users file isn't understood.
    #[error("{}:{line}: {reason}; expected NAME:VERIFIER VERIFIER as `cartlog users add` writes it", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A users file is too large to be one.
    #[error("{} has {got} bytes; a users file has at most {maximum}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        got: u64,
        /// The largest size taken.
        maximum: u64,
    },
    /// A users file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system has no random numbers for a salt.
    #[error("no random numbers are to be had for a salt: {0}")]
    Random(#[source] std::io::Error),
}

/// A user's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = UsersError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let forbidden = |character: char| character.is_whitespace() || character.is_control() || character == ':';
        let fits = (1..=MAXIMUM_NAME_BYTES).contains(&name.len());
        let is_valid = fits && !name.starts_with('#') && !name.contains(forbidden);
        if is_valid { Ok(Self(name.to_owned())) } else { Err(UsersError::Name) }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The verifiers of one user's password, one for each hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    verifiers: [Verifier; 2],
}

impl User {
    /// Hashes a password. Takes some milliseconds.
    ///
    /// # Errors
    /// [`UsersError::Password`], [`UsersError::Random`].
    pub fn with_password(password: &str) -> Result<Self, UsersError> {
        if !is_password(password) {
            return Err(UsersError::Password);
        }
        let [first, second] = Hash::ALL.map(|hash| Verifier::of(hash, password).map_err(UsersError::Random));
        Ok(Self { verifiers: [first?, second?] })
    }

    /// The verifier for a hash.
    #[must_use]
    pub fn verifier(&self, hash: Hash) -> &Verifier {
        let [sha256, sha512] = &self.verifiers;
        match hash {
            Hash::Sha256 => sha256,
            Hash::Sha512 => sha512,
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sha256, sha512] = &self.verifiers;
        write!(formatter, "{sha256} {sha512}")
    }
}

impl FromStr for User {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, second) = text.split_once(' ').ok_or(VerifierError::Form)?;
        let verifiers: [Verifier; 2] = [first.parse()?, second.parse()?];
        if verifiers.each_ref().map(|verifier| verifier.hash) == Hash::ALL {
            Ok(Self { verifiers })
        } else {
            Err(VerifierError::Form)
        }
    }
}

/// Whether a text can be a password.
pub(super) fn is_password(text: &str) -> bool {
    (1..=MAXIMUM_PASSWORD_BYTES).contains(&text.len()) && !text.contains('\0')
}

/// All users by name.
///
/// ```
/// use cartlog_storage::security::{Hash, Users};
///
/// let users = Users::from_passwords("anna=pencil,bert=a=b")?;
/// assert_eq!(users.names().count(), 2);
/// assert!(users.verifier("bert", Hash::Sha256).admits("a=b"));
/// assert!(!users.verifier("nobody", Hash::Sha256).admits("pencil"));
/// # Ok::<(), cartlog_storage::security::UsersError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    users: BTreeMap<UserName, User>,
    /// Follows from all keys, so that the verifier of an unknown user stays the same while the users do.
    secret: Vec<u8>,
}

impl Users {
    /// Users from `name=password,name=password`; a password can't hold a comma here.
    ///
    /// # Errors
    /// [`UsersError`]; none of its messages holds a password.
    pub fn from_passwords(text: &str) -> Result<Self, UsersError> {
        let mut users = BTreeMap::new();
        for (index, part) in text.split(',').enumerate() {
            let (name, password) = part.split_once('=').ok_or(UsersError::Form { part: index + 1 })?;
            let name: UserName = name.trim().parse()?;
            if users.insert(name.clone(), User::with_password(password)?).is_some() {
                return Err(UsersError::Twice(name));
            }
        }
        Self::new(users)
    }

    pub(super) fn new(users: BTreeMap<UserName, User>) -> Result<Self, UsersError> {
        if users.len() > MAXIMUM_USERS {
            return Err(UsersError::TooMany);
        }
        let mut secret = Sha256::new();
        for verifier in users.values().flat_map(|user| &user.verifiers) {
            secret.update(&verifier.server_key);
        }
        Ok(Self { users, secret: secret.finalize().to_vec() })
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &UserName> {
        self.users.keys()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// What a password or proof of this user is checked against. A user who doesn't exist gets a verifier too, which
    /// looks and costs like any other and admits nobody.
    #[must_use]
    pub fn verifier(&self, name: &str, hash: Hash) -> Verifier {
        // Both are made, so that a user who exists costs as much.
        let iterations =
            self.users.values().next().map_or(Verifier::default_iterations(), |user| user.verifier(hash).iterations);
        let nobody = Verifier::of_nobody(hash, iterations, &self.secret, name);
        let known = name.parse().ok().and_then(|name: UserName| self.users.get(&name));
        known.map_or(nobody, |user| user.verifier(hash).clone())
    }

    pub(super) fn entries(&self) -> &BTreeMap<UserName, User> {
        &self.users
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_have_limits() {
        for bad in ["", "a b", "a:b", "#a", "a\n", &"a".repeat(129)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
        for good in ["anna", "a,b=c", "CN=anna,O=Shop", "änne"] {
            assert_eq!(good.parse::<UserName>().unwrap().as_str(), good);
        }
        for bad in ["", "a\0b", &"a".repeat(257)] {
            assert!(matches!(User::with_password(bad), Err(UsersError::Password)), "{bad:?}");
        }
    }

    #[test]
    fn a_list_that_is_not_understood_shows_no_password() {
        for bad in ["geheim", "anna=geheim,", "anna=geheim,bert", "anna=geheim,anna=geheim", "an na=geheim"] {
            let message = format!("{0} {0:?}", Users::from_passwords(bad).unwrap_err());
            assert!(!message.contains("geheim"), "{message}");
        }
    }

    #[test]
    fn an_unknown_user_looks_like_a_known_one() {
        let users = Users::from_passwords("anna=pencil").unwrap();
        for hash in Hash::ALL {
            let known = users.verifier("anna", hash);
            let unknown = users.verifier("bert", hash);
            assert_eq!(unknown, users.verifier("bert", hash), "the same each time it is asked for");
            assert_ne!(unknown.salt, users.verifier("carl", hash).salt);
            assert_eq!((known.salt.len(), known.iterations), (unknown.salt.len(), unknown.iterations));
            assert_eq!(known.stored_key.len(), unknown.stored_key.len());
            assert!(known.admits("pencil") && !unknown.admits("pencil") && !unknown.admits(""));
        }
    }
}
