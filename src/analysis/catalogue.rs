//! spark/analyses.json: the registry for other engines, which run the definitions instead of the kernels.

use arrow_schema::DataType;
use serde_json::{Value, json};

use super::{Analysis, registry};

/// The analyses as JSON: an array with the name, the SQL definition, the result's columns in SQL types and the
/// parameters of each, in the order of the registry. The text of spark/analyses.json.
///
/// ```
/// let catalogue = cartlog::analysis::catalogue();
/// assert!(catalogue.contains("\"name\": \"top_categories\""));
/// ```
#[must_use]
pub fn catalogue() -> String {
    let all: Vec<_> = registry().iter().map(|analysis| entry(*analysis)).collect();
    format!("{:#}\n", Value::from(all))
}

fn entry(analysis: &dyn Analysis) -> Value {
    let schema = analysis.schema();
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| json!({ "name": field.name(), "type": sql_type(field.data_type()) }))
        .collect();
    let parameters: Vec<_> = analysis
        .parameters()
        .iter()
        .map(|parameter| json!({ "name": parameter.name, "default": parameter.kind.default_text() }))
        .collect();
    json!({ "name": analysis.name(), "sql": analysis.sql(), "columns": columns, "parameters": parameters })
}

/// A result's type in SQL; DuckDB and Spark spell those of results alike.
fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "STRING".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spark/analyses.json");

    #[test]
    fn the_committed_catalogue_is_current() {
        if std::env::var_os("CARTLOG_WRITE_PAGES").is_some() {
            std::fs::write(PATH, catalogue()).unwrap();
        }
        let committed = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(
            committed == catalogue(),
            "spark/analyses.json is not what the registry says; `CARTLOG_WRITE_PAGES=1 cargo test catalogue_is_current` \
             writes it"
        );
    }
}
