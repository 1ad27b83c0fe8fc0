//! Blocks of text into batches of rows.
//!
//! Invariants:
//! - every line that is not blank is a row of the batch or a reject, in order, and nothing else is;
//! - the same bytes give the same rows and rejects, whatever was parsed before (only codes depend on that);
//! - a rejected line leaves no trace: no text of it gets into a dictionary.
//!
//! UTF-8 is checked for the whole block at once, at tens of gigabytes a second, and line by line only when that fails.
//! Lines first take the fast path (`fast.rs`), and the general path here where that one declines.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cartlog_storage::store::{Batch, MAX_DICTIONARY_TEXT, Reject, SharedDictionary, StoreError, StoreWriter};

use super::codes::CodeCache;
use super::fast::{Caches, Lines};
use super::line::{self, Fields, Header};
use super::reason::{Excerpt, Reason};
use super::rows::{Row, Rows, Session};
use super::{
    BRAND, CATEGORY_CODE, CATEGORY_ID, EVENT_TIME, EVENT_TYPE, PRICE, PRODUCT_ID, USER_ID, USER_SESSION, decimal,
    integer, json, time, uuid,
};

/// The longest text of a field, in bytes: as long as a dictionary takes.
pub const MAX_TEXT_BYTES: usize = MAX_DICTIONARY_TEXT;

/// The longest line that can be an event, in bytes.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// The most bytes that [`BlockParser::parse`] looks into at once; text offsets of a batch are 32-bit.
const MAX_BLOCK_BYTES: usize = 1 << 31;

/// The dictionaries of the three columns that are kept as codes; clones share them.
#[derive(Debug, Clone, Default)]
pub struct EventDictionaries {
    /// Of the event types.
    pub event_type: Arc<SharedDictionary>,
    /// Of the category codes.
    pub category_code: Arc<SharedDictionary>,
    /// Of the brands.
    pub brand: Arc<SharedDictionary>,
}

impl EventDictionaries {
    /// The dictionaries of a store of events (see [`schema`](super::schema())).
    #[must_use]
    pub fn from_writer(writer: &StoreWriter) -> Self {
        Self {
            event_type: writer.dictionary(EVENT_TYPE),
            category_code: writer.dictionary(CATEGORY_CODE),
            brand: writer.dictionary(BRAND),
        }
    }
}

/// Where the bytes given to a parser come from, and how they are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'a> {
    /// The name of the source, or topic, partition and offset of the record.
    pub source: &'a str,
    /// The offset of the first byte in the source.
    pub byte_offset: u64,
    /// The 1-based number of the first line.
    pub first_line: u64,
    /// How to read the bytes.
    pub layout: Layout,
}

impl<'a> Position<'a> {
    /// The position of a block of a source (see [`Layout::Lines`]).
    #[must_use]
    pub const fn of_block(source: &'a str, byte_offset: u64, first_line: u64) -> Self {
        Self { source, byte_offset, first_line, layout: Layout::Lines }
    }

    /// The position of a message of another producer (see [`Layout::Message`]).
    #[must_use]
    pub const fn of_message(source: &'a str) -> Self {
        Self { source, byte_offset: 0, first_line: 1, layout: Layout::Message }
    }
}

/// How bytes are divided into events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A block of a source: one event a line. A line that starts with `{` is JSON, any other is CSV.
    Lines,
    /// A message of another producer: one JSON event or an array of them if the whole is that, otherwise lines.
    Message,
    /// The start of one line of `length` bytes, which is too long to be an event: one reject.
    CutLine {
        /// The bytes of the whole line, its newline included.
        length: u64,
    },
}

/// What a block held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The events.
    pub batch: Batch,
    /// The lines that are none.
    pub rejects: Vec<Reject>,
}

/// What several messages hold, on its way to become [`Parsed`] (see [`BlockParser::add_message`]).
#[derive(Debug)]
pub struct Gathered {
    rows: Rows,
    rejects: Vec<Reject>,
}

impl Gathered {
    /// Nothing yet, with room for so many rows.
    #[must_use]
    pub fn with_room(rows: usize) -> Self {
        Self { rows: Rows::with_capacity(rows), rejects: Vec::new() }
    }

    /// All of it as one batch.
    #[must_use]
    pub fn finish(self) -> Parsed {
        Parsed { batch: self.rows.finish(), rejects: self.rejects }
    }
}

/// Parses blocks of text, one after the other, into rows; one a thread.
///
/// Accepted lines are CSV of nine fields as [`HEADER`](super::HEADER) names them, or JSON objects of those names
/// (others are ignored). Required are all but `category_code`, `brand` and `user_session`; an empty field, quoted or
/// not, is missing. A line that is not an event is rejected with its reason; a blank line is skipped.
///
/// No memory is allocated per row.
///
/// ```
/// use cartlog::event::{BlockParser, EventDictionaries, Position};
///
/// let mut parser = BlockParser::new(EventDictionaries::default());
/// let lines = b"2019-10-01 00:00:00 UTC,view,1,2,,nan,35.79,3,\n2019-10-01 00:00:00 UTC,view,1,2,,,abc,3,\n";
/// let parsed = parser.parse(lines, &Position::of_block("events.csv", 0, 1));
/// assert_eq!(parsed.batch.rows, 1);
/// assert_eq!(parsed.rejects[0].line, 2);
/// assert_eq!(parsed.rejects[0].reason, r#"price: "abc" is not a decimal number"#);
/// ```
#[derive(Debug)]
pub struct BlockParser {
    dictionaries: EventDictionaries,
    caches: Caches,
    ahead: Box<Lines>,
    fields: Fields,
    /// Bytes a row in the last block, to make room for the next one's.
    bytes_per_row: usize,
}

impl BlockParser {
    /// A parser that takes its codes from these dictionaries.
    #[must_use]
    pub fn new(dictionaries: EventDictionaries) -> Self {
        Self {
            dictionaries,
            caches: Caches::new(),
            ahead: Box::new(Lines::new()),
            fields: Fields::default(),
            bytes_per_row: 120,
        }
    }

    /// The dictionaries that codes come from.
    #[must_use]
    pub const fn dictionaries(&self) -> &EventDictionaries {
        &self.dictionaries
    }

    /// Parses a block of whole lines, or a message.
    ///
    /// Costs about 0.7 ns a byte or less for lines in the public layout, four times that for others.
    pub fn parse(&mut self, bytes: &[u8], at: &Position<'_>) -> Parsed {
        let mut gathered = Gathered::with_room(bytes.len() / self.bytes_per_row + 1);
        self.add(&mut gathered, bytes, at);
        let parsed = gathered.finish();
        if let Some(bytes_per_row) = bytes.len().checked_div(parsed.batch.rows) {
            // A little more room than needed costs less than moving the columns to a larger place.
            self.bytes_per_row = bytes_per_row.saturating_sub(2).max(16);
        }
        parsed
    }

    /// Parses a message of another producer (see [`Layout::Message`]) and adds what it holds to what others held; says how
    /// many events and rejects those are. The `name` is asked for only if there are rejects.
    ///
    /// All of them together may be 2^31 bytes at most.
    pub fn add_message(&mut self, gathered: &mut Gathered, message: &[u8], name: impl FnOnce() -> String) -> u64 {
        let before = (gathered.rows.len(), gathered.rejects.len());
        self.add(gathered, message, &Position::of_message(""));
        let rejects = &mut gathered.rejects[before.1..];
        if !rejects.is_empty() {
            let name = name();
            rejects.iter_mut().for_each(|reject| reject.source.clone_from(&name));
        }
        (gathered.rows.len() - before.0 + rejects.len()) as u64
    }

    fn add(&mut self, gathered: &mut Gathered, bytes: &[u8], at: &Position<'_>) {
        let Gathered { rows, rejects } = gathered;
        let mut output = Output { at, bytes, rows, rejects };
        match at.layout {
            Layout::CutLine { length } => {
                output.reject(0..bytes.len(), at.first_line, &Reason::too_long(length, bytes));
            }
            _ if bytes.len() > MAX_BLOCK_BYTES => {
                output.reject(0..bytes.len(), at.first_line, &Reason::too_long(bytes.len() as u64, bytes));
            }
            Layout::Message if matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) => {
                self.message(&mut output);
            }
            Layout::Lines | Layout::Message => self.lines(&mut output),
        }
    }

    /// The events of a message that starts as JSON does.
    fn message(&mut self, output: &mut Output<'_>) {
        match json::elements(output.bytes) {
            Some(elements) => {
                let mut counted = 0;
                let mut line = output.at.first_line;
                for (number, range) in elements.into_iter().enumerate() {
                    line += memchr::memchr_iter(b'\n', &output.bytes[counted..range.start]).count() as u64;
                    counted = range.start;
                    let element = &output.bytes[range.clone()];
                    if let Err(reason) = self.json(element, output.rows) {
                        output.reject_element(range, line, number + 1, &reason);
                    }
                }
            }
            None => self.lines(output),
        }
    }

    fn lines(&mut self, output: &mut Output<'_>) {
        let bytes = output.bytes;
        let is_utf8 = simdutf8::basic::from_utf8(bytes).is_ok();
        let mut line = output.at.first_line;
        let mut at = 0;
        self.ahead.start();
        while at < bytes.len() {
            // Only a block that is UTF-8 as a whole takes the fast path: the others are few and damaged.
            if is_utf8 {
                line += self.ahead.read(bytes, &mut at, &mut self.caches, output.rows);
            }
            if at < bytes.len() {
                let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
                if let Err(reason) = self.line(&bytes[at..end], is_utf8, output.rows) {
                    output.reject(at..end, line, &reason);
                }
                at = end + 1;
                line += 1;
                self.ahead.pass();
            }
        }
    }

    /// The general path: a line without its newline.
    fn line(&mut self, line: &[u8], is_utf8: bool, rows: &mut Rows) -> Result<(), Reason> {
        if line::is_blank(line) {
            return Ok(());
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(Reason::too_long(line.len() as u64, line));
        }
        if !is_utf8 && let Err(error) = simdutf8::compat::from_utf8(line) {
            let place = error.valid_up_to();
            return Err(Reason::NotUtf8 { byte: line.get(place).copied().unwrap_or_default(), place: place + 1 });
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"{") {
            return self.json(line, rows);
        }
        // The fields are taken out for the time of the call, so that rows can borrow from them beside the caches.
        let mut fields = std::mem::take(&mut self.fields);
        let result = fields.split(line).and_then(|()| self.row(|column| Some(fields.get(line, column)), rows));
        self.fields = fields;
        match result {
            Err(_) if line::recognise_header(line) != Header::None => Err(Reason::Header),
            result => result,
        }
    }

    fn json(&mut self, element: &[u8], rows: &mut Rows) -> Result<(), Reason> {
        let event = json::Event::parse(element)?;
        self.row(|column| event.get(column), rows)
    }

    /// Makes a row of nine texts. All that can fail in a text alone is read before any text gets a code.
    fn row<'a>(&mut self, field: impl Fn(usize) -> Option<&'a [u8]>, rows: &mut Rows) -> Result<(), Reason> {
        let optional = |column| Ok(field(column).filter(|text| !text.is_empty()));
        let required = |column| optional(column)?.ok_or(Reason::Missing { column });
        let integer = |column| {
            let text = required(column)?;
            integer::parse(text).map_err(|error| Reason::Integer { column, value: Excerpt::of(text), error })
        };
        let bounded = |column| match optional(column)? {
            Some(text) if text.len() > MAX_TEXT_BYTES => Err(Reason::TextTooLong { column, length: text.len() }),
            text => Ok(text.unwrap_or_default()),
        };
        let event_time = required(EVENT_TIME)?;
        let event_time = time::parse(event_time).map_err(|error| Reason::Time {
            column: EVENT_TIME,
            value: Excerpt::of(event_time),
            error,
        })?;
        required(EVENT_TYPE)?;
        let event_type = bounded(EVENT_TYPE)?;
        let (product_id, category_id) = (integer(PRODUCT_ID)?, integer(CATEGORY_ID)?);
        let (category_code, brand) = (bounded(CATEGORY_CODE)?, bounded(BRAND)?);
        let price = required(PRICE)?;
        let price = decimal::parse(price).map_err(|error| Reason::Decimal {
            column: PRICE,
            value: Excerpt::of(price),
            error,
        })?;
        let user_id = integer(USER_ID)?;
        let user_session = match bounded(USER_SESSION)? {
            b"" => Session::Missing,
            text => uuid::parse(text).map_or(Session::Text(text), Session::Uuid),
        };
        let Self { dictionaries, caches, .. } = self;
        let event_type = code(EVENT_TYPE, event_type, &mut caches.event_type, &dictionaries.event_type)?;
        let category_code = code(CATEGORY_CODE, category_code, &mut caches.category_code, &dictionaries.category_code)?;
        let brand = code(BRAND, brand, &mut caches.brand, &dictionaries.brand)?;
        rows.push(&Row {
            event_time,
            event_type,
            product_id,
            category_id,
            category_code,
            brand,
            price,
            user_id,
            user_session,
        });
        Ok(())
    }
}

/// The code of a text; 0 for an empty one.
fn code(column: usize, text: &[u8], cache: &mut CodeCache, dictionary: &SharedDictionary) -> Result<u32, Reason> {
    if text.is_empty() {
        return Ok(0);
    }
    let refused = |error: StoreError| Reason::Dictionary { column, error: error.to_string() };
    cache.find_or(text, || {
        // Checked already with its block or line, and this path is rare: it costs nothing to let the type say so.
        let text = simdutf8::basic::from_utf8(text).map_err(|_| Reason::NotUtf8 { byte: 0, place: 1 })?;
        dictionary.code_for(text).map_err(refused)
    })
}

/// What a call of the parser gathers.
struct Output<'a> {
    at: &'a Position<'a>,
    bytes: &'a [u8],
    rows: &'a mut Rows,
    rejects: &'a mut Vec<Reject>,
}

impl Output<'_> {
    fn reject(&mut self, range: Range<usize>, line: u64, reason: &Reason) {
        self.push(range, line, reason.to_string());
    }

    fn reject_element(&mut self, range: Range<usize>, line: u64, number: usize, reason: &Reason) {
        self.push(range, line, format!("element {number}: {reason}"));
    }

    #[cold]
    fn push(&mut self, range: Range<usize>, line: u64, reason: String) {
        self.rejects.push(Reject {
            source: self.at.source.to_owned(),
            line,
            byte_offset: self.at.byte_offset + range.start as u64,
            reason,
            // A copy: a slice would keep the whole block in memory for as long as the reject.
            raw: Bytes::copy_from_slice(&self.bytes[range]),
        });
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
