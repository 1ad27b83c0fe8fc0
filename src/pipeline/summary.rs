//! Summaries: what a job did, with rows that add up.

use std::time::Duration;

use serde::Serialize;

use super::error::PipelineError;
use super::progress::Stage;

/// The fate of rows. Every row read is stored, rejected or a duplicate, and the job checks that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// Rows read, counted where they are read.
    pub rows_read: u64,
    /// Rows that the store has taken.
    pub rows_stored: u64,
    /// Rows that are no events, kept as rejects.
    pub rows_rejected: u64,
    /// Rows that the store (or, when producing, the topic) had already.
    pub rows_duplicate: u64,
}

impl RowCounts {
    /// Checks that the rows add up.
    ///
    /// # Errors
    ///
    /// [`PipelineError::RowsDoNotAddUp`] with the four numbers if they do not.
    pub fn check(self) -> Result<Self, PipelineError> {
        if self.rows_read == self.rows_stored + self.rows_rejected + self.rows_duplicate {
            Ok(self)
        } else {
            Err(PipelineError::RowsDoNotAddUp(self))
        }
    }
}

impl std::ops::Add for RowCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rows_read: self.rows_read + other.rows_read,
            rows_stored: self.rows_stored + other.rows_stored,
            rows_rejected: self.rows_rejected + other.rows_rejected,
            rows_duplicate: self.rows_duplicate + other.rows_duplicate,
        }
    }
}

/// What one stage of a job took and moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StageSummary {
    /// The stage.
    pub stage: Stage,
    /// Seconds on the clock.
    pub seconds: f64,
    /// Bytes of rows moved.
    pub bytes: u64,
    /// Rows moved.
    pub rows: u64,
    /// Millions of bytes a second.
    pub megabytes_per_second: f64,
    /// Rows a second.
    pub rows_per_second: f64,
}

impl StageSummary {
    /// A stage that took `time` for so many bytes and rows.
    #[must_use]
    pub fn new(stage: Stage, time: Duration, bytes: u64, rows: u64) -> Self {
        let seconds = time.as_secs_f64();
        let rate = |amount: u64| if seconds > 0.0 { amount as f64 / seconds } else { 0.0 };
        Self { stage, seconds, bytes, rows, megabytes_per_second: rate(bytes) / 1e6, rows_per_second: rate(rows) }
    }
}

/// What a load did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LoadSummary {
    /// The rows of the sources, and those read from the log on the way.
    #[serde(flatten)]
    pub rows: RowCounts,
    /// Of the rows read, those that came from the log: left there by an interrupted load or by another producer.
    pub rows_from_log: u64,
    /// Bytes of the sources' rows, decompressed.
    pub bytes: u64,
    /// Records written to the log.
    pub records_produced: u64,
    /// Offsets of the log that its retention removed before they were read, stepped over because the plan says so.
    pub records_lost: u64,
    /// Whether the load was asked to stop before its sources ended.
    pub interrupted: bool,
    /// What each stage took, in order.
    pub stages: Vec<StageSummary>,
    /// Seconds on the clock for all of it.
    pub seconds_total: f64,
}

/// What a produce did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProduceSummary {
    /// Rows read from the sources.
    pub rows_read: u64,
    /// Of them, the rows that are in the log now.
    pub rows_produced: u64,
    /// Of them, the rows that were in the topic already.
    pub rows_duplicate: u64,
    /// Bytes of the sources' rows, decompressed.
    pub bytes: u64,
    /// Records written to the log.
    pub records_produced: u64,
    /// Whether it was asked to stop before its sources ended.
    pub interrupted: bool,
    /// What each stage took, in order.
    pub stages: Vec<StageSummary>,
    /// Seconds on the clock for all of it.
    pub seconds_total: f64,
}

/// What an ingest did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct IngestSummary {
    /// The rows read from the log.
    #[serde(flatten)]
    pub rows: RowCounts,
    /// Bytes of the records' values.
    pub bytes: u64,
    /// Records read from the log.
    pub records: u64,
    /// Offsets that the log's retention removed before they were read, stepped over because the plan says so.
    pub records_lost: u64,
    /// Whether it was asked to stop before the end (a following ingest always is).
    pub interrupted: bool,
    /// What each stage took, in order.
    pub stages: Vec<StageSummary>,
    /// Seconds on the clock for all of it.
    pub seconds_total: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_do_not_add_up_are_an_error_with_the_numbers() {
        let rows = RowCounts { rows_read: 10, rows_stored: 7, rows_rejected: 2, rows_duplicate: 1 };
        assert_eq!(rows.check().unwrap(), rows);
        let wrong = RowCounts { rows_read: 11, ..rows };
        let message = wrong.check().unwrap_err().to_string();
        assert!(message.contains("11") && message.contains('7'), "{message}");
    }

    #[test]
    fn a_summary_is_flat_json() {
        let summary = LoadSummary {
            stages: vec![StageSummary::new(Stage::CatchUp, Duration::from_secs(2), 4_000_000, 10)],
            ..LoadSummary::default()
        };
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["rows_read"], 0);
        assert_eq!(json["stages"][0]["stage"], "catch_up");
        assert_eq!(json["stages"][0]["megabytes_per_second"], 2.0);
    }
}
