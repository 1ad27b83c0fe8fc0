//! The command line: what was typed becomes a validated plan that owns the defaults, and the plan runs.
//!
//! `arguments` is what can be typed, `settings` joins it with the configuration file, `commands` holds one file a
//! command, and [`main`] turns an error into a message and an exit code.

mod arguments;
mod columns;
mod commands;
mod filters;
mod group_settings;
mod interrupt;
mod log_settings;
mod progress;
mod quantity;
mod security;
mod settings;
mod summary;
mod text;

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;

use arguments::Arguments;
use settings::Settings;

/// The exit code of a command that was understood and failed.
const FAILED: u8 = 1;
/// The exit code of a command that was not understood; clap uses the same.
const WRONG_USAGE: u8 = 2;

/// The exit code of a job that a signal stopped before its end: 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// A signal stopped the job before its end, which has been said.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal")]
pub(crate) struct Interrupted;

impl Interrupted {
    /// The end of a job, which is none if a signal stopped it.
    pub(crate) fn unless(is_whole: bool) -> Result<()> {
        if is_whole { Ok(()) } else { Err(Self.into()) }
    }
}

/// A line for the person at the terminal, on standard error; if that has gone, nobody is there to read it.
pub(crate) fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What was typed can't be meant: the message says what is possible, and the exit code is that of wrong usage.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Runs the command line of this process and gives its exit code: 0 done, 1 failed, 2 wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            tell(format_args!("error: {}", text::causes(&error)));
            ExitCode::from(if error.is::<Usage>() { WRONG_USAGE } else { FAILED })
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    start_tracing(arguments.common.verbose);
    raise_open_files();
    let settings = Settings::resolve(&arguments.common)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(settings.threads)
        .thread_name(|index| format!("worker-{index}"))
        .build_global()
        .context("can't start the worker threads")?;
    commands::execute(&arguments.command, &settings)
}

/// Diagnostics of the libraries and of cartlog's own layers, on standard error: errors only, unless asked for more.
fn start_tracing(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        // What the client's library runs into is judged by who called it.
        .with_writer(io::stderr.with_filter(move |line| verbose > 1 || !line.target().starts_with("rskafka")))
        .with_target(verbose > 1)
        .log_internal_errors(false)
        .init();
}

/// Opens the way to as many files as the system lets this process have: a partition takes four, a segment's map one, and 1,024, which is
/// what most shells start with, are soon gone. Java's runtime does so too.
fn raise_open_files() {
    let known = getrlimit(Resource::Nofile);
    if known.current < known.maximum {
        // Without it there is less room, and whoever needs more says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: known.maximum, maximum: known.maximum });
    }
}

/// Whether the reader of our output has gone away, as `head` does: nobody is left to be told.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe))
}
