//! The live dashboard: a page and a small API over the store as of its last commit, for this machine only.
//!
//! `question` turns a query string into what an analysis takes, `view` a page's address into what is shown of it,
//! `turns` says whose turn it is, `answers` answers, `opening` what the first page asks, `growth` says how the store grows meanwhile, `routes` and `page` say at which addresses and
//! how it looks, `host` which names the server answers to, `server` how connections are bounded.

mod answers;
mod error;
mod growth;
mod host;
mod opening;
mod outgoing;
mod page;
mod pairs;
mod question;
mod routes;
mod rows;
mod server;
mod turns;
mod values;
mod view;

pub use answers::Answers;
pub use error::ServeError;
pub use growth::LogEnd;
pub use host::Hosts;
pub use opening::prepare;
pub use question::{Question, QuestionError};
pub use server::Server;
