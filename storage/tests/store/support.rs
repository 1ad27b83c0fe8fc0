//! A small load that touches everything a commit holds, and the store's content as plain values.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cartlog_storage::io::Directory;
use cartlog_storage::store::{
    Batch, ColumnSchema, ColumnType, ColumnValues, ColumnView, Delivery, Identifier, IdentifierException,
    IdentifierValues, KnownSource, LogPosition, Reject, Schema, Segment, SharedDictionary, Snapshot, SourceRange,
    StoreError, StoreWriter, Totals, WriterOptions,
};

/// Deliveries of the load.
pub(crate) const DELIVERIES: u64 = 24;
/// Bytes of the source that each delivery takes.
const BLOCK: u64 = 100;
const TOPIC: &str = "events";
const SOURCE: &str = "00112233aabbccdd";

pub(crate) fn schema() -> Schema {
    let kinds =
        [ColumnType::Timestamp, ColumnType::Dictionary, ColumnType::Decimal { scale: 2 }, ColumnType::Identifier];
    let names = ["time", "brand", "price", "session"];
    let column = |(name, kind): (&str, ColumnType)| ColumnSchema { name: name.to_owned(), kind };
    Schema { columns: names.into_iter().zip(kinds).map(column).collect() }
}

/// Segments so small that the load makes several, one of them after each full cut and one at the end.
pub(crate) fn options() -> WriterOptions {
    WriterOptions { segment_rows: 40, encode_threads: 1, ..WriterOptions::default() }
}

/// One row as a reader would say it.
pub(crate) type Row = (i64, Option<String>, i64, Option<String>);

/// Everything a store holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    pub(crate) rows: Vec<Row>,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) totals: Totals,
    pub(crate) positions: Vec<LogPosition>,
    pub(crate) sources: Vec<KnownSource>,
}

/// Loads from wherever the store stands, as a program does that was started again; commits twice on the way.
pub(crate) fn load(directory: Arc<dyn Directory>) -> Result<(), StoreError> {
    let writer = StoreWriter::open(directory, schema(), options())?;
    for number in next(&writer)..DELIVERIES {
        let delivery = delivery(&writer, number)?;
        writer.append(delivery)?;
        if number % 9 == 8 {
            writer.commit()?;
        }
    }
    writer.close().map(|_| ())
}

/// The number of the delivery that comes next.
pub(crate) fn next(writer: &StoreWriter) -> u64 {
    writer.position(TOPIC, 0).map_or(0, |position| position.next_offset as u64)
}

/// The load's `number`th delivery: 1 to 19 rows, now and then a reject; every eighth one comes for the second time
/// under another offset.
pub(crate) fn delivery(writer: &StoreWriter, number: u64) -> Result<Delivery, StoreError> {
    let block = if number % 8 == 7 { number - 3 } else { number };
    let rows = block * 7 % 19 + 1;
    let range = block * BLOCK..(block + 1) * BLOCK;
    let position =
        LogPosition { topic: TOPIC.to_owned(), topic_id: Some([7; 16]), partition: 0, next_offset: number as i64 + 1 };
    if writer.claim(&SOURCE.into(), range.clone()).is_empty() {
        return Ok(Delivery { rows_duplicate: rows, position: Some(position), ..Delivery::default() });
    }
    Ok(Delivery { position: Some(position), ..self::block(&writer.dictionary(1), number)? })
}

/// What the `number`th delivery holds, wherever it is read from.
pub(crate) fn block(brands: &SharedDictionary, number: u64) -> Result<Delivery, StoreError> {
    let block = if number % 8 == 7 { number - 3 } else { number };
    let range = block * BLOCK..(block + 1) * BLOCK;
    let range = SourceRange { source: SOURCE.into(), name: "file.csv".to_owned(), crc32c: checksum(&range), range };
    Ok(Delivery {
        batch: batch(brands, block, block * 7 % 19 + 1)?,
        rejects: rejects(number).collect(),
        range: Some(range),
        ..Delivery::default()
    })
}

/// The rejects of the `number`th delivery, if it is not a duplicate.
pub(crate) fn rejects(number: u64) -> impl Iterator<Item = Reject> {
    let is_duplicate = number % 8 == 7;
    (0..number % 3 / 2).filter(move |_| !is_duplicate).map(move |_| reject(number))
}

fn batch(brands: &SharedDictionary, block: u64, rows: u64) -> Result<Batch, StoreError> {
    let numbers = || (0..rows).map(move |row| (block * 31 + row * 17) as i64);
    let codes = numbers().map(|n| if n % 5 == 0 { Ok(0) } else { brands.code_for(&format!("brand {}", n % 23)) });
    let mut sessions = IdentifierValues { uuids: numbers().map(|n| n as u128 / 3 * 7).collect(), ..Default::default() };
    for (row, n) in numbers().enumerate().filter(|(_, n)| n % 11 == 0) {
        let text = (n % 2 == 0).then(|| {
            let text = format!("session {n}");
            sessions.text.extend_from_slice(text.as_bytes());
            ((sessions.text.len() - text.len()) as u32, text.len() as u32)
        });
        sessions.exceptions.push(IdentifierException { row: row as u32, text });
    }
    let columns = vec![
        ColumnValues::Integers(numbers().map(|n| 1_570_000_000_000 + n * 1000).collect()),
        ColumnValues::Codes(codes.collect::<Result<_, _>>()?),
        ColumnValues::Integers(numbers().map(|n| n * n).collect()),
        ColumnValues::Identifiers(sessions),
    ];
    Ok(Batch { columns, rows: rows as usize })
}

fn reject(number: u64) -> Reject {
    Reject {
        source: format!("{TOPIC}/0@{number}"),
        line: number + 1,
        byte_offset: number * BLOCK + 50,
        reason: "expected 9 fields, got 3".to_owned(),
        raw: Bytes::from(format!("a,b,{number}")),
    }
}

/// Made of the range alone, so that merging gives the same whatever the cuts.
fn checksum(range: &Range<u64>) -> u32 {
    let content: Vec<u8> = range.clone().map(|byte| byte as u8).collect();
    crc32c::crc32c(&content)
}

pub(crate) fn content(directory: Arc<dyn Directory>) -> Content {
    let snapshot = Snapshot::open(directory).unwrap();
    let rows = rows(&snapshot, snapshot.segments());
    assert_eq!(rows.len() as u64, snapshot.rows());
    Content {
        rows,
        rejects: snapshot.rejects().unwrap().map(Result::unwrap).collect(),
        totals: *snapshot.totals(),
        positions: snapshot.positions().to_vec(),
        sources: snapshot.sources().to_vec(),
    }
}

/// The rows of some segments with the texts of a snapshot.
pub(crate) fn rows(snapshot: &Snapshot, segments: &[Arc<Segment>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for segment in segments {
        let (
            ColumnView::Integers(times),
            ColumnView::Codes(brands),
            ColumnView::Integers(prices),
            ColumnView::Identifiers(sessions),
        ) = (segment.column(0), segment.column(1), segment.column(2), segment.column(3))
        else {
            panic!("columns are of other kinds");
        };
        rows.extend((0..segment.rows()).map(|row| {
            let brand = snapshot.dictionary(1).get(brands.get(row) as u32).map(str::to_owned);
            let session = sessions.get(sessions.codes.get(row)).map(|session| match session {
                Identifier::Uuid(uuid) => format!("{uuid:032x}"),
                Identifier::Text(text) => text.to_owned(),
            });
            (times.get(row), brand, prices.get(row), session)
        }));
    }
    rows
}
