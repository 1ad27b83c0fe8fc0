//! SIGINT and SIGTERM: the first asks the running job to stop cleanly, the second stops the process at once.

use std::process;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::pipeline::Interrupt;

/// The exit code of a process ended by a second signal: 128 + SIGINT, as shells have it.
const STOPPED_AT_ONCE: i32 = 130;

/// How often a server looks whether it has been asked to stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// What a load does when it is asked to stop.
pub(crate) const COMMITTING: &str = "what has been read is being committed";
/// What a produce does then.
pub(crate) const SENDING: &str = "what has been read is being sent";
/// What a server does then.
pub(crate) const ANSWERING: &str = "no connection is taken any more, answers on their way are finished";

/// Listens for signals from now on, on a thread of its own. The first one asks the job to stop, and tells the user what it
/// does before it ends.
///
/// # Errors
/// When the thread or its handlers can't be set up.
pub(crate) fn listen(stopping: &'static str) -> Result<Interrupt> {
    let interrupt = Interrupt::default();
    let shared = interrupt.clone();
    let runtime = Builder::new_current_thread().enable_io().build().context("can't listen for signals")?;
    let (mut interrupts, mut terminations) = runtime
        .block_on(async {
            Ok::<_, std::io::Error>((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
        })
        .context("can't listen for signals")?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                either(&mut interrupts, &mut terminations).await;
                shared.request();
                super::tell(format_args!("stopping: {stopping} (once more stops at once)"));
                either(&mut interrupts, &mut terminations).await;
                process::exit(STOPPED_AT_ONCE);
            });
        })
        .context("can't listen for signals")?;
    Ok(interrupt)
}

/// Waits until the job has been asked to stop.
pub(crate) fn wait(interrupt: &Interrupt) {
    while !interrupt.is_requested() {
        thread::sleep(CHECK_INTERVAL);
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
