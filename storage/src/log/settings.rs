//! The registry of topic settings: each is one static and one line in [`SETTINGS`].
//!
//! What requests may set, what answers describe and what `cartlog.topics` keeps all follow from it. A setting that is
//! not in the table, or a value that would silently have no effect, is refused. Names, types and ranges are Kafka's
//! (<https://kafka.apache.org/documentation/#topicconfigs>).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::batch::Compression;
use super::error::LogError;
use super::options::{LogOptions, TimestampType};

const INT: RangeInclusive<i64> = 0..=i32::MAX as i64;
const LONG: RangeInclusive<i64> = 0..=i64::MAX;

/// All settings, by name.
pub static SETTINGS: &[&Setting] = &[
    &CLEANUP_POLICY,
    &COMPRESSION_TYPE,
    &DELETE_RETENTION_MS,
    &FLUSH_MESSAGES,
    &FLUSH_MS,
    &INDEX_INTERVAL_BYTES,
    &MAX_COMPACTION_LAG_MS,
    &MAX_MESSAGE_BYTES,
    &MESSAGE_TIMESTAMP_AFTER_MAX_MS,
    &MESSAGE_TIMESTAMP_BEFORE_MAX_MS,
    &MESSAGE_TIMESTAMP_TYPE,
    &MIN_COMPACTION_LAG_MS,
    &MIN_INSYNC_REPLICAS,
    &PREALLOCATE,
    &REMOTE_STORAGE_ENABLE,
    &RETENTION_BYTES,
    &RETENTION_MS,
    &SEGMENT_BYTES,
    &SEGMENT_JITTER_MS,
    &SEGMENT_MS,
    &UNCLEAN_LEADER_ELECTION_ENABLE,
];

/// The description of one setting.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setting {
    /// Its name, as in requests.
    pub name: &'static str,
    /// The name of the setting of the whole broker that holds for topics that don't set it.
    pub broker_name: &'static str,
    /// Its type in Kafka's documentation.
    pub kind: SettingKind,
    /// What it means.
    pub documentation: &'static str,
    accepts: Accepts,
    default: fn(&LogOptions) -> SettingValue,
}

/// The type of a setting, as the protocol tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// `true` or `false`.
    Boolean,
    /// A word.
    Text,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// Words with commas between them.
    List,
}

/// The values that a setting takes.
#[derive(Debug)]
enum Accepts {
    Numbers(RangeInclusive<i64>),
    Words(&'static [&'static str]),
}

/// The value of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingValue {
    /// A number.
    Number(i64),
    /// A word.
    Word(&'static str),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Word(word) => word.fmt(formatter),
        }
    }
}

impl Setting {
    /// The setting of this name.
    ///
    /// # Errors
    /// [`LogError::UnknownSetting`].
    pub fn find(name: &str) -> Result<&'static Self, LogError> {
        let found = SETTINGS.iter().find(|setting| setting.name == name);
        found.copied().ok_or_else(|| LogError::UnknownSetting(name.to_owned()))
    }

    /// The value for topics that don't set it.
    #[must_use]
    pub fn default(&self, options: &LogOptions) -> SettingValue {
        (self.default)(options)
    }

    fn parse(&self, text: &str) -> Result<SettingValue, LogError> {
        let text = text.trim();
        let (value, expected) = match &self.accepts {
            Accepts::Numbers(range) => {
                let number = text.parse().ok().filter(|number| range.contains(number));
                let (least, most) = (range.start(), range.end());
                let expected = if least == most { least.to_string() } else { format!("{least} to {most}") };
                (number.map(SettingValue::Number), expected)
            }
            Accepts::Words(words) => {
                let word = words.iter().find(|word| **word == text);
                (word.map(|word| SettingValue::Word(word)), words.join(" or "))
            }
        };
        let refused = || LogError::InvalidSetting { name: self.name, value: text.to_owned(), expected };
        value.ok_or_else(refused)
    }
}

/// Settings of one topic, kept with it; what isn't set follows the log's [`LogOptions`].
///
/// ```
/// use cartlog_storage::log::TopicConfig;
///
/// # fn main() -> Result<(), cartlog_storage::log::LogError> {
/// let mut config = TopicConfig::default();
/// config.set("retention.ms", "86400000")?;
/// assert!(config.set("preallocate", "true").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicConfig {
    values: BTreeMap<&'static str, SettingValue>,
}

impl TopicConfig {
    /// Sets a setting from its text.
    ///
    /// # Errors
    /// [`LogError::UnknownSetting`] or [`LogError::InvalidSetting`].
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), LogError> {
        let setting = Setting::find(name)?;
        self.values.insert(setting.name, setting.parse(text)?);
        Ok(())
    }

    /// Lets a setting follow the log's options again.
    ///
    /// # Errors
    /// [`LogError::UnknownSetting`].
    pub fn reset(&mut self, name: &str) -> Result<(), LogError> {
        self.values.remove(Setting::find(name)?.name);
        Ok(())
    }

    /// The value that was set for the topic itself.
    #[must_use]
    pub fn get(&self, setting: &Setting) -> Option<SettingValue> {
        self.values.get(setting.name).copied()
    }

    /// The value that holds for the topic.
    #[must_use]
    pub fn effective(&self, setting: &Setting, options: &LogOptions) -> SettingValue {
        self.get(setting).unwrap_or_else(|| setting.default(options))
    }

    /// The settings with `max.message.bytes` replaced.
    #[must_use]
    pub fn with_max_batch_bytes(mut self, bytes: u32) -> Self {
        self.values.insert(MAX_MESSAGE_BYTES.name, SettingValue::Number(bytes.into()));
        self
    }

    /// The settings with `segment.bytes` replaced.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u32) -> Self {
        self.values.insert(SEGMENT_BYTES.name, SettingValue::Number(bytes.into()));
        self
    }

    fn number(&self, setting: &Setting, options: &LogOptions) -> i64 {
        match self.effective(setting, options) {
            SettingValue::Number(number) => number,
            SettingValue::Word(_) => 0,
        }
    }
}

/// A value in `cartlog.topics`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Number(i64),
    Word(String),
}

impl Serialize for TopicConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.values.iter().map(|(name, value)| {
            let kept = match value {
                SettingValue::Number(number) => Kept::Number(*number),
                SettingValue::Word(word) => Kept::Word((*word).to_owned()),
            };
            (name, kept)
        }))
    }
}

impl<'de> Deserialize<'de> for TopicConfig {
    /// Takes numbers beyond today's ranges too: they were in range when they were set.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut config = Self::default();
        for (name, kept) in BTreeMap::<String, Kept>::deserialize(deserializer)? {
            let setting = Setting::find(&name).map_err(D::Error::custom)?;
            let value = match kept {
                Kept::Number(number) => SettingValue::Number(number),
                Kept::Word(word) => setting.parse(&word).map_err(D::Error::custom)?,
            };
            config.values.insert(setting.name, value);
        }
        Ok(config)
    }
}

/// What a partition takes from the settings of its log and topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartitionLimits {
    pub(super) index_interval_bytes: u32,
    pub(super) fill_ahead_bytes: u32,
    pub(super) segment_bytes: u32,
    pub(super) segment_ms: i64,
    pub(super) max_batch_bytes: u32,
    pub(super) retention_ms: i64,
    pub(super) retention_bytes: i64,
    pub(super) flush_messages: i64,
    pub(super) flush_ms: i64,
    pub(super) timestamp_type: TimestampType,
    /// How records are compressed, whatever their producer has done.
    pub(super) compression: Option<Compression>,
    /// Whether each record must have a key.
    pub(super) needs_keys: bool,
}

impl PartitionLimits {
    /// The limits of a topic's partitions.
    pub(super) fn of(config: &TopicConfig, options: &LogOptions) -> Self {
        let number = |setting| config.number(setting, options);
        let size = |setting| u32::try_from(number(setting)).unwrap_or(u32::MAX);
        let policy = config.effective(&CLEANUP_POLICY, options);
        let is_kept = policy == SettingValue::Word(COMPACT);
        let retention = |setting| if is_kept { UNLIMITED } else { number(setting) };
        Self {
            index_interval_bytes: size(&INDEX_INTERVAL_BYTES),
            fill_ahead_bytes: options.fill_ahead_bytes,
            segment_bytes: size(&SEGMENT_BYTES),
            segment_ms: number(&SEGMENT_MS),
            max_batch_bytes: size(&MAX_MESSAGE_BYTES),
            retention_ms: retention(&RETENTION_MS),
            retention_bytes: retention(&RETENTION_BYTES),
            flush_messages: number(&FLUSH_MESSAGES),
            flush_ms: number(&FLUSH_MS),
            timestamp_type: match config.effective(&MESSAGE_TIMESTAMP_TYPE, options) {
                SettingValue::Word(LOG_APPEND_TIME) => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            compression: match config.effective(&COMPRESSION_TYPE, options) {
                SettingValue::Word(UNCOMPRESSED) => Some(Compression::None),
                SettingValue::Word(GZIP) => Some(Compression::Gzip),
                SettingValue::Word(SNAPPY) => Some(Compression::Snappy),
                SettingValue::Word(LZ4) => Some(Compression::Lz4),
                SettingValue::Word(ZSTD) => Some(Compression::Zstd),
                _ => None,
            },
            needs_keys: policy != SettingValue::Word(DELETE),
        }
    }
}

const CREATE_TIME: &str = "CreateTime";
const LOG_APPEND_TIME: &str = "LogAppendTime";
const DELETE: &str = "delete";
const COMPACT: &str = "compact";
const PRODUCER: &str = "producer";
const UNCOMPRESSED: &str = "uncompressed";
const GZIP: &str = "gzip";
const SNAPPY: &str = "snappy";
const LZ4: &str = "lz4";
const ZSTD: &str = "zstd";
/// A retention that removes nothing.
const UNLIMITED: i64 = -1;

static CLEANUP_POLICY: Setting = Setting {
    name: "cleanup.policy",
    broker_name: "log.cleanup.policy",
    kind: SettingKind::List,
    documentation: "What becomes of old segments: delete removes them by age and size; compact keeps the last record of \
                    each key at least, and takes no record without a key. Nothing is compacted here (as with \
                    log.cleaner.enable=false), so that compact keeps all records, and both together are as delete.",
    accepts: Accepts::Words(&[DELETE, COMPACT, "compact,delete", "delete,compact"]),
    default: |_| SettingValue::Word(DELETE),
};

static COMPRESSION_TYPE: Setting = Setting {
    name: "compression.type",
    broker_name: "compression.type",
    kind: SettingKind::Text,
    documentation: "How batches are compressed on disk: as their producers compressed them, which costs nothing, or \
                    anew when they arrive.",
    accepts: Accepts::Words(&[PRODUCER, UNCOMPRESSED, GZIP, SNAPPY, LZ4, ZSTD]),
    default: |_| SettingValue::Word(PRODUCER),
};

static DELETE_RETENTION_MS: Setting = Setting {
    name: "delete.retention.ms",
    broker_name: "log.cleaner.delete.retention.ms",
    kind: SettingKind::Long,
    documentation: "How long a compacted topic keeps its tombstones; no topic is compacted here.",
    accepts: Accepts::Numbers(LONG),
    default: |_| SettingValue::Number(86_400_000),
};

static FLUSH_MESSAGES: Setting = Setting {
    name: "flush.messages",
    broker_name: "log.flush.interval.messages",
    kind: SettingKind::Long,
    documentation: "After so many records a partition is written to disk, without anybody asking for it. Records \
                    produced with acks=all are on disk when they are acknowledged, whatever is set here.",
    accepts: Accepts::Numbers(1..=i64::MAX),
    default: |options| SettingValue::Number(options.flush_messages),
};

static FLUSH_MS: Setting = Setting {
    name: "flush.ms",
    broker_name: "log.flush.interval.ms",
    kind: SettingKind::Long,
    documentation: "After so many milliseconds a record is written to disk, without anybody asking for it. It is looked \
                    for every second. Records produced with acks=all are on disk when they are acknowledged.",
    accepts: Accepts::Numbers(LONG),
    default: |options| SettingValue::Number(options.flush_ms),
};

static INDEX_INTERVAL_BYTES: Setting = Setting {
    name: "index.interval.bytes",
    broker_name: "log.index.interval.bytes",
    kind: SettingKind::Int,
    documentation: "Bytes of batches between two entries of a segment's indexes; taken up by the next segment.",
    accepts: Accepts::Numbers(INT),
    default: |options| SettingValue::Number(options.index_interval_bytes.into()),
};

static MAX_COMPACTION_LAG_MS: Setting = Setting {
    name: "max.compaction.lag.ms",
    broker_name: "log.cleaner.max.compaction.lag.ms",
    kind: SettingKind::Long,
    documentation: "After how long a record of a compacted topic must be compacted; no topic is compacted here.",
    accepts: Accepts::Numbers(1..=i64::MAX),
    default: |_| SettingValue::Number(i64::MAX),
};

static MAX_MESSAGE_BYTES: Setting = Setting {
    name: "max.message.bytes",
    broker_name: "message.max.bytes",
    kind: SettingKind::Int,
    documentation: "The largest record batch taken, in bytes as sent, compressed or not.",
    accepts: Accepts::Numbers(INT),
    default: |options| SettingValue::Number(options.max_batch_bytes.into()),
};

static MESSAGE_TIMESTAMP_AFTER_MAX_MS: Setting = Setting {
    name: "message.timestamp.after.max.ms",
    broker_name: "log.message.timestamp.after.max.ms",
    kind: SettingKind::Long,
    documentation: "How far a record's time may lie after the broker's; it is not limited here.",
    accepts: Accepts::Numbers(i64::MAX..=i64::MAX),
    default: |_| SettingValue::Number(i64::MAX),
};

static MESSAGE_TIMESTAMP_BEFORE_MAX_MS: Setting = Setting {
    name: "message.timestamp.before.max.ms",
    broker_name: "log.message.timestamp.before.max.ms",
    kind: SettingKind::Long,
    documentation: "How far a record's time may lie before the broker's; it is not limited here.",
    accepts: Accepts::Numbers(i64::MAX..=i64::MAX),
    default: |_| SettingValue::Number(i64::MAX),
};

static MESSAGE_TIMESTAMP_TYPE: Setting = Setting {
    name: "message.timestamp.type",
    broker_name: "log.message.timestamp.type",
    kind: SettingKind::Text,
    documentation: "Whose clock a batch's time comes from: the producer's (CreateTime) or the broker's (LogAppendTime).",
    accepts: Accepts::Words(&[CREATE_TIME, LOG_APPEND_TIME]),
    default: |options| match options.timestamp_type {
        TimestampType::CreateTime => SettingValue::Word(CREATE_TIME),
        TimestampType::LogAppendTime => SettingValue::Word(LOG_APPEND_TIME),
    },
};

static MIN_COMPACTION_LAG_MS: Setting = Setting {
    name: "min.compaction.lag.ms",
    broker_name: "log.cleaner.min.compaction.lag.ms",
    kind: SettingKind::Long,
    documentation: "For how long a record of a compacted topic stays uncompacted; no topic is compacted here.",
    accepts: Accepts::Numbers(LONG),
    default: |_| SettingValue::Number(0),
};

static MIN_INSYNC_REPLICAS: Setting = Setting {
    name: "min.insync.replicas",
    broker_name: "min.insync.replicas",
    kind: SettingKind::Int,
    documentation: "How many brokers must have a record before acks=all is answered: the only one there is.",
    accepts: Accepts::Numbers(1..=1),
    default: |_| SettingValue::Number(1),
};

static PREALLOCATE: Setting = Setting {
    name: "preallocate",
    broker_name: "log.preallocate",
    kind: SettingKind::Boolean,
    documentation: "Whether files get their full length at once; they grow as they are written.",
    accepts: Accepts::Words(&["false"]),
    default: |_| SettingValue::Word("false"),
};

static REMOTE_STORAGE_ENABLE: Setting = Setting {
    name: "remote.storage.enable",
    broker_name: "remote.log.storage.system.enable",
    kind: SettingKind::Boolean,
    documentation: "Whether segments move to a remote store; they stay here.",
    accepts: Accepts::Words(&["false"]),
    default: |_| SettingValue::Word("false"),
};

static RETENTION_BYTES: Setting = Setting {
    name: "retention.bytes",
    broker_name: "log.retention.bytes",
    kind: SettingKind::Long,
    documentation: "The size of a partition beyond which its oldest segments are removed; -1 removes none.",
    accepts: Accepts::Numbers(-1..=i64::MAX),
    default: |options| SettingValue::Number(options.retention_bytes),
};

static RETENTION_MS: Setting = Setting {
    name: "retention.ms",
    broker_name: "log.retention.ms",
    kind: SettingKind::Long,
    documentation: "The age in milliseconds, by the latest time in it, beyond which a segment is removed; -1, the \
                    default of this broker, removes none.",
    accepts: Accepts::Numbers(-1..=i64::MAX),
    default: |options| SettingValue::Number(options.retention_ms),
};

static SEGMENT_BYTES: Setting = Setting {
    name: "segment.bytes",
    broker_name: "log.segment.bytes",
    kind: SettingKind::Int,
    documentation: "The size at which a segment is closed and a new one begun.",
    accepts: Accepts::Numbers(1024..=i32::MAX as i64),
    default: |options| SettingValue::Number(options.segment_bytes.into()),
};

static SEGMENT_JITTER_MS: Setting = Setting {
    name: "segment.jitter.ms",
    broker_name: "log.roll.jitter.ms",
    kind: SettingKind::Long,
    documentation: "By how much the closing of segments is spread in time: not at all.",
    accepts: Accepts::Numbers(0..=0),
    default: |_| SettingValue::Number(0),
};

static SEGMENT_MS: Setting = Setting {
    name: "segment.ms",
    broker_name: "log.roll.ms",
    kind: SettingKind::Long,
    documentation: "A segment is closed when its records span more milliseconds than this, or when it has taken records \
                    for longer.",
    accepts: Accepts::Numbers(1..=i64::MAX),
    default: |options| SettingValue::Number(options.segment_ms),
};

static UNCLEAN_LEADER_ELECTION_ENABLE: Setting = Setting {
    name: "unclean.leader.election.enable",
    broker_name: "unclean.leader.election.enable",
    kind: SettingKind::Boolean,
    documentation: "Whether a replica that lags behind may become the leader; there are no replicas.",
    accepts: Accepts::Words(&["false"]),
    default: |_| SettingValue::Word("false"),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_consistent() {
        let options = LogOptions::default();
        for (at, setting) in SETTINGS.iter().enumerate() {
            let name = setting.name;
            assert!(SETTINGS[..at].iter().all(|before| before.name < name), "{name} is out of order");
            assert!(setting.documentation.ends_with('.') && !setting.broker_name.is_empty(), "{name}");
            let default = setting.default(&options);
            assert_eq!(setting.parse(&default.to_string()).unwrap(), default, "{name} takes its default");
            assert!(setting.parse("no such value").is_err() && setting.parse("").is_err(), "{name}");
            match (setting.kind, default) {
                (SettingKind::Int, SettingValue::Number(number)) => assert!(i32::try_from(number).is_ok(), "{name}"),
                (SettingKind::Long, SettingValue::Number(_)) => {}
                (SettingKind::Boolean | SettingKind::Text | SettingKind::List, SettingValue::Word(_)) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_set_holds_and_what_is_reset_follows_the_log() {
        let options = LogOptions { retention_ms: 7, ..LogOptions::default() };
        let mut config = TopicConfig::default();
        assert_eq!(PartitionLimits::of(&config, &options).retention_ms, 7);
        config.set("retention.ms", " 100 ").unwrap();
        config.set("message.timestamp.type", "LogAppendTime").unwrap();
        let limits = PartitionLimits::of(&config, &options);
        assert_eq!((limits.retention_ms, limits.timestamp_type), (100, TimestampType::LogAppendTime));
        config.reset("retention.ms").unwrap();
        assert_eq!(PartitionLimits::of(&config, &options).retention_ms, 7);
    }

    #[test]
    fn a_compacted_topic_keeps_all_whatever_retention_says() {
        let options = LogOptions { retention_ms: 7, retention_bytes: 8, ..LogOptions::default() };
        let mut config = TopicConfig::default();
        for (policy, expected) in [("compact", (-1, -1)), ("compact,delete", (7, 8)), ("delete", (7, 8))] {
            config.set("cleanup.policy", policy).unwrap();
            let limits = PartitionLimits::of(&config, &options);
            assert_eq!((limits.retention_ms, limits.retention_bytes), expected, "{policy}");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        let mut config = TopicConfig::default();
        for (name, value) in [
            ("cleanup.policy", "archive"),
            ("compression.type", "brotli"),
            ("min.insync.replicas", "2"),
            ("retention.ms", "-2"),
            ("segment.bytes", "1023"),
            ("max.message.bytes", "2147483648"),
            ("preallocate", "true"),
        ] {
            let error = config.set(name, value).unwrap_err();
            assert!(matches!(error, LogError::InvalidSetting { .. }), "{name}={value}: {error}");
        }
        assert!(matches!(config.set("no.such", "1"), Err(LogError::UnknownSetting(_))));
        assert!(matches!(config.reset("no.such"), Err(LogError::UnknownSetting(_))));
        assert_eq!(config, TopicConfig::default());
    }

    #[test]
    fn roundtrip() {
        let old = r#"{"max.message.bytes":7,"segment.bytes":700}"#;
        let config: TopicConfig = serde_json::from_str(old).unwrap();
        assert_eq!(config, TopicConfig::default().with_max_batch_bytes(7).with_segment_bytes(700));
        assert_eq!(serde_json::to_string(&config).unwrap(), old);
        let mut config = config;
        config.set("message.timestamp.type", "LogAppendTime").unwrap();
        config.set("retention.ms", "-1").unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TopicConfig>(&text).unwrap(), config);
        for wrong in [r#"{"no.such":1}"#, r#"{"compression.type":"brotli"}"#, r#"{"segment.bytes":null}"#] {
            assert!(serde_json::from_str::<TopicConfig>(wrong).is_err(), "{wrong}");
        }
    }
}
