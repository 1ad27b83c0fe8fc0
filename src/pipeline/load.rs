//! Sources → log → tee → store.

use super::{Interrupt, LoadPlan, LoadSummary, PipelineError, Progress};

/// Loads sources into the store, through the log if the plan has one.
///
/// The store is first brought up to the log's present end, so that an interrupted load goes on where the log ends;
/// then each source is read from where the store's knowledge of it ends.
///
/// # Errors
///
/// [`PipelineError`]; everything acknowledged before it is committed unless the store itself failed.
pub fn load(plan: &LoadPlan, progress: &dyn Progress, interrupt: &Interrupt) -> Result<LoadSummary, PipelineError> {
    let _ = (plan, progress, interrupt);
    Err(PipelineError::Worker("loading is not built yet".to_owned()))
}
