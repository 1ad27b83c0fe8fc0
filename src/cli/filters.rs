//! Filters as they are typed → filters in the store's units.

use crate::analysis::{Filter, Missing as Covered};
use crate::event::{decimal, time};

use super::Usage;
use super::arguments::{Filters, Missing};

impl Filters {
    /// The filter that was typed.
    ///
    /// # Errors
    /// [`Usage`] naming the option whose text isn't understood.
    pub(crate) fn resolve(&self) -> Result<Filter, Usage> {
        Ok(Filter {
            from: instant("--from", self.from.as_deref())?,
            to: instant("--to", self.to.as_deref())?,
            event_types: self.event_type.clone(),
            categories: self.category.clone(),
            brands: self.brand.clone(),
            min_price: price("--min-price", self.min_price.as_deref())?,
            max_price: price("--max-price", self.max_price.as_deref())?,
            users: self.user.clone(),
            missing: match self.missing {
                None | Some(Missing::Keep) => Covered::Keep,
                Some(Missing::Drop) => Covered::Drop,
            },
        })
    }
}

fn instant(option: &str, text: Option<&str>) -> Result<Option<i64>, Usage> {
    let Some(text) = text else { return Ok(None) };
    let midnight = format!("{text} 00:00:00 UTC");
    let parsed = time::parse(text.as_bytes()).or_else(|_| time::parse(midnight.as_bytes()));
    parsed.map(Some).map_err(|_| {
        Usage(format!(
            "{option} is {text:?}; it takes a day (2019-10-15, which is its midnight UTC) or a time \
             (2019-10-15T12:30:00Z, \"2019-10-15 12:30:00 UTC\")"
        ))
    })
}

fn price(option: &str, text: Option<&str>) -> Result<Option<i64>, Usage> {
    let Some(text) = text else { return Ok(None) };
    decimal::parse(text.as_bytes())
        .map(Some)
        .map_err(|_| Usage(format!("{option} is {text:?}; it takes a decimal number such as 99.90")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_midnight() {
        let filters = Filters {
            from: Some("2019-10-01".into()),
            to: Some("2019-10-01T01:00:00+01:00".into()),
            ..Filters::default()
        };
        let filter = filters.resolve().unwrap();
        assert_eq!(filter.from, Some(1_569_888_000_000));
        assert_eq!(filter.to, filter.from);
    }

    #[test]
    fn nonsense_names_its_option() {
        let filters = Filters { max_price: Some("cheap".into()), ..Filters::default() };
        assert!(filters.resolve().unwrap_err().to_string().contains("--max-price"));
        let filters = Filters { to: Some("2019-13-01".into()), ..Filters::default() };
        assert!(filters.resolve().unwrap_err().to_string().contains("--to"));
    }
}
