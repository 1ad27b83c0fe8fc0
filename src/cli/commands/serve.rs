//! `cartlog serve`: the live dashboard.

use std::sync::Arc;
use std::thread;
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

/// How often a running server looks whether it has been asked to stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

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
    while !interrupt.is_requested() {
        thread::sleep(CHECK_INTERVAL);
    }
    running.abort();
    runtime.shutdown_timeout(CHECK_INTERVAL);
    Ok(())
}
