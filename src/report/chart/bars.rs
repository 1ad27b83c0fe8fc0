//! A list of names with a bar each: which is the most, and by how much.

use super::Link;
use super::canvas::{Area, Canvas, cut, largest, nothing, width_of};

const ROW: f64 = 34.0;

/// A name and how much of something it has.
pub(in crate::report) struct Bar {
    pub(in crate::report) label: String,
    pub(in crate::report) link: Option<Link>,
    pub(in crate::report) value: f64,
    /// The value as it is written.
    pub(in crate::report) shown: String,
}

/// Bars beneath their names, all from the same start.
pub(in crate::report) fn bars(title: &str, width: f64, rows: &[Bar]) -> String {
    if rows.is_empty() {
        return nothing(title, width);
    }
    let mut canvas = Canvas::new(width);
    let width = canvas.width;
    let most = largest(rows.iter().map(|row| row.value));
    for (place, row) in rows.iter().enumerate() {
        let y = ROW * place as f64;
        let link = row.link.as_ref();
        canvas.open(link, &row.label, row.value, &format!("{}: {}", row.label, row.shown));
        canvas.rect(Area { x: 0.0, y, width, height: ROW - 2.0 }, "hit");
        canvas.text(2.0, y + 15.0, "n", &cut(&row.label, width - width_of(&row.shown) - 20.0));
        canvas.text(width - 2.0, y + 15.0, "v r", &row.shown);
        let bar = Area { x: 2.0, y: y + 21.0, width: width - 4.0, height: 6.0 };
        canvas.mark(bar, "t", " rx=\"3\"", "");
        let length = (row.value.max(0.0) / most * bar.width).max(if row.value > 0.0 { 2.0 } else { 0.0 });
        canvas.mark(Area { width: length, ..bar }, "s0", " rx=\"3\"", "");
        canvas.close(link);
    }
    canvas.finish(title, ROW * rows.len() as f64)
}
