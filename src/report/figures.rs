//! The few numbers that are asked for first.

use std::fmt::Write as _;

use super::ReportError;
use super::chart::escape;
use super::values::{Column, amount, column, percent, short};
use crate::table::Table;

/// The key figures of some events.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    figures: Vec<Figure>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
struct Figure {
    name: &'static str,
    /// There is none where there is nothing to divide by.
    value: Option<f64>,
    shown: String,
    exact: String,
    more_is_better: bool,
}

/// The figures' columns, names, whether they are shares, and whether more is better.
const FIGURES: [(&str, &str, bool, bool); 8] = [
    ("revenue", "Revenue", false, true),
    ("orders", "Orders", false, true),
    ("average_order_value", "Average order value", false, true),
    ("buyers", "Buyers", false, true),
    ("conversion", "Conversion", true, true),
    ("abandonment", "Abandonment", true, false),
    ("users", "Users", false, true),
    ("sessions", "Sessions", false, true),
];

/// What is not obvious of a figure.
fn about(name: &str) -> &'static str {
    match name {
        "Orders" => "sessions that bought",
        "Conversion" => "orders per session",
        "Abandonment" => "carts left behind",
        "Average order value" => "revenue per order",
        "Buyers" => "users who bought",
        "Revenue" => "from purchases",
        "Users" => "with any event",
        "Sessions" => "with any event",
        _ => "",
    }
}

impl Figures {
    /// From the table `key_figures`.
    ///
    /// # Errors
    /// [`ReportError::MissingColumn`].
    pub fn of(table: &Table) -> Result<Self, ReportError> {
        let figures = FIGURES.into_iter().map(|(key, name, is_share, more_is_better)| {
            let column: Column<'_> = column(table, key)?;
            let value = (table.rows.num_rows() > 0 && !column.is_missing(0)).then(|| column.number(0));
            let shown = |text: fn(f64) -> String| value.map_or_else(|| "–".to_owned(), text);
            Ok::<_, ReportError>(Figure {
                name,
                value,
                shown: shown(if is_share {
                    percent
                } else if key == "average_order_value" {
                    amount
                } else {
                    short
                }),
                exact: value.map(|_| column.exact(0)).unwrap_or_default(),
                more_is_better,
            })
        });
        Ok(Self { figures: figures.collect::<Result<_, _>>()? })
    }

    /// The figures as markup, with the change against those of an earlier time; `note` says which one that is.
    #[must_use]
    pub fn render(&self, before: Option<&Self>, note: &str) -> String {
        let mut markup =
            "<section id=\"figures\" class=\"w12\">\n<h2 class=\"unseen\">Key figures</h2>\n<dl>\n".to_owned();
        for (place, figure) in self.figures.iter().enumerate() {
            let then = before.and_then(|before| before.figures.get(place)?.value);
            let _ = writeln!(
                markup,
                "<div><dt>{}</dt><dd class=\"value\" title=\"{}\" data-value=\"{}\">{}</dd>{}<dd>{}</dd></div>",
                figure.name,
                escape(&figure.exact),
                figure.value.map(|value| value.to_string()).unwrap_or_default(),
                figure.shown,
                figure.change(then),
                about(figure.name)
            );
        }
        markup += "</dl>\n";
        if !note.is_empty() {
            let _ = writeln!(markup, "<p>{}</p>", escape(note));
        }
        markup + "</section>\n"
    }
}

impl Figure {
    /// How much more it is than before, if there was something before.
    fn change(&self, then: Option<f64>) -> String {
        let (Some(now), Some(then)) = (self.value, then.filter(|then| *then > 0.0)) else { return String::new() };
        let change = now / then - 1.0;
        let (sign, kind) = if change.abs() < 0.0005 {
            ("±", "same")
        } else if (change > 0.0) == self.more_is_better {
            (if change > 0.0 { "▲ +" } else { "▼ −" }, "good")
        } else {
            (if change > 0.0 { "▲ +" } else { "▼ −" }, "bad")
        };
        format!("<dd class=\"change {kind}\">{sign}{:.1} %</dd>", 100.0 * change.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, more_is_better: bool) -> Figure {
        let (name, shown, exact) = ("Revenue", String::new(), String::new());
        Figure { name, value: Some(value), shown, exact, more_is_better }
    }

    #[test]
    fn a_change_says_whether_it_is_good() {
        assert_eq!(figure(110.0, true).change(Some(100.0)), "<dd class=\"change good\">▲ +10.0 %</dd>");
        assert_eq!(figure(90.0, true).change(Some(100.0)), "<dd class=\"change bad\">▼ −10.0 %</dd>");
        assert_eq!(figure(90.0, false).change(Some(100.0)), "<dd class=\"change good\">▼ −10.0 %</dd>");
        assert_eq!(figure(100.0, true).change(Some(100.0)), "<dd class=\"change same\">±0.0 %</dd>");
        assert_eq!(figure(1.0, true).change(Some(0.0)), "");
        assert_eq!(figure(1.0, true).change(None), "");
    }
}
