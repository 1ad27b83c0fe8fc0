//! What a page's address asks for: events, which are the analyses' business, and how they are shown.

use super::pairs::Pairs;
use super::question::{Question, QuestionError};
use crate::analysis::Analysis;
use crate::report::{Measure, Section};

/// The widths that pictures are drawn for, in pixels.
const WIDTHS: std::ops::RangeInclusive<u32> = 200..=2000;
/// The width of a picture that nobody gave one.
const USUAL_WIDTH: u32 = 640;

/// A page's address, understood.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// The choice of events.
    pairs: Pairs,
    /// What is counted.
    pub(super) measure: Measure,
    /// The room that a picture has, in pixels.
    pub(super) width: u32,
}

impl View {
    /// What the pairs of a query ask for.
    pub(super) fn of(pairs: Pairs) -> Result<Self, QuestionError> {
        let mut view = Self { pairs: Vec::new(), measure: Measure::default(), width: USUAL_WIDTH };
        for (name, value) in pairs {
            let wrong = |name, expected| QuestionError::Value { name, got: value.clone(), expected };
            match name.as_str() {
                "measure" => {
                    view.measure =
                        Measure::find(&value).ok_or_else(|| wrong("measure", "revenue, purchases or views"))?;
                }
                "width" => {
                    let width = value.parse::<u32>().ok().filter(|width| WIDTHS.contains(width));
                    view.width = width.ok_or_else(|| wrong("width", "whole pixels from 200 to 2000"))?;
                }
                _ => view.pairs.push((name, value)),
            }
        }
        Ok(view)
    }

    /// The choice of events.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The choice of events and what else the page's address holds.
    pub(super) fn page_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let measure = Some(("measure", self.measure.name())).filter(|_| self.measure != Measure::default());
        self.pairs().chain(measure)
    }

    /// What it asks the analysis of a section.
    pub(super) fn question(&self, analysis: &dyn Analysis, section: &Section) -> Result<Question, QuestionError> {
        let mut question = self.plain(analysis)?;
        for (name, value) in section.parameters {
            question.parameters.set(analysis, name, value)?;
        }
        Ok(question)
    }

    /// What it asks an analysis. A part of the page shows what it always shows: only the events are chosen, not the parameters.
    pub(super) fn plain(&self, analysis: &dyn Analysis) -> Result<Question, QuestionError> {
        let is_parameter = |name: &str| analysis.parameters().iter().any(|known| known.name == name);
        match self.pairs.iter().find(|(name, _)| is_parameter(name)) {
            Some((name, _)) => {
                Err(QuestionError::Value { name: "filter", got: name.clone(), expected: "one that the page has" })
            }
            None => Question::of(analysis, &self.pairs),
        }
    }
}
