//! One page with everything on it: charts as pictures, the numbers behind them as tables, nothing beside the file.
//!
//! The page has no script and asks the network for nothing, which its content-security policy also says; it is readable in
//! light and dark, on a phone and on paper. The dashboard shows the same sections, one at a time, with links in them.

mod chart;
mod figures;
mod section;
mod values;

use std::io::Write as _;
use std::path::Path;

pub use self::chart::escape;
pub use self::figures::Figures;
pub use self::section::{Links, SECTIONS, Section, Standalone};
use super::ReportError;
use crate::export::{AtomicFile, ExportError, Sink};
use crate::table::Table;

/// The tables that the page shows.
pub const TABLES: [&str; 12] = [
    "key_figures",
    "sales_history",
    "customer_segments",
    "conversion_funnel",
    "top_10_categories",
    "top_10_categories_prices",
    "top_10_interactions",
    "product_performance",
    "brand_performance",
    "price_bands",
    "hourly_activity",
    "cohort_retention",
];

/// The style of the charts and their page.
pub const STYLE: &str = include_str!("page.css");

/// Writes the page of these tables, which are those of [`TABLES`], to a file that appears whole or not at all. `covered`
/// says which events they are of. Gives the bytes of the file.
///
/// # Errors
/// [`ReportError`].
pub fn write_page(tables: &[Table], covered: &str, path: &Path) -> Result<u64, ReportError> {
    let page = render(tables, covered)?;
    let mut file = Box::new(AtomicFile::create(path)?);
    file.write_all(page.as_bytes()).map_err(ExportError::Write)?;
    file.complete()?;
    Ok(page.len() as u64)
}

fn render(tables: &[Table], covered: &str) -> Result<String, ReportError> {
    let find = |name: &str| {
        let found = tables.iter().find(|table| table.name == name);
        found.ok_or_else(|| ReportError::MissingTable { table: name.to_owned() })
    };
    let sections = SECTIONS.iter().map(|section| section.render(find(section.table)?, &Standalone));
    let sections = sections.collect::<Result<String, _>>()?;
    let figures = Figures::of(find("key_figures")?)?;
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Shop events</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Shop events</h1>\n<p>{}</p>\n</header>\n\
         <main>\n{}{sections}</main>\n</body>\n</html>\n",
        escape(covered),
        figures.render(None),
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
    use arrow_schema::DataType;

    use super::*;
    use crate::analysis;

    /// The tables of the page, each with so many rows; texts are hostile or missing.
    fn tables(rows: usize) -> Vec<Table> {
        let table = |name: &&str| {
            let analysis = analysis::of_table(name);
            let schema = analysis.unwrap_or_else(|| panic!("no analysis writes {name}")).schema();
            let columns = schema.fields().iter().map(|field| -> ArrayRef {
                let numbers = || (0..rows as i64).map(|row| row % 9 + 1);
                match field.data_type() {
                    DataType::Int64 => Arc::new(Int64Array::from_iter_values(numbers())),
                    DataType::Float64 => Arc::new(Float64Array::from_iter_values(numbers().map(|row| row as f64))),
                    DataType::Utf8 => {
                        let text =
                            |row| (row % 2 == 0 || !field.is_nullable()).then_some("<script>alert('x')</script>&");
                        Arc::new((0..rows).map(text).collect::<StringArray>())
                    }
                    DataType::Date32 => Arc::new(Date32Array::from_iter_values(0..rows as i32)),
                    DataType::Decimal128(precision, scale) => Arc::new(
                        Decimal128Array::from_iter_values(numbers().map(i128::from))
                            .with_precision_and_scale(*precision, *scale)
                            .unwrap(),
                    ),
                    other => panic!("{other}"),
                }
            });
            let rows = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
            Table { name: (*name).to_owned(), rows }
        };
        TABLES.iter().map(table).collect()
    }

    #[test]
    fn a_page_needs_nothing_and_runs_nothing() {
        for rows in [0, 1, 3, 300] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("shop.html");
            let bytes = write_page(&tables(rows), "All of <them>.", &path).unwrap();
            let page = std::fs::read_to_string(&path).unwrap();
            assert_eq!(page.len() as u64, bytes);
            for forbidden in ["<script", "http", "NaN", "inf", "All of <them>"] {
                // The policy's own attribute is `http-equiv`.
                assert_eq!(
                    page.matches(forbidden).count(),
                    usize::from(forbidden == "http"),
                    "{rows} rows: {forbidden}"
                );
            }
            assert_eq!(page.matches("<svg").count(), 11);
            assert_eq!(page.matches("<details>").count(), 11);
            assert_eq!(page.contains("The first 100 of 300 rows"), rows == 300);
        }
    }

    #[test]
    fn a_table_that_is_not_there_is_named() {
        let mut tables = tables(1);
        tables.pop();
        let error = write_page(&tables, "", Path::new("unused.html")).unwrap_err();
        assert!(error.to_string().contains("cohort_retention"), "{error}");
    }
}
