//! Settings of the consumer groups that `cartlog broker` coordinates: flags, file and environment to group options.

use std::time::Duration;

use anyhow::Result;
use cartlog_storage::groups::GroupOptions;
use serde::Deserialize;

use super::Usage;
use super::arguments::GroupSettings;
use super::quantity::{parse_time_ms, wrong};

/// Kafka's protocol has 32 bits for the milliseconds of a timeout.
const LONGEST_TIMEOUT_MS: i64 = i32::MAX as i64;

/// What the table `[groups]` of a configuration file may say; the names are those of the flags.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct GroupFile {
    initial_rebalance_delay: Option<String>,
    min_session_timeout: Option<String>,
    max_session_timeout: Option<String>,
    offsets_retention: Option<String>,
}

/// The groups' options.
///
/// # Errors
/// When a value isn't understood or is out of range.
pub(super) fn group_options(typed: &GroupSettings, file: &GroupFile) -> Result<GroupOptions> {
    let mut options = GroupOptions::default();
    let timeout = |flag: &str, typed: &Option<String>, file: &Option<String>, least_ms: i64, default: Duration| {
        let Some(text) = typed.as_ref().or(file.as_ref()) else {
            return Ok(default);
        };
        let fits = parse_time_ms(text).filter(|time_ms| (least_ms..=LONGEST_TIMEOUT_MS).contains(time_ms));
        let time_ms =
            fits.ok_or_else(|| wrong(flag, text, &format!("a time from {least_ms}ms to 24d, such as 10s")))?;
        Ok::<_, anyhow::Error>(Duration::from_millis(time_ms.unsigned_abs()))
    };
    options.initial_rebalance_delay = timeout(
        "--initial-rebalance-delay",
        &typed.initial_rebalance_delay,
        &file.initial_rebalance_delay,
        0,
        options.initial_rebalance_delay,
    )?;
    options.min_session_timeout = timeout(
        "--min-session-timeout",
        &typed.min_session_timeout,
        &file.min_session_timeout,
        1,
        options.min_session_timeout,
    )?;
    options.max_session_timeout = timeout(
        "--max-session-timeout",
        &typed.max_session_timeout,
        &file.max_session_timeout,
        1,
        options.max_session_timeout,
    )?;
    let (least, most) = (options.min_session_timeout, options.max_session_timeout);
    if least > most {
        let message = format!("--min-session-timeout is {least:?}, above --max-session-timeout, which is {most:?}");
        return Err(Usage(message).into());
    }
    if let Some(text) = typed.offsets_retention.as_ref().or(file.offsets_retention.as_ref()) {
        options.offsets_retention = match text.trim() {
            "forever" => Duration::MAX,
            text => {
                let time_ms = parse_time_ms(text).filter(|time_ms| *time_ms > 0);
                let expected = "a time such as 12h or 30d, or forever";
                Duration::from_millis(
                    time_ms.ok_or_else(|| wrong("--offsets-retention", text, expected))?.unsigned_abs(),
                )
            }
        };
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_the_rest_stays_as_it_is() {
        let file: GroupFile =
            toml::from_str("min-session-timeout = '1s'\noffsets-retention = '30d'\ninitial-rebalance-delay = '3s'")
                .unwrap();
        let typed = GroupSettings { min_session_timeout: Some("500ms".to_owned()), ..GroupSettings::default() };
        let options = group_options(&typed, &file).unwrap();
        assert_eq!(options.min_session_timeout, Duration::from_millis(500));
        assert_eq!(options.initial_rebalance_delay, Duration::from_secs(3));
        assert_eq!(options.offsets_retention, Duration::from_secs(30 * 24 * 3600));
        assert_eq!(options.max_session_timeout, GroupOptions::default().max_session_timeout);
        let typed = GroupSettings { offsets_retention: Some("forever".to_owned()), ..GroupSettings::default() };
        assert_eq!(group_options(&typed, &file).unwrap().offsets_retention, Duration::MAX);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (file, named) in [
            ("min-session-timeout = '0s'", "--min-session-timeout"),
            ("max-session-timeout = '25d'", "--max-session-timeout"),
            ("max-session-timeout = '5s'", "above --max-session-timeout"),
            ("initial-rebalance-delay = '3'", "--initial-rebalance-delay"),
            ("offsets-retention = '0d'", "--offsets-retention"),
        ] {
            let file: GroupFile = toml::from_str(file).unwrap();
            let message = group_options(&GroupSettings::default(), &file).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
        assert!(toml::from_str::<GroupFile>("session-timeout = '1s'").is_err(), "an unknown name");
    }
}
