//! The `cartlog` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cartlog::cli::main()
}
