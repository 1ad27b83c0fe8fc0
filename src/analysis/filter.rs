//! Which events an analysis covers: the one meaning of the filters, and the same meaning as SQL.
//!
//! An event is covered if every filter that is set holds for it:
//!
//! | filter | holds where | SQL |
//! |---|---|---|
//! | `--from T` | it happened at `T` or later | `event_time >= T` |
//! | `--to T` | it happened before `T` | `event_time < T` |
//! | `--event-type A,B` | its type is one of them | `event_type IN ('A', 'B')` |
//! | `--category C,D` | its category is one of them or below one: `electronics` covers `electronics` and `electronics.audio`, not `electronicsx`; an event without a category is not covered | `(category_code = 'C' OR starts_with(category_code, 'C.') OR …)` |
//! | `--brand A,B` | its brand is one of them; an event without a brand is not covered | `brand IN ('A', 'B')` |
//! | `--min-price P` | its price is `P` or higher | `price >= P` |
//! | `--max-price P` | its price is `P` or lower | `price <= P` |
//! | `--product A,B` | its product is one of them | `product_id IN (A, B)` |
//! | `--user A,B` | its user is one of them | `user_id IN (A, B)` |
//! | `--missing drop` | it has both a category code and a brand; `keep`, the default, covers all | `category_code IS NOT NULL AND brand IS NOT NULL` |
//!
//! A time is an instant: a date alone means its midnight, UTC. So `--from 2019-10-01 --to 2019-11-01` is October, and
//! ranges that follow each other neither overlap nor leave a gap. Text compares byte by byte, upper and lower case apart.

use std::fmt::Write as _;

use super::AnalysisError;
use crate::event::{decimal, time};

/// Prices and times in the units of the store; docs/ANALYSES.md has the exact meaning of each field.
///
/// ```
/// use cartlog::analysis::Filter;
///
/// let filter = Filter { categories: vec!["electronics".into()], min_price: Some(99_9900), ..Filter::default() };
/// assert_eq!(
///     filter.sql(),
///     "(category_code = 'electronics' OR starts_with(category_code, 'electronics.')) AND price >= 99.9900"
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The first instant covered, in milliseconds UTC.
    pub from: Option<i64>,
    /// The first instant no longer covered, in milliseconds UTC.
    pub to: Option<i64>,
    /// Event types, any of them; empty is all.
    pub event_types: Vec<String>,
    /// Categories, each with all below it; empty is all.
    pub categories: Vec<String>,
    /// Brands, any of them; empty is all.
    pub brands: Vec<String>,
    /// The lowest price covered, in units of `10^-4`.
    pub min_price: Option<i64>,
    /// The highest price covered, in units of `10^-4`.
    pub max_price: Option<i64>,
    /// Products, any of them; empty is all.
    pub products: Vec<i64>,
    /// Users, any of them; empty is all.
    pub users: Vec<i64>,
    /// Whether events without a category code or a brand are covered.
    pub missing: Missing,
}

/// What happens to events whose category code or brand is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missing {
    /// They are covered.
    #[default]
    Keep,
    /// They are left out: an event needs both.
    Drop,
}

impl Filter {
    /// Whether no filter is set, so that every event is covered.
    #[must_use]
    pub fn covers_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Sets [`Filter::from`] from text: a time, or a date alone for its midnight UTC.
    ///
    /// # Errors
    /// [`AnalysisError::InvalidFilter`] if it is neither.
    pub fn set_from(&mut self, text: &str) -> Result<(), AnalysisError> {
        self.from = Some(instant("--from", text)?);
        Ok(())
    }

    /// Sets [`Filter::to`] from text: a time, or a date alone for its midnight UTC.
    ///
    /// # Errors
    /// [`AnalysisError::InvalidFilter`] if it is neither.
    pub fn set_to(&mut self, text: &str) -> Result<(), AnalysisError> {
        self.to = Some(instant("--to", text)?);
        Ok(())
    }

    /// Sets [`Filter::min_price`] from text.
    ///
    /// # Errors
    /// [`AnalysisError::InvalidFilter`] if it is no decimal number with at most four digits after its point.
    pub fn set_min_price(&mut self, text: &str) -> Result<(), AnalysisError> {
        self.min_price = Some(price("--min-price", text)?);
        Ok(())
    }

    /// Sets [`Filter::max_price`] from text.
    ///
    /// # Errors
    /// [`AnalysisError::InvalidFilter`] if it is no decimal number with at most four digits after its point.
    pub fn set_max_price(&mut self, text: &str) -> Result<(), AnalysisError> {
        self.max_price = Some(price("--max-price", text)?);
        Ok(())
    }

    /// The same choice in the time just before, as long; `None` unless this one has a beginning and an end.
    ///
    /// ```
    /// use cartlog::analysis::Filter;
    ///
    /// let mut week = Filter::default();
    /// week.set_from("2019-10-08")?;
    /// assert_eq!(week.before(), None);
    /// week.set_to("2019-10-15")?;
    /// let before = week.before().ok_or("it has an end")?;
    /// assert_eq!((before.from, before.to), (Some(week.from.unwrap_or(0) - 7 * 86_400_000), week.from));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn before(&self) -> Option<Self> {
        let (from, to) = (self.from?, self.to?);
        let earlier = from.checked_sub(to.checked_sub(from)?)?;
        (from < to).then(|| Self { from: Some(earlier), to: Some(from), ..self.clone() })
    }

    /// The filter as the condition of an SQL `WHERE`, in DuckDB's dialect, over columns named and typed as in
    /// docs/ANALYSES.md; `TRUE` if no filter is set.
    #[must_use]
    pub fn sql(&self) -> String {
        let mut conditions = Vec::new();
        if let Some(from) = self.from {
            conditions.push(format!("event_time >= {}", sql_instant(from)));
        }
        if let Some(to) = self.to {
            conditions.push(format!("event_time < {}", sql_instant(to)));
        }
        if !self.event_types.is_empty() {
            conditions.push(format!("event_type IN ({})", sql_list(&self.event_types)));
        }
        if !self.categories.is_empty() {
            let covered: Vec<_> = self.categories.iter().map(|category| sql_category(category)).collect();
            conditions.push(format!("({})", covered.join(" OR ")));
        }
        if !self.brands.is_empty() {
            conditions.push(format!("brand IN ({})", sql_list(&self.brands)));
        }
        if let Some(price) = self.min_price {
            conditions.push(format!("price >= {}", sql_price(price)));
        }
        if let Some(price) = self.max_price {
            conditions.push(format!("price <= {}", sql_price(price)));
        }
        for (column, ids) in [("product_id", &self.products), ("user_id", &self.users)] {
            if !ids.is_empty() {
                let ids: Vec<_> = ids.iter().map(i64::to_string).collect();
                conditions.push(format!("{column} IN ({})", ids.join(", ")));
            }
        }
        if self.missing == Missing::Drop {
            conditions.push("category_code IS NOT NULL AND brand IS NOT NULL".to_owned());
        }
        if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") }
    }

    /// Whether an event type is covered.
    pub(crate) fn covers_event_type(&self, event_type: &str) -> bool {
        self.event_types.is_empty() || self.event_types.iter().any(|covered| covered == event_type)
    }

    /// Whether a category code is covered; `None` is the missing one.
    pub(crate) fn covers_category(&self, category: Option<&str>) -> bool {
        match category {
            None => self.categories.is_empty() && self.missing == Missing::Keep,
            Some(category) => {
                self.categories.is_empty()
                    || self.categories.iter().any(|covered| {
                        let below = category.strip_prefix(covered.as_str());
                        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                    })
            }
        }
    }

    /// Whether a brand is covered; `None` is the missing one.
    pub(crate) fn covers_brand(&self, brand: Option<&str>) -> bool {
        match brand {
            None => self.brands.is_empty() && self.missing == Missing::Keep,
            Some(brand) => self.brands.is_empty() || self.brands.iter().any(|covered| covered == brand),
        }
    }

    /// The first and the last instant covered; first above last covers none.
    pub(crate) fn instants(&self) -> (i64, i64) {
        match self.to {
            Some(i64::MIN) => (i64::MAX, i64::MIN),
            to => (self.from.unwrap_or(i64::MIN), to.map_or(i64::MAX, |to| to - 1)),
        }
    }

    /// The lowest and the highest price covered; lowest above highest covers none.
    pub(crate) fn prices(&self) -> (i64, i64) {
        (self.min_price.unwrap_or(i64::MIN), self.max_price.unwrap_or(i64::MAX))
    }
}

fn instant(filter: &'static str, text: &str) -> Result<i64, AnalysisError> {
    time::parse_or_midnight(text.as_bytes()).map_err(|_| AnalysisError::InvalidFilter {
        filter,
        got: text.to_owned(),
        expected: "a date or time, such as 2019-10-15 or 2019-10-15T12:30:00Z",
    })
}

fn price(filter: &'static str, text: &str) -> Result<i64, AnalysisError> {
    decimal::parse(text.as_bytes()).map_err(|_| AnalysisError::InvalidFilter {
        filter,
        got: text.to_owned(),
        expected: "a price with at most four digits after its point, such as 99.90",
    })
}

fn sql_instant(milliseconds: i64) -> String {
    format!("make_timestamp({})", milliseconds.saturating_mul(1000))
}

fn sql_price(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}.{:04}", units.unsigned_abs() / 10_000, units.unsigned_abs() % 10_000)
}

fn sql_category(category: &str) -> String {
    format!(
        "category_code = {} OR starts_with(category_code, {})",
        sql_text(category),
        sql_text(&format!("{category}."))
    )
}

fn sql_list(texts: &[String]) -> String {
    let mut list = String::new();
    for text in texts {
        let separator = if list.is_empty() { "" } else { ", " };
        let _ = write!(list, "{separator}{}", sql_text(text));
    }
    list
}

fn sql_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_covers_what_is_below_it_on_dotted_boundaries() {
        let filter = Filter { categories: vec!["electronics".into(), "a.b".into()], ..Filter::default() };
        for covered in ["electronics", "electronics.audio", "electronics.audio.headphone", "a.b", "a.b.c"] {
            assert!(filter.covers_category(Some(covered)), "{covered}");
        }
        for other in ["electronicsx", "electronic", "Electronics", "a", "a.bc", "x.electronics", ""] {
            assert!(!filter.covers_category(Some(other)), "{other}");
        }
        assert!(!filter.covers_category(None));
    }

    #[test]
    fn missing_values_are_kept_unless_dropped_or_another_filter_asks_for_a_value() {
        let keep = Filter::default();
        assert!(keep.covers_category(None) && keep.covers_brand(None) && keep.covers_everything());
        let drop = Filter { missing: Missing::Drop, ..Filter::default() };
        assert!(!drop.covers_category(None) && !drop.covers_brand(None) && !drop.covers_everything());
        assert!(drop.covers_category(Some("a")) && drop.covers_brand(Some("nan")));
        let brand = Filter { brands: vec!["apple".into()], ..Filter::default() };
        assert!(!brand.covers_brand(None) && brand.covers_category(None));
    }

    #[test]
    fn times_are_half_open() {
        let day = Filter { from: Some(0), to: Some(86_400_000), ..Filter::default() };
        assert_eq!(day.instants(), (0, 86_399_999));
        let (first, last) = Filter { to: Some(i64::MIN), ..Filter::default() }.instants();
        assert!(first > last);
    }

    #[test]
    fn times_and_prices_are_read_from_text() {
        let mut filter = Filter::default();
        filter.set_from("2019-10-01").unwrap();
        filter.set_to("2019-10-01T00:00:01Z").unwrap();
        filter.set_min_price("99.9").unwrap();
        filter.set_max_price("100").unwrap();
        let expected = Filter {
            from: Some(1_569_888_000_000),
            to: Some(1_569_888_001_000),
            min_price: Some(999_000),
            max_price: Some(1_000_000),
            ..Filter::default()
        };
        assert_eq!(filter, expected);
        let message = filter.set_to("2019-13-01").unwrap_err().to_string();
        assert!(message.starts_with("filter --to: got `2019-13-01`, expected a date or time"), "{message}");
        assert!(filter.set_max_price("1.00001").unwrap_err().to_string().starts_with("filter --max-price: got"));
    }

    #[test]
    fn sql_says_every_filter() {
        assert_eq!(Filter::default().sql(), "TRUE");
        let all = Filter {
            from: Some(1_569_888_000_000),
            to: Some(i64::MAX),
            event_types: vec!["cart".into(), "view".into()],
            categories: vec!["a".into()],
            brands: vec!["l'oreal".into()],
            min_price: Some(-5),
            max_price: Some(123_4500),
            products: vec![3],
            users: vec![7, -1],
            missing: Missing::Drop,
        };
        assert_eq!(
            all.sql(),
            "event_time >= make_timestamp(1569888000000000) AND event_time < make_timestamp(9223372036854775807) \
             AND event_type IN ('cart', 'view') AND (category_code = 'a' OR starts_with(category_code, 'a.')) \
             AND brand IN ('l''oreal') AND price >= -0.0005 AND price <= 123.4500 AND product_id IN (3) \
             AND user_id IN (7, -1) AND category_code IS NOT NULL AND brand IS NOT NULL"
        );
    }
}
