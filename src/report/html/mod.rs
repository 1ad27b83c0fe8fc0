//! One page with everything on it: charts as pictures, the numbers behind them as tables, nothing beside the file.
//!
//! The page has no script and asks the network for nothing, which its content-security policy also says; it is readable in
//! light and dark, on a phone and on paper.

mod chart;
mod values;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use self::chart::{Bars, bars, escape, heat, line, ranges};
use self::values::{amount, column, short};
use super::ReportError;
use crate::export::{AtomicFile, ExportError, Sink};
use crate::table::Table;

/// The tables that the page shows.
pub const TABLES: [&str; 12] = [
    "sales_history",
    "session_metrics",
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

/// Rows of a chart of bars.
const SHOWN: usize = 15;
/// Rows of a table beneath a chart.
const TABLE_ROWS: usize = 100;

const STYLE: &str = include_str!("page.css");
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Writes the page of these tables, which are those of [`TABLES`], to a file that appears whole or not at all. `covered`
/// says which events they are of. Gives the bytes of the file.
///
/// # Errors
/// [`ReportError`].
pub fn write_page(tables: &[Table], covered: &str, path: &Path) -> Result<u64, ReportError> {
    let page = Page { tables }.render(covered)?;
    let mut file = Box::new(AtomicFile::create(path)?);
    file.write_all(page.as_bytes()).map_err(ExportError::Write)?;
    file.complete()?;
    Ok(page.len() as u64)
}

struct Page<'a> {
    tables: &'a [Table],
}

impl Page<'_> {
    fn table(&self, name: &str) -> Result<&Table, ReportError> {
        let found = self.tables.iter().find(|table| table.name == name);
        found.ok_or_else(|| ReportError::MissingTable { table: name.to_owned() })
    }

    fn render(&self, covered: &str) -> Result<String, ReportError> {
        let sections = [
            self.section(
                "sales_history",
                "Revenue per day",
                "What purchases brought in, by day (UTC).",
                |table, title| {
                    let (days, revenue) = (column(table, "day")?, column(table, "revenue")?);
                    let points: Vec<_> =
                        (0..table.rows.num_rows()).map(|row| (days.text(row), revenue.number(row))).collect();
                    Ok(line(title, &points))
                },
            ),
            self.section(
                "conversion_funnel",
                "From view to purchase",
                "Sessions that viewed, carted and bought in a category.",
                |table, title| bars_of(table, title, "category_code", &["viewed", "carted", "purchased"]),
            ),
            self.section(
                "top_10_categories",
                "Categories with the most interactions",
                "Each category id on its own, whatever its code.",
                |table, title| bars_of(table, title, "category_code", &["interaction_count"]),
            ),
            self.section(
                "top_10_categories_prices",
                "Dearest categories",
                "Lowest, average and highest price.",
                |table, title| {
                    let [label, low, middle, high] = [
                        column(table, "category_code")?,
                        column(table, "min_price")?,
                        column(table, "average_price")?,
                        column(table, "max_price")?,
                    ];
                    let row = |row| (label.text(row), [low.number(row), middle.number(row), high.number(row)]);
                    Ok(ranges(title, &(0..table.rows.num_rows()).map(row).collect::<Vec<_>>()))
                },
            ),
            self.section(
                "top_10_interactions",
                "Users with the most interactions in a category",
                "A user may stand here with several categories.",
                |table, title| {
                    let [user, category, count] =
                        [column(table, "user_id")?, column(table, "category_code")?, column(table, "count")?];
                    let row = |row| Bars {
                        label: format!("{} {}", user.text(row), category.text(row)),
                        values: vec![count.number(row)],
                    };
                    Ok(bars(title, &["interactions"], &(0..table.rows.num_rows()).map(row).collect::<Vec<_>>()))
                },
            ),
            self.section("product_performance", "Products with the most revenue", "By product id.", |table, title| {
                bars_of(table, title, "product_id", &["revenue"])
            }),
            self.section(
                "brand_performance",
                "Brands with the most revenue",
                "The missing brand included.",
                |table, title| bars_of(table, title, "brand", &["revenue"]),
            ),
            self.section(
                "price_bands",
                "Users by price band",
                "Distinct users in each category and band; a band ends where the next one starts.",
                price_bands,
            ),
            self.section(
                "customer_segments",
                "Customer segments",
                "Users who bought, by how recently and how often.",
                |table, title| bars_of(table, title, "segment", &["users"]),
            ),
            self.section("hourly_activity", "Views by weekday and hour", "Hours are UTC.", hourly),
            self.section(
                "cohort_retention",
                "Buyers who came back",
                "By the week of their first purchase, and how many weeks later they bought again.",
                cohorts,
            ),
        ];
        let sections = sections.into_iter().collect::<Result<Vec<_>, _>>()?;
        let figures = self.figures()?;
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Shop events</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Shop events</h1>\n<p>{}</p>\n</header>\n\
             <main>\n{figures}{}</main>\n</body>\n</html>\n",
            escape(covered),
            sections.concat()
        ))
    }

    /// The few numbers that are asked for first.
    fn figures(&self) -> Result<String, ReportError> {
        let (sales, sessions) = (self.table("sales_history")?, self.table("session_metrics")?);
        let total = |table, name| column(table, name).map(|column| column.sum());
        let (revenue, purchases) = (total(sales, "revenue")?, total(sales, "purchases")?);
        let (all, buying) = (total(sessions, "sessions")?, total(sessions, "purchasing_sessions")?);
        let buyers = total(self.table("customer_segments")?, "users")?;
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let figures = [
            ("Revenue", short(revenue)),
            ("Purchases", short(purchases)),
            ("Buyers", short(buyers)),
            ("Sessions", short(all)),
            ("Sessions that buy", format!("{:.2} %", 100.0 * share(buying, all))),
            ("Revenue per buying session", amount(share(revenue, buying))),
        ];
        let figures = figures.map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
        Ok(format!("<dl class=\"figures\">\n{}</dl>\n", figures.concat()))
    }

    fn section(
        &self,
        table: &str,
        title: &str,
        about: &str,
        draw: impl FnOnce(&Table, &str) -> Result<String, ReportError>,
    ) -> Result<String, ReportError> {
        let table = self.table(table)?;
        Ok(format!(
            "<section>\n<h2>{}</h2>\n<p>{}</p>\n<figure>{}</figure>\n<details><summary>Show as table</summary>\n{}</details>\n</section>\n",
            escape(title),
            escape(about),
            draw(table, title)?,
            rows_of(table)?
        ))
    }
}

fn bars_of(table: &Table, title: &str, label: &str, series: &[&str]) -> Result<String, ReportError> {
    let label = column(table, label)?;
    let columns = series.iter().map(|name| column(table, name)).collect::<Result<Vec<_>, _>>()?;
    let rows = (0..table.rows.num_rows().min(SHOWN))
        .map(|row| Bars { label: label.text(row), values: columns.iter().map(|column| column.number(row)).collect() });
    let names: Vec<String> = series.iter().map(|name| name.replace('_', " ")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Ok(bars(title, &names, &rows.collect::<Vec<_>>()))
}

/// A category's users, in all and by the lower bound of the price band.
struct CategoryUsers {
    name: String,
    all: f64,
    bands: Vec<(f64, f64)>,
}

/// The categories with the most users, by price band.
fn price_bands(table: &Table, title: &str) -> Result<String, ReportError> {
    let [category, band, users] =
        [column(table, "category_code")?, column(table, "band_from")?, column(table, "users")?];
    let mut bands: Vec<f64> = Vec::new();
    let mut categories: Vec<CategoryUsers> = Vec::new();
    for row in 0..table.rows.num_rows() {
        let (name, from, count) = (category.text(row), band.number(row), users.number(row));
        if !bands.contains(&from) {
            bands.push(from);
        }
        match categories.last_mut() {
            Some(last) if last.name == name => {
                last.all += count;
                last.bands.push((from, count));
            }
            _ => categories.push(CategoryUsers { name, all: count, bands: vec![(from, count)] }),
        }
    }
    bands.sort_by(f64::total_cmp);
    categories.sort_by(|left, right| right.all.total_cmp(&left.all).then_with(|| left.name.cmp(&right.name)));
    categories.truncate(SHOWN);
    let cells = |category: &CategoryUsers| {
        let cell = |band: &f64| category.bands.iter().find(|(from, _)| from == band).map(|(_, count)| *count);
        bands.iter().map(cell).collect()
    };
    let cells: Vec<Vec<Option<f64>>> = categories.iter().map(cells).collect();
    let names: Vec<String> = categories.into_iter().map(|category| category.name).collect();
    let labels: Vec<String> = bands.iter().map(|band| format!("{}+", amount(*band))).collect();
    Ok(heat(title, &names, &labels, &cells))
}

fn hourly(table: &Table, title: &str) -> Result<String, ReportError> {
    let [weekday, hour, views] = [column(table, "weekday")?, column(table, "hour")?, column(table, "views")?];
    let mut cells = vec![vec![None; 24]; DAYS.len()];
    for row in 0..table.rows.num_rows() {
        let places = (0..DAYS.len()).find(|day| weekday.number(row) == (*day + 1) as f64);
        let hours = (0..24).find(|place| hour.number(row) == f64::from(*place));
        if let (Some(day), Some(hour)) = (places, hours) {
            cells[day][hour as usize] = Some(views.number(row));
        }
    }
    let hours: Vec<String> = (0..24).map(|hour| hour.to_string()).collect();
    Ok(heat(title, &DAYS.map(str::to_owned), &hours, &cells))
}

fn cohorts(table: &Table, title: &str) -> Result<String, ReportError> {
    let [cohort, later, buyers] = [column(table, "cohort")?, column(table, "weeks_later")?, column(table, "buyers")?];
    let mut rows: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for row in 0..table.rows.num_rows() {
        let cell = (later.number(row), buyers.number(row));
        match rows.last_mut() {
            Some(last) if last.0 == cohort.text(row) => last.1.push(cell),
            _ => rows.push((cohort.text(row), vec![cell])),
        }
    }
    // A year of weeks is what has room.
    let most = rows.iter().flat_map(|(_, cells)| cells).map(|(later, _)| *later).fold(0.0, f64::max).min(52.0);
    let weeks: Vec<f64> = (0..53).map(f64::from).filter(|week| *week <= most).collect();
    let shown = rows.len().saturating_sub(weeks.len().max(SHOWN));
    let rows = &rows[shown..];
    let of_week =
        |cells: &[(f64, f64)], week: f64| cells.iter().find(|(later, _)| *later == week).map(|(_, count)| *count);
    let cells: Vec<Vec<Option<f64>>> =
        rows.iter().map(|(_, cells)| weeks.iter().map(|week| of_week(cells, *week)).collect()).collect();
    let names: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
    Ok(heat(title, &names, &weeks.iter().map(|week| amount(*week)).collect::<Vec<_>>(), &cells))
}

/// The first rows as a table to read.
fn rows_of(table: &Table) -> Result<String, ReportError> {
    let schema = table.rows.schema();
    let columns = schema.fields().iter().map(|field| column(table, field.name())).collect::<Result<Vec<_>, _>>()?;
    let class = |number: bool| if number { " class=\"n\"" } else { "" };
    let mut text = "<div class=\"scroll\"><table>\n<thead><tr>".to_owned();
    for (field, column) in schema.fields().iter().zip(&columns) {
        let _ = write!(
            text,
            "<th scope=\"col\"{}>{}</th>",
            class(column.is_number()),
            escape(&field.name().replace('_', " "))
        );
    }
    text += "</tr></thead>\n<tbody>\n";
    let rows = table.rows.num_rows();
    for row in 0..rows.min(TABLE_ROWS) {
        text += "<tr>";
        for column in &columns {
            let _ = write!(text, "<td{}>{}</td>", class(column.is_number()), escape(&column.text(row)));
        }
        text += "</tr>\n";
    }
    text += "</tbody></table></div>\n";
    if rows > TABLE_ROWS {
        let _ = writeln!(
            text,
            "<p>The first {TABLE_ROWS} of {rows} rows; <code>cartlog analyze {} --format csv</code> writes all.</p>",
            escape(&table.name)
        );
    }
    Ok(text)
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
            let analysis = analysis::registry().iter().find(|analysis| analysis.file_stem() == *name);
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
