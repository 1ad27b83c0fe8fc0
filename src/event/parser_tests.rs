//! The parser against a naive one, the fast path against the general one, and its edges.

use cartlog_storage::store::{ColumnValues, IdentifierValues};
use proptest::prelude::*;

use super::*;
use crate::event::HEADER;

/// A row as texts and plain numbers.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    numbers: [i64; 5],
    texts: [Option<String>; 3],
    session: Option<String>,
}

/// What a parsed block holds, with the codes turned back into texts.
fn events(parser: &BlockParser, parsed: &Parsed) -> Vec<Event> {
    let columns = &parsed.batch.columns;
    let integers = |column: usize| match &columns[column] {
        ColumnValues::Integers(values) => values,
        other => panic!("{other:?}"),
    };
    let codes = |column: usize| match &columns[column] {
        ColumnValues::Codes(values) => values,
        other => panic!("{other:?}"),
    };
    let ColumnValues::Identifiers(IdentifierValues { uuids, exceptions, text }) = &columns[USER_SESSION] else {
        panic!("{:?}", columns[USER_SESSION])
    };
    let dictionaries = [
        (EVENT_TYPE, &parser.dictionaries.event_type),
        (CATEGORY_CODE, &parser.dictionaries.category_code),
        (BRAND, &parser.dictionaries.brand),
    ]
    .map(|(column, dictionary)| (column, dictionary.freeze()));
    (0..parsed.batch.rows)
        .map(|row| Event {
            numbers: [EVENT_TIME, PRODUCT_ID, CATEGORY_ID, PRICE, USER_ID].map(|column| integers(column)[row]),
            texts: dictionaries
                .each_ref()
                .map(|(column, dictionary)| dictionary.get(codes(*column)[row]).map(str::to_owned)),
            session: match exceptions.iter().find(|exception| exception.row as usize == row) {
                Some(exception) => exception.text.map(|(start, length)| {
                    String::from_utf8(text[start as usize..(start + length) as usize].to_vec()).unwrap()
                }),
                None => {
                    let mut written = Vec::new();
                    uuid::write(&mut written, uuids[row]);
                    Some(String::from_utf8(written).unwrap())
                }
            },
        })
        .collect()
}

/// Reads a line without quotes in the plainest way.
fn naive(line: &str) -> Option<Event> {
    let fields: Vec<&str> = line.strip_suffix('\r').unwrap_or(line).split(',').collect();
    let [event_time, event_type, product_id, category_id, category_code, brand, price, user_id, user_session] =
        fields[..].try_into().ok()?;
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(Event {
        numbers: [
            time::parse(event_time.as_bytes()).ok()?,
            product_id.parse().ok()?,
            category_id.parse().ok()?,
            decimal::parse(price.as_bytes()).ok()?,
            user_id.parse().ok()?,
        ],
        texts: [Some(optional(event_type)?), optional(category_code), optional(brand)],
        session: optional(user_session),
    })
}

/// Lines near the public form: every field is mostly what it should be.
fn line() -> impl Strategy<Value = String> {
    let id =
        || prop_oneof![20 => "[1-9][0-9]{0,8}", 10 => "[1-9][0-9]{18}", 1 => "[-+]?[0-9]{0,20}", 1 => "[0-9a,]{3}"];
    let text =
        || prop_oneof![5 => Just(String::new()), 20 => "[a-c]{1,2}(\\.[a-c_-]{1,20}){0,3}", 1 => "[ a-c'é\0]{1,9}"];
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    (
        prop_oneof![20 => "20[012][0-9]-[01][0-9]-[0-2][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9] UTC", 3 => "2019-10-01 00:00:[0-6][0-9] UTC", 1 => "2019-10-01T00:00:00(Z|[.]25|[+]02:00)"],
        prop_oneof![20 => "view|cart|purchase|remove_from_cart", 1 => text()],
        (id(), id()),
        (text(), text()),
        prop_oneof![20 => "[0-9]{1,7}[.][0-9]{2}", 1 => "[-]?[0-9]{0,9}[.]?[0-9]{0,6}"],
        id(),
        prop_oneof![20 => uuid, 1 => "[0-9a-fA-F-]{0,40}", 1 => Just(String::new())],
        prop_oneof![10 => Just(""), 1 => Just("\r"), 1 => Just(","), 1 => Just(" ")],
    )
        .prop_map(|(event_time, event_type, (product, category), (code, brand), price, user, session, end)| {
            format!("{event_time},{event_type},{product},{category},{code},{brand},{price},{user},{session}{end}")
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn equals_the_naive_parser(lines in proptest::collection::vec(line(), 1..8), ends_with_newline: bool) {
        let block = lines.join("\n") + if ends_with_newline { "\n" } else { "" };
        let mut parser = BlockParser::new(EventDictionaries::default());
        // The first time the caches are empty and most lines take the general path, the second time the fast one.
        for _ in 0..2 {
            let parsed = parser.parse(block.as_bytes(), &Position::of_block("x", 0, 1));
            let expected: Vec<_> = lines.iter().filter_map(|line| naive(line)).collect();
            prop_assert_eq!(events(&parser, &parsed), expected);
            let rejected: Vec<_> = parsed.rejects.iter().map(|reject| reject.line as usize - 1).collect();
            let expected: Vec<_> = (0..lines.len()).filter(|line| naive(&lines[*line]).is_none()).collect();
            prop_assert_eq!(rejected, expected);
        }
    }

    #[test]
    fn fast_path_agrees_with_the_general_path(
        line in line(),
        change in prop::option::weighted(0.5, (any::<prop::sample::Index>(), prop_oneof![Just(b'"'), Just(b'{'), Just(b'\r'), 0..128_u8])),
        rest in "[,0-9\n]{16,80}",
    ) {
        let mut line = line.into_bytes();
        if let Some((place, byte)) = change.filter(|(_, byte)| *byte != b'\n') {
            let place = place.index(line.len());
            line[place] = byte;
        }
        for take in [Lines::read, Lines::read_plain] {
            let mut parser = BlockParser::new(EventDictionaries::default());
            let mut general = Rows::with_capacity(1);
            let result = parser.line(&line, true, &mut general);
            let bytes = [&line[..], b"\n", rest.as_bytes()].concat();
            let (mut rows, mut at) = (Rows::with_capacity(1), 0);
            if take(&mut parser.ahead, &bytes, &mut at, &mut parser.caches, &mut rows) > 0 {
                prop_assert_eq!(at, line.len() + 1);
                prop_assert_eq!(result, Ok(()));
                prop_assert_eq!(rows.finish(), general.finish());
            }
        }
    }

    #[test]
    fn every_line_is_a_row_or_a_reject(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b','), Just(b'"'), Just(b'{'), Just(b'\r')], 0..200)) {
        let mut parser = BlockParser::new(EventDictionaries::default());
        let parsed = parser.parse(&bytes, &Position::of_block("x", 0, 1));
        prop_assert_eq!((parsed.batch.rows + parsed.rejects.len()) as u64, crate::event::count_rows(&bytes));
        for reject in &parsed.rejects {
            let start = reject.byte_offset as usize;
            prop_assert_eq!(&bytes[start..start + reject.raw.len()], &reject.raw[..]);
            prop_assert_eq!(memchr::memchr_iter(b'\n', &bytes[..start]).count() as u64 + 1, reject.line);
        }
    }
}

#[test]
fn public_lines_take_the_fast_path() {
    let line = b"2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde-8bb3-4e00-8c23-a032dfed738c\n";
    for take in [Lines::read, Lines::read_plain] {
        let mut parser = BlockParser::new(EventDictionaries::default());
        let read = |parser: &mut BlockParser| {
            let (mut rows, mut at) = (Rows::with_capacity(1), 0);
            parser.ahead.start();
            let count = take(&mut parser.ahead, line, &mut at, &mut parser.caches, &mut rows);
            (count, at, rows.finish())
        };
        assert_eq!(read(&mut parser).0, 0, "its texts have no codes yet");
        let parsed = parser.parse(line, &Position::of_block("x", 0, 1));
        assert_eq!(read(&mut parser), (1, line.len(), parsed.batch));
    }
}

#[test]
fn fields_are_kept_as_they_are() {
    let mut parser = BlockParser::new(EventDictionaries::default());
    let block = "2019-10-01T02:00:00.25+02:00,\"remove_from_cart\",-1,+2,\"a,\"\"b\"\"\",nan,.5,3,72D76FDE\r\n\n\r\n2019-10-01 00:00:00,view,1,2,\"\",\"\",1,3,\"\"";
    let parsed = parser.parse(block.as_bytes(), &Position::of_block("x", 0, 1));
    assert_eq!(parsed.rejects, []);
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        Event {
            numbers: [1_569_888_000_250, -1, 2, 5000, 3],
            texts: [text("remove_from_cart"), text("a,\"b\""), text("nan")],
            session: text("72D76FDE"),
        },
        Event { numbers: [1_569_888_000_000, 1, 2, 10_000, 3], texts: [text("view"), None, None], session: None },
    ];
    assert_eq!(events(&parser, &parsed), expected);
}

#[test]
fn messages_are_json_or_lines() {
    let event = r#"{"event_time":"2019-10-01T00:00:00Z","event_type":"view","product_id":1,"category_id":"2053013552326770905","price":489.07,"user_id":4}"#;
    let csv = "2019-10-01 00:00:00 UTC,view,1,2,,,0.00,4,";
    for (message, rows, rejects) in [
        (event.to_owned(), 1, vec![]),
        (format!(" {event}\n"), 1, vec![]),
        (format!("[{event},\n {event}]"), 2, vec![]),
        ("[]".to_owned(), 0, vec![]),
        (format!("{event}\n{event}\n{csv}\n"), 3, vec![]),
        (csv.to_owned(), 1, vec![]),
        (
            format!("[{event},\n\n 7, {{}}]"),
            1,
            vec![(3, "element 2: not a JSON event: \"7\" is not an object"), (3, "element 3: event_time: missing")],
        ),
        (format!("{{broken\n{csv}\n"), 1, vec![(1, "not a JSON event: key must be a string at byte 2")]),
        ("[1,".to_owned(), 0, vec![(1, "expected 9 fields, found 2")]),
    ] {
        let mut parser = BlockParser::new(EventDictionaries::default());
        let parsed = parser.parse(message.as_bytes(), &Position::of_message("topic/0@7"));
        let found: Vec<_> = parsed.rejects.iter().map(|reject| (reject.line, reject.reason.as_str())).collect();
        assert_eq!((parsed.batch.rows, found), (rows, rejects), "{message}");
        for reject in &parsed.rejects {
            let start = reject.byte_offset as usize;
            assert_eq!(&message.as_bytes()[start..start + reject.raw.len()], &reject.raw[..]);
        }
    }
}

#[test]
fn messages_gather_into_one_batch() {
    let csv = "2019-10-01 00:00:00 UTC,view,1,2,,,0.00,4,";
    let messages = [csv.to_owned(), "[7]".to_owned(), String::new(), format!("{csv}\n\n{csv}x\nno event\n")];
    let mut parser = BlockParser::new(EventDictionaries::default());
    let mut gathered = Gathered::with_room(0);
    let counts: Vec<u64> = messages
        .iter()
        .enumerate()
        .map(|(number, message)| parser.add_message(&mut gathered, message.as_bytes(), || format!("topic/0@{number}")))
        .collect();
    assert_eq!(counts, [1, 1, 0, 3]);
    let parsed = gathered.finish();
    let sessions: Vec<_> = events(&parser, &parsed).into_iter().map(|event| event.session).collect();
    assert_eq!(sessions, [None, None, Some("x".to_owned())]);
    let places: Vec<_> = parsed.rejects.iter().map(|reject| (&reject.source[..], reject.line)).collect();
    assert_eq!(places, [("topic/0@1", 1), ("topic/0@3", 4)]);
    assert_eq!(&parsed.rejects[1].raw[..], b"no event");
}

#[test]
fn json_and_csv_events_are_equal() {
    let csv = "2019-10-01 00:00:00.250 UTC,view,1,2053013552326770905,a.b,\"x\"\"y\",489.07,4,72d76fde-8bb3-4e00-8c23-a032dfed738c";
    let json = r#"{"user_session":"72d76fde-8bb3-4e00-8c23-a032dfed738c","event_time":"2019-10-01T00:00:00.250Z","event_type":"view","product_id":"1","category_id":2053013552326770905,"category_code":"a.b","brand":"x\"y","price":"489.07","user_id":4,"other":{"a":[]}}"#;
    let mut parser = BlockParser::new(EventDictionaries::default());
    let [csv, json] = [csv, json].map(|line| parser.parse(line.as_bytes(), &Position::of_block("x", 0, 1)));
    assert_eq!(csv.batch.rows, 1);
    assert_eq!(csv, json);
}

#[test]
fn a_cut_line_is_one_reject() {
    let mut parser = BlockParser::new(EventDictionaries::default());
    let at = Position { source: "x", byte_offset: 50, first_line: 4, layout: Layout::CutLine { length: 9_000_000 } };
    let parsed = parser.parse(b"aaa,\nbbb", &at);
    assert_eq!(parsed.batch.rows, 0);
    assert_eq!(
        parsed.rejects[0].reason,
        "a line of 9000000 bytes is too long to be an event; its first 8 bytes are kept"
    );
    assert_eq!((parsed.rejects.len(), parsed.rejects[0].line, parsed.rejects[0].byte_offset), (1, 4, 50));
}

/// Runs where the real rows stand beside the project; they may not be part of it.
#[test]
fn real_rows_parse_to_their_known_sums() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned();
    let shared = std::env::var("CARTLOG_SHARED").unwrap_or(beside);
    let Ok(bytes) = std::fs::read(format!("{shared}/data/real/2019-Oct-head.csv")) else { return };
    let start = HEADER.len() + 1;
    let mut parser = BlockParser::new(EventDictionaries::default());
    let parsed = parser.parse(&bytes[start..], &Position::of_block("real", start as u64, 2));
    let events = events(&parser, &parsed);
    let count = |name: &str| events.iter().filter(|event| event.texts[0].as_deref() == Some(name)).count();
    assert_eq!((events.len(), parsed.rejects.len()), (17_434, 0));
    assert_eq!([count("view"), count("cart"), count("purchase")], [17_055, 165, 214]);
    assert_eq!(events.iter().map(|event| event.numbers[3]).sum::<i64>(), 50_921_372_300);
    assert_eq!(events.iter().filter(|event| event.texts[1].is_none()).count(), 5746);
    assert_eq!(events.iter().filter(|event| event.texts[2].is_none()).count(), 2477);
}
