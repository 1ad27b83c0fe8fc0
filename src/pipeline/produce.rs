//! Sources → log, without a store.

use super::{Interrupt, PipelineError, ProducePlan, ProduceSummary, Progress};

/// Writes sources into a topic. Ranges that the topic holds already are skipped and counted as duplicates.
///
/// # Errors
///
/// [`PipelineError`]; what was acknowledged before it stays in the log.
pub fn produce(
    plan: &ProducePlan,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<ProduceSummary, PipelineError> {
    let _ = (plan, progress, interrupt);
    Err(PipelineError::Worker("producing is not built yet".to_owned()))
}
