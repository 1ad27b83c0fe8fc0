//! `cartlog users`: who may log in to a broker.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context, Result};
use cartlog_storage::security::{User, UserName, UsersFile};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use crate::cli::arguments::{Users, UsersAction};
use crate::cli::security::first_line;
use crate::cli::settings::Settings;

pub(super) fn execute(options: &Users, settings: &Settings) -> Result<()> {
    let file = UsersFile::at(&options.users);
    let mut out = io::stdout();
    match &options.action {
        UsersAction::Add { name, password_stdin } => {
            let name: UserName = name.parse()?;
            let password = if *password_stdin || !io::stdin().is_terminal() {
                first_line(io::stdin()).context("can't read a password from standard input")?
            } else {
                ask(&name)?
            };
            let replaced = file.add(name.clone(), User::with_password(&password)?)?;
            if settings.json {
                writeln!(out, "{}", json!({ "user": name.as_str(), "replaced": replaced }))?;
            } else if !settings.quiet {
                let done = if replaced { "Changed the password of" } else { "Added" };
                writeln!(
                    out,
                    "{done} {name} in {}; a running broker takes it when it is started anew.",
                    file.path().display()
                )?;
            }
        }
        UsersAction::Remove { name } => {
            let name: UserName = name.parse()?;
            anyhow::ensure!(file.remove(&name)?, "there is no user {name} in {}", file.path().display());
            if settings.json {
                writeln!(out, "{}", json!({ "removed": name.as_str() }))?;
            } else if !settings.quiet {
                writeln!(
                    out,
                    "Removed {name} from {}; a running broker knows it until it is started anew.",
                    file.path().display()
                )?;
            }
        }
        UsersAction::List => {
            let users = file.read()?;
            if settings.json {
                writeln!(out, "{}", json!(users.names().map(UserName::as_str).collect::<Vec<_>>()))?;
            } else {
                for name in users.names() {
                    writeln!(out, "{name}")?;
                }
            }
        }
    }
    Ok(())
}

/// Asks for a password at the terminal, twice, without showing it.
fn ask(name: &UserName) -> Result<String> {
    let first = read_hidden(&format!("Password of {name}: "))?;
    let second = read_hidden("The same again: ")?;
    anyhow::ensure!(first == second, "the two passwords differ; nothing was changed");
    Ok(first)
}

fn read_hidden(prompt: &str) -> Result<String> {
    let mut terminal = io::stderr();
    write!(terminal, "{prompt}")?;
    terminal.flush()?;
    let input = io::stdin();
    let shown = tcgetattr(&input).context("can't hide what is typed; use --password-stdin")?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(&input, OptionalActions::Flush, &hidden).context("can't hide what is typed; use --password-stdin")?;
    let mut line = String::new();
    let read = input.read_line(&mut line);
    tcsetattr(&input, OptionalActions::Flush, &shown)?;
    read?;
    first_line(line.as_bytes())
}
