//! docs/ANALYSES.md, written from the registry so that it can't say anything else than the code does.

use std::fmt::Write as _;

use arrow_schema::DataType;

use super::{Analysis, registry};

const INTRODUCTION: &str = "\
# Analyses

This page is made from the registry (`analysis::documentation`); a test keeps it current.

Each analysis is defined by the SQL below it (DuckDB's dialect) and computed by a kernel of its own; the results are equal, row by row,
in values, order and ties. `events` are the covered rows of the store, with missing values as NULL:

| column | type |
|---|---|
| event_time | TIMESTAMP (UTC, milliseconds) |
| event_type | VARCHAR |
| product_id, category_id, user_id | BIGINT |
| category_code, brand, user_session | VARCHAR, may be NULL |
| price | DECIMAL(18,4) |

`events_with_epoch` is the same with a column more, `epoch_seconds`: `CAST(epoch(event_time) AS BIGINT)`, whole seconds since 1970, halves to
the even one.

Text orders byte by byte, and a missing value comes last. Money is exact; an average is the double nearest to the exact quotient; a quantile is
nearest-rank, always a value that occurred. The result is the same for any number of threads and any cut into segments.

DuckDB's `avg` of a decimal gives that double too, unless its optimiser rewrites it: where DuckDB 2.0 knows a column's bounds (it does in a
table of its own and in a view on one, but not in a view on CSV or Parquet files), `avg(price)` beside `count(*)` becomes
`sum(price) / count(*)`, which is rounded more than once. In `price_sensitivity` the last digit of some averages then differs, and with it
the order of categories whose averages tie or nearly do. The exact ones come with

    SET disabled_optimizers = 'statistics_propagation';

## Filters

Every analysis takes the same filters; an event is covered if all that are set hold for it. Several values of one filter are
separated by commas (one that holds a comma stands in double quotes, as in CSV), and any of them will do.

| filter | holds where | SQL |
|---|---|---|
| `--from T` | it happened at `T` or later | `event_time >= T` |
| `--to T` | it happened before `T` | `event_time < T` |
| `--event-type A,B` | its type is one of them | `event_type IN ('A', 'B')` |
| `--category C` | its category is `C` or below it: `electronics` covers `electronics.audio`, not `electronicsx` and not the missing category | `category_code = 'C' OR starts_with(category_code, 'C.')` |
| `--brand A,B` | its brand is one of them, and not missing | `brand IN ('A', 'B')` |
| `--min-price P` | its price is `P` or higher | `price >= P` |
| `--max-price P` | its price is `P` or lower | `price <= P` |
| `--product A,B` | its product is one of them | `product_id IN (A, B)` |
| `--user A,B` | its user is one of them | `user_id IN (A, B)` |
| `--missing drop` | it has both a category code and a brand (`keep`, the default, covers all) | `category_code IS NOT NULL AND brand IS NOT NULL` |

A date alone means its midnight, UTC: `--from 2019-10-01 --to 2019-11-01` is October.
";

/// The text of docs/ANALYSES.md.
#[must_use]
pub fn documentation() -> String {
    let mut page = INTRODUCTION.to_owned();
    registry().iter().for_each(|analysis| describe(&mut page, *analysis));
    page
}

fn describe(page: &mut String, analysis: &dyn Analysis) {
    let name = analysis.name();
    let _ = writeln!(page, "\n## {name}\n\n{}\n", analysis.description());
    let _ = writeln!(page, "    cartlog analyze {name}");
    for parameter in analysis.parameters() {
        let default = parameter.kind.default_text();
        let _ = writeln!(page, "    cartlog analyze {name} --set {}={default}", parameter.name);
    }
    let _ = writeln!(page, "\n`cartlog run` writes it to `{}.csv`.\n", analysis.file_stem());
    if !analysis.parameters().is_empty() {
        page.push_str("| parameter | takes | default | |\n|---|---|---|---|\n");
        for parameter in analysis.parameters() {
            let (takes, default) = (parameter.kind.expected(), parameter.kind.default_text());
            let _ = writeln!(page, "| {} | {takes} | {default} | {} |", parameter.name, parameter.description);
        }
        page.push('\n');
    }
    page.push_str("| column | type |\n|---|---|\n");
    for field in analysis.schema().fields() {
        let kind = match field.data_type() {
            DataType::Utf8 => "text".to_owned(),
            DataType::Int64 => "64-bit integer".to_owned(),
            DataType::Float64 => "double".to_owned(),
            DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
            other => other.to_string(),
        };
        let _ = writeln!(
            page,
            "| {} | {kind}{} |",
            field.name(),
            if field.is_nullable() { ", may be missing" } else { "" }
        );
    }
    let _ = writeln!(page, "\n```sql\n{}\n```", analysis.sql().trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ANALYSES.md");

    #[test]
    fn the_committed_page_is_current() {
        if std::env::var_os("CARTLOG_WRITE_PAGES").is_some() {
            std::fs::write(PATH, documentation()).unwrap();
        }
        let committed = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(
            committed == documentation(),
            "docs/ANALYSES.md is not what the registry says; `CARTLOG_WRITE_PAGES=1 cargo test page_is_current` writes it"
        );
    }
}
