//! The page that everybody opens first, on which nothing is chosen: answered before anybody comes.
//!
//! It covers all events, which takes longer than most choices do, and what its answers find out (how sessions are numbered) every later
//! one builds on. The questions are asked one after the other, so that whoever comes meanwhile waits for one of them.

use std::sync::Arc;

use super::answers::Answers;
use super::error::ServeError;
use super::view::View;
use crate::analysis::{Analysis, find};
use crate::report::SECTIONS;

/// Answers what the page asks when nothing is chosen; the answers are kept as those that somebody asked for. What can't be answered is
/// passed over: whoever asks for it will be told why.
pub async fn prepare(answers: Arc<Answers>) {
    for place in 0..=SECTIONS.len() {
        if let Err(error) = ask(&answers, place).await {
            tracing::debug!("a part of the page can't be answered: {error}");
        }
    }
}

/// Asks for the key figures, then for each section.
async fn ask(answers: &Arc<Answers>, place: usize) -> Result<(), ServeError> {
    let view = View::of(Vec::new())?;
    let (analysis, question): (&'static dyn Analysis, _) = match place.checked_sub(1) {
        None => {
            let analysis = find("key_figures")?;
            (analysis, view.plain(analysis)?)
        }
        Some(section) => {
            let section = &SECTIONS[section];
            let analysis = find(section.analysis)?;
            (analysis, view.question(analysis, section)?)
        }
    };
    answers.ask(analysis, &question).await.map(drop)
}
