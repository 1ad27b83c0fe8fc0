//! Filters as they are typed → filters in the store's units.

use crate::analysis::{Filter, Missing as Covered};

use super::Usage;
use super::arguments::{Filters, Missing};

impl Filters {
    /// The filter that was typed.
    ///
    /// # Errors
    /// [`Usage`] naming the option whose text isn't understood.
    pub(crate) fn resolve(&self) -> Result<Filter, Usage> {
        let mut filter = Filter {
            event_types: self.event_type.clone(),
            categories: self.category.clone(),
            brands: self.brand.clone(),
            products: self.product.clone(),
            users: self.user.clone(),
            missing: match self.missing {
                None | Some(Missing::Keep) => Covered::Keep,
                Some(Missing::Drop) => Covered::Drop,
            },
            ..Filter::default()
        };
        if let Some(text) = &self.from {
            filter.set_from(text)?;
        }
        if let Some(text) = &self.to {
            filter.set_to(text).map_err(|error| match text.contains('/') {
                true => Usage(format!("{error}; the place to write to is --out")),
                false => error.into(),
            })?;
        }
        if let Some(text) = &self.min_price {
            filter.set_min_price(text)?;
        }
        if let Some(text) = &self.max_price {
            filter.set_max_price(text)?;
        }
        Ok(filter)
    }
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
        let filters = Filters { to: Some("s3://bucket/events".into()), ..Filters::default() };
        assert!(filters.resolve().unwrap_err().to_string().ends_with("; the place to write to is --out"));
    }
}
