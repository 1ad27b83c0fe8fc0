//! The page around the sections: filters, places for what is drawn later, and where the parts lead.

use std::fmt::Write as _;

use super::view::View;
use crate::report::{Link, Links, Measure, SECTIONS, Section, escape};

/// The filters that can be typed: name, label, kind of field, example.
const FIELDS: [(&str, &str, &str, &str); 8] = [
    ("from", "From", "date", ""),
    ("to", "Up to before", "date", ""),
    ("category", "Category", "text", "electronics"),
    ("brand", "Brand", "text", "samsung"),
    ("product", "Product", "text", "1004856"),
    ("min_price", "Price from", "text", "10"),
    ("max_price", "Price to", "text", "500"),
    ("user", "User", "text", "513021392"),
];

/// The filter that chooses by a column.
fn filter_of(column: &str) -> Option<&'static str> {
    Some(match column {
        "category_code" => "category",
        "brand" => "brand",
        "product_id" => "product",
        "user_id" => "user",
        "min_price" => "min_price",
        "max_price" => "max_price",
        _ => return None,
    })
}

/// The addresses of a page that shows what a view asks for.
pub(super) struct Addresses<'a> {
    pub(super) view: &'a View,
    pub(super) section: &'static Section,
}

impl Links for Addresses<'_> {
    fn lead(&self) -> bool {
        true
    }

    fn only(&self, values: &[(&str, String)]) -> Option<Link> {
        let wanted: Vec<(&str, &str)> =
            values.iter().map(|(column, value)| Some((filter_of(column)?, value.as_str()))).collect::<Option<_>>()?;
        // A band of prices has an end or none: both belong to it.
        let is_price = |name: &str| name.ends_with("_price");
        let replaced =
            |name: &str| wanted.iter().any(|(wanted, _)| *wanted == name || (is_price(wanted) && is_price(name)));
        let now: Vec<(&str, &str)> = self.view.pairs().filter(|(name, _)| replaced(name)).collect();
        let is_chosen = now.len() == wanted.len() && wanted.iter().all(|pair| now.contains(pair));
        let others = self.view.page_pairs().filter(|(name, _)| !replaced(name));
        let address = if is_chosen { query(others) } else { query(others.chain(wanted.iter().copied())) };
        Some(Link { address: format!("/{address}"), is_chosen })
    }

    fn chosen(&self, column: &str) -> Vec<String> {
        let Some(filter) = filter_of(column) else { return Vec::new() };
        self.view.pairs().filter(|(name, _)| *name == filter).map(|(_, value)| value.to_owned()).collect()
    }

    fn file(&self) -> Option<String> {
        let pairs = self.view.pairs().chain(self.section.parameters.iter().copied()).chain([("format", "csv")]);
        Some(format!("/api/analyses/{}{}", self.section.analysis, query(pairs)))
    }
}

/// The page: its filters, which its script fills from the address, and a place for each section.
pub(super) fn shell() -> String {
    let mut form = "<fieldset><legend>Count by</legend>".to_owned();
    for measure in Measure::ALL {
        let name = measure.name();
        let _ = write!(form, "<label><input type=\"radio\" name=\"measure\" value=\"{name}\">{name}</label>");
    }
    form += "</fieldset>\n";
    for (name, label, kind, example) in FIELDS {
        let more = match kind {
            // A year of four digits: without it six can be typed.
            "date" => " max=\"9999-12-31\"".to_owned(),
            _ if matches!(name, "category" | "brand") => format!(" list=\"known-{name}\""),
            _ => String::new(),
        };
        let _ = writeln!(
            form,
            "<label>{label}<input name=\"{name}\" type=\"{kind}\" placeholder=\"{example}\"{more} autocomplete=\"off\"></label>"
        );
    }
    form += "<label>Events<select name=\"event_type\"><option value=\"\">all</option></select></label>\n\
             <button>Show</button>\n<datalist id=\"known-category\"></datalist><datalist id=\"known-brand\"></datalist>\n";
    let mut parts = String::new();
    for section in &SECTIONS {
        let _ = writeln!(
            parts,
            "<div class=\"part w{}\" data-part=\"{}\" aria-busy=\"true\"><section><h2>{}</h2></section></div>",
            section.columns,
            section.name,
            escape(section.title)
        );
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Shop events</title>\n\
         <link rel=\"icon\" href=\"/icon.svg\">\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n<script src=\"/page.js\" defer></script>\n</head>\n<body>\n\
         <header>\n<div class=\"top\"><h1>Shop events</h1>\n<p id=\"status\" role=\"status\">…</p></div>\n\
         <details id=\"choose\" open><summary>Choose events</summary>\n\
         <form id=\"filters\" action=\"/\">\n{form}</form>\n<nav id=\"presets\" aria-label=\"Days\"></nav></details>\n\
         <nav id=\"chosen\" aria-label=\"Chosen\"></nav>\n<p id=\"problem\" role=\"alert\" hidden></p>\n\
         <noscript><p>The charts are fetched by a script; <code>cartlog report --html</code> writes them without.</p></noscript>\n\
         </header>\n<main>\n<div class=\"part w12\" data-part=\"figures\" aria-busy=\"true\"></div>\n{parts}</main>\n\
         <p id=\"told\" class=\"unseen\" role=\"status\"></p>\n<div id=\"tip\" aria-hidden=\"true\" hidden></div>\n</body>\n</html>\n"
    )
}

/// A query string with its question mark; nothing for no pairs.
fn query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        let _ = write!(text, "{}={}", encoded(name), encoded(value));
    }
    text
}

/// Percent-encodes all but unreserved characters (RFC 3986).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::pairs::Pairs;

    fn link(pairs: &[(&str, &str)], values: &[(&str, &str)]) -> Link {
        let pairs: Pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let view = View::of(pairs).unwrap();
        let values: Vec<_> = values.iter().map(|(column, value)| (*column, (*value).to_owned())).collect();
        Addresses { view: &view, section: &SECTIONS[0] }.only(&values).unwrap()
    }

    #[test]
    fn a_second_click_takes_the_first_one_back() {
        let first = link(&[("from", "2019-10-01"), ("measure", "views")], &[("brand", "a b")]);
        assert_eq!(first.address, "/?from=2019-10-01&measure=views&brand=a%20b");
        let second = link(&[("brand", "a b"), ("measure", "views")], &[("brand", "a b")]);
        assert_eq!((second.address.as_str(), second.is_chosen), ("/?measure=views", true));
        let other = link(&[("brand", "a"), ("brand", "b")], &[("brand", "b")]);
        assert_eq!((other.address.as_str(), other.is_chosen), ("/?brand=b", false));
    }

    #[test]
    fn a_band_of_prices_replaces_another_one() {
        let open = link(&[("min_price", "10"), ("max_price", "24.9999")], &[("min_price", "1000")]);
        assert_eq!((open.address.as_str(), open.is_chosen), ("/?min_price=1000", false));
        let same = [("min_price", "10"), ("max_price", "24.9999")];
        assert!(link(&same, &same).is_chosen);
    }
}
