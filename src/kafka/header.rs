//! The headers by which a record says which bytes of which source it holds.
//!
//! Four headers, all text: `cartlog.source` (the source's id), `cartlog.name` (what to call it), `cartlog.range`
//! (`start-end`, bytes of the decompressed content) and `cartlog.line` (1-based number of the block's first line).
//! A record with all four well-formed is a block of ours, and its range makes it recognisable wherever it turns up
//! again. Any other record is foreign: it counts by its offset, and headers it brings are ignored.

use std::collections::BTreeMap;
use std::ops::Range;

/// Names the source's id.
pub const HEADER_SOURCE: &str = "cartlog.source";
/// Names what the source is called in messages.
pub const HEADER_NAME: &str = "cartlog.name";
/// Names the byte range `start-end`.
pub const HEADER_RANGE: &str = "cartlog.range";
/// Names the number of the block's first line.
pub const HEADER_LINE: &str = "cartlog.line";

/// The longest source id accepted, in bytes.
const MAX_SOURCE_BYTES: usize = 128;
/// The longest name accepted, in bytes.
const MAX_NAME_BYTES: usize = 16 * 1024;

/// Which bytes of which source a record holds.
///
/// ```
/// use cartlog::kafka::BlockHeaders;
///
/// let headers = BlockHeaders {
///     source: "00112233aabbccdd".to_owned(),
///     name: "2019-Oct.csv".to_owned(),
///     range: 110..6_710,
///     first_line: 2,
/// };
/// let encoded: Vec<_> = headers.encode().into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
/// assert_eq!(BlockHeaders::decode(&encoded, 6_600), Some(headers));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeaders {
    /// The source's id.
    pub source: String,
    /// What the source is called in messages.
    pub name: String,
    /// The bytes of the source's decompressed content.
    pub range: Range<u64>,
    /// The 1-based number of the first line in the range.
    pub first_line: u64,
}

impl BlockHeaders {
    /// The headers of a record.
    #[must_use]
    pub fn encode(&self) -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([
            (HEADER_SOURCE.to_owned(), self.source.clone().into_bytes()),
            (HEADER_NAME.to_owned(), self.name.clone().into_bytes()),
            (HEADER_RANGE.to_owned(), format!("{}-{}", self.range.start, self.range.end).into_bytes()),
            (HEADER_LINE.to_owned(), self.first_line.to_string().into_bytes()),
        ])
    }

    /// Reads the headers of a record whose value has `value_bytes` bytes; `None` is a foreign record: one without
    /// our headers, with malformed ones, or with a range that is not as long as the value.
    #[must_use]
    pub fn decode<T: AsRef<[u8]>>(headers: &[(T, T)], value_bytes: usize) -> Option<Self> {
        let text = |name: &str, limit: usize| {
            // Of several with the same name the last one counts.
            let (_, bytes) = headers.iter().rfind(|(other, _)| other.as_ref() == name.as_bytes())?;
            let bytes = Some(bytes.as_ref()).filter(|bytes| bytes.len() <= limit)?;
            std::str::from_utf8(bytes).ok()
        };
        let source = text(HEADER_SOURCE, MAX_SOURCE_BYTES).filter(|id| is_source_id(id))?;
        let name = text(HEADER_NAME, MAX_NAME_BYTES)?;
        let (start, end) = text(HEADER_RANGE, 41)?.split_once('-')?;
        let range = number(start)?..number(end)?;
        let first_line = text(HEADER_LINE, 20).and_then(number).filter(|&line| line > 0)?;
        let length = range.end.checked_sub(range.start)?;
        (length > 0 && length == value_bytes as u64).then(|| Self {
            source: source.to_owned(),
            name: name.to_owned(),
            range,
            first_line,
        })
    }
}

/// Ids are visible ASCII, so that they can be printed and typed anywhere.
fn is_source_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A number in its one canonical form: digits only, no sign, no leading zero.
fn number(digits: &str) -> Option<u64> {
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    canonical.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> BlockHeaders {
        BlockHeaders {
            source: "00112233aabbccdd-2".to_owned(),
            name: "Käufe 2019.csv".to_owned(),
            range: 10..30,
            first_line: 2,
        }
    }

    fn decode(headers: &BTreeMap<String, Vec<u8>>, value_bytes: usize) -> Option<BlockHeaders> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
        BlockHeaders::decode(&headers, value_bytes)
    }

    #[test]
    fn a_header_missing_makes_a_foreign_record() {
        for name in [HEADER_SOURCE, HEADER_NAME, HEADER_RANGE, HEADER_LINE] {
            let mut headers = sample().encode();
            headers.remove(name);
            assert_eq!(decode(&headers, 20), None, "{name}");
        }
        assert_eq!(decode(&BTreeMap::new(), 20), None);
    }

    #[test]
    fn other_headers_are_ignored() {
        let mut headers = sample().encode();
        headers.insert("traceparent".to_owned(), b"\xff\x00".to_vec());
        headers.insert("cartlog.other".to_owned(), vec![]);
        assert_eq!(decode(&headers, 20), Some(sample()));
    }

    #[test]
    fn malformed_headers_make_a_foreign_record() {
        let cases: [(&str, &[u8]); 17] = [
            (HEADER_SOURCE, b""),
            (HEADER_SOURCE, b"\xff\xfe"),
            (HEADER_SOURCE, b"a b"),
            (HEADER_SOURCE, &[b'a'; 129]),
            (HEADER_NAME, b"\xc3"),
            (HEADER_RANGE, b""),
            (HEADER_RANGE, b"10"),
            (HEADER_RANGE, b"10-"),
            (HEADER_RANGE, b"-10-30"),
            (HEADER_RANGE, b"+10-30"),
            (HEADER_RANGE, b"010-30"),
            (HEADER_RANGE, b"30-10"),
            (HEADER_RANGE, b"10-29"),
            (HEADER_RANGE, b"10-10"),
            (HEADER_RANGE, b"0-18446744073709551616"),
            (HEADER_LINE, b"0"),
            (HEADER_LINE, b"2 "),
        ];
        for (name, value) in cases {
            let mut headers = sample().encode();
            headers.insert(name.to_owned(), value.to_vec());
            assert_eq!(decode(&headers, 20), None, "{name} {value:?}");
        }
        assert_eq!(decode(&sample().encode(), 21), None, "a range must be as long as the value");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn roundtrip(source in "[!-~]{1,40}", name in ".{0,60}", start in 0..u64::MAX - 1_000_000, length in 1..1_000_000_usize, first_line in 1..u64::MAX) {
            let headers = BlockHeaders { source, name, range: start..start + length as u64, first_line };
            prop_assert_eq!(decode(&headers.encode(), length), Some(headers));
        }

        #[test]
        fn garbage_is_never_a_panic(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..24), 4), length in 0..40_usize) {
            let names = [HEADER_SOURCE, HEADER_NAME, HEADER_RANGE, HEADER_LINE];
            let headers = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
            let _ = decode(&headers, length);
        }
    }
}
