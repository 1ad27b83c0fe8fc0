//! The public layout's own form of a line, read in one pass without looking for its end first.
//!
//! The idea: nearly every line of real data has one shape: the fixed time, plain texts, plain digits, a price with a
//! point, a canonical UUID. Reading each field as what it must be finds the comma after it as a by-product, so the line
//! is never scanned for structure: no search for newlines, commas or quotes, no list of fields. Anything unexpected
//! (a quote, a sign, a text that the caches don't know, the last bytes of a block) gives `None` without a trace, and the
//! general path takes the line. The general path alone defines what a line means; this one only has to agree with it where it answers, which is what a property test of the parser checks.
//!
//! Cost: about 110 bytes pass through some 25 eight-byte words, with three hash look-ups; mispredicted branches (the
//! lengths of two texts and two numbers vary) are most of what is left. Finding the newline and the commas first, with
//! `memchr`, costs as much again as all of this, because the fields are short.

use super::codes::{CodeCache, Key};
use super::rows::{Row, Session};
use super::time::FixedForm;
use super::{decimal, integer, uuid};

/// The caches of one parser: codes of the three dictionary columns, and the minute of the last row.
#[derive(Debug)]
pub(super) struct Caches {
    pub(super) minute: FixedForm,
    pub(super) event_type: CodeCache,
    pub(super) category_code: CodeCache,
    pub(super) brand: CodeCache,
}

impl Caches {
    /// Sized for the public data: a handful of types, 129 category codes, 4,303 brands.
    pub(super) fn new() -> Self {
        Self {
            minute: FixedForm::default(),
            event_type: CodeCache::new(4),
            category_code: CodeCache::new(9),
            brand: CodeCache::new(14),
        }
    }
}

/// Reads the line that starts at `at`, as its row and the start of the next line; `None` for every line that needs the
/// general path.
#[inline]
pub(super) fn read<'a>(bytes: &'a [u8], at: usize, caches: &mut Caches) -> Option<(Row<'a>, usize)> {
    let event_time = caches.minute.read(bytes, at)?;
    let (event_type, at) = Key::read(bytes, at + FixedForm::LENGTH)?;
    let (product_id, at) = integer::read(bytes, at)?;
    let (category_id, at) = integer::read(bytes, at)?;
    let (category_code, at) = Key::read(bytes, at)?;
    let (brand, at) = Key::read(bytes, at)?;
    let (price, at) = decimal::read(bytes, at)?;
    let (user_id, at) = integer::read(bytes, at)?;
    let (user_session, next) = match bytes.get(at..at + uuid::LENGTH).and_then(uuid::parse) {
        Some(uuid) => (Session::Uuid(uuid), after_line_end(bytes, at + uuid::LENGTH)?),
        None => other_session(bytes, at)?,
    };
    let row = Row {
        event_time,
        event_type: if event_type.is_empty() { return None } else { caches.event_type.find(&event_type)? },
        product_id,
        category_id,
        category_code: optional(&caches.category_code, &category_code)?,
        brand: optional(&caches.brand, &brand)?,
        price,
        user_id,
        user_session,
    };
    Some((row, next))
}

#[inline]
fn optional(cache: &CodeCache, key: &Key) -> Option<u32> {
    if key.is_empty() { Some(0) } else { cache.find(key) }
}

/// The start of the next line, if a line ends at `at`.
#[inline]
fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'\n' => Some(at + 1),
        b'\r' if bytes.get(at + 1) == Some(&b'\n') => Some(at + 2),
        _ => None,
    }
}

/// A missing session, or one that is plain text, and the start of the next line.
fn other_session(bytes: &[u8], at: usize) -> Option<(Session<'_>, usize)> {
    let rest = bytes.get(at..)?;
    // Longer than anything that is called a session: the general path checks it against the limit.
    let newline = memchr::memchr(b'\n', &rest[..rest.len().min(256)])?;
    let text = rest[..newline].strip_suffix(b"\r").unwrap_or(&rest[..newline]);
    if text.starts_with(b"\"") || text.contains(&b',') {
        return None;
    }
    let session = if text.is_empty() { Session::Missing } else { Session::Text(text) };
    Some((session, at + newline + 1))
}
