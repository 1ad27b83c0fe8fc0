//! The storage layer of cartlog: a Kafka-compatible log and a columnar store.
//!
//! - [`io`]: the one seam to the file system, with an operating-system, an in-memory and a fault-injecting side.
//! - [`log`]: topics and partitions as record batches in Kafka's own file layout; knows no sockets.
//! - [`groups`]: consumer groups and their committed offsets; knows no sockets either.
//! - [`broker`]: log and groups served over the Kafka protocol.
//! - [`security`]: users, SASL exchanges and certificates; knows no sockets.
//! - [`store`]: immutable columnar segments, dictionaries and the manifest that commits them.
//!
//! Nothing in this crate knows a business column, a command line or an export format. `log` and `store` never import
//! each other: the pipeline above ties offsets of the one to commits of the other.

#[cfg(target_endian = "big")]
compile_error!("segments are read in place and little-endian: cartlog runs on little-endian machines only");

pub mod broker;
pub mod groups;
mod histogram;
pub mod io;
pub mod log;
pub mod security;
pub mod store;
mod threads;
mod wire;
