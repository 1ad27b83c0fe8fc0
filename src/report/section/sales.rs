//! Sales: day by day, and from the first view to the order.

use super::Surroundings;
use crate::report::ReportError;
use crate::report::chart::{self, Bar, bars};
use crate::report::values::{amount, column, percent, short};
use crate::table::Table;

/// Categories whose conversion is shown.
const CATEGORIES: usize = 10;

pub(super) fn history(table: &Table, _title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let (days, values) = (column(table, "day")?, column(table, around.measure.name())?);
    let points: Vec<_> =
        (0..table.rows.num_rows()).filter_map(|row| Some((days.day(row)?, values.number(row)))).collect();
    Ok(chart::history("Sales history", around.width, &points, around.measure.name()))
}

pub(super) fn funnel(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let value = |name: &str| column(table, name).map(|column| column.sum());
    let all = value("sessions")?;
    let steps = [
        ("Sessions", all),
        ("viewed", value("viewed_sessions")?),
        ("put into the cart", value("carted_sessions")?),
        ("ordered", value("orders")?),
    ];
    let row = |(label, count): (&str, f64)| Bar {
        label: label.to_owned(),
        link: None,
        value: count,
        shown: if all > 0.0 { format!("{} · {}", short(count), percent(count / all)) } else { short(count) },
    };
    Ok(bars(title, around.width, &steps.map(row)))
}

pub(super) fn conversion(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let [category, viewed, purchased] =
        [column(table, "category_code")?, column(table, "viewed")?, column(table, "purchased")?];
    let row = |row: usize| {
        let (seen, bought) = (viewed.number(row), purchased.number(row));
        let share = if seen > 0.0 { bought / seen } else { 0.0 };
        Bar {
            label: category.text(row),
            link: super::leaders::link(around, "category_code", &category, row),
            value: share,
            shown: format!("{} · {} of {}", percent(share), amount(bought), amount(seen)),
        }
    };
    Ok(bars(title, around.width, &(0..table.rows.num_rows().min(CATEGORIES)).map(row).collect::<Vec<_>>()))
}
