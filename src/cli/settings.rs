//! Settings: a flag, else its `CARTLOG_*` variable, else the configuration file, else the default.
//!
//! The first two are already one when they arrive here (clap reads the variables), so this file joins them with the
//! configuration file and owns every default that a file may override.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cartlog_storage::groups::GroupOptions;
use cartlog_storage::log::{LogOptions, MAXIMUM_PARTITIONS};
use serde::Deserialize;

use super::Usage;
use super::arguments::{Common, GroupOption, GroupSettings, LoadOptions, LogSettings, LossOptions};
use super::group_settings::{GroupFile, group_options};
use super::log_settings::{LogFile, log_options};
use super::quantity;
use super::security::{SecurityFile, client_options, typed_for_clients};
use super::summary::Summary;
use crate::kafka::{ClientOptions, Compression};
use crate::pipeline::{
    DEFAULT_GROUP, DEFAULT_PARTITIONS, DEFAULT_ROWS_PER_RECORD, DEFAULT_TOPIC, LogPlan, LogTarget, RejectLimit,
    log_directory,
};

/// The configuration file that is read when no other is named.
const DEFAULT_FILE: &str = "cartlog.toml";
/// More rows than this in one record help nobody: no broker takes a message of that size by default.
const MOST_ROWS_PER_RECORD: usize = 1_000_000;

/// What a configuration file may say; the names are those of the flags.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    /// How connections to brokers are secured.
    #[serde(default)]
    security: SecurityFile,
    /// Settings of the log that a broker serves.
    #[serde(default)]
    log: LogFile,
    /// Settings of the consumer groups of a broker.
    #[serde(default)]
    groups: GroupFile,
    store: Option<PathBuf>,
    brokers: Option<Brokers>,
    topic: Option<String>,
    threads: Option<usize>,
    memory: Option<String>,
    quiet: Option<bool>,
    json: Option<bool>,
    rows_per_record: Option<usize>,
    log_compression: Option<String>,
    partitions: Option<i32>,
    group: Option<String>,
    max_rejected: Option<Limit>,
}

/// `"a:9092,b:9092"` or `["a:9092", "b:9092"]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Brokers {
    Text(String),
    List(Vec<String>),
}

/// `10` or `"0.1%"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Limit {
    Rows(u64),
    Text(String),
}

/// Settings shared by all commands, joined and checked.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Directory of the store and the embedded log.
    pub(crate) store: PathBuf,
    /// Brokers of an outside cluster; `None` is the embedded log.
    pub(crate) brokers: Option<Vec<String>>,
    /// How those brokers are connected to.
    pub(crate) client: ClientOptions,
    /// Whether brokers were named on the command line, and not for all commands by variable or file.
    pub(crate) has_typed_brokers: bool,
    /// The flag for connections to other brokers that was typed, if one was.
    pub(crate) typed_for_clients: Option<&'static str>,
    /// Certificate and key that were typed; `cartlog broker` shows them to its clients.
    pub(crate) identity: (Option<PathBuf>, Option<PathBuf>),
    /// Topic of the events.
    pub(crate) topic: String,
    /// Worker threads, at least 1.
    pub(crate) threads: usize,
    /// Bytes that an analysis may take for the rows it groups.
    pub(crate) memory: u64,
    /// No progress and no summary.
    pub(crate) quiet: bool,
    /// A machine-readable summary on standard output.
    pub(crate) json: bool,
    file: File,
}

impl Settings {
    /// Joins the options that every command takes with the configuration file.
    ///
    /// # Errors
    /// When the file named by `--config` can't be read, a file isn't understood, or a value is out of range.
    pub(crate) fn resolve(common: &Common) -> Result<Self> {
        let mut file = read_file(common.config.as_deref())?;
        let brokers = match (&common.brokers, file.brokers.take()) {
            (Some(text), _) => Some(split_brokers(text)?),
            (None, Some(Brokers::Text(text))) => Some(split_brokers(&text)?),
            (None, Some(Brokers::List(list))) => Some(split_brokers(&list.join(","))?),
            (None, None) => None,
        };
        let client = match &brokers {
            Some(_) => client_options(&common.security, &file.security)?,
            // The embedded log stays plain: it never leaves this machine.
            None => ClientOptions::default(),
        };
        let threads = common
            .threads
            .or(file.threads)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        if !(1..=1024).contains(&threads) {
            return wrong(format!("--threads is {threads}; it takes a number from 1 to 1024"));
        }
        let memory = match common.memory.as_deref().or(file.memory.as_deref()) {
            Some(text) => memory(text)?,
            None => rustix::system::sysinfo().totalram as u64 / 4,
        };
        Ok(Self {
            store: common.store.clone().or(file.store.take()).unwrap_or_else(|| "cartlog-data".into()),
            brokers,
            client,
            has_typed_brokers: common.brokers.is_some() && std::env::var_os("CARTLOG_BROKERS").is_none(),
            typed_for_clients: typed_for_clients(&common.security),
            identity: (common.security.tls_cert.clone(), common.security.tls_key.clone()),
            topic: common.topic.clone().or(file.topic.take()).unwrap_or_else(|| DEFAULT_TOPIC.to_owned()),
            threads,
            memory,
            quiet: common.quiet || file.quiet.unwrap_or(false),
            json: common.json || file.json.unwrap_or(false),
            file,
        })
    }

    /// Prints a summary as JSON or text, unless quiet was asked for.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub(crate) fn print(&self, summary: &Summary) -> Result<()> {
        if self.json || !self.quiet {
            summary.print(self.json)?;
        }
        Ok(())
    }

    /// Rows in one record, at most.
    ///
    /// # Errors
    /// When the number is 0 or beyond a million.
    pub(crate) fn rows_per_record(&self, load: &LoadOptions) -> Result<usize> {
        let rows = load.rows_per_record.or(self.file.rows_per_record).unwrap_or(DEFAULT_ROWS_PER_RECORD);
        if !(1..=MOST_ROWS_PER_RECORD).contains(&rows) {
            return wrong(format!("--rows-per-record is {rows}; it takes a number from 1 to {MOST_ROWS_PER_RECORD}"));
        }
        Ok(rows)
    }

    /// The log that commands read and write.
    #[must_use]
    pub(crate) fn log(&self) -> LogPlan {
        let target = match &self.brokers {
            Some(brokers) => LogTarget::Brokers(brokers.clone()),
            None => LogTarget::Embedded(log_directory(&self.store)),
        };
        LogPlan { topic: self.topic.clone(), client: self.client.clone(), ..LogPlan::new(target) }
    }

    /// The log that a load writes, with how it writes it.
    ///
    /// # Errors
    /// When the number of partitions is below 1 or beyond 10,000, or the compression is unknown.
    pub(crate) fn log_for(&self, load: &LoadOptions) -> Result<LogPlan> {
        let partitions = load.partitions.or(self.file.partitions).unwrap_or(DEFAULT_PARTITIONS);
        if !(1..=MAXIMUM_PARTITIONS).contains(&partitions) {
            return wrong(format!("--partitions is {partitions}; it takes a number from 1 to {MAXIMUM_PARTITIONS}"));
        }
        let compression = match load.log_compression.as_ref().or(self.file.log_compression.as_ref()) {
            Some(name) => name.parse().map_err(|error: String| Usage(format!("--log-compression: {error}")))?,
            None => Compression::default(),
        };
        Ok(LogPlan { partitions, compression, ..self.log() })
    }

    /// The consumer group that shows how far the store is; `None` shows nothing.
    ///
    /// # Errors
    /// When the name is empty.
    pub(crate) fn group(&self, typed: &GroupOption) -> Result<Option<String>> {
        match typed.group.as_deref().or(self.file.group.as_deref()).unwrap_or(DEFAULT_GROUP) {
            "" => wrong("--group is empty; it takes a name, or none to commit no offsets".to_owned()),
            "none" => Ok(None),
            name => Ok(Some(name.to_owned())),
        }
    }

    /// The options of the log that a broker serves.
    ///
    /// # Errors
    /// When a value isn't understood or is out of range.
    pub(crate) fn log_options(&self, typed: &LogSettings) -> Result<LogOptions> {
        log_options(typed, &self.file.log)
    }

    /// The options of the consumer groups that a broker coordinates.
    ///
    /// # Errors
    /// When a value isn't understood or is out of range.
    pub(crate) fn group_options(&self, typed: &GroupSettings) -> Result<GroupOptions> {
        group_options(typed, &self.file.groups)
    }

    /// How many rejected rows a load bears.
    ///
    /// # Errors
    /// When the text is neither a number nor a percentage.
    pub(crate) fn reject_limit(&self, limit: &LossOptions) -> Result<Option<RejectLimit>> {
        if limit.strict {
            return Ok(Some(RejectLimit::Rows(0)));
        }
        match (&limit.max_rejected, &self.file.max_rejected) {
            (Some(text), _) | (None, Some(Limit::Text(text))) => parse_limit(text).map(Some),
            (None, Some(Limit::Rows(rows))) => Ok(Some(RejectLimit::Rows(*rows))),
            (None, None) => Ok(None),
        }
    }
}

fn wrong<T>(message: String) -> Result<T> {
    Err(Usage(message).into())
}

fn parse_limit(text: &str) -> Result<RejectLimit> {
    text.parse().map_err(|error: String| Usage(format!("--max-rejected: {error}")).into())
}

fn read_file(named: Option<&Path>) -> Result<File> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return Ok(File::default()),
        Err(error) => {
            return Err(error).with_context(|| format!("can't read the configuration file {}", path.display()));
        }
    };
    toml::from_str(&text).with_context(|| format!("the configuration file {} is not understood", path.display()))
}

fn split_brokers(text: &str) -> Result<Vec<String>> {
    let brokers: Vec<String> =
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if brokers.is_empty() {
        return wrong("--brokers names no broker; it takes HOST:PORT, several separated by commas".to_owned());
    }
    for broker in &brokers {
        let port = broker.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
        if !matches!(port, Some((false, Ok(1..)))) {
            return wrong(format!("--brokers: {broker:?} is not HOST:PORT (an example: 127.0.0.1:9092)"));
        }
    }
    Ok(brokers)
}

/// Bytes of memory: enough for the buffers that a grouping needs at least.
fn memory(text: &str) -> Result<u64> {
    let bytes =
        quantity::parse_bytes(text).filter(|bytes| *bytes >= 16 << 20).and_then(|bytes| u64::try_from(bytes).ok());
    bytes.ok_or_else(|| quantity::wrong("--memory", text, "a size of at least 16MiB, such as 512MiB or 2GiB"))
}

#[cfg(test)]
mod tests {
    use super::super::arguments::Security;
    use super::*;

    fn common() -> Common {
        Common {
            store: None,
            brokers: None,
            topic: None,
            config: None,
            threads: None,
            memory: None,
            quiet: false,
            json: false,
            verbose: 0,
            security: Security::default(),
        }
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.toml");
        fs::write(&path, "topic = 'from-file'\nstore = 'kept'\nbrokers = ['a:1', 'b:2']\nmax-rejected = '5%'").unwrap();
        let settings =
            Settings::resolve(&Common { config: Some(path), topic: Some("typed".into()), ..common() }).unwrap();
        assert_eq!(settings.topic, "typed");
        assert_eq!(settings.store, Path::new("kept"));
        assert_eq!(settings.brokers, Some(vec!["a:1".to_owned(), "b:2".to_owned()]));
        let limit =
            settings.reject_limit(&LossOptions { max_rejected: None, strict: false, skip_lost: false }).unwrap();
        assert_eq!(limit, Some(RejectLimit::Percent(5.0)));
    }

    #[test]
    fn a_misspelt_key_and_a_missing_file_are_errors_that_name_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.toml");
        fs::write(&path, "topik = 'x'").unwrap();
        let error = Settings::resolve(&Common { config: Some(path.clone()), ..common() }).unwrap_err();
        assert!(format!("{error:#}").contains("topik"), "{error:#}");
        let absent = folder.path().join("absent.toml");
        let error = Settings::resolve(&Common { config: Some(absent), ..common() }).unwrap_err();
        assert!(format!("{error:#}").contains("absent.toml"), "{error:#}");
    }

    #[test]
    fn memory_is_a_size() {
        assert_eq!(memory("512MiB").unwrap(), 512 << 20);
        for wrong in ["", "0", "much", "15MiB", "-1GiB"] {
            let message = memory(wrong).unwrap_err().to_string();
            assert!(message.contains("--memory") && message.contains("16MiB"), "{message}");
        }
        assert!(Settings::resolve(&common()).unwrap().memory > 0);
    }

    #[test]
    fn brokers_are_checked() {
        assert_eq!(split_brokers("a:1, b:2,").unwrap(), ["a:1", "b:2"]);
        for wrong in ["", " ,", "host", "host:", ":9092", "host:0", "host:99999"] {
            assert!(split_brokers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reject_limits_are_rows_or_shares() {
        assert_eq!(parse_limit("100").unwrap(), RejectLimit::Rows(100));
        assert_eq!(parse_limit("0.1%").unwrap(), RejectLimit::Percent(0.1));
        for wrong in ["", "-1", "1.5", "%", "101%", "many"] {
            assert!(parse_limit(wrong).unwrap_err().to_string().contains("--max-rejected"), "{wrong}");
        }
    }
}
