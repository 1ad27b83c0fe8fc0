//! Parquet files with the types that other writers give the nine columns, as lines.

use std::sync::Arc;

use arrow_array::types::{Float16Type, Int32Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int32Array, Int64Array, LargeStringArray, PrimitiveArray, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};

use crate::source::{ReadOptions, Source};

/// The columns of two rows, as text.
fn plain() -> Vec<(&'static str, ArrayRef)> {
    let text = |values: [&str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    vec![
        ("event_time", text(["2019-10-01 00:00:00 UTC", "2019-10-01T00:00:01Z"])),
        ("event_type", text(["view", "cart"])),
        ("product_id", text(["1", "2"])),
        ("category_id", text(["3", "4"])),
        ("category_code", text(["a.b", ""])),
        ("brand", text(["nan", "x"])),
        ("price", text(["1.50", "2"])),
        ("user_id", text(["5", "6"])),
        ("user_session", text(["s", "t"])),
    ]
}

fn with(name: &'static str, array: impl arrow_array::Array + 'static) -> Vec<(&'static str, ArrayRef)> {
    let mut columns = plain();
    let place = columns.iter().position(|column| column.0 == name).unwrap();
    columns[place].1 = Arc::new(array);
    columns
}

fn written(columns: Vec<(&'static str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let rows =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    bytes
}

fn text(bytes: &[u8]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    std::fs::write(&path, bytes).unwrap();
    let reader = Source::file(path).unwrap().open(ReadOptions::default(), |_| Vec::new());
    let mut text = Vec::new();
    let (mut line, mut offset) = (1, 0);
    for block in reader.map_err(|error| error.to_string())? {
        let block = block.map_err(|error| error.to_string())?;
        assert_eq!((block.first_line, block.range.start), (line, offset));
        (line, offset) = (line + block.rows, block.range.end);
        text.extend_from_slice(&block.bytes);
    }
    Ok(String::from_utf8(text).unwrap())
}

fn fields(columns: Vec<(&'static str, ArrayRef)>, field: usize) -> Vec<String> {
    let text = text(&written(columns, WriterProperties::default())).unwrap();
    text.lines().map(|line| line.split(',').nth(field).unwrap().to_owned()).collect()
}

#[test]
fn text_is_taken_as_it_is() {
    let expected = "2019-10-01 00:00:00 UTC,view,1,3,a.b,nan,1.50,5,s\n2019-10-01T00:00:01Z,cart,2,4,,x,2,6,t\n";
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::LZ4_RAW,
            Compression::LZ4,
            Compression::ZSTD(Default::default()),
        ] {
            let properties = WriterProperties::builder().set_compression(compression).set_writer_version(version);
            assert_eq!(text(&written(plain(), properties.build())).unwrap(), expected, "{compression}");
        }
    }
    let mut shuffled = plain();
    shuffled.reverse();
    shuffled.insert(3, ("other", Arc::new(BooleanArray::from(vec![true, false]))));
    assert_eq!(text(&written(shuffled, WriterProperties::default())).unwrap(), expected);
    let without: Vec<_> = plain().into_iter().filter(|column| column.0 != "brand").collect();
    assert_eq!(fields(without, 5), ["", ""]);
}

#[test]
fn each_type_becomes_the_text_of_its_value() {
    let micro = vec![Some(1_569_888_000_000_000), Some(-1)];
    let times = ["2019-10-01 00:00:00 UTC", "1969-12-31 23:59:59.999 UTC"];
    assert_eq!(fields(with("event_time", TimestampMicrosecondArray::from(micro.clone())), 0), times);
    let zoned = TimestampMicrosecondArray::from(micro).with_timezone("+02:00");
    assert_eq!(fields(with("event_time", zoned), 0), times, "an instant is one, whatever zone it is shown in");
    let nano = TimestampNanosecondArray::from(vec![Some(1_569_888_000_250_999_999), None]);
    assert_eq!(fields(with("event_time", nano), 0), ["2019-10-01 00:00:00.250 UTC", ""]);

    assert_eq!(
        fields(with("category_id", Int64Array::from(vec![2_103_807_459_595_387_724, -1])), 3),
        ["2103807459595387724", "-1"]
    );
    assert_eq!(fields(with("category_id", UInt64Array::from(vec![u64::MAX, 1])), 3), ["18446744073709551615", "1"]);
    assert_eq!(fields(with("product_id", Int32Array::from(vec![Some(-7), None])), 2), ["-7", ""]);
    let doubles = Float64Array::from(vec![2.0, 9_007_199_254_740_992.0]);
    assert_eq!(fields(with("user_id", doubles), 7), ["2", "9.007199254740992e15"], "a neighbour may be meant");
    let wide = Decimal128Array::from(vec![2_103_807_459_595_387_724, -1]).with_precision_and_scale(20, 0).unwrap();
    assert_eq!(fields(with("category_id", wide), 3), ["2103807459595387724", "-1"]);

    let prices = Decimal128Array::from(vec![357_900, 1]).with_precision_and_scale(18, 4).unwrap();
    assert_eq!(fields(with("price", prices), 6), ["35.79", "0.0001"]);
    assert_eq!(fields(with("price", Float64Array::from(vec![35.79, f64::NAN])), 6), ["35.79", ""]);
    assert_eq!(fields(with("price", Float32Array::from(vec![35.79, 1e-5])), 6), ["35.79", "0.00001"]);
    assert_eq!(fields(with("price", Int32Array::from(vec![35, 0])), 6), ["35", "0"]);

    assert_eq!(fields(with("brand", LargeStringArray::from(vec![Some("x"), None])), 5), ["x", ""]);
    assert_eq!(fields(with("brand", BinaryArray::from(vec![&b"x"[..], b""])), 5), ["x", ""]);
    let dictionary: DictionaryArray<Int32Type> = vec![Some("x"), None].into_iter().collect();
    assert_eq!(fields(with("brand", dictionary), 5), ["x", ""]);
    let uuids = FixedSizeBinaryArray::try_from_iter([[0x11_u8; 16], [0xAB; 16]].into_iter()).unwrap();
    assert_eq!(
        fields(with("user_session", uuids), 8),
        ["11111111-1111-1111-1111-111111111111", "abababab-abab-abab-abab-abababababab"]
    );
}

#[test]
fn files_of_something_else_say_what_they_are() {
    let refused = |columns| text(&written(columns, WriterProperties::default())).unwrap_err();
    let no_price = plain().into_iter().filter(|column| column.0 != "price").collect();
    let error = refused(no_price);
    assert!(
        error.contains("the Parquet file doesn't hold events: no column named price; it has event_time, "),
        "{error}"
    );
    let error = refused(with("event_time", Int64Array::from(vec![1_569_888_000, 0])));
    assert!(error.contains("column event_time is of type Int64, expected a timestamp or text"), "{error}");
    let halves = PrimitiveArray::<Float16Type>::new_null(2);
    let error = refused(with("price", halves));
    assert!(error.contains("column price is of type Float16, expected a decimal"), "{error}");
    let mut twice = plain();
    twice.push(("BRAND", twice[5].1.clone()));
    assert!(refused(twice).contains("two columns are named brand"));
}

#[test]
fn damage_is_told_and_ends_nothing() {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let bytes = written(plain(), properties);
    let whole = text(&bytes).unwrap();
    for end in (4..bytes.len()).step_by(7) {
        let error = text(&bytes[..end]).unwrap_err();
        assert!(error.contains("the Parquet file is damaged after row 0"), "cut at {end}: {error}");
    }
    let mut told = 0;
    for at in 4..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= [0x01, 0x80, 0xFF][at % 3];
        // Names, statistics and text may be other ones without anybody being able to tell.
        told += usize::from(text(&damaged).as_ref() != Ok(&whole));
    }
    assert!(told > bytes.len() / 4, "{told} of {}", bytes.len());
}
