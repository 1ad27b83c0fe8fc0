//! Progress on standard error: a bar on a terminal, nothing elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::text;
use crate::pipeline::{Progress, ProgressUpdate, Stage};

/// Partitions whose lag is shown.
const SHOWN_PARTITIONS: usize = 4;

/// Shows how far a job is, if anybody looks.
#[derive(Debug)]
pub(crate) struct TerminalProgress {
    bar: ProgressBar,
    stage: Mutex<&'static str>,
    quiet: bool,
}

impl TerminalProgress {
    /// A bar on standard error when that is a terminal and `quiet` is not asked for.
    #[must_use]
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = if quiet || !stderr().is_terminal() { ProgressBar::hidden() } else { ProgressBar::no_length() };
        bar.set_style(spinner());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, stage: Mutex::new(""), quiet }
    }

    /// Shows what goes on outside a job, such as the analyses.
    pub(crate) fn say(&self, message: impl Into<String>) {
        self.bar.set_style(spinner());
        self.bar.set_message(message.into());
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for TerminalProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Progress for TerminalProgress {
    fn stage(&self, stage: Stage) {
        let title = title(stage);
        if let Ok(mut present) = self.stage.lock() {
            *present = title;
        }
        self.say(title);
    }

    fn notice(&self, notice: &str) {
        if !self.quiet {
            self.bar.suspend(|| super::tell(format_args!("note: {notice}")));
        }
    }

    fn update(&self, update: &ProgressUpdate<'_>) {
        if self.bar.is_hidden() {
            return;
        }
        let title = self.stage.lock().map_or("", |stage| *stage);
        if let Some(total) = update.bytes_total.filter(|total| *total > 0) {
            if self.bar.length() != Some(total) {
                self.bar.set_length(total);
                self.bar.set_style(bar());
            }
            self.bar.set_position(update.bytes_done);
        }
        let mut message = format!("{title}, {}", text::counted(update.rows, "row"));
        if update.rows_rejected > 0 {
            message += &format!(", {} rejected", text::count(update.rows_rejected));
        }
        if update.rows_duplicate > 0 {
            message += &format!(", {} known already", text::count(update.rows_duplicate));
        }
        if !update.lag.is_empty() {
            message += &lag(update.lag);
        }
        self.bar.set_message(message);
    }
}

/// How many records are left to be read: in all, and of the partitions with most.
fn lag(lag: &[(i32, u64)]) -> String {
    let behind = lag.iter().map(|(_, records)| records).sum();
    let mut message = format!(", {} behind", text::counted(behind, "record"));
    let mut longest: Vec<_> = lag.iter().filter(|(_, records)| *records > 0).collect();
    longest.sort_by_key(|(partition, records)| (std::cmp::Reverse(*records), *partition));
    if lag.len() > 1 && !longest.is_empty() {
        let shown = longest.iter().take(SHOWN_PARTITIONS);
        let shown: Vec<_> =
            shown.map(|(partition, records)| format!("{partition}: {}", text::count(*records))).collect();
        let more = if longest.len() > shown.len() { ", …" } else { "" };
        message += &format!(" ({}{more})", shown.join(", "));
    }
    message
}

fn title(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "connecting",
        Stage::CatchUp => "reading what the log holds beyond the store",
        Stage::Load => "loading",
        Stage::Ingest => "reading the topic",
        Stage::Commit => "committing",
    }
}

fn spinner() -> ProgressStyle {
    style("{spinner} {msg} ({elapsed})")
}

fn bar() -> ProgressStyle {
    style("{spinner} [{bar:30}] {percent:>3} %  {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left  {msg}")
        .progress_chars("━╸ ")
}

/// The templates are constants of this file, which its test checks; a wrong one would only cost the bar's looks.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_names_the_partitions_that_are_behind() {
        assert_eq!(lag(&[(0, 0), (1, 0)]), ", 0 records behind");
        assert_eq!(lag(&[(7, 12)]), ", 12 records behind");
        assert_eq!(lag(&[(0, 5), (1, 0), (2, 1200)]), ", 1,205 records behind (2: 1,200, 0: 5)");
        let many: Vec<_> = (0..9).map(|partition| (partition, 1)).collect();
        assert_eq!(lag(&many), ", 9 records behind (0: 1, 1: 1, 2: 1, 3: 1, …)");
    }

    #[test]
    fn a_job_reports_to_a_hidden_bar_without_a_terminal() {
        let progress = TerminalProgress::new(true);
        progress.stage(Stage::Load);
        progress.update(&ProgressUpdate { bytes_done: 5, bytes_total: Some(10), rows: 1, ..Default::default() });
        assert!(progress.bar.is_hidden());
    }
}
