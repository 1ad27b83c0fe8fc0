//! Settings of the log that `cartlog broker` serves: flags, file and environment to log options.

use anyhow::Result;
use cartlog_storage::log::LogOptions;
use serde::Deserialize;

use super::arguments::LogSettings;
use super::quantity::{parse_bytes, parse_time_ms, wrong};

/// The smallest log file that is begun; smaller ones would only cost files.
const LEAST_SEGMENT_BYTES: i64 = 1 << 20;
/// Positions in a log file are signed 32-bit numbers in Kafka's tools.
const MOST_SEGMENT_BYTES: i64 = i32::MAX as i64;

/// What the table `[log]` of a configuration file may say; the names are those of the flags.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct LogFile {
    retention: Option<String>,
    retention_bytes: Option<String>,
    segment_bytes: Option<String>,
    flush_interval: Option<String>,
}

/// The log's options.
///
/// # Errors
/// When a value isn't understood or is out of range.
pub(super) fn log_options(typed: &LogSettings, file: &LogFile) -> Result<LogOptions> {
    let mut options = LogOptions::default();
    if let Some(text) = typed.retention.as_ref().or(file.retention.as_ref()) {
        options.retention_ms = keep("--retention", text, "forever", parse_time_ms, "a time such as 90m, 12h or 7d")?;
    }
    if let Some(text) = typed.retention_bytes.as_ref().or(file.retention_bytes.as_ref()) {
        options.retention_bytes = keep("--retention-bytes", text, "all", parse_bytes, "a size such as 500MB or 20GB")?;
    }
    if let Some(text) = typed.segment_bytes.as_ref().or(file.segment_bytes.as_ref()) {
        let fits = parse_bytes(text).filter(|bytes| (LEAST_SEGMENT_BYTES..=MOST_SEGMENT_BYTES).contains(bytes));
        let bytes = fits.and_then(|bytes| u32::try_from(bytes).ok());
        options.segment_bytes =
            bytes.ok_or_else(|| wrong("--segment-bytes", text, "a size from 1MiB to 2147483647"))?;
    }
    if let Some(text) = typed.flush_interval.as_ref().or(file.flush_interval.as_ref()) {
        let interval_ms = parse_time_ms(text).filter(|time_ms| *time_ms > 0);
        options.flush_ms = interval_ms.ok_or_else(|| wrong("--flush-interval", text, "a time such as 500ms or 5s"))?;
    }
    Ok(options)
}

/// A limit of what is kept; `without` means that there is none.
fn keep(flag: &str, text: &str, without: &str, parse: fn(&str) -> Option<i64>, expected: &str) -> Result<i64> {
    if text.trim() == without {
        return Ok(-1);
    }
    parse(text).ok_or_else(|| wrong(flag, text, &format!("{expected}, or {without}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_what_is_out_of_range_is_named() {
        let file: LogFile = toml::from_str("retention = '7d'\nsegment-bytes = '64MiB'").unwrap();
        let typed = LogSettings { retention: Some("forever".to_owned()), ..LogSettings::default() };
        let options = log_options(&typed, &file).unwrap();
        assert_eq!((options.retention_ms, options.segment_bytes), (-1, 64 << 20));
        assert_eq!(options.flush_ms, LogOptions::default().flush_ms);
        for size in ["1MB", "2GiB", "0"] {
            let typed = LogSettings { segment_bytes: Some(size.to_owned()), ..LogSettings::default() };
            let message = log_options(&typed, &LogFile::default()).unwrap_err().to_string();
            assert!(message.contains("--segment-bytes") && message.contains(size), "{message}");
        }
        let typed = LogSettings { flush_interval: Some("0s".to_owned()), ..LogSettings::default() };
        assert!(log_options(&typed, &LogFile::default()).is_err(), "a flush that never rests");
    }
}
