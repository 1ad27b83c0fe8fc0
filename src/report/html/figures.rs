//! The few numbers that are asked for first.

use std::fmt::Write as _;

use super::values::{amount, column, short};
use crate::report::ReportError;
use crate::table::Table;

/// The key figures of some events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    revenue: f64,
    orders: f64,
    buyers: f64,
    users: f64,
    sessions: f64,
    average_order_value: f64,
    conversion: f64,
    abandonment: f64,
}

impl Figures {
    /// From the table `key_figures`.
    ///
    /// # Errors
    /// [`ReportError::MissingColumn`].
    pub fn of(table: &Table) -> Result<Self, ReportError> {
        let value = |name| column(table, name).map(|column| column.sum());
        Ok(Self {
            revenue: value("revenue")?,
            orders: value("orders")?,
            buyers: value("buyers")?,
            users: value("users")?,
            sessions: value("sessions")?,
            average_order_value: value("average_order_value")?,
            conversion: value("conversion")?,
            abandonment: value("abandonment")?,
        })
    }

    /// The figures as markup, with the change against those of an earlier time.
    #[must_use]
    pub fn render(&self, before: Option<&Self>) -> String {
        let percent = |value: f64| format!("{:.2} %", 100.0 * value);
        let mut markup = "<dl class=\"figures\">\n".to_owned();
        let mut add = |name: &str, value: fn(&Self) -> f64, shown: &dyn Fn(f64) -> String| {
            let change = before.map_or_else(String::new, |before| change(value(self), value(before)));
            let _ = writeln!(markup, "<div><dt>{name}</dt><dd>{}{change}</dd></div>", shown(value(self)));
        };
        add("Revenue", |figures| figures.revenue, &short);
        add("Orders", |figures| figures.orders, &short);
        add("Revenue per order", |figures| figures.average_order_value, &amount);
        add("Buyers", |figures| figures.buyers, &short);
        add("Users", |figures| figures.users, &short);
        add("Sessions", |figures| figures.sessions, &short);
        add("Sessions that buy", |figures| figures.conversion, &percent);
        add("Carts left behind", |figures| figures.abandonment, &percent);
        markup + "</dl>\n"
    }
}

/// How much more it is than before, if there was something before.
fn change(now: f64, then: f64) -> String {
    if then <= 0.0 {
        return String::new();
    }
    let change = 100.0 * (now / then - 1.0);
    format!(" <small title=\"against the period before\">{change:+.1} %</small>")
}
