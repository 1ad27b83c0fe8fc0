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
            event_types: listed("--event-type", &self.event_type)?,
            categories: listed("--category", &self.category)?,
            brands: listed("--brand", &self.brand)?,
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

/// The values of an option, several in one text between commas; blanks around them don't count. One that holds a comma, or
/// begins or ends with a blank, is quoted as a field of CSV is.
fn listed(option: &str, texts: &[String]) -> Result<Vec<String>, Usage> {
    let mut values = Vec::new();
    for text in texts {
        let mut rest = text.trim();
        loop {
            let end;
            if let Some(quoted) = rest.strip_prefix('"') {
                let (value, behind) = unquoted(quoted).filter(|(_, behind)| behind.is_empty() || behind.starts_with(',')).ok_or_else(|| {
                    Usage(format!("{option} {text}: a value that begins with a double quote ends with one; write each one inside twice"))
                })?;
                values.push(value);
                end = rest.len() - behind.len();
            } else {
                end = rest.find(',').unwrap_or(rest.len());
                values.push(rest[..end].trim_end().to_owned());
            }
            let Some(next) = rest[end..].strip_prefix(',') else { break };
            rest = next.trim_start();
        }
    }
    Ok(values)
}

/// What stands before the closing quote, and what comes behind it and blanks.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        value += before;
        match behind.strip_prefix('"') {
            Some(inside) => {
                value.push('"');
                rest = inside;
            }
            None => return Some((value, behind.trim_start())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_line_of_csv() {
        let of = |text: &str| listed("--brand", &[text.to_owned()]).ok();
        for (text, expected) in [
            ("samsung", &["samsung"][..]),
            ("apple, samsung", &["apple", "samsung"]),
            (r#""a,b" , c"#, &["a,b", "c"]),
            (r#"" a ""b"" ""#, &[r#" a "b" "#]),
            (r#"5" tv"#, &[r#"5" tv"#]),
            ("a,", &["a", ""]),
        ] {
            assert_eq!(
                of(text).as_deref(),
                Some(&expected.iter().map(|&value| value.to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
        assert_eq!(of(r#""a,b"#), None);
        assert_eq!(of(r#""a" b"#), None);
    }

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
