//! The integration tests, one binary: modules by what they prove.

mod brokers;
mod kafka;
