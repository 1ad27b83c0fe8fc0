//! What a request may be answered with instead of what it asked for.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cartlog_storage::store::StoreError;

use super::question::QuestionError;
use crate::analysis::AnalysisError;
use crate::export::ExportError;
use crate::report::ReportError;

/// An error of the dashboard's server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The query isn't one that the analysis takes.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The analysis.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer can't be written in this format.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The answer can't be drawn.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// There is nothing at this address.
    #[error("there is nothing at {0}; see /api/analyses")]
    NotFound(String),
    /// Something else is to be done than shown.
    #[error("this server only shows what is there: ask with GET")]
    Method,
    /// The request's address and headers are too long.
    #[error("the request's address and headers have {got} bytes; at most {limit} are taken: choose less at once")]
    Head {
        /// Bytes that they have.
        got: usize,
        /// Bytes that they may have.
        limit: usize,
    },
    /// The request names another server.
    #[error("this server doesn't answer to the name in the Host header; use its address or localhost")]
    Host,
    /// Another site asks.
    #[error("pages of other sites may not ask this server")]
    CrossSite,
    /// The server is going down.
    #[error("the server is stopping")]
    Stopping,
    /// The address can't be listened on.
    #[error("can't listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// The error of the system, and what to do.
        reason: String,
    },
}

impl From<tokio::task::JoinError> for ServeError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Stopping
    }
}

impl From<tokio::sync::AcquireError> for ServeError {
    fn from(_: tokio::sync::AcquireError) -> Self {
        Self::Stopping
    }
}

impl IntoResponse for ServeError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Question(_) => StatusCode::BAD_REQUEST,
            Self::Analysis(AnalysisError::UnknownAnalysis { .. }) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Head { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::warn!("a request failed: {self}");
        }
        let body = serde_json::json!({ "error": self.to_string() }).to_string();
        (status, [("content-type", "application/json")], body).into_response()
    }
}
