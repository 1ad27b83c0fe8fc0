//! One file a command: a plan from what was typed, the job, its summary.

mod generate;
mod ingest;
mod load;
mod produce;

use anyhow::Result;

use super::arguments::Command;
use super::settings::Settings;

/// Runs a command.
///
/// # Errors
/// Whatever ended it early, told so that the message alone says what to do.
pub(super) fn execute(command: &Command, settings: &Settings) -> Result<()> {
    match command {
        Command::Produce(options) => produce::execute(options, settings),
        Command::Ingest(options) => ingest::execute(options, settings),
        Command::Generate(options) => generate::execute(options, settings),
        other => anyhow::bail!("{other:?} is not built yet"),
    }
}
