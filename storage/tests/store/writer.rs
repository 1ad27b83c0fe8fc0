//! The writer's promises to those who append.
#![expect(clippy::single_range_in_vec_init, reason = "a claim gives a list of ranges, often of one")]

use std::sync::Arc;
use std::thread;

use cartlog_storage::io::{Directory, MemoryDirectory, OsDirectory};
use cartlog_storage::store::{
    Batch, ColumnValues, Delivery, IdentifierValues, LogPosition, Schema, Snapshot, SourceRange, StoreError,
    StoreWriter, WriterOptions,
};

use crate::support;

fn rows(count: usize, value: i64) -> Batch {
    let columns = vec![
        ColumnValues::Integers(vec![value; count]),
        ColumnValues::Codes(vec![0; count]),
        ColumnValues::Integers(vec![value; count]),
        ColumnValues::Identifiers(IdentifierValues { uuids: vec![value as u128; count], ..Default::default() }),
    ];
    Batch { columns, rows: count }
}

fn open(directory: &MemoryDirectory) -> StoreWriter {
    StoreWriter::open(Arc::new(directory.clone()), support::schema(), support::options()).unwrap()
}

fn position(partition: i32, next_offset: i64, id: u8) -> Option<LogPosition> {
    Some(LogPosition { topic: "t".to_owned(), topic_id: Some([id; 16]), partition, next_offset })
}

#[test]
fn loading_twice_adds_nothing() {
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    let first = support::content(Arc::new(memory.clone()));
    assert_eq!(first.sources.len(), 1);
    support::load(Arc::new(memory.clone())).unwrap();
    assert_eq!(support::content(Arc::new(memory)), first);
}

#[test]
fn the_operating_system_holds_what_memory_holds() {
    let folder = tempfile::tempdir().unwrap();
    let directory: Arc<dyn Directory> = Arc::new(OsDirectory::open(folder.path()).unwrap());
    support::load(Arc::clone(&directory)).unwrap();
    let memory = MemoryDirectory::new();
    support::load(Arc::new(memory.clone())).unwrap();
    assert_eq!(support::content(directory), support::content(Arc::new(memory)));
}

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    let memory = MemoryDirectory::new();
    let writer = open(&memory);
    let again = StoreWriter::open(Arc::new(memory.clone()), support::schema(), support::options());
    assert!(matches!(again, Err(StoreError::Locked)));
    assert_eq!(Snapshot::open(Arc::new(memory.clone())).unwrap().rows(), 0);
    drop(writer);
    open(&memory);
}

#[test]
fn other_columns_are_refused() {
    let memory = MemoryDirectory::new();
    drop(open(&memory));
    let schema = Schema { columns: support::schema().columns[1..].to_vec() };
    let error = StoreWriter::open(Arc::new(memory), schema, support::options()).unwrap_err();
    assert!(matches!(error, StoreError::SchemaMismatch { .. }), "{error}");
}

#[test]
fn there_is_no_store_in_an_empty_folder() {
    assert!(matches!(Snapshot::open(Arc::new(MemoryDirectory::new())), Err(StoreError::NoStore)));
}

#[test]
fn a_snapshot_stays_as_it_was_and_refreshes() {
    let memory = MemoryDirectory::new();
    let writer = open(&memory);
    writer.append(Delivery { batch: rows(5, 1), ..Delivery::default() }).unwrap();
    writer.commit().unwrap();
    let before = writer.snapshot().unwrap();
    writer.append(Delivery { batch: rows(7, 2), ..Delivery::default() }).unwrap();
    assert_eq!(writer.snapshot().unwrap().rows(), 5, "what is not committed is not seen");
    writer.commit().unwrap();
    let after = before.refresh().unwrap();
    assert_eq!((before.rows(), after.rows()), (5, 12));
    assert!(Arc::ptr_eq(&before.segments()[0], &after.segments()[0]), "unchanged segments are shared");
    assert_ne!(before.generation(), after.generation());
}

#[test]
fn dropping_without_close_keeps_the_last_commit() {
    let memory = MemoryDirectory::new();
    let writer = open(&memory);
    writer.append(Delivery { batch: rows(5, 1), position: position(0, 5, 1), ..Delivery::default() }).unwrap();
    writer.commit().unwrap();
    writer.append(Delivery { batch: rows(5, 1), position: position(0, 10, 1), ..Delivery::default() }).unwrap();
    assert_eq!(writer.position("t", 0).unwrap().next_offset, 10);
    drop(writer);
    let writer = open(&memory);
    assert_eq!(writer.position("t", 0).unwrap().next_offset, 5);
    assert_eq!(writer.snapshot().unwrap().rows(), 5);
}

#[test]
fn positions_go_backwards_only_with_another_topic_of_the_name() {
    let writer = open(&MemoryDirectory::new());
    let append = |position| writer.append(Delivery { position, ..Delivery::default() });
    append(position(0, 10, 1)).unwrap();
    append(position(1, 3, 1)).unwrap();
    append(position(0, 10, 1)).unwrap();
    let error = append(position(0, 9, 1)).unwrap_err();
    assert!(matches!(error, StoreError::PositionBackwards { got: 9, known: 10, .. }), "{error}");
    append(position(0, 0, 2)).unwrap();
    assert_eq!(writer.close().unwrap().totals.rows_read, 0);
}

#[test]
fn a_range_is_stored_once() {
    let memory = MemoryDirectory::new();
    let writer = open(&memory);
    let source = "id".into();
    assert_eq!(writer.claim(&source, 0..100), [0..100]);
    assert_eq!(writer.claim(&source, 50..150), [100..150]);
    let delivery = |range| Delivery {
        batch: rows(3, 1),
        range: Some(SourceRange { source: source.clone(), name: "f".into(), range, crc32c: 5 }),
        ..Delivery::default()
    };
    writer.append(delivery(0..100)).unwrap();
    let error = writer.append(delivery(99..110)).unwrap_err();
    assert!(matches!(error, StoreError::RangeOverlap { .. }), "{error}");
    assert_eq!(writer.known(&source)[0].range, 0..100);
    writer.close().unwrap();
    let writer = open(&memory);
    assert_eq!(writer.claim(&source, 0..120), [100..120], "claims that were not delivered are gone");
    assert_eq!(writer.snapshot().unwrap().rows(), 3);
}

#[test]
fn deliveries_appended_together_are_taken_together_or_not_at_all() {
    let memory = MemoryDirectory::new();
    let writer = open(&memory);
    let piece = |range| Delivery {
        batch: rows(30, 1),
        range: Some(SourceRange { source: "id".into(), name: "f".into(), range, crc32c: 5 }),
        ..Delivery::default()
    };
    writer.append(piece(100..200)).unwrap();
    for refused in [[0..50, 150..160], [0..50, 40..60], [60..70, 0..10]] {
        let error = writer.append_together(refused.into_iter().map(piece).collect()).unwrap_err();
        assert!(matches!(error, StoreError::RangeOverlap { .. }), "{error}");
    }
    assert_eq!(writer.known(&"id".into()).len(), 1);
    // More rows than make a segment full, and still one commit.
    let position = position(0, 1, 1);
    writer.append_together(vec![piece(0..50), piece(60..70), Delivery { position, ..Delivery::default() }]).unwrap();
    let committed = writer.close().unwrap();
    assert_eq!((committed.totals.rows_stored, committed.generation), (90, 2));
}

#[test]
fn what_does_not_fit_is_refused_and_the_store_goes_on() {
    let writer = open(&MemoryDirectory::new());
    let mut short = rows(5, 1);
    short.columns[0] = ColumnValues::Integers(vec![1]);
    assert!(matches!(
        writer.append(Delivery { batch: short, ..Delivery::default() }),
        Err(StoreError::InvalidBatch { .. })
    ));
    writer.append(Delivery { batch: rows(5, 1), ..Delivery::default() }).unwrap();
    assert_eq!(writer.close().unwrap().totals.rows_stored, 5);
}

#[test]
fn a_code_without_a_text_latches_the_store() {
    let memory = MemoryDirectory::new();
    let writer = open(&memory);
    let mut batch = rows(2, 1);
    batch.columns[1] = ColumnValues::Codes(vec![0, 9]);
    writer.append(Delivery { batch, ..Delivery::default() }).unwrap();
    let error = writer.commit().unwrap_err();
    assert!(error.to_string().contains("code 9, its dictionary 0 texts"), "{error}");
    let later = writer.append(Delivery { batch: rows(1, 1), ..Delivery::default() }).unwrap_err();
    assert!(matches!(later, StoreError::Latched { .. }), "{later}");
    drop(writer);
    assert_eq!(Snapshot::open(Arc::new(memory)).unwrap().rows(), 0);
}

#[test]
fn many_threads_append_and_commit_beside_a_reader() {
    let memory = MemoryDirectory::new();
    let options = WriterOptions { segment_rows: 500, encode_threads: 2, ..WriterOptions::default() };
    let writer = StoreWriter::open(Arc::new(memory.clone()), support::schema(), options).unwrap();
    thread::scope(|scope| {
        for partition in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                for number in 1..=100 {
                    let batch = rows(7, i64::from(partition));
                    let position = position(partition, number, 1);
                    writer.append(Delivery { batch, position, ..Delivery::default() }).unwrap();
                    if number % 40 == 0 {
                        writer.commit().unwrap();
                    }
                }
            });
        }
        for _ in 0..20 {
            let snapshot = Snapshot::open(Arc::new(memory.clone())).unwrap();
            let positions: i64 = snapshot.positions().iter().map(|position| position.next_offset).sum();
            assert_eq!(snapshot.rows() as i64, positions * 7, "rows and positions are committed together");
            thread::yield_now();
        }
    });
    assert_eq!(writer.close().unwrap().totals.rows_stored, 4 * 100 * 7);
}
