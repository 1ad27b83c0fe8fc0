//! What can go wrong between a question and its table.

/// An error of the analyses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// No analysis has this name.
    #[error("there is no analysis `{name}`; there are: {known}")]
    UnknownAnalysis {
        /// What was asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The analysis has no such parameter.
    #[error("analysis `{analysis}` has no parameter `{parameter}`; it takes: {known}")]
    UnknownParameter {
        /// The analysis.
        analysis: &'static str,
        /// What was given.
        parameter: String,
        /// The parameters it takes, separated by commas, or `none`.
        known: String,
    },
    /// A parameter's text is not a value it takes.
    #[error("parameter {parameter}: got `{got}`, expected {expected}")]
    InvalidParameter {
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        got: String,
        /// What it takes.
        expected: String,
    },
    /// A filter's text is not a value it takes.
    #[error("filter {filter}: got `{got}`, expected {expected}")]
    InvalidFilter {
        /// The filter, as the command line names it.
        filter: &'static str,
        /// What was given.
        got: String,
        /// What it takes.
        expected: &'static str,
    },
    /// The store is damaged where the answer was read from.
    #[error(transparent)]
    Damaged(#[from] cartlog_storage::store::StoreError),
    /// The store's columns are not those of events.
    #[error(
        "the store's schema is not the one of events at column {column}: got `{got}`, expected `{expected}`; \
         point --store at a store that cartlog made"
    )]
    NotEvents {
        /// The first column that differs.
        column: usize,
        /// The column there.
        got: String,
        /// The column that belongs there.
        expected: String,
    },
    /// A result column holds more text than one Arrow array of `Utf8` can.
    #[error("analysis `{analysis}`: column `{column}` of the result holds over 2 GiB of text; narrow it by a filter")]
    ResultTooLarge {
        /// The analysis.
        analysis: &'static str,
        /// The column.
        column: String,
    },
    /// Arrow refused the result's columns.
    #[error("analysis `{analysis}`: the result is no record batch")]
    Arrow {
        /// The analysis.
        analysis: &'static str,
        /// Arrow's own words.
        #[source]
        source: arrow_schema::ArrowError,
    },
}
