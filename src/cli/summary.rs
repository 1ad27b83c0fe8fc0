//! Summaries at the end of a command, as text or as one JSON object.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::text;
use crate::pipeline::{RowCounts, Stage, StageSummary};

/// A file that a command wrote.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WrittenFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its rows.
    pub(crate) rows: u64,
    /// Its size.
    pub(crate) bytes: u64,
}

/// What a command did, gathered as it goes and printed once.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// One line that says what was done.
    headline: String,
    rows: Vec<(&'static str, &'static str, u64)>,
    stages: Vec<StageSummary>,
    extra_stages: Vec<(&'static str, Duration)>,
    files: Vec<WrittenFile>,
    notes: Vec<String>,
    fields: Map<String, Value>,
}

impl Summary {
    /// Begins the summary of a command.
    #[must_use]
    pub(crate) fn new(headline: impl Into<String>) -> Self {
        Self { headline: headline.into(), ..Self::default() }
    }

    /// The fate of the rows.
    pub(crate) fn rows(&mut self, rows: RowCounts) {
        self.rows.extend([
            ("rows_read", "rows read", rows.rows_read),
            ("rows_stored", "stored", rows.rows_stored),
            ("rows_rejected", "rejected", rows.rows_rejected),
            ("rows_duplicate", "duplicates", rows.rows_duplicate),
        ]);
    }

    /// One number with its name in JSON and its label in text.
    pub(crate) fn number(&mut self, name: &'static str, label: &'static str, number: u64) {
        self.rows.push((name, label, number));
    }

    /// A fact that only the JSON form holds.
    pub(crate) fn field(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// The stages of a job.
    pub(crate) fn stages(&mut self, stages: &[StageSummary]) {
        self.stages.extend_from_slice(stages);
    }

    /// A stage outside a job, such as the analyses.
    pub(crate) fn stage(&mut self, name: &'static str, time: Duration) {
        self.extra_stages.push((name, time));
    }

    /// A file that was written.
    pub(crate) fn file(&mut self, file: WrittenFile) {
        self.files.push(file);
    }

    /// A sentence that the reader should not miss.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints the summary to standard output, as JSON or as text.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub(crate) fn print(&self, as_json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if as_json { writeln!(out, "{}", self.json()) } else { out.write_all(self.text().as_bytes()) }
    }

    fn json(&self) -> Value {
        let mut object = self.fields.clone();
        for (name, _, number) in &self.rows {
            object.insert((*name).to_owned(), json!(number));
        }
        let mut seconds = Map::new();
        for stage in &self.stages {
            seconds.insert(stage.stage.name().to_owned(), json!(stage.seconds));
        }
        for (name, time) in &self.extra_stages {
            seconds.insert((*name).to_owned(), json!(time.as_secs_f64()));
        }
        let total: f64 = seconds.values().filter_map(Value::as_f64).sum();
        seconds.insert("total".to_owned(), json!(total));
        object.insert("seconds".to_owned(), Value::Object(seconds));
        object.insert("stages".to_owned(), json!(self.stages));
        object.insert("files".to_owned(), json!(self.files.iter().map(|file| &file.path).collect::<Vec<_>>()));
        object.insert("notes".to_owned(), json!(self.notes));
        Value::Object(object)
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.headline);
        if !self.rows.is_empty() {
            text.push('\n');
        }
        let numbers: Vec<String> = self.rows.iter().map(|(_, _, number)| text::count(*number)).collect();
        let wide = numbers.iter().map(String::len).max().unwrap_or(0);
        for ((_, label, _), number) in self.rows.iter().zip(&numbers) {
            let _ = writeln!(text, "  {label:<12} {number:>wide$}");
        }
        if !self.stages.is_empty() || !self.extra_stages.is_empty() {
            let _ = writeln!(text, "\n  {:<12} {:>10} {:>10} {:>10}", "stage", "time", "MB/s", "rows/s");
        }
        for stage in &self.stages {
            let moved = moves_rows(stage.stage) && stage.rows > 0 && stage.seconds > 0.0;
            let _ = writeln!(
                text,
                "  {:<12} {:>10} {:>10} {:>10}",
                stage_label(stage.stage),
                text::duration(Duration::from_secs_f64(stage.seconds)),
                if moved { format!("{:.1}", stage.megabytes_per_second) } else { String::new() },
                if moved { text::per_second(stage.rows_per_second) } else { String::new() },
            );
        }
        for (name, time) in &self.extra_stages {
            let _ = writeln!(text, "  {name:<12} {:>10}", text::duration(*time));
        }
        if !self.files.is_empty() {
            text.push_str("\n  files\n");
        }
        let paths: Vec<String> = self.files.iter().map(|file| file.path.display().to_string()).collect();
        let wide = paths.iter().map(String::len).max().unwrap_or(0);
        for (file, path) in self.files.iter().zip(&paths) {
            let _ = writeln!(
                text,
                "  {path:<wide$} {:>14} {:>10}",
                text::counted(file.rows, "row"),
                text::bytes(file.bytes)
            );
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        while text.contains(" \n") {
            text = text.replace(" \n", "\n");
        }
        text
    }
}

/// Whether a stage's speed means anything: the last rows' way to disk is part of the load that began it.
fn moves_rows(stage: Stage) -> bool {
    matches!(stage, Stage::CatchUp | Stage::Load | Stage::Ingest)
}

fn stage_label(stage: Stage) -> &'static str {
    match stage {
        Stage::CatchUp => "catch up",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let mut summary = Summary::new("Loaded events.csv");
        summary.rows(RowCounts { rows_read: 17_434, rows_stored: 17_430, rows_rejected: 3, rows_duplicate: 1 });
        summary.stages(&[StageSummary::new(Stage::Load, Duration::from_millis(500), 2_000_000, 17_434)]);
        summary.stage("analyses", Duration::from_millis(20));
        summary.file(WrittenFile { path: "out/top_10_categories.csv".into(), rows: 10, bytes: 512 });
        summary
    }

    #[test]
    fn the_text_says_what_happened_and_how_fast() {
        let text = summary().text();
        for part in
            ["rows read    17,434", "rejected          3", "4.0", "out/top_10_categories.csv", "10 rows", "512 B"]
        {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        assert!(!text.contains(" \n"), "no line ends with a blank:\n{text}");
    }

    #[test]
    fn the_json_holds_the_promised_fields() {
        let json = summary().json();
        assert_eq!(json["rows_read"], 17_434);
        assert_eq!(json["rows_stored"], 17_430);
        assert_eq!(json["rows_rejected"], 3);
        assert_eq!(json["rows_duplicate"], 1);
        assert_eq!(json["seconds"]["load"], 0.5);
        assert_eq!(json["files"][0], "out/top_10_categories.csv");
    }
}
