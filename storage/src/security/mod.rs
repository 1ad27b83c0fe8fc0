//! Who may connect, and how that is proven: users, SASL mechanisms, certificates.
//!
//! ```text
//! users file ─► Users ─► Exchange (PLAIN, SCRAM): tokens in, tokens out
//! PEM files  ─► certificates ─► TLS settings of the broker and of the client side
//! ```
//!
//! Everything here is bytes in and bytes out: the connection, its deadline and the pauses after failed logins belong to
//! the broker. A password is kept nowhere: what is stored proves that somebody knows it and can't be used to log in.

mod certificates;
mod exchange;
mod mechanism;
mod plain;
mod scram;
mod users;
mod users_file;
mod verifier;

pub use certificates::{CertificateError, ServerTls, certificates, private_key, root_certificates};
pub use exchange::{Exchange, LoginError, Step};
pub use mechanism::{Mechanism, UnknownMechanism};
pub use users::{User, UserName, Users, UsersError};
pub use users_file::UsersFile;
pub use verifier::{Hash, MAXIMUM_PASSWORD_BYTES, Verifier, VerifierError};
