//! The live dashboard: a page and a small API over the store as of its last commit, for this machine only.
//!
//! `question` turns a query string into what an analysis takes, `answers` answers it when it is its turn, `routes` and
//! `page` say at which addresses and how it looks, `host` which names the server answers to, `server` how connections are
//! bounded.

mod answers;
mod error;
mod host;
mod page;
mod question;
mod routes;
mod server;

pub use answers::Answers;
pub use error::ServeError;
pub use host::Hosts;
pub use question::{Question, QuestionError};
pub use server::Server;
