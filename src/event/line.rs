//! One CSV line as its fields, and the header line.
//!
//! Fields are separated by commas. A field that begins with `"` ends at the next `"` that is not doubled, and holds
//! commas and doubled quotes in between; a quote elsewhere is a character like others. A line never goes on after its
//! newline, even within quotes, so that a stray quote costs one line and not the rest of the file. (RFC 4180 apart from
//! that.)

use super::{HEADER, Reason};

/// Fields of an event.
pub(super) const FIELDS: usize = 9;

/// The fields of a line; reused from line to line.
#[derive(Debug, Default)]
pub(super) struct Fields {
    spans: [Span; FIELDS],
    /// The fields that hold doubled quotes, unescaped, one after the other.
    unescaped: Vec<u8>,
}

/// Where a field stands, in the line or among the unescaped ones.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: usize,
    end: usize,
    is_unescaped: bool,
}

impl Fields {
    /// Splits a line (without its line end) into exactly nine fields.
    pub(super) fn split(&mut self, line: &[u8]) -> Result<(), Reason> {
        self.unescaped.clear();
        let mut at = 0;
        let mut found = 0;
        loop {
            let (span, end) = self.field(line, at)?;
            if let Some(place) = self.spans.get_mut(found) {
                *place = span;
            }
            found += 1;
            if end == line.len() {
                break;
            }
            at = end + 1;
        }
        if found == FIELDS {
            Ok(())
        } else {
            Err(Reason::FieldCount { found, separator: other_separator(line, found) })
        }
    }

    /// The content of a field of the line that was split last.
    #[inline]
    pub(super) fn get<'a>(&'a self, line: &'a [u8], column: usize) -> &'a [u8] {
        let span = self.spans[column];
        if span.is_unescaped { &self.unescaped[span.start..span.end] } else { &line[span.start..span.end] }
    }

    /// The field that starts at `at`, and the place of the comma or line end after it.
    fn field(&mut self, line: &[u8], at: usize) -> Result<(Span, usize), Reason> {
        if line.get(at) == Some(&b'"') {
            return self.quoted(line, at + 1);
        }
        let end = memchr::memchr(b',', &line[at..]).map_or(line.len(), |length| at + length);
        Ok((Span { start: at, end, is_unescaped: false }, end))
    }

    /// The quoted field whose content starts at `start`.
    fn quoted(&mut self, line: &[u8], start: usize) -> Result<(Span, usize), Reason> {
        let unescaped = self.unescaped.len();
        let mut from = start;
        loop {
            let Some(length) = memchr::memchr(b'"', &line[from..]) else {
                return Err(Reason::OpenQuote { place: start });
            };
            let quote = from + length;
            match line.get(quote + 1) {
                Some(b'"') => {
                    self.unescaped.extend_from_slice(&line[from..=quote]);
                    from = quote + 2;
                }
                Some(byte) if *byte != b',' => return Err(Reason::AfterQuote { place: quote + 2 }),
                _ if self.unescaped.len() == unescaped => {
                    return Ok((Span { start, end: quote, is_unescaped: false }, quote + 1));
                }
                _ => {
                    self.unescaped.extend_from_slice(&line[from..quote]);
                    let span = Span { start: unescaped, end: self.unescaped.len(), is_unescaped: true };
                    return Ok((span, quote + 1));
                }
            }
        }
    }
}

/// What a first line says about the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The line names the nine columns in their order: it is a header and no event.
    Header,
    /// The line names the nine columns in another order, in which rows can't be read.
    OtherOrder,
    /// The line names some of the columns, and no event has these words there: others are absent, or there are more.
    OtherColumns,
    /// The line is not a header.
    None,
}

/// Tells whether a line (with or without its line end) is the header, by its content: the nine names, in any letter
/// case, quoted or not, with spaces around them or not.
#[must_use]
pub fn recognise_header(line: &[u8]) -> Header {
    // Ten bytes a field for quotes and spaces are more than any writer adds.
    if line.len() > HEADER.len() + 10 * FIELDS {
        return Header::None;
    }
    let name = |field: &[u8]| {
        let field = field.trim_ascii();
        let unquoted = field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field);
        unquoted.trim_ascii().to_ascii_lowercase()
    };
    let found: Vec<Vec<u8>> = line.split(|byte| *byte == b',').map(name).collect();
    let expected: Vec<&[u8]> = HEADER.split(',').map(str::as_bytes).collect();
    if found == expected {
        Header::Header
    } else if found.len() == FIELDS && expected.iter().all(|name| found.iter().any(|found| found == name)) {
        Header::OtherOrder
    } else if found.first().is_some_and(|first| expected.contains(&first.as_slice()))
        && found.iter().filter(|found| expected.contains(&found.as_slice())).count() > 1
    {
        Header::OtherColumns
    } else {
        Header::None
    }
}

/// Counts the rows of bytes that hold whole lines: the lines that are not blank.
///
/// A blank line (nothing, or a carriage return alone, before the newline) is no row: it is neither stored nor rejected
/// nor counted, so that an empty line at the end of a file frightens nobody.
#[must_use]
pub fn count_rows(bytes: &[u8]) -> u64 {
    let mut start = 0;
    let mut rows = 0;
    for newline in memchr::memchr_iter(b'\n', bytes) {
        rows += u64::from(!is_blank(&bytes[start..newline]));
        start = newline + 1;
    }
    rows + u64::from(!is_blank(&bytes[start..]))
}

/// Whether a line (without its newline) is blank.
#[inline]
#[must_use]
pub fn is_blank(line: &[u8]) -> bool {
    line.is_empty() || line == b"\r"
}

/// The separator that would make the line right, where another one than the comma does.
fn other_separator(line: &[u8], found: usize) -> Option<&'static str> {
    let count = |separator| memchr::memchr_iter(separator, line).count();
    match found {
        1 if count(b';') == FIELDS - 1 => Some("semicolons"),
        1 if count(b'\t') == FIELDS - 1 => Some("tabs"),
        1 if count(b'|') == FIELDS - 1 => Some("bars"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splits with csv-core, all fields.
    fn oracle(line: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).build();
        let (mut output, mut ends) = (vec![0; line.len() + 64], vec![0; line.len() + 64]);
        let mut input = line.to_vec();
        input.push(b'\n');
        let (_, _, _, fields) = reader.read_record(&input, &mut output, &mut ends);
        let starts = std::iter::once(0).chain(ends[..fields].iter().copied());
        starts.zip(&ends[..fields]).map(|(start, end)| output[start..*end].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn splits_as_csv_core_does(line in "([a\"\r é.]{0,3}|\"([a,\r é]|\"\"){0,4}\")(,([a \r]{0,3}|\"([a,b]|\"\"){0,3}\"|[a\"]{0,2})){7,9}") {
            let mut fields = Fields::default();
            let expected = oracle(line.as_bytes());
            match fields.split(line.as_bytes()) {
                Ok(()) => {
                    let found: Vec<_> = (0..FIELDS).map(|column| fields.get(line.as_bytes(), column).to_vec()).collect();
                    prop_assert_eq!(found, expected);
                }
                Err(Reason::FieldCount { found, .. }) => prop_assert_eq!(found, expected.len()),
                Err(Reason::OpenQuote { .. } | Reason::AfterQuote { .. }) => prop_assert!(line.contains('"')),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }

        #[test]
        fn rows_are_counted_line_by_line(text in "(a|\r|\n|\r\n){0,20}") {
            let naive = text.split('\n').filter(|line| !matches!(*line, "" | "\r")).count();
            prop_assert_eq!(count_rows(text.as_bytes()), naive as u64);
        }
    }

    #[test]
    fn header_is_known_by_its_content() {
        for (line, expected) in [
            (HEADER.to_owned(), Header::Header),
            (format!("{HEADER}\r\n"), Header::Header),
            (HEADER.to_uppercase(), Header::Header),
            (HEADER.replace(',', ", "), Header::Header),
            (format!("\"{}\"", HEADER.replace(',', "\",\"")), Header::Header),
            (HEADER.replace("event_time,event_type", "event_type,event_time"), Header::OtherOrder),
            (HEADER.replace("brand", "maker"), Header::OtherColumns),
            (HEADER.replace("brand", "price"), Header::OtherColumns),
            (format!("{HEADER},more"), Header::OtherColumns),
            (HEADER.replace(",user_session", ""), Header::OtherColumns),
            ("event_time,view,1".to_owned(), Header::None),
            ("brand".to_owned(), Header::None),
            (String::new(), Header::None),
            ("2019-10-01 00:00:00 UTC,view,1,2,,,0.00,3,s".to_owned(), Header::None),
        ] {
            assert_eq!(recognise_header(line.as_bytes()), expected, "{line}");
        }
    }
}
