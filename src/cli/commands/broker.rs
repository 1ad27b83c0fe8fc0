//! `cartlog broker`: the embedded log as a Kafka server of its own.

use std::io::{self, Write as _};
use std::sync::Arc;

use anyhow::{Context, Result};
use cartlog_storage::broker::{Broker, BrokerOptions};
use cartlog_storage::io::OsDirectory;
use cartlog_storage::log::Log;
use cartlog_storage::security::{ServerTls, Users, UsersFile};
use serde_json::json;

use crate::cli::Usage;
use crate::cli::arguments;
use crate::cli::interrupt;
use crate::cli::settings::Settings;
use crate::kafka;
use crate::pipeline::log_directory;

/// The variable that users may be listed in, `name=password,…`.
const USERS_VARIABLE: &str = "CARTLOG_USERS";

pub(super) fn execute(options: &arguments::Broker, settings: &Settings) -> Result<()> {
    if settings.brokers.is_some() {
        let reason =
            "`cartlog broker` is a broker itself; leave --brokers, CARTLOG_BROKERS and `brokers` in cartlog.toml away";
        return Err(Usage(reason.to_owned()).into());
    }
    if let Some(flag) = settings.typed_for_clients {
        return Err(Usage(format!(
            "{flag} is for connections to other brokers; who may log in here is said with --users FILE, and --tls-cert with \
             --tls-key encrypts connections"
        ))
        .into());
    }
    let folder = log_directory(&settings.store);
    let directory = OsDirectory::open(&folder).with_context(|| format!("can't open {}", folder.display()))?;
    let log = Arc::new(Log::open(Arc::new(directory), settings.log_options(&options.log)?)?);
    let interrupt = interrupt::listen(interrupt::ANSWERING)?;
    let runtime = kafka::runtime(settings.threads)?;
    let topics = log.topics().len();
    let users = users(options)?;
    let tls = tls(options, settings)?;
    let secured = secured(options, users.as_ref(), tls.as_ref());
    let options = BrokerOptions {
        users: users.map(Arc::new),
        tls,
        max_connections: options.max_connections,
        max_connections_per_address: options.max_connections_per_address,
        listen: options.listen.clone(),
        metrics: options.metrics.clone(),
        advertised: options.advertise.clone(),
        default_partitions: options.default_partitions,
        auto_create: !options.no_auto_create,
        insecure: options.insecure,
        groups: settings.group_options(&options.groups)?,
        ..BrokerOptions::default()
    };
    let broker = runtime.block_on(Broker::bind(log, options))?;
    if settings.json {
        writeln!(
            io::stdout(),
            "{}",
            json!({
                "address": broker.address().to_string(),
                "metrics": broker.metrics_address().map(|address| address.to_string()),
                "log": folder,
                "topics": topics,
                "security": secured,
            })
        )?;
    } else if !settings.quiet {
        let mut out = io::stdout().lock();
        writeln!(out, "Kafka clients: {}", broker.address())?;
        writeln!(out, "log:           {} ({topics} topics)", folder.display())?;
        writeln!(out, "security:      {secured}")?;
        if let Some(address) = broker.metrics_address() {
            writeln!(out, "metrics:       http://{address}/metrics")?;
        }
        writeln!(out, "stop:          Ctrl-C")?;
    }
    interrupt::wait(&interrupt);
    runtime.block_on(broker.shutdown())?;
    Ok(())
}

/// Who may log in, from the file or the environment; the variable's text is in no message.
fn users(options: &arguments::Broker) -> Result<Option<Users>> {
    let variable = std::env::var(USERS_VARIABLE).ok().filter(|text| !text.is_empty());
    let users = match (&options.users, variable) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Usage(format!("--users and {USERS_VARIABLE} both name users; leave one away")).into());
        }
        (None, Some(text)) => {
            Users::from_passwords(&text).with_context(|| format!("{USERS_VARIABLE} can't be used"))?
        }
        (Some(path), None) => {
            let file = UsersFile::at(path);
            let users = file.read()?;
            if file.is_open_to_others()? {
                let path = path.display();
                crate::cli::tell(format_args!(
                    "warning: others can read {path}, and guess at its passwords; chmod 600 {path}"
                ));
            }
            users
        }
    };
    anyhow::ensure!(!users.is_empty(), "there are no users; add one: cartlog users add NAME --users FILE");
    Ok(Some(users))
}

fn tls(options: &arguments::Broker, settings: &Settings) -> Result<Option<ServerTls>> {
    let client_ca = options.tls_client_ca.as_deref();
    match &settings.identity {
        (Some(certificate), Some(key)) => Ok(Some(ServerTls::from_files(certificate, key, client_ca)?)),
        (None, None) if client_ca.is_none() => Ok(None),
        _ => Err(Usage("TLS needs a certificate and its key: --tls-cert FILE --tls-key FILE".to_owned()).into()),
    }
}

/// How the broker is secured, in a few words.
fn secured(options: &arguments::Broker, users: Option<&Users>, tls: Option<&ServerTls>) -> String {
    let login = users.map(|users| format!("login ({} users)", users.names().count()));
    let encryption = tls.map(|tls| if tls.asks_clients() { "TLS with client certificates" } else { "TLS" }.to_owned());
    let parts: Vec<_> = login.into_iter().chain(encryption).collect();
    match (parts.is_empty(), options.insecure) {
        (false, _) => parts.join(", "),
        (true, true) => "none: whoever reaches the address may read and write".to_owned(),
        (true, false) => "none: this machine only".to_owned(),
    }
}
