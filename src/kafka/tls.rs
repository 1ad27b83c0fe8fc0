//! TLS towards brokers: whom to trust, and what to show them.

use std::path::PathBuf;
use std::sync::Arc;

use cartlog_storage::security::{certificates, private_key, root_certificates};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use super::error::KafkaError;

/// How connections to brokers are encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates to trust, in a PEM file; those of the operating system if `None`.
    pub roots: Option<PathBuf>,
    /// The certificate to show and its key, in PEM files, for brokers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// Reads the files.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, KafkaError> {
        let failed = |error: &dyn std::fmt::Display| KafkaError::Tls(error.to_string());
        let roots = match &self.roots {
            Some(path) => root_certificates(path).map_err(|error| failed(&error))?,
            None => system_roots()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| failed(&error))?;
        let builder = builder.with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate).map_err(|error| failed(&error))?;
                let private = private_key(key).map_err(|error| failed(&error))?;
                builder.with_client_auth_cert(chain, private).map_err(|error| {
                    failed(&format!("{} and {} can't be used together: {error}", certificate.display(), key.display()))
                })?
            }
        };
        Ok(Arc::new(config))
    }
}

fn system_roots() -> Result<RootCertStore, KafkaError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(KafkaError::Tls(format!(
            "the operating system has no certificates to trust{reason}; name some with --tls-ca FILE"
        )));
    }
    Ok(roots)
}
