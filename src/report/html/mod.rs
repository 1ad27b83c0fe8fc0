//! One page with everything on it: pictures, the numbers behind them as tables, nothing beside the file.
//!
//! The page has no script and asks the network for nothing, which its content-security policy also says; it is readable in
//! light and dark, on a phone and on paper: each picture is there for a broad and for a narrow place.

use std::io::Write as _;
use std::path::Path;

use super::{Figures, Loaded, Measure, ReportError, SECTIONS, STYLE, Section, Standalone, Surroundings, escape};
use crate::export::{AtomicFile, ExportError, Sink};
use crate::table::Table;

/// The widths that a section's picture is drawn for, by the columns it takes: on a broad page and on a narrow one.
fn widths(section: &Section) -> [f64; 2] {
    [f64::from(section.columns) * 106.0, 330.0]
}

/// What a page says.
#[derive(Debug)]
pub struct Page<'a> {
    /// Which events it is of, in words.
    pub covered: &'a str,
    /// The key figures, and those of the time before if there is one.
    pub figures: (Figures, Option<Figures>),
    /// Which time that is, in words.
    pub note: &'a str,
    /// What was loaded.
    pub loaded: Option<Loaded>,
    /// The tables of [`SECTIONS`], in their order.
    pub tables: &'a [Table],
}

impl Page<'_> {
    /// Writes the page to a file that appears whole or not at all. Gives the bytes of the file.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn write(&self, path: &Path) -> Result<u64, ReportError> {
        let page = self.render()?;
        let mut file = Box::new(AtomicFile::create(path)?);
        file.write_all(page.as_bytes()).map_err(ExportError::Write)?;
        file.complete()?;
        Ok(page.len() as u64)
    }

    fn render(&self) -> Result<String, ReportError> {
        let mut sections = String::new();
        for (place, section) in SECTIONS.iter().enumerate() {
            let missing = || ReportError::MissingTable { table: section.analysis.to_owned() };
            let table = self.tables.get(place).ok_or_else(missing)?;
            let around =
                Surroundings { width: 0.0, measure: Measure::default(), links: &Standalone, loaded: self.loaded };
            sections += &section.render(table, &around, &widths(section))?;
        }
        let (now, before) = &self.figures;
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Shop events</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Shop events</h1>\n<p>{}</p>\n</header>\n\
             <main>\n{}{sections}</main>\n</body>\n</html>\n",
            escape(self.covered),
            now.render(before.as_ref(), self.note),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
    use arrow_schema::DataType;

    use super::*;
    use crate::analysis;

    /// A table as an analysis makes it, with so many rows; texts are hostile or missing.
    fn table(name: &str, rows: usize) -> Table {
        let schema = analysis::find(name).unwrap().schema();
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            let numbers = || (0..rows as i64).map(|row| row % 9 + 1);
            match field.data_type() {
                DataType::Int64 => Arc::new(Int64Array::from_iter_values(numbers())),
                DataType::Float64 => Arc::new(Float64Array::from_iter_values(numbers().map(|row| row as f64))),
                DataType::Utf8 => {
                    let text = |row| (row % 2 == 0 || !field.is_nullable()).then_some("<script>alert('x')</script>&");
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
        Table { name: name.to_owned(), rows }
    }

    fn tables(rows: usize) -> Vec<Table> {
        SECTIONS.iter().map(|section| table(section.analysis, rows)).collect()
    }

    fn page(tables: &[Table]) -> Page<'_> {
        let figures = Figures::of(&table("key_figures", 1)).unwrap();
        let loaded = Some(Loaded { read: 9, rejected: 1, duplicate: 0 });
        Page {
            covered: "All of <them>.",
            figures: (figures.clone(), Some(figures)),
            note: "Since <then>.",
            loaded,
            tables,
        }
    }

    #[test]
    fn a_page_needs_nothing_and_runs_nothing() {
        for rows in [0, 1, 3, 300] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("shop.html");
            let tables = tables(rows);
            let bytes = page(&tables).write(&path).unwrap();
            let page = std::fs::read_to_string(&path).unwrap();
            assert_eq!(page.len() as u64, bytes);
            for forbidden in ["<script", "http", "NaN", "inf", "All of <them>", "<then>"] {
                // The policy's own attribute is `http-equiv`.
                assert_eq!(
                    page.matches(forbidden).count(),
                    usize::from(forbidden == "http"),
                    "{rows} rows: {forbidden}"
                );
            }
            assert_eq!(page.matches("<svg").count(), 2 * SECTIONS.len());
            assert_eq!(page.matches("<details>").count(), SECTIONS.len());
            assert_eq!(page.contains("The first 100 of 300 rows"), rows == 300);
        }
    }

    #[test]
    fn a_table_that_is_not_there_is_named() {
        let mut tables = tables(1);
        tables.pop();
        let error = page(&tables).write(Path::new("unused.html")).unwrap_err();
        assert!(error.to_string().contains("data_quality"), "{error}");
    }
}
