//! Parameters of analyses: declared once, typed, checked before anything runs.

use super::AnalysisError;

/// Ten-thousandths of a unit of money: the scale of prices in a store.
const UNITS_PER_ONE: i64 = 10_000;

/// The most lower bounds that [`ParameterKind::PriceBounds`] takes.
const MAX_BOUNDS: usize = 64;

/// A parameter that an analysis takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// The name, as `--set NAME=VALUE` takes it.
    pub name: &'static str,
    /// What it changes, as one sentence.
    pub description: &'static str,
    /// What its values are, and the default.
    pub kind: ParameterKind,
}

/// The type of a parameter's values, with the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterKind {
    /// A number of rows, at least 1.
    Rows {
        /// Unless given.
        default: u64,
    },
    /// A number of users, at least 1.
    Users {
        /// Unless given.
        default: u64,
    },
    /// A number of days.
    Days {
        /// Unless given.
        default: u64,
    },
    /// A number of orders, at least 1.
    Orders {
        /// Unless given.
        default: u64,
    },
    /// Ascending lower bounds of price bands in whole units of money, the first of them 0; a band ends where the next one starts.
    PriceBounds {
        /// Unless given.
        default: &'static [i64],
    },
}

impl ParameterKind {
    /// What the parameter takes, for a message or a manual.
    #[must_use]
    pub fn expected(&self) -> &'static str {
        match self {
            Self::Rows { .. } => "a whole number of rows, at least 1",
            Self::Users { .. } => "a whole number of users, at least 1",
            Self::Days { .. } => "a whole number of days",
            Self::Orders { .. } => "a whole number of orders, at least 1",
            Self::PriceBounds { .. } => "up to 64 ascending whole numbers separated by commas, the first of them 0",
        }
    }

    /// The default as the text that [`Parameters::set`] takes.
    #[must_use]
    pub fn default_text(&self) -> String {
        match self {
            Self::Rows { default } | Self::Users { default } | Self::Days { default } | Self::Orders { default } => {
                default.to_string()
            }
            Self::PriceBounds { default } => default.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
        }
    }
}

/// A checked value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Rows(u64),
    Users(u64),
    Days(u64),
    Orders(u64),
    PriceBounds(Vec<i64>),
}

/// The values of an analysis' parameters; what is not set has its default.
///
/// ```
/// use cartlog::analysis::{self, Parameters};
///
/// let analysis = analysis::find("top_categories")?;
/// let mut parameters = Parameters::default();
/// parameters.set(analysis, "limit", "20")?;
/// assert!(parameters.set(analysis, "limit", "none").is_err());
/// # Ok::<(), analysis::AnalysisError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    set: Vec<(&'static str, Value)>,
}

impl Parameters {
    /// Sets a parameter of `analysis` from its text; a second value replaces the first.
    ///
    /// # Errors
    /// [`AnalysisError::UnknownParameter`] if the analysis has none of this name,
    /// [`AnalysisError::InvalidParameter`] if the text is not a value it takes.
    pub fn set(&mut self, analysis: &dyn super::Analysis, name: &str, text: &str) -> Result<(), AnalysisError> {
        let Some(parameter) = analysis.parameters().iter().find(|parameter| parameter.name == name) else {
            let known: Vec<_> = analysis.parameters().iter().map(|parameter| parameter.name).collect();
            return Err(AnalysisError::UnknownParameter {
                analysis: analysis.name(),
                parameter: name.to_owned(),
                known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            });
        };
        let value = parse(parameter, text)?;
        self.set.retain(|(known, _)| *known != parameter.name);
        self.set.push((parameter.name, value));
        Ok(())
    }

    /// The value of a [`ParameterKind::Rows`] parameter.
    pub(crate) fn rows(&self, parameter: &Parameter) -> usize {
        let default = if let ParameterKind::Rows { default } = parameter.kind { default } else { 0 };
        let set =
            self.value(parameter.name).and_then(|value| if let Value::Rows(rows) = value { Some(*rows) } else { None });
        usize::try_from(set.unwrap_or(default)).unwrap_or(usize::MAX)
    }

    /// The value of a [`ParameterKind::Users`] parameter.
    pub(crate) fn users(&self, parameter: &Parameter) -> u64 {
        match (self.value(parameter.name), parameter.kind) {
            (Some(Value::Users(users)), _) => *users,
            (_, ParameterKind::Users { default }) => default,
            _ => 1,
        }
    }

    /// The value of a [`ParameterKind::Days`] or [`ParameterKind::Orders`] parameter.
    pub(crate) fn bound(&self, parameter: &Parameter) -> u64 {
        match (self.value(parameter.name), parameter.kind) {
            (Some(Value::Days(bound) | Value::Orders(bound)), _) => *bound,
            (_, ParameterKind::Days { default } | ParameterKind::Orders { default }) => default,
            _ => 0,
        }
    }

    /// The value of a [`ParameterKind::PriceBounds`] parameter, in whole units of money.
    pub(crate) fn price_bounds(&self, parameter: &Parameter) -> Vec<i64> {
        match (self.value(parameter.name), parameter.kind) {
            (Some(Value::PriceBounds(bounds)), _) => bounds.clone(),
            (_, ParameterKind::PriceBounds { default }) => default.to_vec(),
            _ => vec![0],
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.set.iter().find_map(|(known, value)| (*known == name).then_some(value))
    }
}

fn parse(parameter: &Parameter, text: &str) -> Result<Value, AnalysisError> {
    let value = match parameter.kind {
        ParameterKind::Rows { .. } => text.parse().ok().filter(|rows| *rows > 0).map(Value::Rows),
        ParameterKind::Users { .. } => text.parse().ok().filter(|users| *users > 0).map(Value::Users),
        ParameterKind::Days { .. } => text.parse().ok().map(Value::Days),
        ParameterKind::Orders { .. } => text.parse().ok().filter(|orders| *orders > 0).map(Value::Orders),
        ParameterKind::PriceBounds { .. } => parse_bounds(text).map(Value::PriceBounds),
    };
    value.ok_or_else(|| AnalysisError::InvalidParameter {
        parameter: parameter.name,
        got: text.to_owned(),
        expected: parameter.kind.expected().to_owned(),
    })
}

fn parse_bounds(text: &str) -> Option<Vec<i64>> {
    let bounds: Vec<i64> = text.split(',').map(|bound| bound.trim().parse().ok()).collect::<Option<_>>()?;
    let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    let fits = bounds.len() <= MAX_BOUNDS && bounds.last().is_some_and(|last| *last <= i64::MAX / UNITS_PER_ONE);
    (ascending && fits && bounds.first() == Some(&0)).then_some(bounds)
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[test]
    fn a_value_is_checked_and_replaces_the_one_before() {
        let bands = find("price_bands").unwrap();
        let parameter = &bands.parameters()[0];
        let mut parameters = Parameters::default();
        assert_eq!(parameters.price_bounds(parameter), [0, 10, 25, 50, 100, 250, 500, 1000]);
        parameters.set(bands, "bands", "0, 7").unwrap();
        parameters.set(bands, "bands", "0,5,9").unwrap();
        assert_eq!(parameters.price_bounds(parameter), [0, 5, 9]);
        for wrong in ["", "5,9", "0,9,9", "0,9,5", "0,x", "0,922337203685478"] {
            let message = parameters.set(bands, "bands", wrong).unwrap_err().to_string();
            assert!(message.contains("expected up to 64 ascending"), "{message}");
        }
    }

    #[test]
    fn an_unknown_parameter_names_the_known_ones() {
        let message = Parameters::default().set(find("top_categories").unwrap(), "bands", "0").unwrap_err().to_string();
        assert_eq!(message, "analysis `top_categories` has no parameter `bands`; it takes: limit");
        let top = find("user_top_category_brand").unwrap();
        let message = Parameters::default().set(top, "limit", "1").unwrap_err().to_string();
        assert!(message.ends_with("it takes: none"), "{message}");
        let message = Parameters::default().set(find("top_categories").unwrap(), "limit", "0").unwrap_err().to_string();
        assert_eq!(message, "parameter limit: got `0`, expected a whole number of rows, at least 1");
    }

    #[test]
    fn defaults_read_back_from_their_text() {
        for analysis in super::super::registry() {
            for parameter in analysis.parameters() {
                let mut set = Parameters::default();
                set.set(*analysis, parameter.name, &parameter.kind.default_text()).unwrap();
                assert_eq!(set.rows(parameter), Parameters::default().rows(parameter));
                assert_eq!(set.price_bounds(parameter), Parameters::default().price_bounds(parameter));
            }
        }
    }
}
