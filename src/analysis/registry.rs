//! The analyses there are.

use arrow_schema::SchemaRef;

use super::kernels;
use super::{AnalysisError, Input, Parameter, Parameters, Together};
use crate::table::Table;

/// A question with a fixed answer: rows of events in, one table out.
///
/// ```
/// use cartlog::analysis::{Events, Filter, Input, Parameters, registry};
///
/// let no_events = Input::new(Events::new(vec![], vec![], vec![], vec![]), &Filter::default());
/// for analysis in registry() {
///     let table = analysis.run(&no_events, &Parameters::default())?;
///     assert_eq!(table.rows.schema(), analysis.schema());
/// }
/// # Ok::<(), cartlog::analysis::AnalysisError>(())
/// ```
pub trait Analysis: Sync {
    /// The name: unique, in lower case with underscores.
    fn name(&self) -> &'static str;

    /// What it answers, as one sentence.
    fn description(&self) -> &'static str;

    /// The definition: DuckDB's SQL over `events`, with the parameters' defaults.
    fn sql(&self) -> &'static str;

    /// The stem of the file that its table is written to, and the table's name.
    fn file_stem(&self) -> &'static str {
        self.name()
    }

    /// The parameters it takes.
    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    /// The columns of its table.
    fn schema(&self) -> SchemaRef;

    /// Answers for the covered events, on the current rayon pool. The table is the same for any number of threads, any cut of
    /// the events into segments and any order of them.
    ///
    /// # Errors
    /// [`AnalysisError::ResultTooLarge`] if a text column of the result exceeds 2 GiB.
    fn run(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError>;

    /// The same answer the slow and obvious way.
    #[cfg(test)]
    #[expect(private_interfaces, reason = "the oracles' rows are test code, which nothing outside the crate sees")]
    fn oracle(&self, events: &[super::testing::Event], parameters: &Parameters) -> super::testing::Rows;
}

impl dyn Analysis {
    /// [`Analysis::run`], and the certainty that nothing it read was damaged so that it showed.
    ///
    /// # Errors
    /// As [`Analysis::run`]; [`AnalysisError::Damaged`] if a value was met that can't be.
    pub fn answer(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        if let Some(left) = input.together().and_then(|together| together.turn_of(self.name())) {
            return Ok(left);
        }
        let answered = self.run(input, parameters);
        // A copy of the events is never needed, nor is its damage an error.
        let undamaged = input.without_damaged_order();
        let checked = input.events().check();
        if undamaged.is_some() || checked.is_err() {
            input.together().into_iter().for_each(Together::forget);
        }
        if let Some(input) = undamaged {
            return self.answer(&input, parameters);
        }
        checked?;
        answered
    }
}

/// All analyses, in the order in which they are listed and run.
#[must_use]
pub fn registry() -> &'static [&'static dyn Analysis] {
    kernels::ALL
}

/// The analysis of this name.
///
/// # Errors
/// [`AnalysisError::UnknownAnalysis`], naming the ones there are.
pub fn find(name: &str) -> Result<&'static dyn Analysis, AnalysisError> {
    let found = registry().iter().find(|analysis| analysis.name() == name);
    found.copied().ok_or_else(|| AnalysisError::UnknownAnalysis {
        name: name.to_owned(),
        known: registry().iter().map(|analysis| analysis.name()).collect::<Vec<_>>().join(", "),
    })
}

/// The analysis whose table has this name, if there is one.
#[must_use]
pub fn of_table(name: &str) -> Option<&'static dyn Analysis> {
    registry().iter().copied().find(|analysis| analysis.file_stem() == name)
}

/// Analyses with their descriptions and parameters as JSON: an array, in their order.
#[must_use]
pub fn listed(analyses: &[&'static dyn Analysis]) -> serde_json::Value {
    let parameter = |parameter: &Parameter| {
        serde_json::json!({ "name": parameter.name, "description": parameter.description,
            "default": parameter.kind.default_text() })
    };
    let entry = |analysis: &&dyn Analysis| {
        let parameters: Vec<_> = analysis.parameters().iter().map(parameter).collect();
        serde_json::json!({ "name": analysis.name(), "description": analysis.description(), "parameters": parameters })
    };
    analyses.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_analysis_is_named_once_described_and_defined() {
        let names: BTreeSet<_> = registry().iter().map(|analysis| analysis.name()).collect();
        let stems: BTreeSet<_> = registry().iter().map(|analysis| analysis.file_stem()).collect();
        assert_eq!((names.len(), stems.len()), (registry().len(), registry().len()));
        for analysis in registry() {
            let name = analysis.name();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(analysis.description().ends_with('.'), "{name}");
            assert!(analysis.sql().starts_with("-- ") && analysis.sql().contains("FROM events"), "{name}");
            for field in analysis.schema().fields() {
                assert!(analysis.sql().contains(field.name().as_str()), "{name}: {}", field.name());
            }
            for parameter in analysis.parameters() {
                assert!(parameter.description.ends_with('.'), "{name}: {}", parameter.name);
            }
            assert!(std::ptr::addr_eq(find(name).unwrap(), *analysis));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = find("top_products").err().unwrap().to_string();
        assert!(message.starts_with("there is no analysis `top_products`; there are: user_top_category_brand, "));
    }
}
