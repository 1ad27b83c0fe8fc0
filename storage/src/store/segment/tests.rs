//! Segments against a naive oracle: the rows themselves.

use proptest::prelude::*;

use super::*;
use crate::store::Identifier;
use crate::store::batch::{ColumnValues, IdentifierException, IdentifierValues};
use crate::store::schema::{ColumnSchema, ColumnType};

/// One row of the test schema, as a reader would say it.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    time: i64,
    number: i64,
    code: u32,
    identifier: Option<Result<u128, String>>,
}

fn schema() -> Schema {
    let kinds = [ColumnType::Timestamp, ColumnType::Integer, ColumnType::Dictionary, ColumnType::Identifier];
    let columns = ["time", "number", "code", "identifier"].iter().zip(kinds);
    Schema { columns: columns.map(|(name, kind)| ColumnSchema { name: (*name).to_owned(), kind }).collect() }
}

fn batch(rows: &[Row]) -> Batch {
    let mut identifiers = IdentifierValues::default();
    for (index, row) in rows.iter().enumerate() {
        identifiers.uuids.push(row.identifier.clone().and_then(Result::ok).unwrap_or(99));
        let text = match &row.identifier {
            Some(Ok(_)) => continue,
            Some(Err(text)) => {
                identifiers.text.extend_from_slice(text.as_bytes());
                Some(((identifiers.text.len() - text.len()) as u32, text.len() as u32))
            }
            None => None,
        };
        identifiers.exceptions.push(IdentifierException { row: index as u32, text });
    }
    let columns = vec![
        ColumnValues::Integers(rows.iter().map(|row| row.time).collect()),
        ColumnValues::Integers(rows.iter().map(|row| row.number).collect()),
        ColumnValues::Codes(rows.iter().map(|row| row.code).collect()),
        ColumnValues::Identifiers(identifiers),
    ];
    Batch { columns, rows: rows.len() }
}

fn read(segment: &Segment) -> Vec<Row> {
    let (
        ColumnView::Integers(times),
        ColumnView::Integers(numbers),
        ColumnView::Codes(codes),
        ColumnView::Identifiers(identifiers),
    ) = (segment.column(0), segment.column(1), segment.column(2), segment.column(3))
    else {
        panic!("columns are of other kinds");
    };
    (0..segment.rows())
        .map(|row| Row {
            time: times.get(row),
            number: numbers.get(row),
            code: codes.get(row) as u32,
            identifier: identifiers.get(identifiers.codes.get(row)).map(|identifier| match identifier {
                Identifier::Uuid(uuid) => Ok(uuid),
                Identifier::Text(text) => Err(text.to_owned()),
            }),
        })
        .collect()
}

/// Values of every shape that decides an encoding: constant, narrow, with a divisor, few and far, anything.
fn integers() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![
        Just(7_i64),
        -3..300_i64,
        (0..40_000_i64).prop_map(|n| n * 1000),
        Just(i64::MIN),
        Just(i64::MAX),
        any::<i64>()
    ]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // A few values drawn first and rows from them, so that dictionaries and repeats come about.
    (prop::collection::vec(integers(), 1..6), 0..3_u32, any::<bool>()).prop_flat_map(|(values, codes, any_number)| {
        let number = if any_number { any::<i64>().boxed() } else { prop::sample::select(values.clone()).boxed() };
        let identifier = prop_oneof![
            8 => (0..50_u128).prop_map(|n| Some(Ok(n << 60 | n))),
            1 => Just(None),
            1 => "[a-zäß]{0,5}".prop_map(|text| Some(Err(text))),
        ];
        let row = (prop::sample::select(values), number, 0..[1_u32, 300, 70_000][codes as usize], identifier)
            .prop_map(|(time, number, code, identifier)| Row { time, number, code, identifier });
        prop::collection::vec(row, 0..600)
    })
}

fn encode(rows: &[Row], rows_a_batch: usize, threads: usize) -> EncodedSegment {
    let batches: Vec<Batch> = rows.chunks(rows_a_batch).map(batch).collect();
    Segment::encode(&schema(), &batches, threads).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn roundtrip(rows in rows(), rows_a_batch in 1_usize..400) {
        let encoded = encode(&rows, rows_a_batch, 1);
        let bytes = encoded.to_bytes();
        prop_assert_eq!(bytes.len() as u64, encoded.length());
        let segment = Segment::open("test", bytes.clone(), &schema()).unwrap();
        prop_assert_eq!(&read(&segment), &rows);
        prop_assert_eq!(segment.damaged_pages(), []);
        prop_assert_eq!(segment.inconsistency(&[0, 0, 70_000, 0]), None);
        prop_assert_eq!(encode(&rows, rows_a_batch, 3).to_bytes(), bytes, "the thread count must not matter");

        let numbers = || rows.iter().map(|row| row.number);
        let expected = ColumnStatistics::Integers { min: numbers().min().unwrap_or(0), max: numbers().max().unwrap_or(0) };
        prop_assert_eq!(segment.statistics(1), expected);
        let codes = || rows.iter().map(|row| row.code).filter(|&code| code > 0);
        let expected = ColumnStatistics::Codes {
            smallest: codes().min().unwrap_or(0),
            largest: codes().max().unwrap_or(0),
            missing: rows.iter().filter(|row| row.code == 0).count() as u64,
        };
        prop_assert_eq!(segment.statistics(2), expected);
        let distinct: std::collections::HashSet<_> = rows.iter().filter_map(|row| row.identifier.as_ref()).collect();
        let missing = rows.iter().filter(|row| row.identifier.is_none()).count() as u64;
        prop_assert_eq!(segment.statistics(3), ColumnStatistics::Identifiers { distinct: distinct.len() as u64, missing });
    }

    #[test]
    fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), keep_magic in any::<bool>()) {
        if keep_magic && bytes.len() >= 12 {
            bytes[..8].copy_from_slice(&layout::MAGIC);
            bytes[8..12].copy_from_slice(&layout::VERSION.to_le_bytes());
        }
        prop_assert!(Segment::open("test", bytes.into(), &schema()).is_err());
    }
}

fn sample() -> Vec<Row> {
    (0..300)
        .map(|n| Row {
            time: i64::from(n) * 1000,
            number: [i64::MIN, 17, i64::MAX][n as usize % 3],
            code: n,
            identifier: [Some(Ok(u128::from(n / 7))), None, Some(Err(format!("text {}", n % 4)))][n as usize % 3]
                .clone(),
        })
        .collect()
}

#[test]
fn detects_every_flipped_bit() {
    let bytes = encode(&sample(), 100, 1).to_bytes();
    let sound = Segment::open("test", bytes.clone(), &schema()).unwrap();
    for position in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[position] ^= 1 << (position % 8);
        match Segment::open("test", damaged.into(), &schema()) {
            Err(_) => assert!((position as u64) < sound.front.front_length),
            Ok(segment) => {
                let pages = segment.damaged_pages();
                let [page] = &pages[..] else { panic!("byte {position}: {pages:?}") };
                assert!((page.offset..page.offset + page.length).contains(&(position as u64)));
            }
        }
    }
}

#[test]
fn detects_every_cut() {
    let bytes = encode(&sample(), 100, 1).to_bytes();
    for length in 0..bytes.len() {
        let error = Segment::open("test", bytes.slice(..length), &schema()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{length}: {error}");
    }
}

#[test]
fn names_a_newer_version() {
    let mut bytes = encode(&sample(), 100, 1).to_bytes().to_vec();
    bytes[8] = 2;
    let error = Segment::open("segment-00000007", bytes.into(), &schema()).unwrap_err();
    assert!(matches!(error, StoreError::UnknownVersion { got: 2, expected: 1, .. }), "{error}");
}

#[test]
fn names_the_rows_of_a_damaged_page() {
    // Times that need four bytes: 16,384 rows a page.
    let rows: Vec<Row> = (0..40_000).map(|n| Row { time: n * n, number: 1, code: 1, identifier: None }).collect();
    let mut bytes = encode(&rows, 10_000, 1).to_bytes().to_vec();
    let front = Segment::open("test", bytes.clone().into(), &schema()).unwrap().front;
    let place = front.entries[0].regions[0].offset as usize + 4 * 20_000;
    bytes[place] ^= 1;
    let damaged = Segment::open("test", bytes.into(), &schema()).unwrap().damaged_pages();
    assert_eq!(damaged.len(), 1);
    assert_eq!((damaged[0].column, damaged[0].rows.clone()), (0, 16_384..32_768));
}

#[test]
fn reads_bytes_that_are_not_aligned() {
    let rows = sample();
    let aligned = encode(&rows, 100, 1).to_bytes();
    let moved = Bytes::from([&[0], &aligned[..]].concat()).slice(1..);
    assert_eq!(read(&Segment::open("test", moved, &schema()).unwrap()), rows);
}

#[test]
fn refuses_batches_that_do_not_fit() {
    let fits = batch(&sample());
    let mut short = fits.clone();
    short.columns[1] = ColumnValues::Integers(vec![1]);
    let mut other_kind = fits.clone();
    other_kind.columns[2] = ColumnValues::Integers(vec![1; 300]);
    let mut bad_text = fits.clone();
    if let ColumnValues::Identifiers(identifiers) = &mut bad_text.columns[3] {
        identifiers.text.clear();
    }
    let fewer = Batch { columns: vec![], ..fits };
    for batch in [short, other_kind, bad_text, fewer] {
        let error = Segment::encode(&schema(), &[batch], 1).unwrap_err();
        assert!(matches!(error, StoreError::InvalidBatch { .. }), "{error}");
    }
}
