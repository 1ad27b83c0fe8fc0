//! The file that users are kept in.
//!
//! One line a user, sorted by name; lines that are empty or begin with `#` are skipped:
//!
//! ```text
//! anna:SCRAM-SHA-256$16384:SALT$STOREDKEY:SERVERKEY SCRAM-SHA-512$16384:SALT$STOREDKEY:SERVERKEY
//! ```
//!
//! It holds no password, but what lets somebody guess at one offline, or pose as the server: only its owner may read
//! it. It is replaced whole (temporary file, fsync, rename), with mode 0600 from its first byte on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::users::{User, UserName, Users, UsersError};

/// The largest file taken.
const MAXIMUM_BYTES: u64 = 8 << 20;
const HEADER: &str = "# Users of a cartlog broker, written by `cartlog users`. Keep it private.\n";

/// A file with users.
///
/// ```
/// use cartlog_storage::security::{User, UsersFile};
///
/// let folder = tempfile::tempdir()?;
/// let file = UsersFile::at(folder.path().join("users"));
/// file.add("anna".parse()?, User::with_password("pencil")?)?;
/// assert_eq!(file.read()?.names().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct UsersFile {
    path: PathBuf,
}

impl UsersFile {
    /// The file at this path, which need not be there yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all users.
    ///
    /// # Errors
    /// [`UsersError::File`], [`UsersError::TooLarge`] and [`UsersError::Line`] with the number of the line.
    pub fn read(&self) -> Result<Users, UsersError> {
        let file = File::open(&self.path).map_err(|source| self.failed(source))?;
        let mut text = String::new();
        file.take(MAXIMUM_BYTES + 1).read_to_string(&mut text).map_err(|source| self.failed(source))?;
        if text.len() as u64 > MAXIMUM_BYTES {
            return Err(UsersError::TooLarge {
                path: self.path.clone(),
                got: text.len() as u64,
                maximum: MAXIMUM_BYTES,
            });
        }
        let mut users = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let wrong = |reason: String| UsersError::Line { path: self.path.clone(), line: index + 1, reason };
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, user) = line.split_once(':').ok_or_else(|| wrong("there is no colon".to_owned()))?;
            let name: UserName = name.parse().map_err(|error: UsersError| wrong(error.to_string()))?;
            let user: User = user.trim_end().parse().map_err(|error| wrong(format!("{error}")))?;
            if users.insert(name.clone(), user).is_some() {
                return Err(wrong(format!("user {name} is there twice")));
            }
        }
        Users::new(users)
    }

    /// Adds a user or replaces one; says whether one was replaced. The file is made if it isn't there.
    ///
    /// # Errors
    /// Those of [`UsersFile::read`], [`UsersError::TooMany`].
    pub fn add(&self, name: UserName, user: User) -> Result<bool, UsersError> {
        let mut users = match self.read() {
            Err(UsersError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            read => read?.entries().clone(),
        };
        let replaced = users.insert(name, user).is_some();
        self.write(&Users::new(users)?)?;
        Ok(replaced)
    }

    /// Removes a user; says whether there was one.
    ///
    /// # Errors
    /// Those of [`UsersFile::read`].
    pub fn remove(&self, name: &UserName) -> Result<bool, UsersError> {
        let mut users = self.read()?.entries().clone();
        let removed = users.remove(name).is_some();
        if removed {
            self.write(&Users::new(users)?)?;
        }
        Ok(removed)
    }

    /// Whether others than its owner may read or change the file.
    ///
    /// # Errors
    /// [`UsersError::File`].
    pub fn is_open_to_others(&self) -> Result<bool, UsersError> {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(&self.path).map_err(|source| self.failed(source))?;
        Ok(metadata.permissions().mode() & 0o077 != 0)
    }

    fn write(&self, users: &Users) -> Result<(), UsersError> {
        let mut text = HEADER.to_owned();
        for (name, user) in users.entries() {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{name}:{user}");
        }
        self.replace(text.as_bytes()).map_err(|source| self.failed(source))
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let written = (|| {
            // What a killed process of the same number has left would keep its mode.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            File::open(folder)?.sync_all()
        })();
        if written.is_err() {
            // It may not be there; the error that counts is the first one.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn failed(&self, source: io::Error) -> UsersError {
        UsersError::File { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::verifier::Hash;
    use super::*;

    #[test]
    fn users_are_added_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = UsersFile::at(folder.path().join("users"));
        let name = |text: &str| text.parse::<UserName>().unwrap();
        assert!(!file.add(name("anna"), User::with_password("one").unwrap()).unwrap());
        assert!(!file.add(name("bert"), User::with_password("two").unwrap()).unwrap());
        assert!(file.add(name("anna"), User::with_password("three").unwrap()).unwrap());
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let users = file.read().unwrap();
        for hash in Hash::ALL {
            assert!(users.verifier("anna", hash).admits("three") && !users.verifier("anna", hash).admits("one"));
            assert!(users.verifier("bert", hash).admits("two"));
        }
        assert!(file.remove(&name("bert")).unwrap() && !file.remove(&name("bert")).unwrap());
        assert_eq!(file.read().unwrap().names().collect::<Vec<_>>(), [&name("anna")]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains("three") && text.starts_with('#'));
    }

    #[test]
    fn a_damaged_line_is_named_and_none_of_it_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = UsersFile::at(folder.path().join("users"));
        fs::write(file.path(), "# comment\n\nanna:geheim\n").unwrap();
        let message = file.read().unwrap_err().to_string();
        assert!(message.contains("users:3") && !message.contains("geheim"), "{message}");
        file.add("bert".parse().unwrap(), User::with_password("x").unwrap()).unwrap_err();
        assert!(fs::read_to_string(file.path()).unwrap().contains("anna"), "a damaged file is not written over");
    }

    #[test]
    fn a_file_that_others_can_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = UsersFile::at(folder.path().join("users"));
        file.add("bert".parse().unwrap(), User::with_password("x").unwrap()).unwrap();
        assert!(!file.is_open_to_others().unwrap());
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(file.is_open_to_others().unwrap());
    }
}
