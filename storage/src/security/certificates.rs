//! Certificates and keys in PEM files, and what TLS is told of them.
//!
//! One cryptography provider (ring) is named explicitly everywhere, so that no other crate's choice of features changes
//! which one is used. TLS 1.2 and 1.3 are spoken.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// The largest PEM file taken: bundles of all public roots have some hundred kilobytes.
const MAXIMUM_BYTES: u64 = 4 << 20;

/// What is wrong with a certificate or key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file can't be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is too large to hold certificates.
    #[error("{} has more than {MAXIMUM_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate; expected PEM with -----BEGIN CERTIFICATE-----", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no key.
    #[error(
        "{} holds no private key; expected PEM with -----BEGIN PRIVATE KEY----- (or RSA or EC PRIVATE KEY), not encrypted",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A file isn't PEM.
    #[error("{} is damaged: {reason}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        reason: String,
    },
    /// A certificate can't be used as a root.
    #[error("a certificate in {} can't be trusted: {source}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Certificate and key don't make TLS settings.
    #[error("{} and {} can't be used together: {source}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The certificates that clients must come from can't be used.
    #[error("clients can't be checked against {}: {reason}", path.display())]
    ClientRoots {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Reads the certificates of a PEM file in their order: the own one first, then those that lead to its root.
///
/// # Errors
/// [`CertificateError`] naming the file.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let bytes = read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let read = read.map_err(|error| damaged(path, &error))?;
    if read.is_empty() { Err(CertificateError::NoCertificate { path: path.to_owned() }) } else { Ok(read) }
}

/// Reads the private key of a PEM file, in PKCS#8, PKCS#1 (RSA) or SEC1 (EC) form.
///
/// # Errors
/// [`CertificateError`] naming the file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    match PrivateKeyDer::from_pem_slice(&read(path)?) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(CertificateError::NoKey { path: path.to_owned() }),
        Err(error) => Err(damaged(path, &error)),
    }
}

/// Reads a PEM file of certificates to trust.
///
/// # Errors
/// [`CertificateError`] naming the file.
pub fn root_certificates(path: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| CertificateError::Root { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

/// What a broker speaks TLS with.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    asks_clients: bool,
}

impl ServerTls {
    /// Settings from PEM files. With `client_roots`, clients must show a certificate that leads to one of them.
    ///
    /// # Errors
    /// [`CertificateError`] naming the file.
    pub fn from_files(certificate: &Path, key: &Path, client_roots: Option<&Path>) -> Result<Self, CertificateError> {
        let (chain, private_key) = (certificates(certificate)?, private_key(key)?);
        let pair = |source| CertificateError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source };
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
        let builder = match client_roots {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(root_certificates(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                let verifier = verifier.map_err(|error| CertificateError::ClientRoots {
                    path: path.to_owned(),
                    reason: error.to_string(),
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = Arc::new(builder.with_single_cert(chain, private_key).map_err(pair)?);
        Ok(Self { config, asks_clients: client_roots.is_some() })
    }

    /// Whether clients must show a certificate.
    #[must_use]
    pub fn asks_clients(&self) -> bool {
        self.asks_clients
    }

    /// The settings in rustls's form.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAXIMUM_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAXIMUM_BYTES {
        return Err(CertificateError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn damaged(path: &Path, error: &pem::Error) -> CertificateError {
    CertificateError::Pem { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.pem");
        assert!(matches!(certificates(&path), Err(CertificateError::File { .. })));
        for (text, expected) in [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\nMII", "damaged")] {
            std::fs::write(&path, text).unwrap();
            let message = certificates(&path).unwrap_err().to_string();
            assert!(message.contains("some.pem") && message.contains(expected), "{message}");
        }
        std::fs::write(&path, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
            .unwrap();
        let message = private_key(&path).unwrap_err().to_string();
        assert!(message.contains("some.pem") && message.contains("not encrypted"), "{message}");
    }
}
