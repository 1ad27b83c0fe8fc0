//! Rejects as a file for people to mend: each line as it was, below a line that says where it stands.
//!
//! ```text
//! # How to go on, in words.
//! #@ {"source":"a.csv","line":7,"byte_offset":640,"checksum":"1a2b3c4d","reason":"price: \"abc\" is no decimal number"}
//! 2019-10-01 00:00:00 UTC,view,1,2,,,abc,3,
//! ```
//!
//! All up to the next `#@` is one reject: an event of a JSON message may span lines. The checksum is the CRC32C of the
//! bytes that were rejected, so that a place is known again only in the content that it was a place of. A rejected line
//! that itself begins with `#@` stands behind a backslash, and one that begins with backslashes and `#@` behind one more.

use std::borrow::Cow;
use std::io::{self, Write};

use bytes::Bytes;
use cartlog_storage::store::Reject;
use serde::{Deserialize, Serialize};

use super::PipelineError;

const MARK: &[u8] = b"#@";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What stands above a reject.
#[derive(Debug, Serialize, Deserialize)]
struct Heading<'a> {
    source: Cow<'a, str>,
    line: u64,
    byte_offset: u64,
    checksum: Cow<'a, str>,
    /// For the reader alone.
    #[serde(default)]
    reason: Cow<'a, str>,
}

/// Which reject: where it stands, and the checksum of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    source: String,
    line: u64,
    byte_offset: u64,
    checksum: u32,
}

impl Place {
    pub(super) fn of(reject: &Reject) -> Self {
        let Reject { source, line, byte_offset, raw, .. } = reject;
        Self { source: source.clone(), line: *line, byte_offset: *byte_offset, checksum: crc32c::crc32c(raw) }
    }
}

/// A reject as the file has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    /// The number of its first line in the file.
    pub(super) file_line: u64,
    /// Its bytes, without what an editor may have left around them: empty lines.
    pub(super) text: Bytes,
}

/// Writes what stands at the top of the file.
pub(super) fn write_preface(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(
        b"# Lines that are no events. Mend what you can, each below the line that says where it stands; leave the\n\
          # lines that begin with # as they are. Then: cartlog rejects --replay FILE\n",
    )
}

/// Writes a reject with its heading.
pub(super) fn write_entry(out: &mut dyn Write, reject: &Reject) -> io::Result<()> {
    let heading = Heading {
        source: Cow::Borrowed(&reject.source),
        line: reject.line,
        byte_offset: reject.byte_offset,
        checksum: Cow::Owned(format!("{:08x}", crc32c::crc32c(&reject.raw))),
        reason: Cow::Borrowed(&reject.reason),
    };
    out.write_all(MARK)?;
    writeln!(out, " {}", serde_json::to_string(&heading)?)?;
    for line in reject.raw.split(|byte| *byte == b'\n') {
        if is_escaped_mark(line) {
            out.write_all(b"\\")?;
        }
        out.write_all(line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads the whole of a file; `name` is for messages.
pub(super) fn read(name: &str, content: &Bytes) -> Result<Vec<Entry>, PipelineError> {
    let wrong = |line: u64, what: String| PipelineError::MendedFile { file: name.to_owned(), line, what };
    let mut entries = Vec::new();
    // The heading that was read last, its line, and where its text begins.
    let mut open: Option<(Place, u64, usize)> = None;
    let mut at = if content.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut number = 0;
    while at < content.len() {
        number += 1;
        let end = memchr::memchr(b'\n', &content[at..]).map_or(content.len(), |length| at + length);
        let (line, next) = (&content[at..end], (end + 1).min(content.len()));
        if let Some(heading) = line.strip_prefix(MARK) {
            let place = read_heading(heading).map_err(|what| wrong(number, what))?;
            if let Some((place, file_line, start)) = open.replace((place, number + 1, next)) {
                entries.push(Entry { place, file_line, text: text(content, start..at) });
            }
        } else if open.is_none() && !line.trim_ascii().is_empty() && !line.starts_with(b"#") {
            return Err(wrong(number, "this line stands below no `#@` line".to_owned()));
        }
        at = next;
    }
    if let Some((place, file_line, start)) = open {
        entries.push(Entry { place, file_line, text: text(content, start..content.len()) });
    }
    Ok(entries)
}

fn read_heading(heading: &[u8]) -> Result<Place, String> {
    let heading: Heading<'_> = serde_json::from_slice(heading).map_err(|error| error.to_string())?;
    let checksum = u32::from_str_radix(&heading.checksum, 16)
        .map_err(|error| format!("checksum {:?}: {error}", heading.checksum))?;
    let Heading { source, line, byte_offset, .. } = heading;
    Ok(Place { source: source.into_owned(), line, byte_offset, checksum })
}

/// The text of an entry, without empty lines around it and the backslashes that kept it apart from headings.
fn text(content: &Bytes, range: std::ops::Range<usize>) -> Bytes {
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let bytes = &content[range];
    let start = bytes.iter().position(|byte| !is_line_end(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_line_end(byte)).map_or(start, |last| last + 1);
    let bytes = &bytes[start..end];
    if !bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"\\") && is_escaped_mark(line)) {
        return content.slice_ref(bytes);
    }
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| match line {
        [b'\\', rest @ ..] if is_escaped_mark(rest) => rest,
        line => line,
    });
    Bytes::from(lines.collect::<Vec<_>>().join(&b'\n'))
}

/// Whether a line is any number of backslashes and then a heading's mark.
fn is_escaped_mark(line: &[u8]) -> bool {
    let start = line.iter().position(|byte| *byte != b'\\').unwrap_or(line.len());
    line[start..].starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reject(raw: &[u8]) -> Reject {
        Reject {
            source: "a \"quoted\" name.csv".to_owned(),
            line: 7,
            byte_offset: 640,
            reason: "price: \"abc\" is no decimal number".to_owned(),
            raw: Bytes::copy_from_slice(raw),
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            raws in prop::collection::vec(r"[a\\#@,]{1,8}(\n[a\\#@]{1,4})?", 0..6),
            is_windows in any::<bool>(),
            is_whole in any::<bool>(),
        ) {
            let rejects: Vec<Reject> = raws.iter().map(|raw| reject(raw.as_bytes())).collect();
            let mut file = if is_windows { BYTE_ORDER_MARK.to_vec() } else { Vec::new() };
            write_preface(&mut file).unwrap();
            for reject in &rejects {
                write_entry(&mut file, reject).unwrap();
            }
            if !is_whole {
                file.pop();
            }
            let entries = read("file", &Bytes::from(file)).unwrap();
            let got: Vec<_> = entries.iter().map(|entry| (entry.place.clone(), entry.text.clone())).collect();
            let expected: Vec<_> = rejects.iter().map(|reject| (Place::of(reject), reject.raw.clone())).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn an_editor_may_change_line_ends_and_leave_empty_lines() {
        let mut file = Vec::new();
        write_entry(&mut file, &reject(b"a,b")).unwrap();
        let windows = String::from_utf8(file).unwrap().replace('\n', "\r\n") + "\r\n\r\n";
        let entries = read("file", &Bytes::from(windows)).unwrap();
        assert_eq!((&entries[0].text[..], entries[0].file_line), (&b"a,b"[..], 2));
    }

    #[test]
    fn what_is_not_as_it_was_exported_is_named_by_line() {
        for (file, line) in [
            ("# words\n2019,view\n", 2),
            ("#@ {\"source\":\"a\"}\nx\n", 1),
            ("\n#@ not JSON\n", 2),
            ("#@ {\"source\":\"a\",\"line\":1,\"byte_offset\":0,\"checksum\":\"xyz\"}\n", 1),
        ] {
            let error = read("mended.txt", &Bytes::from(file)).unwrap_err();
            assert!(error.to_string().starts_with(&format!("mended.txt:{line}: ")), "{error}");
        }
        assert_eq!(read("mended.txt", &Bytes::from("# words\n\n")).unwrap(), []);
    }
}
