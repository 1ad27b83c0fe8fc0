//! Readers against the plainest cutting, over every form that a source may have.

use std::fs;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::event::{HEADER, count_rows};

/// A file with this content in a folder of its own.
fn file(content: &[u8]) -> (TempDir, Source) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    fs::write(&path, content).unwrap();
    let source = Source::file(path).unwrap();
    (folder, source)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn nothing(_: &SourceId) -> Vec<KnownRange> {
    Vec::new()
}

fn blocks(source: &Source) -> Vec<Block> {
    source.open(ReadOptions::default(), nothing).unwrap().collect::<Result<_, _>>().unwrap()
}

fn known(blocks: &[&Block]) -> Vec<KnownRange> {
    blocks.iter().map(|block| KnownRange { range: block.range.clone(), crc32c: block.crc32c() }).collect()
}

fn slice(content: &[u8], range: &Range<u64>) -> Vec<u8> {
    content[range.start as usize..range.end as usize].to_vec()
}

/// Checks the invariants of blocks of a content, apart from known ranges.
fn check(content: &[u8], blocks: &[Block], options: ReadOptions) {
    let mut end = 0;
    for block in blocks {
        let bytes = slice(content, &block.range);
        assert!(block.range.start >= end, "{block:?} overlaps the block before");
        end = block.range.end;
        assert_eq!(block.crc32c(), crc32c::crc32c(&bytes));
        assert_eq!(block.rows, count_rows(&bytes));
        let newlines = content[..block.range.start as usize].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(block.first_line, newlines as u64 + 1);
        if block.is_cut() {
            assert!(bytes.len() > options.max_block_bytes && block.rows == 1);
            assert!(bytes.starts_with(&block.bytes));
        } else {
            assert_eq!(&block.bytes[..], bytes);
            assert!(bytes.len() <= options.max_block_bytes);
            assert!(bytes.split_inclusive(|byte| *byte == b'\n').count() <= options.rows_per_block);
        }
    }
}

/// Content of short and long lines, blank ones among them.
fn content() -> impl Strategy<Value = String> {
    let line =
        prop_oneof![6 => "[a-c,]{1,12}", 2 => Just(String::new()), 1 => Just("\r".to_owned()), 1 => "[ab]{20,90}"];
    (proptest::collection::vec(line, 0..30), any::<bool>())
        .prop_map(|(lines, ends)| lines.join("\n") + if ends { "\n" } else { "" })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn blocks_are_the_content(content in content(), rows_per_block in 1usize..6, max_block_bytes in 8usize..40, more in 1usize..30) {
        let (_folder, source) = file(content.as_bytes());
        let options = ReadOptions { rows_per_block, max_block_bytes, again: None };
        let reader = BlockReader::open(&source, options, nothing, max_block_bytes + more).unwrap();
        let blocks: Vec<_> = reader.collect::<Result<_, _>>().unwrap();
        check(content.as_bytes(), &blocks, options);
        prop_assert_eq!(blocks.iter().map(|block| block.rows).sum::<u64>(), count_rows(content.as_bytes()));
    }

    #[test]
    fn known_ranges_are_passed_over(
        content in content(), rows_per_block in 1usize..6, max_block_bytes in 8usize..40, more in 1usize..30,
        picks in proptest::collection::vec(any::<bool>(), 60), compressed: bool,
    ) {
        let stored = if compressed { gzip(content.as_bytes()) } else { content.clone().into_bytes() };
        let (_folder, source) = file(&stored);
        let options = ReadOptions { rows_per_block, max_block_bytes, again: None };
        let open = |known: &[KnownRange]| BlockReader::open(&source, options, |_| known.to_vec(), max_block_bytes + more).unwrap();
        let first: Vec<_> = open(&[]).collect::<Result<_, _>>().unwrap();
        let (old, new): (Vec<_>, Vec<_>) = first.iter().zip(picks.iter().cycle()).partition(|(_, pick)| **pick);
        let old: Vec<_> = old.into_iter().map(|(block, _)| block).collect();
        let mut reader = open(&known(&old));
        let second: Vec<_> = reader.by_ref().collect::<Result<_, _>>().unwrap();
        check(content.as_bytes(), &second, options);
        prop_assert_eq!(reader.rows_known(), old.iter().map(|block| block.rows).sum::<u64>());
        let text = |blocks: &mut dyn Iterator<Item = &Block>| {
            let lines = blocks.flat_map(|block| slice(content.as_bytes(), &block.range));
            String::from_utf8(lines.collect()).unwrap().replace(['\n', '\r'], "")
        };
        prop_assert_eq!(text(&mut second.iter()), text(&mut new.iter().map(|(block, _)| *block)));
    }
}

#[test]
fn every_form_gives_the_same_lines() {
    let lines: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let with_header = format!("{HEADER}\n{lines}");
    let (first, second) = with_header.split_at(100_000);
    let zstd = |content: &str| zstd::encode_all(content.as_bytes(), 1).unwrap();
    let expected: Vec<&str> = lines.lines().collect();
    for (form, content) in [
        ("plain", with_header.clone().into_bytes()),
        ("without header", lines.clone().into_bytes()),
        ("byte-order mark", format!("\u{FEFF}{with_header}").into_bytes()),
        ("byte-order mark, no header", format!("\u{FEFF}{lines}").into_bytes()),
        ("carriage returns", with_header.replace('\n', "\r\n").into_bytes()),
        ("no final newline", with_header.trim_end().as_bytes().to_vec()),
        ("blank lines", format!("{}\n\r\n\n", with_header.replace("line 7\n", "line 7\n\n\r\n")).into_bytes()),
        ("gzip", gzip(with_header.as_bytes())),
        ("gzip of two members", [gzip(first.as_bytes()), gzip(second.as_bytes())].concat()),
        ("zstd", zstd(&with_header)),
        ("zstd of two frames", [zstd(first), zstd(second)].concat()),
    ] {
        let (_folder, source) = file(&content);
        let blocks = blocks(&source);
        assert!(blocks.len() >= 4, "{form}");
        let text: String = blocks.iter().map(|block| std::str::from_utf8(&block.bytes).unwrap()).collect();
        let found: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(found, expected, "{form}");
        assert_eq!(blocks.iter().map(|block| block.rows).sum::<u64>(), 20_000, "{form}");
        let first_line = if form.contains("out header") || form.contains("no header") { 1 } else { 2 };
        assert_eq!(blocks[0].first_line, first_line, "{form}");
    }
}

#[test]
fn small_sources() {
    for (content, rows) in [
        (String::new(), vec![]),
        ("\n".to_owned(), vec![]),
        ("\u{FEFF}".to_owned(), vec![]),
        (HEADER.to_owned(), vec![]),
        (format!("{HEADER}\r\n\r\n"), vec![]),
        ("one".to_owned(), vec![(1, "one")]),
        ("one\n".to_owned(), vec![(1, "one\n")]),
        (format!("\u{FEFF}{HEADER}\none"), vec![(2, "one")]),
        (format!("{HEADER}\n{HEADER}\n"), vec![(2, &*format!("{HEADER}\n").leak())]),
    ] {
        for stored in [content.clone().into_bytes(), gzip(content.as_bytes())] {
            let (_folder, source) = file(&stored);
            let found = blocks(&source);
            let found: Vec<_> =
                found.iter().map(|block| (block.first_line, std::str::from_utf8(&block.bytes).unwrap())).collect();
            assert_eq!(found, rows, "{content:?}");
        }
    }
}

#[test]
fn a_line_without_end_needs_no_memory() {
    let long = "x".repeat(30_000_000);
    let content = format!("before\n{long}\nafter\n");
    let (_folder, source) = file(&gzip(content.as_bytes()));
    let found = blocks(&source);
    let [before, cut, after] = &found[..] else { panic!("{}", found.len()) };
    assert_eq!((before.is_cut(), cut.is_cut(), after.is_cut()), (false, true, false));
    assert_eq!(cut.bytes.len(), Block::KEPT_OF_CUT_LINE);
    assert_eq!((cut.range.clone(), cut.first_line, cut.rows), (7..30_000_008, 2, 1));
    assert_eq!((after.first_line, &after.bytes[..]), (3, &b"after\n"[..]));
    assert_eq!(cut.crc32c(), crc32c::crc32c(format!("{long}\n").as_bytes()));
    let mut again = source.open(ReadOptions::default(), |_| known(&[before, cut, after])).unwrap();
    assert!(again.next().is_none());
    assert_eq!(again.rows_known(), 3);
}

#[test]
fn another_source_with_the_same_head_gets_another_id() {
    let head: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    let (_folder, source) = file(format!("{head}one\n").as_bytes());
    let (_other_folder, other) = file(format!("{head}two\n").as_bytes());
    let id = source.open(ReadOptions::default(), nothing).unwrap().id().clone();
    assert_eq!(id.as_str().len(), 16);
    let (one, two) = (blocks(&source), blocks(&other));
    let of_one = |asked: &SourceId| if *asked == id { known(&[&one[0]]) } else { Vec::new() };
    let mut reader = other.open(ReadOptions::default(), of_one).unwrap();
    assert_eq!(reader.id().as_str(), format!("{}-2", id.as_str()));
    assert_eq!(reader.next().unwrap().unwrap().bytes, two[0].bytes);
    let of_both = |asked: &SourceId| match asked.as_str().strip_prefix(id.as_str()) {
        Some("") => known(&[&one[0]]),
        Some("-2") => known(&[&two[0]]),
        _ => Vec::new(),
    };
    let mut reader = other.open(ReadOptions::default(), of_both).unwrap();
    assert_eq!(reader.id().as_str(), format!("{}-2", id.as_str()));
    assert!(reader.next().is_none());
    assert_eq!(reader.rows_known(), 1001);
    let again = ReadOptions { again: Some(1_700_000_000_000), ..ReadOptions::default() };
    let mut reader = source.open(again, of_both).unwrap();
    assert_eq!(reader.id().as_str(), format!("{}+1700000000000", id.as_str()));
    assert_eq!(reader.next().unwrap().unwrap().rows, 1001);
}

#[test]
fn an_appended_source_is_known_up_to_its_old_end() {
    let old: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let (folder, source) = file(old.as_bytes());
    let first = blocks(&source);
    fs::write(folder.path().join("events"), format!("{old}new\n")).unwrap();
    let known = known(&first.iter().collect::<Vec<_>>());
    let mut reader = source.open(ReadOptions::default(), |_| known.clone()).unwrap();
    let block = reader.next().unwrap().unwrap();
    assert_eq!((&block.bytes[..], block.first_line), (&b"new\n"[..], 20_001));
    assert!(reader.next().is_none());
    assert_eq!(reader.rows_known(), 20_000);
}

#[test]
fn a_small_source_is_known_again_however_it_grows() {
    let lines = |count: usize| -> String { (0..count).map(|line| format!("line {line}\n")).collect() };
    let (folder, source) = file(format!("{HEADER}\n{}", lines(3)).as_bytes());
    let first = blocks(&source);
    let (id, mut ranges) = (first[0].source.clone(), known(&[&first[0]]));
    for (before, after) in [(3, 20), (20, 21), (21, 5_000), (5_000, 5_001)] {
        fs::write(folder.path().join("events"), format!("{HEADER}\n{}", lines(after))).unwrap();
        let of_first = |asked: &SourceId| if *asked == id { ranges.clone() } else { Vec::new() };
        let mut reader = source.open(ReadOptions::default(), of_first).unwrap();
        assert_eq!(*reader.id(), id, "{after}");
        let block = reader.next().unwrap().unwrap();
        assert!(block.bytes.starts_with(format!("line {before}\n").as_bytes()));
        assert_eq!((block.first_line, reader.rows_known()), (before as u64 + 2, before as u64));
        assert!(reader.next().is_none());
        ranges.extend(known(&[&block]));
    }
    let (_other_folder, other) = file(format!("{HEADER}\n{}", lines(3).replace('0', "1")).as_bytes());
    let of_first = |asked: &SourceId| if *asked == id { ranges.clone() } else { Vec::new() };
    let reader = other.open(ReadOptions::default(), of_first).unwrap();
    assert_eq!((reader.id(), reader.rows_known()), (&blocks(&other)[0].source, 0));
}

#[test]
fn a_line_that_was_read_half_comes_again_whole() {
    // Small ones lie in the first buffer, large ones are passed over, and what can't be passed over is read.
    for count in [2, 200_000] {
        let lines: String = (0..count).map(|line| format!("line {line}\n")).collect();
        for (rest, known_rows, found) in [
            ("", count, ""),
            ("\n", count, ""),
            ("\r\nnew\n", count, "\r\nnew\n"),
            ("f is whole", count - 1, "half is whole"),
            ("f is whole\nnew", count - 1, "half is whole\nnew"),
        ] {
            let half = format!("{}hal", lines.rsplit_once("line").unwrap().0);
            let half = if found.starts_with("half") { half } else { lines.trim_end().to_owned() };
            let before = [KnownRange { range: 0..half.len() as u64, crc32c: crc32c::crc32c(half.as_bytes()) }];
            let grown = format!("{half}{rest}");
            for stored in [grown.clone().into_bytes(), gzip(grown.as_bytes())] {
                let (_folder, source) = file(&stored);
                let mut reader = source.open(ReadOptions::default(), |_| before.to_vec()).unwrap();
                let blocks: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
                let text: Vec<u8> = blocks.iter().flat_map(|block| block.bytes.clone()).collect();
                assert_eq!((std::str::from_utf8(&text).unwrap(), reader.rows_known()), (found, known_rows), "{rest:?}");
                if let Some(block) = blocks.first() {
                    let is_half = u64::from(found.starts_with("half"));
                    assert_eq!(
                        (block.range.start, block.first_line),
                        (half.len() as u64 - 3 * is_half, count),
                        "{rest:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn cut_off_archives_give_their_whole_lines() {
    let lines: String = (0..50_000).map(|line| format!("line {line} {}\n", line * 7919 % 50_021)).collect();
    for (format, mut stored) in
        [("gzip", gzip(lines.as_bytes())), ("zstd", zstd::encode_all(lines.as_bytes(), 1).unwrap())]
    {
        stored.truncate(stored.len() / 2);
        let (_folder, source) = file(&stored);
        let mut results: Vec<_> = source.open(ReadOptions::default(), nothing).unwrap().collect();
        let error = results.pop().unwrap().unwrap_err().to_string();
        assert!(error.contains(&format!("the {format} data is damaged or cut off after byte ")), "{error}");
        let text: Vec<u8> = results.into_iter().flat_map(|block| block.unwrap().bytes).collect();
        assert!(!text.is_empty() && lines.as_bytes().starts_with(&text) && text.ends_with(b"\n"), "{format}");
    }
}

#[test]
fn other_formats_are_named() {
    for (head, expected) in [
        (&b"PK\x03\x04...."[..], "is a zip archive or a spreadsheet, expected CSV (plain"),
        (b"BZh91AY&", "is compressed by bzip2"),
        (b"\xFD7zXZ\0", "is compressed by xz"),
        (b"\xFF\xFEe\0v\0", "iconv -f UTF-16 -t UTF-8"),
        (b"[\n{\"event_time\":", "is one JSON document, expected CSV"),
        (b"[ {\"event_time\":", "jq -c '.[]' FILE | cartlog run -"),
        (b"[]\n", "is one JSON document"),
        (b"{\r\n  \"events\": [", "is one JSON document"),
    ] {
        let (_folder, source) = file(head);
        let error = source.open(ReadOptions::default(), nothing).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // Events as JSON, a line each, and lines that are damaged.
    for head in [&b"{\"event_time\":\"2019"[..], b"[x],view\n", b"{", b"{}\n", b"["] {
        let (_folder, source) = file(head);
        assert!(source.open(ReadOptions::default(), nothing).is_ok(), "{}", head.escape_ascii());
    }
    let (_folder, source) = file(HEADER.replace("brand,price", "price,brand").as_bytes());
    let error = source.open(ReadOptions::default(), nothing).unwrap_err().to_string();
    assert!(error.contains("another order, expected event_time,event_type"), "{error}");
    for header in [format!("{HEADER},more"), HEADER.replace(",brand", "")] {
        let (_folder, source) = file(format!("{header}\n2019-10-01 00:00:00 UTC,view,1\n").as_bytes());
        let error = source.open(ReadOptions::default(), nothing).unwrap_err().to_string();
        assert!(error.contains(&format!("names other columns, `{header}`, expected {HEADER}")), "{error}");
    }
}

#[test]
fn progress_counts_compressed_bytes() {
    let stored = gzip("line\n".repeat(100_000).as_bytes());
    let (_folder, source) = file(&stored);
    let mut reader = source.open(ReadOptions::default(), nothing).unwrap();
    assert!(reader.by_ref().all(|block| block.is_ok()));
    let read = reader.bytes_read().load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(Some(read), source.total_bytes());
}

/// Writes into a named pipe from another thread, as a shell's `<(…)` does.
fn piped<T>(folder: &Path, content: Vec<u8>, read: impl FnOnce(&Source) -> T) -> T {
    let path = folder.join("pipe");
    if !path.exists() {
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    }
    let writer = std::thread::spawn({
        let path = path.clone();
        // The reader may close early, which is an error here and of no interest.
        move || fs::OpenOptions::new().write(true).open(path).unwrap().write_all(&content).is_ok()
    });
    let result = read(&Source::file(path).unwrap());
    writer.join().unwrap();
    result
}

#[test]
fn pipes_are_read_once_and_compared_as_they_pass() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let read = |known: Vec<KnownRange>| {
        move |source: &Source| {
            assert_eq!(source.total_bytes(), None);
            let mut reader = source.open(ReadOptions::default(), |_| known.clone()).unwrap();
            let blocks: Vec<_> = reader.by_ref().collect();
            (blocks, reader.rows_known())
        }
    };
    let (first, _) = piped(folder.path(), gzip(lines.as_bytes()), read(Vec::new()));
    let first: Vec<_> = first.into_iter().map(Result::unwrap).collect();
    assert_eq!(first.iter().map(|block| block.rows).sum::<u64>(), 20_000);
    let some = known(&[&first[0], &first[2]]);
    let (second, rows_known) = piped(folder.path(), lines.clone().into_bytes(), read(some.clone()));
    assert_eq!((rows_known, second.iter().filter(|block| block.is_ok()).count()), (10_000, 2));
    let other = lines.replace("line 13000\n", "lime 13000\n");
    let (mut third, _) = piped(folder.path(), other.into_bytes(), read(some));
    let error = third.pop().unwrap().unwrap_err().to_string();
    assert!(error.contains("begins like a source loaded before, but bytes "), "{error}");
}
