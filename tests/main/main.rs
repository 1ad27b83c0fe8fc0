//! The integration tests, one binary: modules by what they prove.

#![expect(clippy::unwrap_used, reason = "a test that fails should say where")]

mod admin;
mod brokers;
mod columnar;
mod command;
mod damaged;
mod data_set;
mod disturbed;
mod events;
mod kafka;
mod load;
mod mend;
mod produce;
mod repair;
mod serve;
mod sorted;
mod stored;
