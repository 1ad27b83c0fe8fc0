//! How the command line's connections to brokers are secured: flags, file and environment to client options.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cartlog_storage::security::MAXIMUM_PASSWORD_BYTES;
use serde::Deserialize;

use super::Usage;
use super::arguments::Security;
use crate::kafka::{ClientOptions, Mechanism, Sasl, Tls};

/// The variable that holds the password; there is no flag for it, because others can see a process's arguments.
const PASSWORD_VARIABLE: &str = "CARTLOG_PASSWORD";

/// What a configuration file may say; the names are those of the flags.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SecurityFile {
    tls: Option<bool>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    sasl: Option<String>,
    username: Option<String>,
    password_file: Option<PathBuf>,
}

/// The flag among those for connections to other brokers that was typed, if one was. A variable is for all commands.
pub(super) fn typed_for_clients(typed: &Security) -> Option<&'static str> {
    let flags = [
        ("--tls", "CARTLOG_TLS", typed.tls),
        ("--tls-ca", "CARTLOG_TLS_CA", typed.tls_ca.is_some()),
        ("--sasl", "CARTLOG_SASL", typed.sasl.is_some()),
        ("--username", "CARTLOG_USERNAME", typed.username.is_some()),
        ("--password-file", "CARTLOG_PASSWORD_FILE", typed.password_file.is_some()),
    ];
    let is_typed = |variable, is_given: bool| is_given && std::env::var_os::<&str>(variable).is_none();
    flags.into_iter().find_map(|(flag, variable, is_given)| is_typed(variable, is_given).then_some(flag))
}

/// The options of connections to an outside cluster.
///
/// # Errors
/// When options are given that don't go together, or a password can't be read.
pub(super) fn client_options(typed: &Security, file: &SecurityFile) -> Result<ClientOptions> {
    let either = |flag: &Option<PathBuf>, file: &Option<PathBuf>| flag.clone().or_else(|| file.clone());
    let roots = either(&typed.tls_ca, &file.tls_ca);
    let identity = match (either(&typed.tls_cert, &file.tls_cert), either(&typed.tls_key, &file.tls_key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(Usage("--tls-cert and --tls-key go together: a certificate and its key".to_owned()).into()),
    };
    // Who names certificates wants TLS.
    let wanted = typed.tls || file.tls.unwrap_or(roots.is_some() || identity.is_some());
    let tls = wanted.then_some(Tls { roots, identity });
    Ok(ClientOptions { tls, sasl: sasl(typed, file)?, ..ClientOptions::default() })
}

fn sasl(typed: &Security, file: &SecurityFile) -> Result<Option<Sasl>> {
    let name = typed.sasl.as_deref().or(file.sasl.as_deref());
    let username = typed.username.as_deref().or(file.username.as_deref());
    let (name, username) = match (name, username) {
        (None, None) => return Ok(None),
        (Some(name), Some(username)) => (name, username),
        _ => return Err(Usage("--sasl and --username go together: how to log in, and as whom".to_owned()).into()),
    };
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "plain" => Mechanism::Plain,
        "scram-sha-256" => Mechanism::ScramSha256,
        "scram-sha-512" => Mechanism::ScramSha512,
        _ => return Err(Usage(format!("--sasl is {name:?}; it takes plain, scram-sha-256 or scram-sha-512")).into()),
    };
    let path = typed.password_file.as_deref().or(file.password_file.as_deref());
    let password = match path {
        Some(path) => password_from(path)?,
        None => std::env::var(PASSWORD_VARIABLE).map_err(|_| {
            Usage(format!("--username has no password; put it into {PASSWORD_VARIABLE} or a file (--password-file)"))
        })?,
    };
    Ok(Some(Sasl { mechanism, username: username.to_owned(), password }))
}

/// The first line of a file.
///
/// # Errors
/// When it can't be read, or its first line is empty or too long for a password.
pub(super) fn password_from(path: &Path) -> Result<String> {
    let named = || format!("can't read the password in {}", path.display());
    let file = File::open(path).with_context(named)?;
    first_line(file).with_context(named)
}

/// The first line of what is read, as a password.
///
/// # Errors
/// When it can't be read, or is empty or too long for a password.
pub(super) fn first_line(from: impl std::io::Read) -> Result<String> {
    // A line may end in CR and LF.
    let longest = MAXIMUM_PASSWORD_BYTES as u64 + 2;
    let mut text = Vec::new();
    from.take(longest).read_to_end(&mut text)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    anyhow::ensure!(!line.is_empty(), "its first line is empty");
    anyhow::ensure!(line.len() <= MAXIMUM_PASSWORD_BYTES, "it has more than {MAXIMUM_PASSWORD_BYTES} bytes");
    String::from_utf8(line.to_vec()).map_err(|_| anyhow::anyhow!("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_line_of_bounded_length() {
        assert_eq!(first_line(&b"geheim\r\nrest"[..]).unwrap(), "geheim");
        assert_eq!(first_line(&b"geheim"[..]).unwrap(), "geheim");
        assert!(first_line(&b"\n"[..]).is_err() && first_line(&b"\xff\n"[..]).is_err());
        assert!(first_line(std::io::repeat(b'x')).is_err());
    }

    #[test]
    fn options_that_go_together_are_asked_for_together() {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "geheim\n").unwrap();
        let file = SecurityFile { username: Some("anna".to_owned()), ..SecurityFile::default() };
        assert!(client_options(&Security::default(), &file).is_err(), "a user without a mechanism");
        let typed = Security {
            sasl: Some("SCRAM-SHA-256".to_owned()),
            password_file: Some(password),
            tls_ca: Some("ca.pem".into()),
            ..Security::default()
        };
        let options = client_options(&typed, &file).unwrap();
        let sasl = options.sasl.unwrap();
        assert_eq!((sasl.mechanism, sasl.username.as_str()), (Mechanism::ScramSha256, "anna"));
        assert_eq!(sasl.password, "geheim");
        assert_eq!(options.tls.unwrap().roots, Some("ca.pem".into()), "a certificate to trust asks for TLS");
        let typed = Security { tls_cert: Some("me.pem".into()), ..Security::default() };
        assert!(client_options(&typed, &SecurityFile::default()).is_err(), "a certificate without its key");
    }
}
