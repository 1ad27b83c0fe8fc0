//! Topics: names, ids and their partitions.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use super::error::LogError;
use super::partition::Partition;
use super::settings::{PartitionLimits, TopicConfig};

/// The longest topic name, as in Kafka.
const MAXIMUM_NAME: usize = 249;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The 128-bit id that tells a topic from another that had its name before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// A new random id (a version 4 UUID).
    #[must_use]
    pub fn random() -> Self {
        loop {
            // Each state is keyed by the operating system's randomness.
            let half = |salt: u64| RandomState::new().hash_one((salt, std::time::SystemTime::now())).to_be_bytes();
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&half(1));
            bytes[8..].copy_from_slice(&half(2));
            bytes[6] = bytes[6] & 0x0f | 0x40;
            bytes[8] = bytes[8] & 0x3f | 0x80;
            let id = Self(bytes);
            // Kafka avoids ids that a command line would take for an option.
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// Reads Kafka's form of an id: 22 characters of URL-safe base 64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bits = 0_u128;
        let (leading, last) = text.as_bytes().split_last_chunk::<1>().filter(|_| text.len() == 22)?;
        let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte).map(|value| value as u128);
        for byte in leading {
            bits = bits << 6 | digit(byte)?;
        }
        // The last character carries two bits.
        let value = digit(&last[0])?;
        (value & 0b1111 == 0).then(|| Self((bits << 2 | value >> 4).to_be_bytes()))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        for at in 0..22 {
            let value = if at < 21 { bits >> (122 - 6 * at) } else { bits << 4 };
            let digit = DIGITS[(value & 0b11_1111) as usize];
            fmt::Write::write_char(formatter, char::from(digit))?;
        }
        Ok(())
    }
}

impl From<TopicId> for String {
    fn from(id: TopicId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TopicId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no topic id (22 characters of URL-safe base 64)"))
    }
}

/// A topic and its partitions, as they were when it was looked up: a change of its settings or its number of partitions
/// gives another of these, which shares the partitions.
#[derive(Debug)]
pub struct Topic {
    pub(super) name: Arc<str>,
    pub(super) id: TopicId,
    pub(super) config: TopicConfig,
    /// What its partitions follow, replaced when its settings are.
    pub(super) limits: Arc<RwLock<PartitionLimits>>,
    pub(super) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    /// Another of the same topic.
    pub(super) fn sharing(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            id: self.id,
            config: self.config.clone(),
            limits: Arc::clone(&self.limits),
            partitions: self.partitions.clone(),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id, which a later topic of the same name won't have.
    #[must_use]
    pub fn id(&self) -> TopicId {
        self.id
    }

    /// The settings that were given for it.
    #[must_use]
    pub fn config(&self) -> &TopicConfig {
        &self.config
    }

    /// The partitions by number.
    #[must_use]
    pub fn partitions(&self) -> &[Arc<Partition>] {
        &self.partitions
    }

    /// The partition of this number, if there is one.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

/// Checks a topic name by Kafka's rules, so that it is a safe folder name too.
///
/// # Errors
/// [`LogError::InvalidTopicName`] with the reason.
pub(super) fn check_name(name: &str) -> Result<(), LogError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it can't be . or .."
    } else if name.len() > MAXIMUM_NAME {
        "it is longer than 249 characters"
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        "it has characters other than ASCII letters, digits, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    Err(LogError::InvalidTopicName { name: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_print_as_in_kafka() {
        let id =
            TopicId([0x4f, 0x9f, 0x43, 0x2a, 0x4e, 0xa5, 0x4b, 0x2a, 0x91, 0x68, 0x25, 0x8d, 0x6d, 0x0f, 0x64, 0xe1]);
        assert_eq!(id.to_string(), "T59DKk6lSyqRaCWNbQ9k4Q");
        assert_eq!(TopicId([0; 16]).to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_ne!(TopicId::random(), TopicId::random());
        for wrong in
            ["", "T59DKk6lSyqRaCWNbQ9k4", "T59DKk6lSyqRaCWNbQ9k4R", "T59DKk6lSyqRaCWNbQ9k4QA", "T59DKk6lSyqRaCWNbQ9k+Q"]
        {
            assert_eq!(TopicId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_are_safe_folder_names() {
        for name in ["a", "csv-event-data", "A.b_c-9"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(250)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn ids_roundtrip(bytes in any::<[u8; 16]>()) {
            prop_assert_eq!(TopicId::parse(&TopicId(bytes).to_string()), Some(TopicId(bytes)));
        }
    }
}
