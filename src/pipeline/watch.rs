//! Telling progress and time of a job.

use std::time::{Duration, Instant};

use super::progress::{Progress, ProgressUpdate, Stage};
use super::summary::StageSummary;

/// The pause between two updates.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// The stages of a job as they pass, and its progress within each.
pub(super) struct Watch<'a> {
    progress: &'a dyn Progress,
    start: Instant,
    stage: Stage,
    stage_start: Instant,
    last_update: Instant,
    stages: Vec<StageSummary>,
}

impl<'a> Watch<'a> {
    /// Starts with the first stage.
    pub(super) fn start(progress: &'a dyn Progress, stage: Stage) -> Self {
        progress.stage(stage);
        let now = Instant::now();
        Self { progress, start: now, stage, stage_start: now, last_update: now, stages: Vec::new() }
    }

    /// Ends the present stage, which moved so much, and begins the next.
    pub(super) fn next(&mut self, bytes: u64, rows: u64, stage: Stage) {
        self.end_stage(bytes, rows);
        self.stage = stage;
        self.progress.stage(stage);
    }

    /// Tells how far the stage is, if the last telling was long enough ago.
    pub(super) fn update(&mut self, update: impl FnOnce(&dyn Progress)) {
        if self.last_update.elapsed() >= TICK {
            self.last_update = Instant::now();
            update(self.progress);
        }
    }

    /// Tells how far the stage is in any case.
    pub(super) fn update_now(&mut self, update: &ProgressUpdate<'_>) {
        self.last_update = Instant::now();
        self.progress.update(update);
    }

    /// Ends the last stage, and gives all stages and the seconds of the whole.
    pub(super) fn finish(mut self, bytes: u64, rows: u64) -> (Vec<StageSummary>, f64) {
        self.end_stage(bytes, rows);
        (self.stages, self.start.elapsed().as_secs_f64())
    }

    fn end_stage(&mut self, bytes: u64, rows: u64) {
        let now = Instant::now();
        self.stages.push(StageSummary::new(self.stage, now - self.stage_start, bytes, rows));
        self.stage_start = now;
    }
}
