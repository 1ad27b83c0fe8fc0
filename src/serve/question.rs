//! A query string's pairs → the filter and the parameters of an analysis: the same ones, with the same checks, as typed at
//! `cartlog analyze`.
//!
//! Filters are named as the command line's, with underscores; one with several values is given several times, so that a
//! brand may hold a comma. All other names are parameters of the analysis.

use crate::analysis::{Analysis, AnalysisError, Filter, Missing, Parameters};

/// The most pairs of one query.
const MAXIMUM_PAIRS: usize = 256;

/// What a request asks an analysis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Which events are covered.
    pub filter: Filter,
    /// The parameters of the analysis.
    pub parameters: Parameters,
}

/// Why a query string is no question.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// There are too many pairs.
    #[error("the query has {got} pairs; it takes {MAXIMUM_PAIRS}")]
    TooLong {
        /// How many were given.
        got: usize,
    },
    /// What has one value is given twice.
    #[error("{name} is given more than once")]
    Repeated {
        /// Its name.
        name: String,
    },
    /// A name or a value is no text.
    #[error("{name}: got `{got}`, expected UTF-8")]
    NotText {
        /// What is given so.
        name: String,
        /// What was given, printable.
        got: String,
    },
    /// A value isn't one that its filter takes.
    #[error("{name}: got `{got}`, expected {expected}")]
    Value {
        /// The filter.
        name: &'static str,
        /// What was given.
        got: String,
        /// What it takes.
        expected: &'static str,
    },
    /// The analysis doesn't take it so.
    #[error(transparent)]
    Analysis(AnalysisError),
}

impl From<AnalysisError> for QuestionError {
    fn from(error: AnalysisError) -> Self {
        match error {
            // Here it has another name than on the command line.
            AnalysisError::InvalidFilter { filter, got, expected } => {
                let name = match filter {
                    "--from" => "from",
                    "--to" => "to",
                    "--min-price" => "min_price",
                    "--max-price" => "max_price",
                    other => other,
                };
                Self::Value { name, got, expected }
            }
            other => Self::Analysis(other),
        }
    }
}

impl Question {
    /// What the pairs of a query ask `analysis`.
    ///
    /// # Errors
    /// [`QuestionError`] naming the first pair that isn't understood.
    pub fn of(analysis: &dyn Analysis, pairs: &[(String, String)]) -> Result<Self, QuestionError> {
        check(pairs)?;
        let mut question = Self::default();
        for (name, value) in pairs {
            question.take(analysis, name, value)?;
        }
        Ok(question)
    }

    fn take(&mut self, analysis: &dyn Analysis, name: &str, value: &str) -> Result<(), QuestionError> {
        let filter = &mut self.filter;
        match name {
            "from" => filter.set_from(value)?,
            "to" => filter.set_to(value)?,
            "min_price" => filter.set_min_price(value)?,
            "max_price" => filter.set_max_price(value)?,
            "event_type" => filter.event_types.push(value.to_owned()),
            "category" => filter.categories.push(value.to_owned()),
            "brand" => filter.brands.push(value.to_owned()),
            "product" => filter.products.push(number("product", value)?),
            "user" => filter.users.push(number("user", value)?),
            "missing" => {
                filter.missing = match value {
                    "keep" => Missing::Keep,
                    "drop" => Missing::Drop,
                    _ => {
                        let (got, expected) = (value.to_owned(), "keep or drop");
                        return Err(QuestionError::Value { name: "missing", got, expected });
                    }
                }
            }
            _ => self.parameters.set(analysis, name, value)?,
        }
        Ok(())
    }
}

/// Checks that there are not too many pairs, and that no name but those of lists is given twice, whatever it means.
pub(super) fn check(pairs: &[(String, String)]) -> Result<(), QuestionError> {
    if pairs.len() > MAXIMUM_PAIRS {
        return Err(QuestionError::TooLong { got: pairs.len() });
    }
    for (place, (name, _)) in pairs.iter().enumerate() {
        let is_list = matches!(name.as_str(), "event_type" | "category" | "brand" | "product" | "user");
        if !is_list && pairs[..place].iter().any(|(before, _)| before == name) {
            return Err(QuestionError::Repeated { name: name.clone() });
        }
    }
    Ok(())
}

fn number(name: &'static str, value: &str) -> Result<i64, QuestionError> {
    value.parse().map_err(|_| QuestionError::Value { name, got: value.to_owned(), expected: "a whole number" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::find;

    fn ask(name: &str, pairs: &[(&str, &str)]) -> Result<Question, QuestionError> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Question::of(find(name).unwrap(), &pairs)
    }

    #[test]
    fn filters_and_parameters_are_those_of_the_command_line() {
        let pairs = [("brand", "a,b"), ("brand", "<script>"), ("from", "1970-01-02"), ("user", "-7"), ("limit", "3")];
        let question = ask("top_categories", &pairs).unwrap();
        let brands = vec!["a,b".to_owned(), "<script>".to_owned()];
        let filter = Filter { brands, from: Some(86_400_000), users: vec![-7], ..Filter::default() };
        assert_eq!(question.filter, filter);
        let mut parameters = Parameters::default();
        parameters.set(find("top_categories").unwrap(), "limit", "3").unwrap();
        assert_eq!(question.parameters, parameters);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let wrong = [
            ("to", "never"),
            ("user", "anna"),
            ("product", "1.5"),
            ("missing", "maybe"),
            ("max_price", "1e9"),
            ("limit", "0"),
        ];
        for (name, value) in wrong.into_iter().chain([("colour", "red")]) {
            let message = ask("top_categories", &[(name, value)]).unwrap_err().to_string();
            assert!(message.contains(name) && !message.contains("--") && message.len() < 200, "{message}");
        }
        assert!(matches!(ask("top_categories", &[("from", "1970-01-01"); 2]), Err(QuestionError::Repeated { .. })));
        assert!(matches!(ask("top_categories", &[("brand", "x"); 300]), Err(QuestionError::TooLong { got: 300 })));
    }
}
