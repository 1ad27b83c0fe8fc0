//! What holds for every format, and what CSV, JSON, Parquet and Arrow promise on their own.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::types::UInt32Type;
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, StringArray,
    TimestampMillisecondArray,
};
use arrow_schema::DataType;
use proptest::prelude::*;

use super::*;

fn sample() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("category_id", Arc::new(Int64Array::from(vec![Some(2_053_013_555_631_882_655), None, Some(i64::MIN)]))),
        ("user_id", Arc::new(Int64Array::from(vec![541_312_140, 9_007_199_254_740_993, -1]))),
        ("brand", Arc::new(StringArray::from(vec![Some("a,\"b\"\r\n"), None, Some("")]))),
        ("average", Arc::new(Float64Array::from(vec![12.0, 0.1 + 0.2, f64::NAN]))),
        ("price", decimals(&[4_890_700, 123_450, -1], 18)),
        ("sum", decimals(&[i128::MAX / 10, 0, 50], 38)),
        ("day", Arc::new(Date32Array::from(vec![Some(18_170), None, Some(-1)]))),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![1_569_888_000_000, 7, 0]).with_timezone("UTC"))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn decimals(units: &[i128], precision: u8) -> ArrayRef {
    let values = Decimal128Array::from_iter_values(units.iter().copied());
    Arc::new(values.with_precision_and_scale(precision, 4).unwrap())
}

fn written(name: &str, batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer =
        format(name).unwrap().open(batches[0].schema(), Box::new(Stream(&mut bytes)), WriteOptions::default()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

fn written_text(name: &str, batch: &RecordBatch) -> String {
    String::from_utf8(written(name, std::slice::from_ref(batch))).unwrap()
}

#[test]
fn every_format_has_a_name_of_its_own_and_says_what_it_is() {
    let names: Vec<_> = formats().iter().map(|format| format.name()).collect();
    assert_eq!(names, ["csv", "orc", "parquet", "arrow", "json"]);
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    for format in formats() {
        assert!(format.description().len() > 20, "{}", format.name());
        assert!(!format.compressions().is_empty());
    }
}

#[test]
fn every_format_writes_rows_no_rows_and_every_compression() {
    let folder = tempfile::tempdir().unwrap();
    for format in formats() {
        for rows in [sample(), sample().slice(0, 0)] {
            for &compression in format.compressions() {
                let table = Table { name: "sample".to_owned(), rows: rows.clone() };
                let path = folder.path().join(format!("{}.{}", table.name, format.name()));
                let options = WriteOptions { compression: Some(compression) };
                write_table_file(&table, *format, &path, options).unwrap();
                assert!(std::fs::metadata(&path).unwrap().len() > 0);
            }
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), formats().len());
}

#[test]
fn every_format_refuses_other_columns_than_it_was_begun_with() {
    for format in formats() {
        let sink = Box::new(Stream(Vec::new()));
        let mut writer = format.open(sample().schema(), sink, WriteOptions::default()).unwrap();
        let other = sample().project(&[1, 0, 2, 3, 4, 5, 6, 7]).unwrap();
        assert!(matches!(writer.write(&other), Err(ExportError::Schema { .. })), "{}", format.name());
    }
}

#[test]
fn an_absent_compression_names_those_that_there_are() {
    let options = WriteOptions { compression: Some(Compression::Zlib) };
    let parquet = format("parquet").unwrap();
    let failure = parquet.open(sample().schema(), Box::new(Stream(Vec::new())), options).err().unwrap();
    assert_eq!(failure.to_string(), "parquet has no compression zlib; choose one of: zstd, snappy, none");
}

/// A pipe whose reader goes away after some bytes.
struct ClosedPipe(usize);

impl Write for ClosedPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_told_from_other_failures() {
    for format in formats() {
        for room in [0, 5, 100] {
            let table = Table { name: "sample".to_owned(), rows: sample() };
            let sink = Box::new(Stream(ClosedPipe(room)));
            let failure = write_table(&table, *format, sink, WriteOptions::default()).unwrap_err();
            assert!(failure.is_broken_pipe(), "{}: {failure}", format.name());
        }
    }
    assert!(!ExportError::Write(io::ErrorKind::StorageFull.into()).is_broken_pipe());
}

#[test]
fn csv_keeps_missing_apart_from_empty() {
    let expected = "category_id,user_id,brand,average,price,sum,day,at\n\
        2053013555631882655,541312140,\"a,\"\"b\"\"\r\n\",12.0,489.07,1701411834604692317316873037158841.0572,\
        2019-10-01,2019-10-01 00:00:00 UTC\n\
        ,9007199254740993,,0.30000000000000004,12.345,0.00,,1970-01-01 00:00:00.007 UTC\n\
        -9223372036854775808,-1,\"\",NaN,-0.0001,0.005,1969-12-31,1970-01-01 00:00:00 UTC\n";
    assert_eq!(written_text("csv", &sample()), expected);
}

#[test]
fn json_is_one_valid_document() {
    let text = written_text("json", &sample());
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(text.lines().count(), 5);
    assert_eq!(rows[0]["category_id"], "2053013555631882655");
    assert_eq!(rows[1]["user_id"], 9_007_199_254_740_993_i64);
    assert_eq!(rows[0]["brand"], "a,\"b\"\r\n");
    assert_eq!(rows[0]["at"], "2019-10-01T00:00:00Z");
    assert_eq!(rows[1]["at"], "1970-01-01T00:00:00.007Z");
    assert!(rows[1]["category_id"].is_null() && rows[1]["brand"].is_null() && rows[2]["average"].is_null());
    assert_eq!(rows[2]["brand"], "");
    assert!(text.contains(r#""price":489.07"#) && text.contains(r#""sum":1701411834604692317316873037158841.0572"#));
    assert_eq!(written_text("json", &sample().slice(0, 0)), "[]\n");
}

fn many(rows: usize) -> RecordBatch {
    let names = StringArray::from_iter_values((0..100).map(|brand| format!("brand {brand}")));
    let codes = (0..rows).map(|row| (row % 7 != 0).then_some((row * 31 % 100) as u32));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("row", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
        ("brand", Arc::new(DictionaryArray::<UInt32Type>::new(codes.collect(), Arc::new(names)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

#[test]
fn text_formats_keep_the_order_of_rows_whatever_prints_them() {
    let whole = many(50_000);
    let pieces = [whole.slice(0, 0), whole.slice(0, 20_001), whole.slice(20_001, 0), whole.slice(20_001, 29_999)];
    for name in ["csv", "json"] {
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let expected = one_thread.install(|| written(name, std::slice::from_ref(&whole)));
        assert!(written(name, &pieces) == expected, "{name}");
    }
    let csv = written_text("csv", &whole);
    let rows: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert!(rows.iter().enumerate().all(|(index, row)| *row == index.to_string()));
}

#[test]
fn parquet_and_arrow_give_back_the_rows_and_hide_dictionaries() {
    for batch in [sample(), many(3000), many(0)] {
        let parquet = bytes::Bytes::from(written("parquet", std::slice::from_ref(&batch)));
        let reader = ::parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(parquet, 1 << 20).unwrap();
        let expected = written_text("json", &batch);
        for batch in reader {
            let batch = batch.unwrap();
            assert!(batch.columns().iter().all(|column| !matches!(column.data_type(), DataType::Dictionary(..))));
            assert_eq!(written_text("json", &batch), expected);
        }
        let arrow = written("arrow", std::slice::from_ref(&batch));
        let reader = arrow_ipc::reader::FileReader::try_new(io::Cursor::new(arrow), None).unwrap();
        assert!(reader.schema().fields().iter().all(|field| !matches!(field.data_type(), DataType::Dictionary(..))));
        for batch in reader {
            assert_eq!(written_text("json", &batch.unwrap()), expected);
        }
    }
}

#[test]
fn a_terminal_shows_numbers_at_the_right_and_counts_what_it_hides() {
    let table = Table { name: "sample".to_owned(), rows: sample().project(&[1, 2]).unwrap() };
    let shown = render(&table, RenderOptions { rows: 2, ..RenderOptions::default() });
    let expected = "\
        ┌──────────────────┬───────────┐\n\
        │          user_id ┆ brand     │\n\
        ╞══════════════════╪═══════════╡\n\
        │        541312140 ┆ a,\"b\"\u{fffd}\u{fffd}   │\n\
        │ 9007199254740993 ┆ (missing) │\n\
        └──────────────────┴───────────┘\n\
        … and 1 more row\n";
    assert_eq!(shown, expected);
}

#[test]
fn a_narrow_terminal_shows_numbers_whole() {
    let numbers = |base: i64| Arc::new(Int64Array::from(vec![base, base + 1])) as ArrayRef;
    let words = Arc::new(StringArray::from(vec!["some words that take a line", "b"])) as ArrayRef;
    let columns = [("first_number", numbers(123_456_789)), ("words", words), ("second_number", numbers(987_654_321))];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let narrow = RenderOptions { width: Some(50), ..RenderOptions::default() };
    let shown = render(&Table { name: "sample".to_owned(), rows: rows.clone() }, narrow);
    assert!(shown.lines().all(|line| line.chars().count() <= 50), "{shown}");
    assert!(
        ["123456789", "123456790", "987654321", "987654322"].iter().all(|number| shown.contains(number)),
        "{shown}"
    );
    // One row stands upright.
    let shown = render(&Table { name: "sample".to_owned(), rows: rows.slice(0, 1) }, narrow);
    let expected = "\
        ┌───────────────┬─────────────────────────────┐\n\
        │ first_number  ┆ 123456789                   │\n\
        │ words         ┆ some words that take a line │\n\
        │ second_number ┆ 987654321                   │\n\
        └───────────────┴─────────────────────────────┘\n";
    assert_eq!(shown, expected);
}

#[test]
fn a_terminal_too_narrow_for_a_table_shows_its_rows_upright() {
    let ids = Arc::new(Int64Array::from(vec![2_053_013_555_631_882_655, 7])) as ArrayRef;
    let codes = Arc::new(StringArray::from(vec![Some("electronics.smartphone"), None])) as ArrayRef;
    let rows = RecordBatch::try_from_iter_with_nullable([("category_id", ids, true), ("code", codes, true)]).unwrap();
    let shown = |rows: &RecordBatch, width| {
        let options = RenderOptions { width: Some(width), ..RenderOptions::default() };
        render(&Table { name: "sample".to_owned(), rows: rows.clone() }, options)
    };
    assert!(shown(&rows, 40).starts_with('┌'), "texts are wrapped: {}", shown(&rows, 40));
    let expected = "\
        row 1\n  category_id  2053013555631882655\n  code         electronics.smartphone\n\
        row 2\n  category_id  7\n  code         (missing)\n";
    assert_eq!(shown(&rows, 37), expected);
    let expected = "\
        row 1\ncategory_id\n  2053013555631882655\ncode\n  electronics.smartphone\n\
        row 2\ncategory_id\n  7\ncode\n  (missing)\n";
    assert_eq!(shown(&rows, 30), expected);
    // So does the one row that its frame has no room for.
    assert!(shown(&rows.slice(1, 1), 20).starts_with("row 1\ncategory_id\n  7\n"), "{}", shown(&rows.slice(1, 1), 20));
}

/// A text of any characters, rather often one that CSV has to quote.
fn texts() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        Just(Some(String::new())),
        "[a,\"\r\n ;é]{0,6}".prop_map(Some),
        any::<String>().prop_map(Some)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn csv_text_is_read_back_by_a_csv_reader(rows in prop::collection::vec((texts(), any::<i64>()), 1..20)) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("text", Arc::new(StringArray::from_iter(rows.iter().map(|(text, _)| text.as_deref())))),
            ("number", Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, number)| *number)))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let csv = written("csv", std::slice::from_ref(&batch));
        let mut expected = vec!["text".to_owned(), "number".to_owned()];
        for (text, number) in &rows {
            expected.extend([text.clone().unwrap_or_default(), number.to_string()]);
        }
        prop_assert_eq!(fields(&csv), expected);
    }

    #[test]
    fn json_text_is_read_back_by_a_json_reader(values in prop::collection::vec(texts(), 1..20)) {
        let column = Arc::new(StringArray::from_iter(values.iter().map(Option::as_deref))) as ArrayRef;
        let batch = RecordBatch::try_from_iter_with_nullable([("text", column, true)]).unwrap();
        let rows: Vec<serde_json::Value> = serde_json::from_str(&written_text("json", &batch)).unwrap();
        let read: Vec<Option<String>> = rows.iter().map(|row| row["text"].as_str().map(str::to_owned)).collect();
        prop_assert_eq!(read, values);
    }
}

fn fields(csv: &[u8]) -> Vec<String> {
    let mut reader = csv_core::Reader::new();
    let (mut input, mut out, mut fields) = (csv, [0; 1 << 12], Vec::new());
    let mut field = Vec::new();
    loop {
        let (result, read, written) = reader.read_field(input, &mut out);
        input = &input[read..];
        field.extend_from_slice(&out[..written]);
        match result {
            csv_core::ReadFieldResult::Field { .. } => {
                fields.push(String::from_utf8(std::mem::take(&mut field)).unwrap());
            }
            csv_core::ReadFieldResult::End => return fields,
            _ => {}
        }
    }
}
