//! The pipeline library behind the `cartlog` command: sources, Kafka client side, analyses and exports.
//!
//! Data flows one way: [`source`] → [`kafka`] (the log) → store (`cartlog_storage`) → [`analysis`] → [`table`] →
//! [`export`]. Siblings never import each other; what two of them need sits below both ([`event`], [`table`]).
//! [`pipeline`] ties sources, log and store together; [`cli`] turns what was typed into a plan and runs it.

pub mod analysis;
pub mod cli;
pub mod event;
pub mod export;
pub mod generate;
pub mod kafka;
pub mod pipeline;
pub mod report;
pub mod serve;
pub mod source;
pub mod spark;
pub mod table;
