//! Tables on a terminal.

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, presets};

use super::text::Cells;
use crate::table::Table;

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
    let natural_width = || whole(false).lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut lines = match options.width {
        Some(width) if natural_width() > width.into() => {
            narrowed(table, &columns, whole(options.styled), options.styled, width)
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

/// A table that is wider than the terminal: one row stands upright, a value a line; of several, texts are wrapped, and numbers stay whole,
/// whatever that takes.
fn narrowed(
    table: &Table,
    columns: &[Option<Cells<'_>>],
    mut grid: comfy_table::Table,
    styled: bool,
    width: u16,
) -> String {
    if table.rows.num_rows() == 1 {
        let mut upright = empty_grid(styled);
        for (field, column) in table.rows.schema_ref().fields().iter().zip(columns) {
            upright.add_row([Cell::new(field.name()), cell(*column, 0)]);
        }
        return format!("{upright}\n");
    }
    for (column, cells) in grid.column_iter_mut().zip(columns) {
        if cells.is_some_and(Cells::is_number) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    format!("{grid}\n")
}

fn cell(column: Option<Cells<'_>>, row: usize) -> Cell {
    match column {
        Some(column) if !column.is_missing(row) => {
            let mut text = Vec::new();
            column.append(row, &mut text);
            // Control characters of a stray value would move the cursor.
            let text = String::from_utf8_lossy(&text).replace(char::is_control, "\u{fffd}");
            Cell::new(text)
        }
        Some(_) => Cell::new("(missing)").add_attribute(Attribute::Dim),
        None => Cell::new("(not printable)"),
    }
}
