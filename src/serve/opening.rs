//! The page that everybody opens first, on which nothing is chosen: answered before anybody comes.
//!
//! It covers all events, which takes longer than most choices do, and what its answers find out (how sessions are numbered) every later
//! one builds on. The questions are asked one after the other, so that whoever comes meanwhile waits for one of them.

use std::sync::Arc;

use super::answers::Answers;
use super::error::ServeError;
use super::view::View;
use crate::analysis::find;
use crate::report::{SECTIONS, Section};

/// Answers what the page asks when nothing is chosen; the answers are kept as those that somebody asked for. What can't be answered is
/// passed over: whoever asks for it will be told why.
pub async fn prepare(answers: Arc<Answers>) {
    for section in &SECTIONS {
        if let Err(error) = ask(&answers, section).await {
            tracing::debug!("{} can't be answered: {error}", section.name);
        }
    }
}

/// Asks what a section shows; one of them shows the key figures that stand above all.
async fn ask(answers: &Arc<Answers>, section: &Section) -> Result<(), ServeError> {
    let analysis = find(section.analysis)?;
    let question = View::of(Vec::new())?.question(analysis, section)?;
    answers.ask(analysis, &question).await.map(drop)
}
