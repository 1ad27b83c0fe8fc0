//! The live dashboard's server: questions by HTTP in, tables out, on the store as of its last commit.
//!
//! `question` turns a query string into what an analysis takes, `host` says which names the server answers to.

mod host;
mod question;

pub use host::Hosts;
pub use question::{Question, QuestionError};
