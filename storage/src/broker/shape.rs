//! Checks the outline of a message before it is decoded.
//!
//! kafka-protocol's decoders reserve memory for as many array elements as the message announces. So every request, and on
//! the client side every answer, is first walked along its outline: each length must fit in what has arrived, and arrays
//! and tagged fields are limited in number. What passes here decodes in memory proportional to the message.
//!
//! ```
//! use cartlog_storage::broker::shape::{Part, check, fixed, structs, text};
//!
//! const TOPICS: &[Part] = &[structs(&[text(), fixed(4)])];
//! assert!(check(b"\0\0\0\x01\0\x01t\0\0\0\x07", TOPICS, 0, false).is_ok());
//! assert!(check(b"\x7f\xff\xff\xff\0\x01t\0\0\0\x07", TOPICS, 0, false).is_err(), "two thousand million topics");
//! ```

/// The most array elements in one message, over all arrays.
const MAXIMUM_ELEMENTS: usize = 200_000;
/// The most tagged fields in one message.
const MAXIMUM_TAGS: usize = 1000;

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    kind: Kind,
    since: i16,
    until: i16,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Fixed(usize),
    Text,
    Bytes,
    Values(usize),
    Texts,
    Structs(&'static [Part]),
    Nested(&'static [Part]),
    Optional(&'static [Part]),
}

/// A field of fixed length.
#[must_use]
pub const fn fixed(length: usize) -> Part {
    Part::new(Kind::Fixed(length))
}

/// A string, nullable or not.
#[must_use]
pub const fn text() -> Part {
    Part::new(Kind::Text)
}

/// Bytes or records, nullable or not.
#[must_use]
pub const fn bytes() -> Part {
    Part::new(Kind::Bytes)
}

/// An array of values of a fixed length each.
#[must_use]
pub const fn values(length: usize) -> Part {
    Part::new(Kind::Values(length))
}

/// An array of strings.
#[must_use]
pub const fn texts() -> Part {
    Part::new(Kind::Texts)
}

/// An array of structures.
#[must_use]
pub const fn structs(parts: &'static [Part]) -> Part {
    Part::new(Kind::Structs(parts))
}

/// A structure that is there once.
#[must_use]
pub const fn nested(parts: &'static [Part]) -> Part {
    Part::new(Kind::Nested(parts))
}

/// A structure that may be missing: a byte, negative if it is, comes before it.
#[must_use]
pub const fn optional(parts: &'static [Part]) -> Part {
    Part::new(Kind::Optional(parts))
}

impl Part {
    const fn new(kind: Kind) -> Self {
        Self { kind, since: 0, until: i16::MAX }
    }

    /// The field exists from this version on.
    pub const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    /// The field exists up to this version.
    pub const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }
}

/// Checks that `body` has the outline `parts` in this version.
///
/// # Errors
/// Says what doesn't fit.
pub fn check(body: &[u8], parts: &[Part], version: i16, flexible: bool) -> Result<(), String> {
    let mut walk = Walk { rest: body, version, flexible, elements: MAXIMUM_ELEMENTS, tags: MAXIMUM_TAGS };
    walk.structure(parts)
}

/// Skips the tagged fields of a flexible header and returns what follows.
///
/// # Errors
/// Says what doesn't fit.
pub fn skip_tags(bytes: &[u8]) -> Result<&[u8], String> {
    let mut walk = Walk { rest: bytes, version: 0, flexible: true, elements: 0, tags: MAXIMUM_TAGS };
    walk.tagged_fields()?;
    Ok(walk.rest)
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
    tags: usize,
}

impl Walk<'_> {
    fn structure(&mut self, parts: &[Part]) -> Result<(), String> {
        for part in parts {
            if !(part.since..=part.until).contains(&self.version) {
                continue;
            }
            match part.kind {
                Kind::Fixed(length) => self.skip(length)?,
                Kind::Text => self.text()?,
                Kind::Bytes => {
                    let length = if self.flexible { self.compact_length()? } else { self.length(4)? };
                    self.skip(length)?;
                }
                Kind::Values(length) => {
                    let count = self.count()?;
                    self.skip(count.saturating_mul(length))?;
                }
                Kind::Texts => {
                    for _ in 0..self.count()? {
                        self.text()?;
                    }
                }
                Kind::Structs(parts) => {
                    for _ in 0..self.count()? {
                        self.structure(parts)?;
                    }
                }
                Kind::Nested(parts) => self.structure(parts)?,
                Kind::Optional(parts) => {
                    if i8::from_be_bytes([self.take(1)?[0]]) >= 0 {
                        self.structure(parts)?;
                    }
                }
            }
        }
        if self.flexible { self.tagged_fields() } else { Ok(()) }
    }

    fn text(&mut self) -> Result<(), String> {
        let length = if self.flexible { self.compact_length()? } else { self.length(2)? };
        self.skip(length)
    }

    fn count(&mut self) -> Result<usize, String> {
        let count = if self.flexible { self.compact_length()? } else { self.length(4)? };
        // Every element takes at least one byte.
        if count > self.rest.len() || count > self.elements {
            return Err(format!("an array of {count} elements was announced, {} bytes follow", self.rest.len()));
        }
        self.elements -= count;
        Ok(count)
    }

    fn tagged_fields(&mut self) -> Result<(), String> {
        let count = self.varint()?;
        if count > self.tags {
            return Err(format!("{count} tagged fields were announced"));
        }
        self.tags -= count;
        for _ in 0..count {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length)?;
        }
        Ok(())
    }

    /// A big-endian length of 2 or 4 bytes; -1 is null and counts as 0.
    fn length(&mut self, width: usize) -> Result<usize, String> {
        let bytes = self.take(width)?;
        let length = match *bytes {
            [a, b] => i32::from(i16::from_be_bytes([a, b])),
            [a, b, c, d] => i32::from_be_bytes([a, b, c, d]),
            _ => -2,
        };
        if length == -1 { Ok(0) } else { usize::try_from(length).map_err(|_| format!("a length of {length}")) }
    }

    /// A length as an unsigned varint of one more; 0 is null and counts as 0.
    fn compact_length(&mut self) -> Result<usize, String> {
        Ok(self.varint()?.saturating_sub(1))
    }

    fn varint(&mut self) -> Result<usize, String> {
        let mut value = 0_usize;
        for at in 0..5 {
            let byte = self.take(1)?[0];
            value |= usize::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                return if u32::try_from(value).is_ok() { Ok(value) } else { Err(format!("a length of {value}")) };
            }
        }
        Err("a length of more than five bytes".to_owned())
    }

    fn skip(&mut self, length: usize) -> Result<(), String> {
        self.take(length).map(|_| ())
    }

    fn take(&mut self, length: usize) -> Result<&[u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| format!("{length} bytes were announced, {} follow", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A body of this outline with `elements` elements in every array; texts are `"t"`, numbers 0, bytes empty.
    pub(in crate::broker) fn sample(parts: &[Part], version: i16, flexible: bool, elements: u8) -> Vec<u8> {
        let mut body = Vec::new();
        let put_count = |body: &mut Vec<u8>| {
            if flexible { body.push(elements + 1) } else { body.extend_from_slice(&[0, 0, 0, elements]) }
        };
        let put_text = |body: &mut Vec<u8>| body.extend_from_slice(if flexible { b"\x02t" } else { b"\0\x01t" });
        for part in parts.iter().filter(|part| (part.since..=part.until).contains(&version)) {
            match part.kind {
                Kind::Fixed(length) => body.extend(std::iter::repeat_n(0, length)),
                Kind::Text => put_text(&mut body),
                Kind::Bytes => body.extend_from_slice(if flexible { &[1] } else { &[0; 4] }),
                Kind::Values(length) => {
                    put_count(&mut body);
                    body.extend(std::iter::repeat_n(0, length * usize::from(elements)));
                }
                Kind::Texts => {
                    put_count(&mut body);
                    (0..elements).for_each(|_| put_text(&mut body));
                }
                Kind::Structs(parts) => {
                    put_count(&mut body);
                    (0..elements).for_each(|_| body.extend(sample(parts, version, flexible, elements)));
                }
                Kind::Nested(parts) => body.extend(sample(parts, version, flexible, elements)),
                Kind::Optional(_) if elements == 0 => body.push(0xff),
                Kind::Optional(parts) => {
                    body.push(1);
                    body.extend(sample(parts, version, flexible, elements));
                }
            }
        }
        if flexible {
            body.push(0);
        }
        body
    }

    const PARTS: &[Part] = &[
        text(),
        fixed(4),
        structs(&[bytes(), values(8), texts().since(2)]),
        nested(&[text()]),
        optional(&[text()]),
        fixed(1).until(1),
    ];

    #[test]
    fn follows_the_outline_of_each_version() {
        for version in 0..3 {
            for flexible in [false, true] {
                let body = sample(PARTS, version, flexible, 3);
                assert_eq!(check(&body, PARTS, version, flexible), Ok(()));
                for length in 0..body.len() {
                    assert!(check(&body[..length], PARTS, version, flexible).is_err(), "{length}");
                }
            }
        }
    }

    #[test]
    fn refuses_counts_that_the_bytes_cannot_hold() {
        const ELEMENT: &[Part] = &[fixed(1)];
        let array = &[structs(ELEMENT)];
        assert!(check(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3], array, 0, false).is_err());
        assert!(check(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2], array, 0, true).is_err());
        let many = vec![0; 4 + MAXIMUM_ELEMENTS + 1];
        let mut many_announced = many;
        many_announced[..4].copy_from_slice(&u32::try_from(MAXIMUM_ELEMENTS + 1).unwrap().to_be_bytes());
        assert!(check(&many_announced, array, 0, false).is_err());
        assert!(check(&[0xff, 0xff, 0xff, 0xff, 0x7f], &[], 0, true).is_err(), "tags beyond 32 bits");
        assert!(check(&[0xff, 0xff, 0xff, 0xfe], array, 0, false).is_err(), "a negative count");
        assert_eq!(check(&[0xff, 0xff, 0xff, 0xff], array, 0, false), Ok(()), "null");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_panic(body in proptest::collection::vec(any::<u8>(), 0..60), version in 0_i16..3) {
            let _ = check(&body, PARTS, version, false);
            let _ = check(&body, PARTS, version, true);
        }
    }
}
