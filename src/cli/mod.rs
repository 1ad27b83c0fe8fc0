//! The command line: what was typed becomes a validated plan that owns the defaults, and the plan runs.

use std::process::ExitCode;

/// Runs the command line of this process and gives its exit code: 0 done, 1 failed, 2 wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
