//! The sections of a page: each a question, a picture of the answer, and its rows to read.

mod leaders;
mod list;
mod people;
mod prices;
mod quality;
mod sales;

use std::fmt::Write as _;

use super::ReportError;
use super::chart::{Link, escape};
use super::values::column;
use crate::table::Table;

pub use self::list::SECTIONS;

/// Rows of a table beneath a picture.
const TABLE_ROWS: usize = 100;

/// What is counted where a picture could count several things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Measure {
    /// What purchases brought in.
    #[default]
    Revenue,
    /// Purchases.
    Purchases,
    /// Views.
    Views,
}

impl Measure {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Revenue, Self::Purchases, Self::Views];

    /// Its name, which is that of its column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Revenue => "revenue",
            Self::Purchases => "purchases",
            Self::Views => "views",
        }
    }

    /// The measure of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.name() == name)
    }
}

/// Lines and rows of a store that are no events in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// Rows read from the sources.
    pub read: u64,
    /// Lines that are no events.
    pub rejected: u64,
    /// Rows that had been stored before.
    pub duplicate: u64,
}

/// Where the parts of a section lead.
pub trait Links {
    /// Whether they lead anywhere.
    fn lead(&self) -> bool;

    /// The page of only those events that have these values in these columns; `None` if there is no such page.
    fn only(&self, values: &[(&str, String)]) -> Option<Link>;

    /// The values of a column that the events are chosen by.
    fn chosen(&self, column: &str) -> Vec<String>;

    /// All rows of the section's table as a file.
    fn file(&self) -> Option<String>;
}

/// A page with nothing beside it.
#[derive(Debug, Clone, Copy)]
pub struct Standalone;

impl Links for Standalone {
    fn lead(&self) -> bool {
        false
    }

    fn only(&self, _values: &[(&str, String)]) -> Option<Link> {
        None
    }

    fn chosen(&self, _column: &str) -> Vec<String> {
        Vec::new()
    }

    fn file(&self) -> Option<String> {
        None
    }
}

/// What a picture is drawn for.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The width it gets, in pixels.
    pub width: f64,
    /// What it counts if it can.
    pub measure: Measure,
    /// Where it leads.
    pub links: &'a dyn Links,
    /// What was loaded, where that is known.
    pub loaded: Option<Loaded>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Surroundings").field("width", &self.width).finish_non_exhaustive()
    }
}

type Draw = fn(&Table, &str, &Surroundings<'_>) -> Result<String, ReportError>;

/// A picture and the question that it is the answer to.
pub struct Section {
    /// What it is called in addresses and on the command line.
    pub name: &'static str,
    /// The analysis asked.
    pub analysis: &'static str,
    /// The analysis' parameters.
    pub parameters: &'static [(&'static str, &'static str)],
    /// What it shows.
    pub title: &'static str,
    /// What that means, as one sentence.
    pub about: &'static str,
    /// What a click on one of its parts does, where they lead somewhere.
    click: &'static str,
    /// How many of a wide page's twelve columns it takes.
    pub columns: u8,
    /// What it can count, if it can count several things.
    measures: &'static [Measure],
    draw: Draw,
}

impl std::fmt::Debug for Section {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Section").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Section {
    /// The section of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SECTIONS.iter().find(|section| section.name == name)
    }

    /// What it counts when this is asked for; `None` if it always shows the same.
    fn counted(&self, wanted: Measure) -> Option<Measure> {
        let nearest = self.measures.iter().find(|measure| **measure == wanted).or(self.measures.first());
        nearest.copied()
    }

    /// Its title for a measure.
    #[must_use]
    pub fn heading(&self, measure: Measure) -> String {
        self.counted(measure)
            .map_or_else(|| self.title.to_owned(), |measure| format!("{} by {}", self.title, measure.name()))
    }

    /// The picture alone.
    ///
    /// # Errors
    /// [`ReportError::MissingColumn`] if the table isn't the one that the section is of.
    pub fn picture(&self, table: &Table, around: &Surroundings<'_>) -> Result<String, ReportError> {
        let measure = self.counted(around.measure).unwrap_or_default();
        (self.draw)(table, &self.heading(around.measure), &Surroundings { measure, ..*around })
    }

    /// The section as markup: the picture for each of these widths, of which the style shows one.
    ///
    /// # Errors
    /// [`ReportError::MissingColumn`] if the table isn't the one that the section is of.
    pub fn render(&self, table: &Table, around: &Surroundings<'_>, widths: &[f64]) -> Result<String, ReportError> {
        let click = if around.links.lead() { self.click } else { "" };
        let mut markup = format!(
            "<section id=\"{}\" class=\"w{}\">\n<h2>{}</h2>\n<p>{}</p>\n",
            self.name,
            self.columns,
            escape(&self.heading(around.measure)),
            escape([self.about, click].join(" ").trim_end())
        );
        for (place, width) in widths.iter().enumerate() {
            let class = if widths.len() == 1 { "" } else { ["broad", "narrow"][place.min(1)] };
            let picture = self.picture(table, &Surroundings { width: *width, ..*around })?;
            let _ = writeln!(markup, "<figure class=\"{class}\">{picture}</figure>");
        }
        let _ = write!(
            markup,
            "<div class=\"more\"><details><summary>Show as table</summary>\n{}</details>\n",
            self.rows_of(table)?
        );
        if let Some(file) = around.links.file() {
            let _ = writeln!(
                markup,
                "<a class=\"file\" href=\"{}\" download aria-label=\"Download CSV: {}\">Download CSV</a>",
                escape(&file),
                escape(self.title)
            );
        }
        Ok(markup + "</div>\n</section>\n")
    }

    /// The first rows as a table to read.
    fn rows_of(&self, table: &Table) -> Result<String, ReportError> {
        let schema = table.rows.schema();
        let columns = schema.fields().iter().map(|field| column(table, field.name())).collect::<Result<Vec<_>, _>>()?;
        let class = |number: bool| if number { " class=\"n\"" } else { "" };
        // What scrolls must be reachable by keyboard.
        let mut text = format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{} as a table\"><table>\n<thead><tr>",
            escape(self.title)
        );
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
                let _ = write!(text, "<td{}>{}</td>", class(column.is_number()), escape(&column.exact(row)));
            }
            text += "</tr>\n";
        }
        text += "</tbody></table></div>\n";
        if rows > TABLE_ROWS {
            let set: String = self.parameters.iter().map(|(name, value)| format!(" --set {name}={value}")).collect();
            let _ = writeln!(
                text,
                "<p>The first {TABLE_ROWS} of {rows} rows; <code>cartlog analyze {}{} --format csv</code> writes all.</p>",
                escape(self.analysis),
                escape(&set)
            );
        }
        Ok(text)
    }
}
