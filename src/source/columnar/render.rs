//! Rows as lines of text. Frozen: a store knows the ranges of this text that it holds by their checksum, so a row must
//! give the same bytes in every version.
//!
//! A line says exactly what the row holds, so that the parser of lines takes it or rejects it for the same reasons as
//! any other line:
//! - text as it is, quoted where CSV needs it;
//! - an instant as `2019-10-01 00:00:00 UTC`, with milliseconds where it has any;
//! - an integer as its digits, a UUID in groups of hexadecimal digits;
//! - a decimal as its digits, without zeros at the end beyond the second after the point (none for an id);
//! - a price in double precision as the decimal that it stands for: of four places, unless it is further from that than
//!   arithmetic on doubles goes astray;
//! - any other float as the shortest text that reads back as the same float, so that 35.79 is 35.79; not a number is
//!   missing. An id that a float can't hold exactly is written in scientific notation, which is no id: its digits are lost;
//! - missing as nothing.
//!
//! A row with a line break in a value, which no line of CSV can hold, becomes a line of JSON.

use std::io::Write as _;

use super::column::{Column, Values};
use super::{Batch, COLUMNS};
use crate::event::{HEADER, PRICE, PRICE_SCALE, decimal, time, uuid};

/// The first integer of which a double (of 53 bits) can't tell whether it is its neighbour.
const DOUBLE_LIMIT: f64 = 9_007_199_254_740_992.0;
/// The same of a single (of 24 bits).
const SINGLE_LIMIT: f32 = 16_777_216.0;

/// Units of a price in one.
const PRICE_UNITS: f64 = 10_u32.pow(PRICE_SCALE as u32) as f64;

/// How far from a decimal a double may be to stand for it, as a share of it: four units in its last place. Conversions and sums
/// (pyarrow's of decimals, 0.1 + 0.2) are one or two off, and the next price is millions of them away.
const DOUBLE_ERROR: f64 = 4.0 * f64::EPSILON;

/// Appends a line for each row and gives their number.
pub(super) fn append_rows(batch: &Batch, text: &mut Vec<u8>) -> usize {
    let rows = batch.iter().flatten().map(Column::len).next().unwrap_or_default();
    for row in 0..rows {
        let start = text.len();
        if append_csv(batch, row, text).is_err() {
            text.truncate(start);
            append_json(batch, row, text);
        }
        text.push(b'\n');
    }
    rows
}

/// A value that a line of CSV can't hold.
struct LineBreak;

fn append_csv(batch: &Batch, row: usize, text: &mut Vec<u8>) -> Result<(), LineBreak> {
    for (index, column) in batch.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        let Some(column) = column else { continue };
        match column.text(row) {
            Some(value) => append_field(value, text)?,
            None => column.append(row, index, text),
        }
    }
    Ok(())
}

fn append_field(value: &[u8], text: &mut Vec<u8>) -> Result<(), LineBreak> {
    let mut is_quoted = matches!(value.first(), Some(b'{' | b'['));
    for byte in value {
        match byte {
            b'\n' | b'\r' => return Err(LineBreak),
            b',' | b'"' => is_quoted = true,
            _ => {}
        }
    }
    if !is_quoted {
        text.extend_from_slice(value);
        return Ok(());
    }
    text.push(b'"');
    for piece in value.split_inclusive(|byte| *byte == b'"') {
        text.extend_from_slice(piece);
        if piece.ends_with(b"\"") {
            text.push(b'"');
        }
    }
    text.push(b'"');
    Ok(())
}

fn append_json(batch: &Batch, row: usize, text: &mut Vec<u8>) {
    let mut separator = b'{';
    for ((index, column), name) in batch.iter().enumerate().zip(HEADER.split(',')) {
        let Some(column) = column else { continue };
        text.push(separator);
        separator = b',';
        text.push(b'"');
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":\"");
        match column.text(row) {
            Some(value) => append_escaped(value, text),
            None => column.append(row, index, text),
        }
        text.push(b'"');
    }
    text.push(b'}');
}

fn append_escaped(value: &[u8], text: &mut Vec<u8>) {
    for &byte in value {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                text.extend_from_slice(b"\\u00");
                text.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
            _ => text.push(byte),
        }
    }
}

impl Column {
    /// The text of a row, if the column holds text and the row has one.
    #[inline]
    fn text(&self, row: usize) -> Option<&[u8]> {
        if self.is_missing(row) {
            return None;
        }
        match &self.values {
            Values::Text(texts) => Some(texts.get(row)),
            Values::Codes { codes, texts } => Some(texts.get(codes[row] as usize)),
            _ => None,
        }
    }

    #[inline]
    fn is_missing(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends a value that is no text.
    fn append(&self, row: usize, index: usize, text: &mut Vec<u8>) {
        if self.is_missing(row) {
            return;
        }
        let is_id = index != PRICE;
        match &self.values {
            Values::Text(_) | Values::Codes { .. } => {}
            Values::Integers(values) => append_display(values[row], text),
            Values::Unsigned(values) => append_display(values[row], text),
            Values::Doubles(values) => match values[row] {
                value if value.is_nan() => {}
                value if is_id && value.abs() >= DOUBLE_LIMIT => append_display(format_args!("{value:e}"), text),
                value => match units_of(value).filter(|_| !is_id) {
                    Some(units) => decimal::write(text, units),
                    None => append_display(value, text),
                },
            },
            Values::Singles(values) => match values[row] {
                value if value.is_nan() => {}
                value if is_id && value.abs() >= SINGLE_LIMIT => append_display(format_args!("{value:e}"), text),
                value => append_display(value, text),
            },
            Values::Decimals { units, scale } => append_decimal(units[row], *scale, if is_id { 0 } else { 2 }, text),
            Values::Instants(values) => time::write(text, values[row]),
            Values::Uuids(values) => uuid::write(text, values[row]),
        }
    }
}

/// The decimal that a double stands for, if it is one of [`PRICE_SCALE`] places.
fn units_of(value: f64) -> Option<i64> {
    let units = (value * PRICE_UNITS).round();
    let is_near = (value - units / PRICE_UNITS).abs() <= value.abs() * DOUBLE_ERROR;
    (units.abs() < DOUBLE_LIMIT && is_near).then_some(units as i64)
}

fn append_display(value: impl std::fmt::Display, text: &mut Vec<u8>) {
    // Writing into memory can't fail.
    let _ = write!(text, "{value}");
}

/// Appends `units / 10^scale` without zeros at the end, but with at least so many digits after the point.
fn append_decimal(units: i128, scale: u8, least: usize, text: &mut Vec<u8>) {
    if scale == PRICE_SCALE
        && least == 2
        && let Ok(units) = i64::try_from(units)
    {
        return decimal::write(text, units);
    }
    if units < 0 {
        text.push(b'-');
    }
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    text.extend_from_slice(whole.as_bytes());
    let kept = fraction.trim_end_matches('0').len();
    if kept.max(least) > 0 {
        text.push(b'.');
        text.extend_from_slice(&fraction.as_bytes()[..kept]);
        text.resize(text.len() + least.saturating_sub(kept), b'0');
    }
}

/// A batch has the nine columns of events.
const _: () = assert!(COLUMNS == 9);

#[cfg(test)]
mod tests {
    use super::super::column::Texts;
    use super::*;
    use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};

    fn column(values: Values) -> Option<Column> {
        Some(Column { values, nulls: None })
    }

    fn texts(values: &[&str]) -> Values {
        Values::Text(Texts {
            offsets: OffsetBuffer::from_lengths(values.iter().map(|value| value.len())),
            bytes: Buffer::from(values.concat().as_bytes()),
        })
    }

    #[test]
    fn lines_never_change() {
        let mut session = column(Values::Uuids(vec![0x72d7_6fde_8bb3_4e00_8c23_a032_dfed_738c, 0, 0])).unwrap();
        session.nulls = Some(NullBuffer::from(vec![true, false, false]));
        let batch: Batch = [
            column(Values::Instants(vec![1_569_888_000_000, 1_569_888_000_250, -1])),
            column(texts(&["view", "a,\"b\"", "line\nbreak\t\\"])),
            column(Values::Integers(vec![44_600_062, i64::MIN, 3])),
            column(Values::Unsigned(vec![2_103_807_459_595_387_724, u64::MAX, 4])),
            column(texts(&["", "{", "x"])),
            None,
            column(Values::Decimals { units: vec![357_900, -5, 1_234_567], scale: 4 }),
            column(Values::Doubles(vec![541_312_140.0, 2_305_843_009_213_693_952.0, f64::NAN])),
            Some(session),
        ];
        let mut text = Vec::new();
        assert_eq!(append_rows(&batch, &mut text), 3);
        let expected = "\
            2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,,35.79,541312140,72d76fde-8bb3-4e00-8c23-a032dfed738c\n\
            2019-10-01 00:00:00.250 UTC,\"a,\"\"b\"\"\",-9223372036854775808,18446744073709551615,\"{\",,-0.0005,\
            2.305843009213694e18,\n\
            {\"event_time\":\"1969-12-31 23:59:59.999 UTC\",\"event_type\":\"line\\u000abreak\\u0009\\\\\",\"product_id\":\"3\",\
            \"category_id\":\"4\",\"category_code\":\"x\",\"price\":\"123.4567\",\"user_id\":\"\",\"user_session\":\"\"}\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        let written = |units, scale, least| {
            let mut text = Vec::new();
            append_decimal(units, scale, least, &mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(written(12_300, 2, 2), "123.00");
        assert_eq!(written(12_300, 2, 0), "123");
        assert_eq!(written(-12_345, 3, 2), "-12.345");
        assert_eq!(written(5, 0, 2), "5.00");
        assert_eq!(written(1, 6, 2), "0.000001");
        assert_eq!(written(10_000, 4, 2), "1.00");
        assert_eq!(written(i128::MIN, 38, 2), "-1.70141183460469231731687303715884105728");
        let price = |values: Values| {
            let mut text = Vec::new();
            column(values).unwrap().append(0, PRICE, &mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(price(Values::Doubles(vec![35.79])), "35.79");
        assert_eq!(price(Values::Singles(vec![35.79])), "35.79");
        for (double, text) in [
            (489.070_000_000_000_05, "489.07"),
            (0.1 + 0.2, "0.30"),
            (-0.0, "0.00"),
            (1234.5, "1234.50"),
            (1.0 / 3.0, "0.3333333333333333"),
            (35.790_01, "35.79001"),
            (0.000_01, "0.00001"),
            (1e300, &format!("1{}", "0".repeat(300))),
        ] {
            assert_eq!(price(Values::Doubles(vec![double])), text);
        }
        assert_eq!(price(Values::Doubles(vec![f64::INFINITY])), "inf");
        assert_eq!(price(Values::Singles(vec![20_000_000.0])), "20000000");
    }
}
