//! The page around the sections: filters, places for what is drawn later, and where the parts lead.

use std::fmt::Write as _;

use super::routes::Pairs;
use crate::report::html::{Links, SECTIONS, escape};

/// The event types that can be chosen.
const EVENT_TYPES: [&str; 4] = ["view", "cart", "remove_from_cart", "purchase"];

/// The addresses of a page that shows what `pairs` ask for.
pub(super) struct Addresses<'a> {
    pub(super) pairs: &'a Pairs,
    /// The analysis of the section.
    pub(super) analysis: &'static str,
}

impl Links for Addresses<'_> {
    fn only(&self, column: &str, value: &str) -> Option<String> {
        let name = match column {
            "category_code" => "category",
            "brand" => "brand",
            "user_id" => "user",
            _ => return None,
        };
        let others = self.pairs.iter().filter(|(other, _)| other != name);
        let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
        Some(format!("/{}", query(others.chain([(name, value)]))))
    }

    fn file(&self) -> Option<String> {
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Some(format!("/api/analyses/{}{}", self.analysis, query(pairs.chain([("format", "csv")]))))
    }
}

/// The page with its filters as they are, and a place for each section.
pub(super) fn shell(pairs: &Pairs) -> String {
    let value = |name: &str| {
        let values = pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        escape(&values.collect::<Vec<_>>().join(", "))
    };
    let mut form = String::new();
    for (name, label, kind, example) in [
        ("from", "From", "date", ""),
        ("to", "Up to before", "date", ""),
        ("category", "Category", "text", "electronics"),
        ("brand", "Brand", "text", "samsung"),
        ("min_price", "Price from", "text", "10"),
        ("max_price", "to", "text", "500"),
        ("user", "User", "text", ""),
    ] {
        let _ = writeln!(
            form,
            "<label>{label}<input name=\"{name}\" type=\"{kind}\" value=\"{}\" placeholder=\"{example}\"></label>",
            value(name)
        );
    }
    form += "<label>Events<select name=\"event_type\"><option value=\"\">all</option>";
    for event_type in EVENT_TYPES {
        let chosen = if value("event_type") == event_type { " selected" } else { "" };
        let _ = write!(form, "<option{chosen}>{event_type}</option>");
    }
    form += "</select></label>\n<button>Show</button> <a href=\"/\">Everything</a>\n";
    let mut parts = String::new();
    for section in &SECTIONS {
        let _ = writeln!(
            parts,
            "<div class=\"part\" data-part=\"{}\" aria-busy=\"true\"><section><h2>{}</h2></section></div>",
            section.table,
            escape(section.title)
        );
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Shop events</title>\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n<script src=\"/page.js\" defer></script>\n</head>\n<body>\n\
         <header>\n<h1>Shop events</h1>\n<p id=\"status\" role=\"status\">…</p>\n\
         <form id=\"filters\" action=\"/\">\n{form}</form>\n<p id=\"problem\" role=\"alert\" hidden></p>\n\
         <noscript><p>The charts are drawn by a script; <code>cartlog report --html</code> writes them without.</p></noscript>\n\
         </header>\n<main>\n<div class=\"part wide\" data-part=\"figures\" aria-busy=\"true\"></div>\n{parts}</main>\n\
         </body>\n</html>\n"
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
