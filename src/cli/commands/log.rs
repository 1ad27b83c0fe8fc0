//! The log that a command looks at: the brokers that were named, or the embedded one served meanwhile.

use anyhow::Result;

use crate::cli::settings::Settings;
use crate::kafka::{self, Admin, EmbeddedLog};
use crate::pipeline::{LogPlan, LogTarget};

/// Runs `ask` with a connection to the log.
///
/// # Errors
/// When the log can't be reached or opened, and whatever `ask` fails with.
pub(super) fn with_admin<T>(settings: &Settings, ask: impl AsyncFnOnce(&mut Admin) -> Result<T>) -> Result<T> {
    let runtime = kafka::runtime(settings.threads)?;
    runtime.block_on(async {
        let LogPlan { target, client, .. } = settings.log();
        match target {
            LogTarget::Brokers(brokers) => ask(&mut Admin::connect(&brokers, &client).await?).await,
            LogTarget::Embedded(folder) => {
                let log = EmbeddedLog::start(&folder).await?;
                let done = match Admin::connect(&[log.address().to_string()], &log.options(&client)).await {
                    // The connections end before the log does, which would wait for them.
                    Ok(mut admin) => ask(&mut admin).await,
                    Err(error) => Err(error.into()),
                };
                log.shutdown().await?;
                done
            }
        }
    })
}
