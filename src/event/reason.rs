//! Why a line is not an event, in words for the person who looks at the reject file.

use super::decimal::DecimalError;
use super::integer::IntegerError;
use super::line::FIELDS;
use super::time::TimeError;
use super::{HEADER, MAX_TEXT_BYTES};

/// Why a line or JSON element is rejected. Its message is the reject's reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    /// Too few or too many fields.
    #[error("expected {FIELDS} fields, found {found}{}", separator.map(|name| format!(" (separated by {name}?)")).unwrap_or_default())]
    FieldCount { found: usize, separator: Option<&'static str> },
    /// A quoted field without its closing quote on the line.
    #[error("a quote is left open at byte {place} of the line")]
    OpenQuote { place: usize },
    /// Text between a closing quote and the next comma.
    #[error("text after a closing quote at byte {place} of the line")]
    AfterQuote { place: usize },
    /// Bytes that are not UTF-8.
    #[error("not UTF-8: byte 0x{byte:02X} at byte {place} of the line")]
    NotUtf8 { byte: u8, place: usize },
    /// The header, anywhere but at the start of its source.
    #[error("a header line among the events")]
    Header,
    /// A line beyond all limits, of which only the start is kept.
    #[error("a line of {length} bytes is too long to be an event; its first {kept} bytes are kept")]
    TooLong { length: u64, kept: usize },
    /// A required field that is empty or absent.
    #[error("{}: missing", name(*column))]
    Missing { column: usize },
    /// A field that is no time.
    #[error("{}: {value} {error}", name(*column))]
    Time { column: usize, value: Excerpt, error: TimeError },
    /// A field that is no integer.
    #[error("{}: {value} {error}", name(*column))]
    Integer { column: usize, value: Excerpt, error: IntegerError },
    /// A field that is no decimal number.
    #[error("{}: {value} {error}", name(*column))]
    Decimal { column: usize, value: Excerpt, error: DecimalError },
    /// A text beyond the limit.
    #[error("{}: a text of {length} bytes, at most {MAX_TEXT_BYTES} are allowed", name(*column))]
    TextTooLong { column: usize, length: usize },
    /// The dictionary took no more texts.
    #[error("{}: {error}", name(*column))]
    Dictionary { column: usize, error: String },
    /// A JSON value of the wrong type.
    #[error("{}: {value} is not a {expected}", name(*column))]
    JsonType { column: usize, value: Excerpt, expected: &'static str },
    /// Not JSON, or not an object.
    #[error("not a JSON event: {error}")]
    Json { error: String },
}

impl Reason {
    /// The reason of a line of `length` bytes of which only `kept` are there.
    pub(super) const fn too_long(length: u64, kept: &[u8]) -> Self {
        Self::TooLong { length, kept: kept.len() }
    }
}

/// Whether this is the reason of a line of which only the start was kept.
#[must_use]
pub fn is_cut(reason: &str) -> bool {
    let numbers = || {
        let (length, rest) =
            reason.strip_prefix("a line of ")?.split_once(" bytes is too long to be an event; its first ")?;
        let (kept, _) = rest.split_once(' ')?;
        Some((length.parse::<u64>().ok()?, kept.parse::<u64>().ok()?))
    };
    numbers().is_some_and(|(length, kept)| kept < length)
}

fn name(column: usize) -> &'static str {
    HEADER.split(',').nth(column).unwrap_or_default()
}

/// The start of a value, quoted and escaped, short enough for one line of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt(String);

impl Excerpt {
    const CHARACTERS: usize = 60;

    pub(super) fn of(value: &[u8]) -> Self {
        // Four bytes a character at most: decoding a value of megabytes for its first characters would be a waste.
        let start = &value[..value.len().min(4 * (Self::CHARACTERS + 1))];
        let text = String::from_utf8_lossy(start);
        let mut characters = text.chars();
        let shown: String = characters.by_ref().take(Self::CHARACTERS).collect();
        let is_cut = characters.next().is_some() || value.len() > start.len();
        Self(format!("{shown:?}{}", if is_cut { "…" } else { "" }))
    }
}

impl std::fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_which_the_start_was_kept_is_known_by_its_reason() {
        assert!(is_cut(&Reason::too_long(9 << 20, b"abc").to_string()));
        assert!(!is_cut(&Reason::too_long(3, b"abc").to_string()), "all of it was kept");
        assert!(!is_cut(&Reason::Header.to_string()));
    }

    #[test]
    fn excerpts_are_short_and_escaped() {
        assert_eq!(Excerpt::of(b"a\"b\tc").to_string(), r#""a\"b\tc""#);
        let long = Excerpt::of("é".repeat(100_000).as_bytes()).to_string();
        assert_eq!(long, format!("\"{}\"…", "é".repeat(60)));
    }
}
