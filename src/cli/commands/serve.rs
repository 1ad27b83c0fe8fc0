//! `cartlog serve`: the live dashboard.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{no_store, open_store};
use crate::cli::arguments;
use crate::cli::interrupt;
use crate::cli::settings::Settings;
use crate::kafka;
use crate::serve::{Answers, ServeError, Server};
use cartlog_storage::store::StoreError;

/// How long a question that is being answered may go on after the server was asked to stop.
const LAST_ANSWER: Duration = Duration::from_millis(50);

pub(super) fn execute(options: &arguments::Serve, settings: &Settings) -> Result<()> {
    let answers = match Answers::open(Arc::new(open_store(settings)?)) {
        Err(ServeError::Store(StoreError::NoStore)) => return Err(no_store(settings)),
        opened => Arc::new(opened?),
    };
    let interrupt = interrupt::listen()?;
    let runtime = kafka::runtime(settings.threads)?;
    let server = runtime.block_on(Server::bind(&options.listen, answers))?;
    let address = server.address()?;
    if settings.json {
        println!("{}", json!({ "address": address.to_string() }));
    } else if !settings.quiet {
        println!("dashboard: http://{address}/");
        println!("stop:      Ctrl-C");
    }
    let running = runtime.spawn(server.run());
    interrupt::wait(&interrupt);
    running.abort();
    runtime.shutdown_timeout(LAST_ANSWER);
    Ok(())
}
