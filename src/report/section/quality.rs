//! How good the data is: what events lack, and what never became an event.

use super::Surroundings;
use crate::report::ReportError;
use crate::report::chart::{Bar, bars};
use crate::report::values::{amount, column, percent};
use crate::table::Table;

pub(super) fn quality(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let value = |name: &str| column(table, name).map(|column| column.sum());
    let events = value("events")?;
    let mut counted = Vec::new();
    for (name, label) in [
        ("missing_category", "No category"),
        ("missing_brand", "No brand"),
        ("missing_session", "No session"),
        ("zero_price", "A price of zero"),
        ("negative_price", "A price below zero"),
        ("other_type", "An unknown event type"),
    ] {
        counted.push((label, value(name)?, events));
    }
    if let Some(loaded) = around.loaded {
        let read = loaded.read as f64;
        counted.push(("Lines rejected, of all read", loaded.rejected as f64, read));
        counted.push(("Duplicates, of all read", loaded.duplicate as f64, read));
    }
    let row = |(label, count, of): (&str, f64, f64)| {
        let share = if of > 0.0 { count / of } else { 0.0 };
        Bar {
            label: label.to_owned(),
            link: None,
            value: share,
            shown: format!("{} · {}", amount(count), percent(share)),
        }
    };
    Ok(bars(title, around.width, &counted.into_iter().map(row).collect::<Vec<_>>()))
}
