//! Store-wide dictionaries: the texts behind the codes of a column.
//!
//! Texts get codes in order of first appearance, 1 and up; code 0 is a missing value. Codes are never changed or taken
//! back, so a segment's codes stay valid whatever is loaded later. [`SharedDictionary`] grows while loading,
//! [`Dictionary`] is the frozen state of one commit.

use std::sync::{Arc, PoisonError, RwLock};

use crate::io::Directory;

use super::StoreError;
use super::framed::{FrameReader, FramedFile, Magic};
use super::intern::{self, InternTable};
use super::manifest::{FileKind, FramedRecord};

/// The first bytes of a dictionary file.
pub(crate) const MAGIC: Magic = Magic(*b"CARTDICT");
/// The longest text that a dictionary takes, in bytes.
pub const MAX_DICTIONARY_TEXT: usize = 64 * 1024;
/// The most texts that a dictionary takes: codes are 32-bit and 0 is a missing value.
const MAX_ENTRIES: usize = u32::MAX as usize - 1;
/// The most bytes of text that a dictionary takes: ends are 32-bit.
const MAX_BYTES: usize = u32::MAX as usize;

/// A frozen dictionary: the texts of one column as of one commit.
///
/// ```
/// use cartlog_storage::store::Dictionary;
///
/// let brands = Dictionary::from_texts(["apple", "samsung"])?;
/// assert_eq!(brands.get(2), Some("samsung"));
/// assert_eq!(brands.get(0), None);
/// assert_eq!(brands.code("apple"), Some(1));
/// # Ok::<(), cartlog_storage::store::StoreError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    texts: Texts,
}

impl Dictionary {
    /// Collects texts, the first getting code 1; a text that is there already is not added again.
    ///
    /// # Errors
    /// As [`SharedDictionary::code_for`].
    pub fn from_texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, StoreError> {
        let mut dictionary = Self::default();
        texts.into_iter().try_for_each(|text| dictionary.texts.code_for(text.as_ref()).map(|_| ()))?;
        Ok(dictionary)
    }

    /// The number of texts; the largest code.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.ends.len()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.ends.is_empty()
    }

    /// The text of a code; `None` for 0 (missing) and for codes beyond the last.
    #[must_use]
    pub fn get(&self, code: u32) -> Option<&str> {
        self.texts.get(code)
    }

    /// The code of a text, if it is here.
    #[must_use]
    pub fn code(&self, text: &str) -> Option<u32> {
        self.texts.code(text)
    }

    /// All texts in order of their codes, from code 1.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index as u32 + 1).unwrap_or_default())
    }
}

/// A growing dictionary, shared by the threads that load.
///
/// A look-up takes a read lock and a new text the write lock: loaders keep the codes they have met in a cache of their
/// own in front of it, so that either is rare.
///
/// ```
/// use cartlog_storage::store::SharedDictionary;
///
/// let brands = SharedDictionary::default();
/// assert_eq!(brands.code_for("apple")?, 1);
/// assert_eq!(brands.code_for("samsung")?, 2);
/// assert_eq!(brands.code_for("apple")?, 1);
/// # Ok::<(), cartlog_storage::store::StoreError>(())
/// ```
#[derive(Debug, Default)]
pub struct SharedDictionary {
    texts: RwLock<Texts>,
}

impl SharedDictionary {
    /// The code of a text, which is added if it is new.
    ///
    /// # Errors
    /// [`StoreError::TextTooLong`] beyond 64 KiB; [`StoreError::DictionaryFull`] beyond 2^32 − 2 texts or 4 GiB.
    pub fn code_for(&self, text: &str) -> Result<u32, StoreError> {
        // A panic while the lock was held can't have left a half-added text: the last step of adding makes it visible.
        let known = self.texts.read().unwrap_or_else(PoisonError::into_inner).code(text);
        known.map_or_else(|| self.texts.write().unwrap_or_else(PoisonError::into_inner).code_for(text), Ok)
    }

    /// The number of texts; the largest code.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.read().unwrap_or_else(PoisonError::into_inner).ends.len()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The present state, frozen.
    #[must_use]
    pub fn freeze(&self) -> Arc<Dictionary> {
        Arc::new(Dictionary { texts: self.texts.read().unwrap_or_else(PoisonError::into_inner).clone() })
    }
}

impl From<Dictionary> for SharedDictionary {
    fn from(dictionary: Dictionary) -> Self {
        Self { texts: RwLock::new(dictionary.texts) }
    }
}

/// Reads the committed texts of a dictionary file.
pub(crate) fn read(directory: &dyn Directory, record: FramedRecord) -> Result<Dictionary, StoreError> {
    let mut reader = FrameReader::open(directory, FileKind::Dictionary.name(record.file), MAGIC, record)?;
    let mut texts = Texts::default();
    while let Some(frame) = reader.next_frame()? {
        for entry in reader.entries(&frame)? {
            let expected = texts.ends.len() + 1;
            let corrupt = |what: String| reader.corrupt(frame.offset(), format!("code {expected}: {what}"));
            let text = std::str::from_utf8(entry).map_err(|error| corrupt(error.to_string()))?;
            let code = texts.code_for(text).map_err(|error| corrupt(error.to_string()))?;
            if code as usize != expected {
                return Err(corrupt(format!("the same text as code {code}")));
            }
        }
    }
    Ok(Dictionary { texts })
}

/// Appends to its file what the dictionary has beyond it.
pub(crate) fn append_new(dictionary: &SharedDictionary, file: &mut FramedFile) -> Result<(), StoreError> {
    let committed = file.record().entries as u32;
    // Copied out, so that loaders don't wait for the disk; new texts are few.
    let new: Vec<String> = {
        let texts = dictionary.texts.read().unwrap_or_else(PoisonError::into_inner);
        (committed..texts.ends.len() as u32).filter_map(|index| texts.get(index + 1)).map(str::to_owned).collect()
    };
    file.append(new.iter())
}

/// The texts one after the other, and a table that finds them.
#[derive(Debug, Clone)]
struct Texts {
    text: String,
    /// The end of each text in `text`; the first starts at 0.
    ends: Vec<u32>,
    table: InternTable,
    seed: u64,
}

impl Default for Texts {
    fn default() -> Self {
        Self { text: String::new(), ends: Vec::new(), table: InternTable::new(), seed: intern::seed() }
    }
}

impl Texts {
    fn get(&self, code: u32) -> Option<&str> {
        let index = (code as usize).checked_sub(1)?;
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    fn code(&self, text: &str) -> Option<u32> {
        let hash = intern::hash_text(text.as_bytes(), self.seed);
        self.table.find(hash, |index| self.get(index + 1) == Some(text)).map(|index| index + 1)
    }

    fn code_for(&mut self, text: &str) -> Result<u32, StoreError> {
        if let Some(code) = self.code(text) {
            return Ok(code);
        }
        if text.len() > MAX_DICTIONARY_TEXT {
            return Err(StoreError::TextTooLong { got: text.len(), limit: MAX_DICTIONARY_TEXT });
        }
        if self.ends.len() >= MAX_ENTRIES || self.text.len() + text.len() > MAX_BYTES {
            return Err(StoreError::DictionaryFull { entries: self.ends.len(), bytes: self.text.len() });
        }
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        let hash = intern::hash_text(text.as_bytes(), self.seed);
        let (index, _) = self.table.find_or_insert(hash, |_| false);
        Ok(index + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn codes_start_at_one_and_stay() {
        let dictionary = SharedDictionary::default();
        assert_eq!(dictionary.code_for("").unwrap(), 1);
        for number in 0..5000 {
            assert_eq!(dictionary.code_for(&format!("text {number}")).unwrap(), number + 2);
        }
        let frozen = dictionary.freeze();
        assert_eq!(frozen.len(), 5001);
        assert_eq!((frozen.get(0), frozen.get(1), frozen.get(5002)), (None, Some(""), None));
        assert_eq!(frozen.code("text 4999"), Some(5001));
        assert_eq!(frozen.code("text 5000"), None);
        assert_eq!(frozen.iter().nth(7), Some("text 6"));
    }

    #[test]
    fn threads_agree_on_codes() {
        let dictionary = SharedDictionary::default();
        let codes: Vec<Vec<u32>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..300).map(|n| dictionary.code_for(&format!("{n}")).unwrap()).collect()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(codes.iter().all(|one| one == &codes[0]));
        assert_eq!(dictionary.len(), 300);
    }

    #[test]
    fn refuses_a_text_beyond_the_limit() {
        let error = SharedDictionary::default().code_for(&"x".repeat(MAX_DICTIONARY_TEXT + 1)).unwrap_err();
        assert!(matches!(error, StoreError::TextTooLong { got: 65537, limit: 65536 }));
    }
}
