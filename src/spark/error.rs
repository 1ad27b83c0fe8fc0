//! What can go wrong with a job of Spark.

use std::path::{Path, PathBuf};

/// An error of a job of Spark.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SparkError {
    /// There is no Spark.
    #[error(
        "Apache Spark is not found: no spark-submit in SPARK_HOME/bin or on the PATH; name it with --spark-submit FILE, or \
         install Spark (pip install pyspark brings one, with Java 17 or newer beside it)"
    )]
    NotFound,

    /// `spark-submit` can't be started.
    #[error("{}: can't be started: {reason}", submit.display())]
    Start {
        /// The program.
        submit: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },

    /// The job ended with an error.
    #[error("the job of Spark failed ({status}); the end of what it said:\n{tail}")]
    Failed {
        /// How it ended.
        status: String,
        /// The last lines of its output.
        tail: String,
    },

    /// The job was stopped on request.
    #[error("the job of Spark was stopped")]
    Stopped,

    /// A result is not what it should be.
    #[error("the result of {analysis} can't be read, line {line}: {reason}; is this another version of the job?")]
    Result {
        /// The analysis.
        analysis: &'static str,
        /// The line in its file.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },

    /// A file of the exchange with Spark.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
}

impl SparkError {
    /// Names the file of an error.
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |reason| Self::File { path, reason }
    }
}
