//! The sections of a page: each one table, its chart, and the rows to read.

use std::fmt::Write as _;

use super::chart::{Bars, bars, escape, heat, line, ranges};
use super::values::{amount, column};
use crate::report::ReportError;
use crate::table::Table;

/// Rows of a chart of bars.
const SHOWN: usize = 15;
/// Rows of a table beneath a chart.
const TABLE_ROWS: usize = 100;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Where the parts of a section lead.
pub trait Links {
    /// The page of only those events that have this value in a column; `None` if there is no such page.
    fn only(&self, column: &str, value: &str) -> Option<String>;

    /// All rows of the section's table as a file.
    fn file(&self) -> Option<String>;
}

/// A page with nothing beside it.
#[derive(Debug, Clone, Copy)]
pub struct Standalone;

impl Links for Standalone {
    fn only(&self, _column: &str, _value: &str) -> Option<String> {
        None
    }

    fn file(&self) -> Option<String> {
        None
    }
}

type Draw = fn(&Table, &str, &dyn Links) -> Result<String, ReportError>;

/// A chart and the table that it is drawn from.
pub struct Section {
    /// The table's name, and what the section is called in addresses.
    pub table: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What that means, as one sentence.
    pub about: &'static str,
    draw: Draw,
}

/// All sections, in the order of the page.
pub static SECTIONS: [Section; 11] = [
    Section {
        table: "sales_history",
        title: "Revenue per day",
        about: "What purchases brought in, by day (UTC).",
        draw: |table, title, _| {
            let (days, revenue) = (column(table, "day")?, column(table, "revenue")?);
            let points: Vec<_> = (0..table.rows.num_rows()).map(|row| (days.text(row), revenue.number(row))).collect();
            Ok(line(title, &points))
        },
    },
    Section {
        table: "conversion_funnel",
        title: "From view to purchase",
        about: "Sessions that viewed, carted and bought in a category.",
        draw: |table, title, links| bars_of(table, title, "category_code", &["viewed", "carted", "purchased"], links),
    },
    Section {
        table: "top_10_categories",
        title: "Categories with the most interactions",
        about: "Each category id on its own, whatever its code.",
        draw: |table, title, links| bars_of(table, title, "category_code", &["interaction_count"], links),
    },
    Section {
        table: "top_10_categories_prices",
        title: "Dearest categories",
        about: "Lowest, average and highest price.",
        draw: |table, title, _| {
            let [label, low, middle, high] = [
                column(table, "category_code")?,
                column(table, "min_price")?,
                column(table, "average_price")?,
                column(table, "max_price")?,
            ];
            let row = |row| (label.text(row), [low.number(row), middle.number(row), high.number(row)]);
            Ok(ranges(title, &(0..table.rows.num_rows()).map(row).collect::<Vec<_>>()))
        },
    },
    Section {
        table: "top_10_interactions",
        title: "Users with the most interactions in a category",
        about: "A user may stand here with several categories.",
        draw: |table, title, links| {
            let [user, category, count] =
                [column(table, "user_id")?, column(table, "category_code")?, column(table, "count")?];
            let row = |row| Bars {
                label: format!("{} {}", user.text(row), category.text(row)),
                link: links.only("user_id", &user.text(row)),
                values: vec![count.number(row)],
            };
            Ok(bars(title, &["interactions"], &(0..table.rows.num_rows()).map(row).collect::<Vec<_>>()))
        },
    },
    Section {
        table: "product_performance",
        title: "Products with the most revenue",
        about: "By product id.",
        draw: |table, title, links| bars_of(table, title, "product_id", &["revenue"], links),
    },
    Section {
        table: "brand_performance",
        title: "Brands with the most revenue",
        about: "The missing brand included.",
        draw: |table, title, links| bars_of(table, title, "brand", &["revenue"], links),
    },
    Section {
        table: "price_bands",
        title: "Users by price band",
        about: "Distinct users in each category and band; a band ends where the next one starts.",
        draw: |table, title, _| price_bands(table, title),
    },
    Section {
        table: "customer_segments",
        title: "Customer segments",
        about: "Users who bought, by how recently and how often.",
        draw: |table, title, links| bars_of(table, title, "segment", &["users"], links),
    },
    Section {
        table: "hourly_activity",
        title: "Views by weekday and hour",
        about: "Hours are UTC.",
        draw: |table, title, _| hourly(table, title),
    },
    Section {
        table: "cohort_retention",
        title: "Buyers who came back",
        about: "By the week of their first purchase, and how many weeks later they bought again.",
        draw: |table, title, _| cohorts(table, title),
    },
];

impl std::fmt::Debug for Section {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Section").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Section {
    /// The section as markup.
    ///
    /// # Errors
    /// [`ReportError::MissingColumn`] if the table isn't the one that the section is of.
    pub fn render(&self, table: &Table, links: &dyn Links) -> Result<String, ReportError> {
        let file = links.file();
        let file = file.map(|file| format!("<a class=\"file\" href=\"{}\" download>Download CSV</a>\n", escape(&file)));
        Ok(format!(
            "<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n<figure>{}</figure>\n<details><summary>Show as table</summary>\n{}</details>\n{}</section>\n",
            self.table,
            escape(self.title),
            escape(self.about),
            (self.draw)(table, self.title, links)?,
            rows_of(table)?,
            file.unwrap_or_default(),
        ))
    }
}

fn bars_of(table: &Table, title: &str, by: &str, series: &[&str], links: &dyn Links) -> Result<String, ReportError> {
    let label = column(table, by)?;
    let columns = series.iter().map(|name| column(table, name)).collect::<Result<Vec<_>, _>>()?;
    let rows = (0..table.rows.num_rows().min(SHOWN)).map(|row| Bars {
        label: label.text(row),
        link: if label.is_missing(row) { None } else { links.only(by, &label.text(row)) },
        values: columns.iter().map(|column| column.number(row)).collect(),
    });
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
