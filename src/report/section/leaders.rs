//! Leaderboards: the categories, brands and products with the most.

use super::Surroundings;
use crate::report::ReportError;
use crate::report::chart::{Bar, Link, bars};
use crate::report::values::{Column, column, percent, short};
use crate::table::Table;

/// Rows of a leaderboard.
const SHOWN: usize = 10;

/// The page of only those events that have a row's value in a column.
pub(super) fn link(around: &Surroundings<'_>, name: &str, values: &Column<'_>, row: usize) -> Option<Link> {
    if values.is_missing(row) { None } else { around.links.only(&[(name, values.text(row))]) }
}

/// The rows with the most of what is counted, and their share of all.
pub(super) fn leaders(table: &Table, title: &str, around: &Surroundings<'_>, by: &str) -> Result<String, ReportError> {
    let (labels, values) = (column(table, by)?, column(table, around.measure.name())?);
    let all = values.sum();
    let mut rows: Vec<usize> = (0..table.rows.num_rows()).collect();
    let most = |row: &usize| -values.number(*row);
    rows.sort_by(|left, right| most(left).total_cmp(&most(right)));
    rows.truncate(SHOWN);
    let bar = |row: usize| Bar {
        label: labels.text(row),
        link: link(around, by, &labels, row),
        value: values.number(row),
        shown: with_share(values.number(row), all),
    };
    Ok(bars(title, around.width, &rows.into_iter().map(bar).collect::<Vec<_>>()))
}

fn with_share(value: f64, all: f64) -> String {
    if all > 0.0 { format!("{} · {}", short(value), percent(value / all)) } else { short(value) }
}

/// The categories one level below the chosen one, each with all that is below it.
pub(super) fn categories(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let (codes, values) = (column(table, "category_code")?, column(table, around.measure.name())?);
    let chosen = around.links.chosen("category_code");
    let mut nodes: Vec<(Option<String>, f64)> = Vec::new();
    for row in 0..table.rows.num_rows() {
        let node = (!codes.is_missing(row)).then(|| node(&codes.text(row), &chosen).to_owned());
        match nodes.iter_mut().find(|(known, _)| *known == node) {
            Some((_, sum)) => *sum += values.number(row),
            None => nodes.push((node, values.number(row))),
        }
    }
    let all = nodes.iter().map(|(_, sum)| sum).sum();
    // Nodes came in the order of their text, which decides among equals.
    nodes.sort_by(|left, right| right.1.total_cmp(&left.1));
    nodes.truncate(SHOWN);
    let bar = |(node, sum): (Option<String>, f64)| Bar {
        link: node.as_ref().and_then(|node| around.links.only(&[("category_code", node.clone())])),
        label: node.unwrap_or_else(|| "(no category)".to_owned()),
        value: sum,
        shown: with_share(sum, all),
    };
    Ok(bars(title, around.width, &nodes.into_iter().map(bar).collect::<Vec<_>>()))
}

/// The part of a code that is shown: the top of the tree, one level below the only chosen category, or all of it.
fn node<'a>(code: &'a str, chosen: &[String]) -> &'a str {
    let start = match chosen {
        [] => 0,
        [only] if code.strip_prefix(only.as_str()).is_some_and(|rest| rest.starts_with('.')) => only.len() + 1,
        _ => return code,
    };
    let end = code[start..].find('.').map_or(code.len(), |length| start + length);
    &code[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_opens_one_level_at_a_time() {
        let chosen = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(node("a.b.c", &[]), "a");
        assert_eq!(node("a", &[]), "a");
        assert_eq!(node("a.b.c", &chosen(&["a"])), "a.b");
        assert_eq!(node("a.b.c", &chosen(&["a.b"])), "a.b.c");
        assert_eq!(node("a.b.c", &chosen(&["a.b.c"])), "a.b.c");
        assert_eq!(node("a.b.c", &chosen(&["a", "x"])), "a.b.c");
    }
}
