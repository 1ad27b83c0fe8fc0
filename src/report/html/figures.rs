//! The few numbers that are asked for first.

use std::fmt::Write as _;

use serde::Serialize;

use super::values::{amount, column, short};
use crate::report::ReportError;
use crate::table::Table;

/// The key figures of some events.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// What purchases brought in.
    pub revenue: f64,
    /// Events of the type `purchase`.
    pub purchases: f64,
    /// Sessions with a purchase; a purchase without a session is an order of its own.
    pub orders: f64,
    /// Users who bought.
    pub buyers: f64,
    /// Sessions.
    pub sessions: f64,
    /// Revenue of an order; 0 without orders.
    pub average_order_value: f64,
    /// Share of the sessions that buy, of 1; 0 without sessions.
    pub conversion: f64,
}

impl Figures {
    /// From the tables `sales_history`, `session_metrics` and `customer_segments` of the same events.
    ///
    /// # Errors
    /// [`ReportError::MissingColumn`].
    pub fn of(sales: &Table, sessions: &Table, segments: &Table) -> Result<Self, ReportError> {
        let total = |table, name| column(table, name).map(|column| column.sum());
        let (revenue, orders) = (total(sales, "revenue")?, total(segments, "orders")?);
        let (all, buying) = (total(sessions, "sessions")?, total(sessions, "purchasing_sessions")?);
        Ok(Self {
            revenue,
            purchases: total(sales, "purchases")?,
            orders,
            buyers: total(segments, "users")?,
            sessions: all,
            average_order_value: share(revenue, orders),
            conversion: share(buying, all),
        })
    }

    /// The figures as markup, with the change against those of an earlier time.
    #[must_use]
    pub fn render(&self, before: Option<&Self>) -> String {
        let percent = |value: f64| format!("{:.2} %", 100.0 * value);
        let figures = [
            ("Revenue", short(self.revenue), self.revenue, before.map(|before| before.revenue)),
            ("Purchases", short(self.purchases), self.purchases, before.map(|before| before.purchases)),
            ("Orders", short(self.orders), self.orders, before.map(|before| before.orders)),
            ("Buyers", short(self.buyers), self.buyers, before.map(|before| before.buyers)),
            (
                "Revenue per order",
                amount(self.average_order_value),
                self.average_order_value,
                before.map(|before| before.average_order_value),
            ),
            ("Sessions", short(self.sessions), self.sessions, before.map(|before| before.sessions)),
            ("Sessions that buy", percent(self.conversion), self.conversion, before.map(|before| before.conversion)),
        ];
        let mut markup = "<dl class=\"figures\">\n".to_owned();
        for (name, shown, now, then) in figures {
            let _ = writeln!(markup, "<div><dt>{name}</dt><dd>{shown}{}</dd></div>", change(now, then));
        }
        markup + "</dl>\n"
    }
}

/// How much more it is than before, if there was something before.
fn change(now: f64, then: Option<f64>) -> String {
    match then {
        Some(then) if then > 0.0 => {
            let change = 100.0 * (now / then - 1.0);
            let direction = if change < 0.0 { "down" } else { "up" };
            format!(" <small class=\"{direction}\" title=\"against the period before\">{change:+.1} %</small>")
        }
        _ => String::new(),
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
