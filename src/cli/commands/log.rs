//! The log that a command looks at: the brokers that were named, or the embedded one served meanwhile.

use anyhow::Result;

use crate::cli::settings::Settings;
use crate::kafka::{self, Admin};
use crate::pipeline::ReachedLog;

/// Runs `ask` with a connection to the log.
///
/// # Errors
/// When the log can't be reached or opened, and whatever `ask` fails with.
pub(super) fn with_admin<T>(settings: &Settings, ask: impl AsyncFnOnce(&mut Admin) -> Result<T>) -> Result<T> {
    let runtime = kafka::runtime(settings.threads)?;
    runtime.block_on(async {
        let ReachedLog { embedded, brokers, options } = ReachedLog::of(&settings.log()).await?;
        let done = match Admin::connect(&brokers, &options).await {
            // The connections end before the log does, which would wait for them.
            Ok(mut admin) => ask(&mut admin).await,
            Err(error) => Err(error.into()),
        };
        if let Some(log) = embedded {
            log.shutdown().await?;
        }
        done
    })
}
