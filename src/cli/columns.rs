//! Columns of text on a terminal: names at the left, numbers at the right, two spaces between.

use std::fmt::Write as _;

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Columns {
    header: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Column {
    name: &'static str,
    is_number: bool,
}

impl Columns {
    /// No rows yet; a column whose name begins with `#` holds numbers.
    pub(crate) fn new(names: &[&'static str]) -> Self {
        let header = names.iter().map(|name| match name.strip_prefix('#') {
            Some(name) => Column { name, is_number: true },
            None => Column { name, is_number: false },
        });
        Self { header: header.collect(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // Control characters of a stray name would move the cursor.
        self.rows.push(cells.into_iter().map(|cell| cell.replace(char::is_control, "\u{fffd}")).collect());
    }

    /// The lines, each indented by so many spaces.
    pub(crate) fn lines(&self, indent: usize) -> String {
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.header[column].name.len()]).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.header.len()).map(wide).collect();
        let mut out = String::new();
        let header: Vec<_> = self.header.iter().map(|column| column.name.to_owned()).collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut line = " ".repeat(indent);
            for (at, ((cell, column), wide)) in row.iter().zip(&self.header).zip(&widths).enumerate() {
                let gap = if at > 0 { "  " } else { "" };
                // Writing to a string can't fail.
                let _ = match column.is_number {
                    true => write!(line, "{gap}{cell:>wide$}"),
                    false => write!(line, "{gap}{cell:<wide$}"),
                };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_numbers_right() {
        let mut columns = Columns::new(&["topic", "#records", "host"]);
        columns.row(["a".to_owned(), "1,234,567".to_owned(), String::new()]);
        columns.row(["long\u{1b}name".to_owned(), "5".to_owned(), "h".to_owned()]);
        let expected = "  topic        records  host\n  a          1,234,567\n  long\u{fffd}name          5  h\n";
        assert_eq!(columns.lines(2), expected);
    }
}
