//! Pictures as SVG: bars, lines, ranges and heat maps.
//!
//! The charts are static: a page of them opens from disk, prints, needs no script and no network, and shows every number in
//! a tooltip of the browser's own and in the table beneath. Colours are classes, so that the page's style decides them.

use std::fmt::Write as _;

use super::values::{amount, short};

const WIDTH: f64 = 720.0;
const LABEL: f64 = 215.0;
const BAR: f64 = 14.0;
const GAP: f64 = 8.0;
/// The longest label that fits, in characters.
const LABEL_CHARACTERS: usize = 27;

/// One row of bars: its label, where that leads, and a value of each series.
pub(super) struct Bars {
    pub(super) label: String,
    pub(super) link: Option<String>,
    pub(super) values: Vec<f64>,
}

/// Writes text where markup stands.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn cut(label: &str) -> String {
    if label.chars().count() <= LABEL_CHARACTERS {
        return escape(label);
    }
    let start: String = label.chars().take(LABEL_CHARACTERS - 1).collect();
    escape(&start) + "…"
}

fn picture(title: &str, height: f64, content: &str) -> String {
    // What an image holds can't be reached: one with links in it is a group.
    let role = if content.contains("<a ") { "group" } else { "img" };
    format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"{role}\" aria-label=\"{}\">{content}</svg>", escape(title))
}

fn text(x: f64, y: f64, class: &str, content: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{content}</text>")
}

/// The largest of some values, and at least something above nothing.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max).max(f64::MIN_POSITIVE)
}

/// Horizontal bars, one a series and row, with a legend if there are several series.
pub(super) fn bars(title: &str, series: &[&str], rows: &[Bars]) -> String {
    let most = largest(rows.iter().flat_map(|row| row.values.iter().copied()));
    let width = WIDTH - LABEL - 80.0;
    let mut content = String::new();
    let mut y = 4.0;
    if series.len() > 1 {
        let mut x = LABEL;
        for (number, name) in series.iter().enumerate() {
            let _ = write!(content, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"12\" height=\"12\" class=\"s{number}\"/>");
            content += &text(x + 17.0, y + 10.5, "l", &escape(name));
            x += 130.0;
        }
        y += 24.0;
    }
    for row in rows {
        let middle = y + BAR * row.values.len() as f64 / 2.0 + 4.0;
        let label = text(LABEL - 8.0, middle, "r", &cut(&row.label));
        content += &row.link.as_ref().map_or(label.clone(), |link| format!("<a href=\"{}\">{label}</a>", escape(link)));
        for (number, value) in row.values.iter().enumerate() {
            let length = (value.max(0.0) / most * width).max(if *value > 0.0 { 1.0 } else { 0.0 });
            let _ = write!(
                content,
                "<rect x=\"{LABEL}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{:.1}\" class=\"s{number}\"><title>{}: {} {}</title></rect>",
                BAR - 2.0,
                escape(&row.label),
                amount(*value),
                escape(series.get(number).copied().unwrap_or_default())
            );
            content += &text(LABEL + length + 5.0, y + BAR - 4.0, "v", &short(*value));
            y += BAR;
        }
        y += GAP;
    }
    picture(title, y, &content)
}

/// A line over an ordered axis, with the first and last label beneath and the scale at the left.
pub(super) fn line(title: &str, points: &[(String, f64)]) -> String {
    const HEIGHT: f64 = 240.0;
    const LEFT: f64 = 60.0;
    const BOTTOM: f64 = 24.0;
    let most = largest(points.iter().map(|(_, value)| *value));
    let step = (WIDTH - LEFT - 16.0) / (points.len().max(2) - 1) as f64;
    let place = |(index, value): (usize, f64)| {
        (LEFT + step * index as f64, 10.0 + (HEIGHT - BOTTOM - 10.0) * (1.0 - value.max(0.0) / most))
    };
    let mut content = String::new();
    for share in [0.0, 0.5, 1.0] {
        let (_, y) = place((0, most * share));
        let _ = write!(content, "<path d=\"M{LEFT} {y:.1}H{:.1}\" class=\"g\"/>", WIDTH - 16.0);
        content += &text(LEFT - 6.0, y + 4.0, "r", &short(most * share));
    }
    let path: Vec<String> = points
        .iter()
        .enumerate()
        .map(|(index, (_, value))| {
            let (x, y) = place((index, *value));
            format!("{x:.1} {y:.1}")
        })
        .collect();
    let _ = write!(content, "<path d=\"M{}\" class=\"p\"/>", path.join("L"));
    for (index, (label, value)) in points.iter().enumerate() {
        let (x, y) = place((index, *value));
        let _ = write!(
            content,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"s0\" data-label=\"{0}\"><title>{0}: {1}</title></circle>",
            escape(label),
            amount(*value)
        );
    }
    if let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) {
        content += &text(LEFT, HEIGHT - 6.0, "l", &escape(first));
        content += &text(WIDTH - 16.0, HEIGHT - 6.0, "r", &escape(last));
    }
    picture(title, HEIGHT, &content)
}

/// From the lowest to the highest of each row, with a mark at the middle value.
pub(super) fn ranges(title: &str, rows: &[(String, [f64; 3])]) -> String {
    let most = largest(rows.iter().map(|(_, [_, _, high])| *high));
    let width = WIDTH - LABEL - 80.0;
    let mut content = String::new();
    let mut y = 4.0;
    for (label, values) in rows {
        let [low, middle, high] = values.map(|value| LABEL + value.max(0.0) / most * width);
        content += &text(LABEL - 8.0, y + BAR - 3.0, "r", &cut(label));
        let [least, average, dearest] = values.map(amount);
        let _ = write!(
            content,
            "<g><title>{}: {least} to {dearest}, on average {average}</title>\
             <rect x=\"{low:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"4\" class=\"s1\"/>\
             <circle cx=\"{middle:.1}\" cy=\"{:.1}\" r=\"6\" class=\"s0\"/></g>",
            escape(label),
            y + 5.0,
            (high - low).max(1.0),
            y + 7.0
        );
        content += &text(high + 8.0, y + BAR - 3.0, "v", &average);
        y += BAR + GAP;
    }
    picture(title, y, &content)
}

/// A cell a row and column, the darker the more; nothing where there is no value.
pub(super) fn heat(title: &str, rows: &[String], columns: &[String], cells: &[Vec<Option<f64>>]) -> String {
    const TOP: f64 = 20.0;
    const HEIGHT: f64 = 20.0;
    let most = largest(cells.iter().flatten().flatten().copied());
    let width = (WIDTH - LABEL) / columns.len().max(1) as f64;
    let mut content = String::new();
    for (index, label) in columns.iter().enumerate() {
        content += &text(LABEL + width * (index as f64 + 0.5), TOP - 6.0, "m", &escape(label));
    }
    for (number, (label, values)) in rows.iter().zip(cells).enumerate() {
        let y = TOP + HEIGHT * number as f64;
        content += &text(LABEL - 8.0, y + 14.0, "r", &cut(label));
        for (index, value) in values.iter().enumerate() {
            let Some(value) = value else { continue };
            let _ = write!(
                content,
                "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"s0\" fill-opacity=\"{:.2}\"><title>{}, {}: {}</title></rect>",
                LABEL + width * index as f64 + 1.0,
                (width - 2.0).max(1.0),
                HEIGHT - 2.0,
                0.06 + 0.94 * (value.max(0.0) / most),
                escape(label),
                escape(columns.get(index).map_or("", String::as_str)),
                amount(*value)
            );
        }
    }
    picture(title, TOP + HEIGHT * rows.len() as f64 + 4.0, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_labels_stay_labels() {
        let hostile = "</title><script>alert(1)</script>\"'&";
        let rows = [Bars { label: hostile.to_owned(), link: Some(hostile.to_owned()), values: vec![1.0, 2.0] }];
        let points = [(hostile.to_owned(), 1.0)];
        for chart in [
            bars(hostile, &["a", hostile], &rows),
            line(hostile, &points),
            ranges(hostile, &[(hostile.to_owned(), [1.0, 2.0, 3.0])]),
            heat(hostile, &[hostile.to_owned()], &[hostile.to_owned()], &[vec![Some(1.0)]]),
        ] {
            assert!(!chart.contains("<script") && chart.contains("&lt;script&gt;"), "{chart}");
        }
    }

    #[test]
    fn nothing_to_draw_is_drawn() {
        for chart in [bars("a", &["b"], &[]), line("a", &[]), ranges("a", &[]), heat("a", &[], &[], &[])] {
            assert!(chart.starts_with("<svg") && chart.ends_with("</svg>") && !chart.contains("NaN"), "{chart}");
        }
        assert!(!bars("a", &["b"], &[Bars { label: "c".to_owned(), link: None, values: vec![0.0] }]).contains("NaN"));
    }
}
