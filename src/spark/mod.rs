//! The analyses on Apache Spark: the job of `spark/` submitted, and its results brought back as tables.
//!
//! For whoever outgrows one machine and keeps the command: the definitions are those of [`analysis`](crate::analysis), the
//! job is the same that `spark-submit spark/analyze.py` runs, and the tables have the columns, types and order of rows of
//! the kernels. The job travels within this binary. Its driver runs beside this process and writes what it collects to a
//! folder here, so that nothing has to be shared with the cluster but the events themselves.
//!
//! This module knows no store and no command line.

mod answer;
mod error;
mod job;
mod script;

pub use answer::Answer;
pub use error::SparkError;
pub use job::{SparkJob, find_submit};
