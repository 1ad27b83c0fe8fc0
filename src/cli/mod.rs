//! The command line: what was typed becomes a validated plan that owns the defaults, and the plan runs.
//!
//! [`arguments`] is what can be typed, [`settings`] joins it with the configuration file, `commands` holds one file a
//! command, and [`main`] turns an error into a message and an exit code.

pub mod arguments;
pub mod settings;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use settings::Settings;

/// Runs the command line of this process and gives its exit code: 0 done, 1 failed, 2 wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match Settings::resolve(&arguments.common) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
