//! Tables on a terminal.
//!
//! What is wider than the terminal is laid out in the first of these ways that has room: texts wrapped between words and numbers whole; one
//! row upright in a frame; each row upright, a value a line; and on the narrowest terminals each value beneath its name.

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, presets};

use super::text::Cells;
use crate::table::Table;

/// A text is wrapped into a column that is so wide, or as wide as its longest word where that is less: what is narrower can't be read.
const READABLE_WIDTH: usize = 12;

/// How [`render`] lays a table out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Columns of the terminal; `None` when the output is no terminal: lines as long as they need.
    pub width: Option<u16>,
    /// Rows shown at most; the rest is counted in a last line.
    pub rows: usize,
    /// Whether the terminal shows dim text (escape sequences are written).
    pub styled: bool,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { width: None, rows: 40, styled: false }
    }
}

/// The table as lines for a terminal, ending with a line feed.
///
/// Numbers stand at the right, and are written as in CSV (no thousands separators: half of them are ids). A missing
/// value shows as `(missing)`.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{ArrayRef, RecordBatch, StringArray};
/// use cartlog::export::{RenderOptions, render};
/// use cartlog::table::Table;
///
/// let brands = Arc::new(StringArray::from(vec![Some("apple"), None])) as ArrayRef;
/// let rows = RecordBatch::try_from_iter_with_nullable([("brand", brands, true)])?;
/// let shown = render(&Table { name: "brands".to_owned(), rows }, RenderOptions::default());
/// assert!(shown.contains("apple") && shown.contains("(missing)"));
/// # Ok::<(), arrow_schema::ArrowError>(())
/// ```
#[must_use]
pub fn render(table: &Table, options: RenderOptions) -> String {
    let columns: Vec<Option<Cells<'_>>> = table.rows.columns().iter().map(Cells::of).collect();
    let shown = table.rows.num_rows().min(options.rows);
    let whole = |styled| grid(table, &columns, shown, styled);
    // Escape sequences take no room on the terminal: the width is that of the lines without them.
    let mut lines = match options.width {
        Some(width) if width_of(&whole(false)) > width.into() => {
            narrowed(table, &columns, shown, options.styled, width)
        }
        _ => format!("{}\n", whole(options.styled)),
    };
    let hidden = table.rows.num_rows() - shown;
    if hidden > 0 {
        lines.push_str(&format!("… and {hidden} more {}\n", if hidden == 1 { "row" } else { "rows" }));
    }
    lines
}

/// The first rows, as wide as they are.
fn grid(table: &Table, columns: &[Option<Cells<'_>>], shown: usize, styled: bool) -> comfy_table::Table {
    let mut grid = empty_grid(styled);
    grid.set_header(table.rows.schema_ref().fields().iter().map(|field| Cell::new(field.name())));
    for row in 0..shown {
        grid.add_row(columns.iter().map(|column| cell(*column, row)));
    }
    for (column, cells) in grid.column_iter_mut().zip(columns) {
        if cells.is_some_and(Cells::is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    grid
}

fn empty_grid(styled: bool) -> comfy_table::Table {
    let mut grid = comfy_table::Table::new();
    grid.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    if styled {
        grid.enforce_styling();
    } else {
        grid.force_no_tty();
    }
    grid
}

/// The columns that a table takes on a terminal.
fn width_of(grid: &comfy_table::Table) -> usize {
    grid.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// A table that is wider than the terminal.
fn narrowed(table: &Table, columns: &[Option<Cells<'_>>], shown: usize, styled: bool, width: u16) -> String {
    if table.rows.num_rows() == 1 && width_of(&upright(table, columns, false)) <= width.into() {
        return format!("{}\n", upright(table, columns, styled));
    }
    if table.rows.num_rows() == 1 || narrowest(table, columns, shown) > width.into() {
        return records(table, columns, shown, width.into());
    }
    let mut grid = grid(table, columns, shown, styled);
    for (column, cells) in grid.column_iter_mut().zip(columns) {
        if cells.is_some_and(Cells::is_number) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    format!("{grid}\n")
}

/// The one row of a table, a value a line.
fn upright(table: &Table, columns: &[Option<Cells<'_>>], styled: bool) -> comfy_table::Table {
    let mut upright = empty_grid(styled);
    for (field, column) in table.rows.schema_ref().fields().iter().zip(columns) {
        upright.add_row([Cell::new(field.name()), cell(*column, 0)]);
    }
    upright
}

/// The least width in which a table can be read: numbers are whole, and texts have room for their words.
fn narrowest(table: &Table, columns: &[Option<Cells<'_>>], shown: usize) -> usize {
    let fields = table.rows.schema_ref().fields().iter().zip(columns);
    let of_columns = fields.map(|(field, column)| {
        let is_number = column.is_some_and(Cells::is_number);
        let least = |text: &str| match is_number {
            true => text.chars().count(),
            false => text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0).min(READABLE_WIDTH),
        };
        (0..shown).map(|row| least(&text_of(*column, row).0)).chain([least(field.name())]).max().unwrap_or(0)
    });
    // A line and two blanks a column, and the last line.
    of_columns.map(|width| width + 3).sum::<usize>() + 1
}

/// Each row upright under its number, a value a line behind its name; where that is too wide for one of them, all stand beneath their names.
fn records(table: &Table, columns: &[Option<Cells<'_>>], shown: usize, width: usize) -> String {
    let schema = table.rows.schema_ref();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let longest = names.clone().map(|name| name.chars().count()).max().unwrap_or(0);
    let all = |behind: bool| {
        let mut lines = String::new();
        for row in 0..shown {
            lines.push_str(&format!("row {}\n", row + 1));
            for (name, column) in names.clone().zip(columns) {
                let (value, _) = text_of(*column, row);
                lines.push_str(&if behind {
                    format!("  {name:<longest$}  {value}\n")
                } else {
                    format!("{name}\n  {value}\n")
                });
            }
        }
        lines
    };
    let lines = all(true);
    if lines.lines().all(|line| line.chars().count() <= width) { lines } else { all(false) }
}

fn cell(column: Option<Cells<'_>>, row: usize) -> Cell {
    match text_of(column, row) {
        (text, true) => Cell::new(text),
        (text, false) => Cell::new(text).add_attribute(Attribute::Dim),
    }
}

/// What stands for a value, and whether there is one.
fn text_of(column: Option<Cells<'_>>, row: usize) -> (String, bool) {
    match column {
        Some(column) if !column.is_missing(row) => {
            let mut text = Vec::new();
            column.append(row, &mut text);
            // Control characters of a stray value would move the cursor.
            (String::from_utf8_lossy(&text).replace(char::is_control, "\u{fffd}"), true)
        }
        Some(_) => ("(missing)".to_owned(), false),
        None => ("(not printable)".to_owned(), true),
    }
}
