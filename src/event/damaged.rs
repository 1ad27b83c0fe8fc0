//! A hundred and more kinds of damaged lines, each with the reason that its reject states.

use super::{BlockParser, EventDictionaries, HEADER, MAX_TEXT_BYTES, Position};

const TIME: &str = "2019-10-01 00:00:00 UTC";
const SESSION: &str = "72d76fde-8bb3-4e00-8c23-a032dfed738c";

/// A sound line with one field replaced.
fn with(column: usize, value: &str) -> Vec<u8> {
    let mut fields =
        [TIME, "view", "44600062", "2103807459595387724", "a.b", "shiseido", "35.79", "541312140", SESSION];
    fields[column] = value;
    fields.join(",").into_bytes()
}

fn sound() -> Vec<u8> {
    with(1, "view")
}

fn without_last(fields: usize) -> Vec<u8> {
    let line = sound();
    let kept: Vec<_> = line.split(|byte| *byte == b',').take(9 - fields).collect();
    kept.join(&b',')
}

fn text(line: &str) -> Vec<u8> {
    line.as_bytes().to_vec()
}

/// Each line with its reason.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn table() -> Vec<(Vec<u8>, String)> {
    let time_form = "is not a time like 2019-10-01 00:00:00 UTC or 2019-10-01T00:00:00Z";
    let mut table: Vec<(Vec<u8>, String)> = Vec::new();
    let mut add = |line: Vec<u8>, reason: &str| table.push((line, reason.to_owned()));

    // The line as a whole.
    add(without_last(1), "expected 9 fields, found 8");
    add(without_last(2), "expected 9 fields, found 7");
    add(without_last(8), "expected 9 fields, found 1");
    add(text("2019-10-01 00:0"), "expected 9 fields, found 1");
    add(text(" "), "expected 9 fields, found 1");
    add(text("\t"), "expected 9 fields, found 1");
    add(text("\r\r"), "expected 9 fields, found 1");
    add(text("# a comment"), "expected 9 fields, found 1");
    add(text("\0\0\0\0\0\0\0\0"), "expected 9 fields, found 1");
    add(text("<html><body>502 Bad Gateway</body></html>"), "expected 9 fields, found 1");
    add(text(","), "expected 9 fields, found 2");
    add(text(",,,,,,,,"), "event_time: missing");
    add(text(",,,,,,,,,"), "expected 9 fields, found 10");
    add([sound(), text(",")].concat(), "expected 9 fields, found 10");
    add([sound(), text(",extra")].concat(), "expected 9 fields, found 10");
    add([sound(), sound()].concat(), "expected 9 fields, found 17");
    add([sound(), text("\r"), sound()].concat(), "expected 9 fields, found 17");
    add([text("0,"), sound()].concat(), "expected 9 fields, found 10");
    add(
        String::from_utf8(sound()).unwrap().replace(',', ";").into_bytes(),
        "expected 9 fields, found 1 (separated by semicolons?)",
    );
    add(
        String::from_utf8(sound()).unwrap().replace(',', "\t").into_bytes(),
        "expected 9 fields, found 1 (separated by tabs?)",
    );
    add(
        String::from_utf8(sound()).unwrap().replace(',', "|").into_bytes(),
        "expected 9 fields, found 1 (separated by bars?)",
    );
    add([text("\u{FEFF}"), sound()].concat(), &format!("event_time: \"\\u{{feff}}{TIME}\" {time_form}"));
    add(text(HEADER), "a header line among the events");
    add(text(&HEADER.to_uppercase()), "a header line among the events");
    add(text(&HEADER.replace("event_time,event_type", "event_type,event_time")), "a header line among the events");

    // Quotes.
    add(with(5, "\"shiseido"), "a quote is left open at byte 63 of the line");
    add(with(0, "\"2019-10-01 00:00:00 UTC"), "a quote is left open at byte 1 of the line");
    add(with(8, "\""), "a quote is left open at byte 88 of the line");
    add(with(5, "\"shi\"\"seido"), "a quote is left open at byte 63 of the line");
    add(with(5, "\"shi\"seido"), "text after a closing quote at byte 68 of the line");
    add(with(5, "\"shiseido\" "), "text after a closing quote at byte 73 of the line");
    add(with(5, "\"a,b"), "a quote is left open at byte 63 of the line");
    add(with(6, "\"35,79\""), "price: \"35,79\" has a comma; a decimal number has one point and no separators");
    add(with(6, "\"\""), "price: missing");
    add(with(5, "a,b"), "expected 9 fields, found 10");
    add(with(2, "4\"4"), "product_id: \"4\\\"4\" is not a whole number");
    add([text("\""), sound(), text("\"")].concat(), "expected 9 fields, found 1");

    // Bytes that are not UTF-8.
    for (bytes, byte, place) in [
        (&b"L'Or\xE9al"[..], "E9", 67),
        (b"\xFF", "FF", 63),
        (b"\xC3", "C3", 63),
        (b"\xED\xA0\x80", "ED", 63),
        (b"\xC0\xAF", "C0", 63),
        (b"\xF4\x90\x80\x80", "F4", 63),
        (b"\x80", "80", 63),
    ] {
        let line = sound();
        let fields: Vec<&[u8]> = line
            .split(|byte| *byte == b',')
            .enumerate()
            .map(|(column, field)| if column == 5 { bytes } else { field })
            .collect();
        add(fields.join(&b','), &format!("not UTF-8: byte 0x{byte} at byte {place} of the line"));
    }

    // Times.
    add(with(0, ""), "event_time: missing");
    for (value, problem) in [
        ("2019-10-01", "has no time of day"),
        ("2019-10-01 00:00", "has no seconds; a spreadsheet may have dropped them"),
        ("2019-13-01 00:00:00 UTC", "has month 13, expected 1 to 12"),
        ("2019-00-01 00:00:00 UTC", "has month 0, expected 1 to 12"),
        ("2019-02-29 00:00:00 UTC", "has day 29, expected 1 to 28"),
        ("2019-10-00 00:00:00 UTC", "has day 0, expected 1 to 31"),
        ("0000-00-00 00:00:00 UTC", "has year 0, expected 1 to 9999"),
        ("2019-10-01 24:00:00 UTC", "has hour 24, expected 0 to 23"),
        ("2019-10-01 00:60:00 UTC", "has minute 60, expected 0 to 59"),
        ("2019-10-01 23:59:60 UTC", "has second 60, expected 0 to 59"),
        ("2019-10-01 00:00:00 CET", "does not end with UTC, Z or an offset like +02:00"),
        ("2019-10-01 00:00:00 UTC ", "does not end with UTC, Z or an offset like +02:00"),
        ("2019-10-01 00:00:00 utc", "does not end with UTC, Z or an offset like +02:00"),
        ("2019-10-01 00:00:00 AM", "does not end with UTC, Z or an offset like +02:00"),
        ("2019-10-01 00:00:00+25:00", "has offset hour 25, expected 0 to 23"),
        ("0001-01-01 00:00:00+10:00", "is outside the years 1 to 9999 in UTC"),
        (" 2019-10-01 00:00:00 UTC", time_form),
        ("01/10/2019 00:00:00", time_form),
        ("2019/10/01 00:00:00 UTC", time_form),
        ("19-10-01 00:00:00 UTC", time_form),
        ("2019-10-01  00:00:00 UTC", time_form),
        ("2019-10-01 0:00:00 UTC", time_form),
        ("1569888000", time_form),
        ("1569888000000", time_form),
        ("43739.0000", time_form),
        ("nan", time_form),
        ("NaT", time_form),
        ("#########", time_form),
        ("1.57E+12", time_form),
    ] {
        add(with(0, value), &format!("event_time: \"{value}\" {problem}"));
    }

    // Event types.
    add(with(1, ""), "event_type: missing");
    add(with(1, "\"\""), "event_type: missing");
    add(with(1, &"x".repeat(MAX_TEXT_BYTES + 1)), "event_type: a text of 65537 bytes, at most 65536 are allowed");

    // Ids.
    for (column, name) in [(2, "product_id"), (3, "category_id"), (7, "user_id")] {
        add(with(column, ""), &format!("{name}: missing"));
        for (value, problem) in [
            ("2.05301E+18", "is in scientific notation; the digits are lost"),
            ("541312140.0", "has a decimal point, an id has none; digits may be lost"),
            ("9223372036854775808", "is outside the range of 64-bit integers"),
            ("-9223372036854775809", "is outside the range of 64-bit integers"),
            ("18446744073709551616", "is outside the range of 64-bit integers"),
            (" 5", "has spaces around it"),
            ("0x2A", "is not a whole number"),
            ("12a", "is not a whole number"),
            ("nan", "is not a whole number"),
            ("-", "is not a whole number"),
            ("１２", "is not a whole number"),
            ("#REF!", "is not a whole number"),
        ] {
            add(with(column, value), &format!("{name}: \"{value}\" {problem}"));
        }
    }

    // Prices.
    add(with(6, ""), "price: missing");
    for (value, problem) in [
        ("abc", "is not a decimal number"),
        ("NaN", "is not a decimal number"),
        ("inf", "is not a decimal number"),
        ("$35.79", "is not a decimal number"),
        ("35.79 EUR", "is not a decimal number"),
        ("35.7.9", "is not a decimal number"),
        (".", "is not a decimal number"),
        ("--1", "is not a decimal number"),
        ("3.579E+01", "is in scientific notation; the digits are lost"),
        ("35.79 ", "has spaces around it"),
        ("35.79001", "has more than 4 digits after the point"),
        ("35.790000000000006", "has more than 4 digits after the point"),
        ("1000000000000000", "is outside the range -99999999999999.9999 to 99999999999999.9999"),
    ] {
        add(with(6, value), &format!("price: \"{value}\" {problem}"));
    }
    add(with(6, &"x".repeat(100)), &format!("price: \"{}\"… is not a decimal number", "x".repeat(60)));

    // Texts.
    add(with(4, &"x".repeat(70_000)), "category_code: a text of 70000 bytes, at most 65536 are allowed");
    add(with(5, &"x".repeat(70_000)), "brand: a text of 70000 bytes, at most 65536 are allowed");
    add(with(8, &"x".repeat(70_000)), "user_session: a text of 70000 bytes, at most 65536 are allowed");

    // JSON.
    let event = |replace: &str, by: &str| {
        format!(
            r#"{{"event_time":"{TIME}","event_type":"view","product_id":1,"category_id":2,"price":3.5,"user_id":4}}"#
        )
        .replace(replace, by)
        .into_bytes()
    };
    add(event(":1,", ":1.5,"), "product_id: \"1.5\" has a decimal point, an id has none; digits may be lost");
    add(event(":1,", ":true,"), "product_id: \"true\" is not a number");
    add(event(":1,", ":null,"), "product_id: missing");
    add(event("\"product_id\":1,", ""), "product_id: missing");
    add(event("\"view\"", "7"), "event_type: \"7\" is not a string");
    add(event("3.5", "3.5e0"), "price: \"3.5e0\" is in scientific notation; the digits are lost");
    add(
        event("\"user_id\":4", "\"user_id\":4,\"user_id\":5"),
        "not a JSON event: duplicate field `user_id` at byte 124",
    );
    add(event("4}", "4"), "not a JSON event: EOF while parsing an object at byte 114");
    add(text("{"), "not a JSON event: EOF while parsing an object at byte 1");
    table
}

#[test]
fn each_damage_is_rejected_with_its_reason() {
    let table = table();
    assert!(table.len() >= 100, "{}", table.len());
    // Sound lines between them show that no damage spreads, in blocks that are UTF-8 and in one that is not.
    for (has_other_bytes, end) in [(false, "\n"), (true, "\n"), (false, "\r\n")] {
        let damages: Vec<_> = table.iter().filter(|(line, _)| has_other_bytes || line.is_ascii()).collect();
        let mut block = Vec::new();
        let mut expected = Vec::new();
        for (number, (line, reason)) in damages.iter().enumerate() {
            expected.push((2 * number as u64 + 101, block.len() as u64 + 7, reason.clone()));
            block.extend_from_slice(&[line, end.as_bytes(), &sound(), end.as_bytes()].concat());
        }
        let mut parser = BlockParser::new(EventDictionaries::default());
        let parsed = parser.parse(&block, &Position::of_block("damaged.csv", 7, 101));
        let found: Vec<_> =
            parsed.rejects.iter().map(|reject| (reject.line, reject.byte_offset, reject.reason.clone())).collect();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len());
        assert_eq!(parsed.batch.rows, damages.len());
        for (reject, (line, _)) in parsed.rejects.iter().zip(&damages) {
            assert_eq!(reject.source, "damaged.csv");
            assert_eq!(&reject.raw[..], [line, end.trim_end_matches('\n').as_bytes()].concat(), "kept byte for byte");
        }
        let texts = [parser.dictionaries().event_type.len(), parser.dictionaries().brand.len()];
        assert_eq!(texts, [1, 1], "a rejected line leaves no text in a dictionary");
    }
}
