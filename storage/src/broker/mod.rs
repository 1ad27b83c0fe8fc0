//! The log served over the Kafka protocol.
//!
//! ```text
//! socket ─► FrameBuffer ─► Session ─► Api (one file each) ─► log
//!   ◄──────────────────── Response ◄───────┘
//! ```
//!
//! Bytes become frames, a frame becomes an answer, and only `connection`, `transport` and `server` know that there are sockets: the
//! rest is tested with bytes alone. Batches travel in as slices of the request they came in, and out as slices of
//! the file they stand in; nothing here decodes a record.
//!
//! The registry of APIs is `api`: adding one is one file and one line there, and what is announced to clients follows
//! from it.

mod addresses;
mod api;
mod connection;
mod error;
mod frame;
mod groups;
mod login;
mod metrics;
mod node;
mod options;
mod resource;
mod server;
mod session;
pub mod shape;
mod transport;

pub use error::BrokerError;
pub use options::BrokerOptions;
pub use server::{Broker, BrokerHandle};
