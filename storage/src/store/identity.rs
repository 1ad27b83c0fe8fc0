//! Who a store is: a random name that it keeps for life.
//!
//! Whoever remembers how far it has read a store (an incremental export) needs to tell this store from another one that
//! was later made in the same folder. The name stands in a file of its own, is made when it is first asked for, and goes
//! with the folder's other files: a copy of a store has the same name, a store made anew gets another.

use std::fmt;
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use super::StoreError;
use super::manifest::Manifest;
use crate::io::Directory;

/// The file with the name: 32 hexadecimal digits and a newline.
const FILE: &str = "identity";
/// The file until it takes its place.
const NEW_FILE: &str = "identity.new";
/// Held by who makes the name.
const LOCK: &str = "identity.lock";

const DIGITS: usize = 32;

/// How often, and after what wait, the name is looked for again while somebody else makes it.
const TRIES: usize = 100;
const WAIT: Duration = Duration::from_millis(20);

/// The name of a store: 128 random bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity(String);

impl StoreIdentity {
    /// The name of the store in a directory, made and written down if it has none yet.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use cartlog_storage::io::{Directory, MemoryDirectory};
    /// use cartlog_storage::store::{ColumnSchema, ColumnType, Schema, StoreIdentity, StoreWriter, WriterOptions};
    ///
    /// let directory: Arc<dyn Directory> = Arc::new(MemoryDirectory::new());
    /// let schema = Schema { columns: vec![ColumnSchema { name: "brand".into(), kind: ColumnType::Dictionary }] };
    /// StoreWriter::open(Arc::clone(&directory), schema, WriterOptions::default())?.close()?;
    /// let name = StoreIdentity::of(&*directory)?;
    /// assert_eq!(name.to_string().len(), 32);
    /// assert_eq!(StoreIdentity::of(&*directory)?, name);
    /// # Ok::<(), cartlog_storage::store::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::NoStore`]; [`StoreError::Corrupt`] if the file holds something else; I/O errors, as in a folder that
    /// can't be written.
    pub fn of(directory: &dyn Directory) -> Result<Self, StoreError> {
        Manifest::read(directory)?.ok_or(StoreError::NoStore)?;
        for _ in 0..TRIES {
            if let Some(known) = Self::read(directory)? {
                return Ok(known);
            }
            match directory.lock(LOCK) {
                // Somebody may have made it between the look and the lock.
                Ok(_lock) => return Self::read(directory)?.map_or_else(|| Self::make(directory), Ok),
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(WAIT),
                Err(error) => return Err(StoreError::io(LOCK, "locking")(error)),
            }
        }
        Err(StoreError::io(LOCK, "locking")(ErrorKind::TimedOut.into()))
    }

    fn read(directory: &dyn Directory) -> Result<Option<Self>, StoreError> {
        let file = match directory.open_read(FILE) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(FILE, "opening")(error)),
        };
        let length = file.length().map_err(StoreError::io(FILE, "measuring"))?;
        let wrong = || StoreError::corrupt(FILE, 0, "expected 32 hexadecimal digits and a newline".to_owned());
        if length != DIGITS as u64 + 1 {
            return Err(wrong());
        }
        let mut bytes = [0; DIGITS + 1];
        file.read_exact_at(&mut bytes, 0).map_err(StoreError::io(FILE, "reading"))?;
        let name = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let name = name.filter(|name| name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        name.map(|name| Some(Self(name.to_owned()))).ok_or_else(wrong)
    }

    /// Makes a name; the lock is held.
    fn make(directory: &dyn Directory) -> Result<Self, StoreError> {
        let mut random = [0; DIGITS / 2];
        getrandom::getrandom(&mut random)
            .map_err(|error| StoreError::io(FILE, "drawing random bytes")(error.into()))?;
        let name = format!("{:032x}", u128::from_be_bytes(random));
        // What a crash has left of an earlier try.
        match directory.remove(NEW_FILE) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(StoreError::io(NEW_FILE, "removing")(error));
            }
            _ => {}
        }
        let file = directory.create(NEW_FILE).map_err(StoreError::io(NEW_FILE, "creating"))?;
        file.append(format!("{name}\n").as_bytes()).map_err(StoreError::io(NEW_FILE, "writing"))?;
        file.sync().map_err(StoreError::io(NEW_FILE, "syncing"))?;
        directory.rename(NEW_FILE, FILE).map_err(StoreError::io(NEW_FILE, "renaming"))?;
        directory.sync_directory("").map_err(StoreError::folder(directory, "", "synced"))?;
        Ok(Self(name))
    }
}

impl fmt::Display for StoreIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{ColumnSchema, ColumnType, Schema, StoreWriter, WriterOptions};
    use super::*;
    use crate::io::{Fault, FaultDirectory, MemoryDirectory};

    fn store() -> MemoryDirectory {
        let directory = MemoryDirectory::new();
        let schema = Schema { columns: vec![ColumnSchema { name: "a".into(), kind: ColumnType::Dictionary }] };
        StoreWriter::open(Arc::new(directory.clone()), schema, WriterOptions::default()).unwrap().close().unwrap();
        directory
    }

    #[test]
    fn a_name_is_kept_and_another_store_has_another() {
        let (one, two) = (store(), store());
        let name = StoreIdentity::of(&one).unwrap();
        assert_eq!(StoreIdentity::of(&one).unwrap(), name);
        assert_ne!(StoreIdentity::of(&two).unwrap(), name);
        assert!(matches!(StoreIdentity::of(&MemoryDirectory::new()), Err(StoreError::NoStore)));
    }

    #[test]
    fn a_crash_leaves_no_name_or_a_whole_one() {
        for at in 0.. {
            let directory = store();
            let faulty = FaultDirectory::new(Arc::new(directory.clone()), at, Fault::TornCrash);
            let told = StoreIdentity::of(&faulty);
            let after = StoreIdentity::of(&directory).unwrap();
            if let Ok(told) = told {
                assert_eq!(after, told);
                break;
            }
        }
    }

    #[test]
    fn damage_is_told() {
        let directory = store();
        directory.create(FILE).unwrap().append(&[b'X'; DIGITS + 1]).unwrap();
        assert!(matches!(StoreIdentity::of(&directory), Err(StoreError::Corrupt { .. })));
    }
}
