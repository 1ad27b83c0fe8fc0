//! One file a command: a plan from what was typed, the job, its summary.

mod analyze;
mod broker;
mod compact;
mod export;
mod generate;
mod ingest;
mod inspect;
mod load;
mod log;
mod produce;
mod rejects;
mod repeat;
mod report;
mod run;
mod serve;
mod spark;
mod topics;
mod users;
mod verify;

use std::sync::Arc;

use anyhow::{Context, Result};
use cartlog_storage::io::OsDirectory;
use cartlog_storage::store::{Snapshot, StoreError};

use super::Usage;
use super::arguments::Command;
use super::settings::Settings;
use crate::export::Format;
use crate::pipeline::store_directory;

/// Runs a command.
///
/// # Errors
/// Whatever ended it early, told so that the message alone says what to do.
pub(super) fn execute(command: &Command, settings: &Settings) -> Result<()> {
    match command {
        Command::Run(options) => run::execute(options, settings),
        Command::Load(options) => load::execute(options, settings),
        Command::Produce(options) => produce::execute(options, settings),
        Command::Ingest(options) => ingest::execute(options, settings),
        Command::Analyze(options) => analyze::execute(options, settings),
        Command::Export(options) => export::execute(options, settings),
        Command::Report(options) => report::execute(options, settings),
        Command::Serve(options) => serve::execute(options, settings),
        Command::Compact(options) => compact::execute(options, settings),
        Command::Broker(options) => broker::execute(options, settings),
        Command::Topics(options) => topics::execute(options, settings),
        Command::Users(options) => users::execute(options, settings),
        Command::Generate(options) => generate::execute(options, settings),
        Command::Inspect(options) => inspect::execute(options, settings),
        Command::Verify(options) => verify::execute(options, settings),
        Command::Rejects(options) => rejects::execute(options, settings),
    }
}

/// The folder of the columnar store, which must be there.
fn open_store(settings: &Settings) -> Result<OsDirectory> {
    let folder = store_directory(&settings.store);
    if !folder.try_exists().with_context(|| format!("can't look at {}", folder.display()))? {
        return Err(no_store(settings));
    }
    OsDirectory::open(&folder).with_context(|| format!("can't open {}", folder.display()))
}

/// The store's last commit.
fn open_snapshot(settings: &Settings) -> Result<Snapshot> {
    match Snapshot::open(Arc::new(open_store(settings)?)) {
        Err(StoreError::NoStore) => Err(no_store(settings)),
        opened => Ok(opened?),
    }
}

fn no_store(settings: &Settings) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no store in {}; load one (cartlog run FILE) or name another with --store",
        settings.store.display()
    )
}

/// The export format of that name.
fn find_format(name: &str) -> Result<&'static dyn Format> {
    crate::export::format(name).ok_or_else(|| {
        let known: Vec<_> = crate::export::formats().iter().map(|format| format.name()).collect();
        Usage(format!("--format is {name:?}; it takes {}", known.join(", "))).into()
    })
}
