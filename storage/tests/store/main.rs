//! The columnar store from outside: loading, being cut off at every point, damage, and files of earlier versions.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, like the tests themselves")]

mod crash;
mod damage;
mod dropping;
mod format;
mod history;
mod mending;
mod merging;
mod repairing;
mod sorting;
mod summaries;
mod support;
mod writer;
