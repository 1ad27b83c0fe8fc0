//! The values of one column in one stripe, batch by batch.

use std::sync::Arc;

use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::integers::{Integers, Version};
use super::runs::{Bits, ByteRuns};
use super::stream::Stream;
use super::tail::{Encoding, Type};
use crate::source::columnar::ReadError;
use crate::source::columnar::column::{Column, ColumnKind, Texts, Values};

/// The numbers of the types, as the specification has them.
pub(super) mod kind {
    pub(in super::super) const BYTE: u64 = 1;
    pub(in super::super) const SHORT: u64 = 2;
    pub(in super::super) const LONG: u64 = 4;
    pub(in super::super) const FLOAT: u64 = 5;
    pub(in super::super) const DOUBLE: u64 = 6;
    pub(in super::super) const STRING: u64 = 7;
    pub(in super::super) const BINARY: u64 = 8;
    pub(in super::super) const TIMESTAMP: u64 = 9;
    pub(in super::super) const STRUCT: u64 = 12;
    pub(in super::super) const DECIMAL: u64 = 14;
    pub(in super::super) const VARCHAR: u64 = 16;
    pub(in super::super) const CHAR: u64 = 17;
    pub(in super::super) const INSTANT: u64 = 18;
}

/// The names of the types, by their numbers.
const TYPE_NAMES: [&str; 19] = [
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "string",
    "binary",
    "timestamp",
    "array",
    "map",
    "struct",
    "uniontype",
    "decimal",
    "date",
    "varchar",
    "char",
    "timestamp with local time zone",
];

/// The most bytes of text in a batch or a dictionary.
const MAX_TEXT: usize = 1 << 30;

/// 2015-01-01T00:00:00Z, from which timestamps are counted.
const EPOCH_SECONDS: i64 = 1_420_070_400;

/// The streams that a column of a stripe has.
#[derive(Debug)]
pub(super) struct Streams {
    /// Which rows have a value; all have one where there is no such stream.
    pub(super) present: Option<Stream>,
    pub(super) data: Stream,
    pub(super) length: Stream,
    pub(super) dictionary: Stream,
    pub(super) secondary: Stream,
}

/// Reads the values of a column.
pub(super) struct ColumnReader {
    present: Option<Bits>,
    values: ValueReader,
}

enum ValueReader {
    Bytes(ByteRuns),
    Integers(Integers),
    Singles(Stream),
    Doubles(Stream),
    Texts { data: Stream, lengths: Integers, is_padded: bool },
    Codes { codes: Integers, texts: Arc<Texts> },
    Decimals { units: Stream, scales: Integers, scale: u32 },
    Instants { seconds: Integers, fractions: Integers },
}

/// What a type is for events.
pub(super) fn kind_of(column: &Type) -> ColumnKind {
    match column.kind {
        kind::BYTE..=kind::LONG => ColumnKind::Integer,
        kind::FLOAT | kind::DOUBLE => ColumnKind::Float,
        kind::STRING | kind::BINARY | kind::VARCHAR | kind::CHAR => ColumnKind::Text,
        kind::DECIMAL if column.scale <= 38 => ColumnKind::Decimal,
        kind::TIMESTAMP | kind::INSTANT => ColumnKind::Instant,
        _ => ColumnKind::Other,
    }
}

/// The name of a type.
pub(super) fn type_name(column: &Type) -> String {
    let name = usize::try_from(column.kind).ok().and_then(|kind| TYPE_NAMES.get(kind));
    name.map_or_else(|| format!("type {}", column.kind), |name| (*name).to_owned())
}

impl ColumnReader {
    /// A reader of a column of which a stripe of so many rows has these streams. Writers leave out streams without a
    /// byte; reading from one that should have some says so.
    pub(super) fn new(column: &Type, encoding: Encoding, streams: Streams, rows: u64) -> Result<Self, ReadError> {
        let Streams { present, data, length, dictionary, secondary } = streams;
        let version = match encoding.kind {
            0 | 1 => Version::One,
            2 | 3 => Version::Two,
            other => return Err(data.damaged(format!("unknown encoding {other}"))),
        };
        let has_dictionary = matches!(encoding.kind, 1 | 3);
        let is_padded = column.kind == kind::CHAR;
        let values = match column.kind {
            kind::BYTE => ValueReader::Bytes(ByteRuns::new(data)),
            kind::SHORT..=kind::LONG => ValueReader::Integers(Integers::new(data, version, true)),
            kind::FLOAT => ValueReader::Singles(data),
            kind::DOUBLE => ValueReader::Doubles(data),
            kind::DECIMAL => ValueReader::Decimals {
                units: data,
                scales: Integers::new(secondary, version, true),
                scale: column.scale as u32,
            },
            kind::TIMESTAMP | kind::INSTANT => ValueReader::Instants {
                seconds: Integers::new(data, version, true),
                fractions: Integers::new(secondary, version, false),
            },
            _ => {
                let lengths = Integers::new(length, version, false);
                if has_dictionary {
                    let texts = Arc::new(read_dictionary(dictionary, lengths, encoding.dictionary, rows, is_padded)?);
                    ValueReader::Codes { codes: Integers::new(data, version, false), texts }
                } else {
                    ValueReader::Texts { data, lengths, is_padded }
                }
            }
        };
        Ok(Self { present: present.map(Bits::new), values })
    }

    /// The next rows.
    pub(super) fn next(&mut self, rows: usize) -> Result<Column, ReadError> {
        let nulls = match &mut self.present {
            None => None,
            Some(bits) => {
                let bits = (0..rows).map(|_| bits.next()).collect::<Result<Vec<bool>, _>>()?;
                Some(NullBuffer::from(bits)).filter(|nulls| nulls.null_count() > 0)
            }
        };
        let count = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
        let values = self.values.next(count)?;
        Ok(match nulls {
            None => Column { values, nulls: None },
            Some(nulls) => Column { values: spread(values, &nulls), nulls: Some(nulls) },
        })
    }
}

impl ValueReader {
    /// The next values, without gaps for missing ones.
    fn next(&mut self, count: usize) -> Result<Values, ReadError> {
        Ok(match self {
            Self::Bytes(bytes) => {
                let next = |_| bytes.next().map(|byte| i64::from(byte as i8));
                Values::Integers((0..count).map(next).collect::<Result<_, _>>()?)
            }
            Self::Integers(integers) => Values::Integers(next_integers(integers, count)?),
            Self::Singles(stream) => Values::Singles(next_words(stream, count, f32::from_le_bytes)?),
            Self::Doubles(stream) => Values::Doubles(next_words(stream, count, f64::from_le_bytes)?),
            Self::Texts { data, lengths, is_padded } => {
                let lengths = next_integers(lengths, count)?;
                Values::Text(next_texts(data, &lengths, *is_padded)?)
            }
            Self::Codes { codes, texts } => {
                let codes = next_integers(codes, count)?;
                let code = |code: i64| u32::try_from(code).ok().filter(|code| (*code as usize) < texts.len());
                let found: Option<Vec<u32>> = codes.into_iter().map(code).collect();
                let found = found.ok_or_else(|| {
                    ReadError::damaged(format!("a code beyond the {} entries of its dictionary", texts.len()))
                })?;
                Values::Codes { codes: found, texts: Arc::clone(texts) }
            }
            Self::Decimals { units, scales, scale } => {
                let scales = next_integers(scales, count)?;
                let units = scales
                    .into_iter()
                    .map(|from| {
                        let value = units.long_varint()?;
                        let value = (value >> 1) as i128 ^ -((value & 1) as i128);
                        rescale(value, from, *scale).ok_or_else(|| {
                            units.damaged(format!("a decimal {value} of scale {from} in one of {scale}"))
                        })
                    })
                    .collect::<Result<_, _>>()?;
                Values::Decimals { units, scale: *scale as u8 }
            }
            Self::Instants { seconds, fractions } => {
                let seconds = next_integers(seconds, count)?;
                let fractions = next_integers(fractions, count)?;
                Values::Instants(seconds.into_iter().zip(fractions).map(instant).collect())
            }
        })
    }
}

fn next_integers(integers: &mut Integers, count: usize) -> Result<Vec<i64>, ReadError> {
    let mut values = Vec::with_capacity(count);
    integers.append(count, &mut values)?;
    Ok(values)
}

fn next_words<const N: usize, T>(
    stream: &mut Stream,
    count: usize,
    convert: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, ReadError> {
    let mut bytes = Vec::with_capacity(count * N);
    stream.append(count * N, &mut bytes)?;
    Ok(bytes.as_chunks().0.iter().map(|word| convert(*word)).collect())
}

fn next_texts(data: &mut Stream, lengths: &[i64], is_padded: bool) -> Result<Texts, ReadError> {
    let mut bytes = Vec::new();
    let mut offsets = Vec::with_capacity(lengths.len() + 1);
    offsets.push(0);
    for &length in lengths {
        let start = bytes.len();
        match usize::try_from(length).ok().filter(|length| *length <= MAX_TEXT - start) {
            Some(length) => data.append(length, &mut bytes)?,
            None => return Err(data.damaged(format!("a text of {length} bytes"))),
        }
        while is_padded && bytes.len() > start && bytes.ends_with(b" ") {
            bytes.pop();
        }
        // At most `MAX_TEXT`, which fits.
        offsets.push(bytes.len() as i32);
    }
    Ok(Texts { offsets: OffsetBuffer::new(ScalarBuffer::from(offsets)), bytes: Buffer::from_vec(bytes) })
}

/// The texts of a dictionary.
fn read_dictionary(
    mut data: Stream,
    mut lengths: Integers,
    entries: u64,
    rows: u64,
    is_padded: bool,
) -> Result<Texts, ReadError> {
    if entries > rows {
        return Err(data.damaged(format!("{entries} distinct texts in {rows} rows")));
    }
    let mut values = Vec::new();
    // Piece by piece: a wrong number runs out of bytes before it runs out of memory.
    let mut left = entries;
    while left > 0 {
        let piece = left.min(8192);
        lengths.append(piece as usize, &mut values)?;
        left -= piece;
    }
    next_texts(&mut data, &values, is_padded)
}

/// A decimal in units of another scale, if it has that value exactly.
fn rescale(value: i128, from: i64, to: u32) -> Option<i128> {
    let by = i64::from(to).checked_sub(from)?;
    let factor = 10_i128.checked_pow(u32::try_from(by.unsigned_abs()).ok()?)?;
    if by >= 0 { value.checked_mul(factor) } else { (value % factor == 0).then(|| value / factor) }
}

/// Milliseconds since 1970 of seconds since 2015 and a fraction; what is finer is cut. Out of range is far outside the
/// calendar.
fn instant((seconds, fraction): (i64, i64)) -> i64 {
    // The lowest three bits count the zeros that were taken off the end of the nanoseconds, less one.
    let zeros = (fraction & 7) as u32;
    let nanoseconds = (fraction as u64 >> 3).saturating_mul(if zeros == 0 { 1 } else { 10_u64.pow(zeros + 1) });
    let seconds = seconds.saturating_add(EPOCH_SECONDS);
    // Writers round seconds before 1970 towards it, and readers take that back where there is a fraction to show it.
    let seconds = if seconds < 0 && nanoseconds > 999_999 { seconds - 1 } else { seconds };
    seconds.saturating_mul(1000).saturating_add((nanoseconds / 1_000_000).min(999) as i64)
}

/// Values with gaps where they are missing.
fn spread(values: Values, nulls: &NullBuffer) -> Values {
    fn vector<T: Copy + Default>(values: &[T], nulls: &NullBuffer) -> Vec<T> {
        let mut values = values.iter().copied();
        nulls.iter().map(|is_there| if is_there { values.next().unwrap_or_default() } else { T::default() }).collect()
    }
    match values {
        Values::Text(texts) => {
            let mut lengths = texts.offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
            let length = |is_there| if is_there { lengths.next().unwrap_or_default() } else { 0 };
            let offsets = OffsetBuffer::from_lengths(nulls.iter().map(length).collect::<Vec<_>>());
            Values::Text(Texts { offsets, bytes: texts.bytes })
        }
        Values::Codes { codes, texts } => Values::Codes { codes: vector(&codes, nulls), texts },
        Values::Integers(values) => Values::Integers(vector(&values, nulls)),
        Values::Unsigned(values) => Values::Unsigned(vector(&values, nulls)),
        Values::Doubles(values) => Values::Doubles(vector(&values, nulls)),
        Values::Singles(values) => Values::Singles(vector(&values, nulls)),
        Values::Decimals { units, scale } => Values::Decimals { units: vector(&units, nulls), scale },
        Values::Instants(values) => Values::Instants(vector(&values, nulls)),
        Values::Uuids(values) => Values::Uuids(vector(&values, nulls)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_and_after_1970() {
        let seconds = |milliseconds: i64| milliseconds.div_euclid(1000) - EPOCH_SECONDS;
        assert_eq!(instant((seconds(1_569_888_000_000), 0)), 1_569_888_000_000);
        // 250 milliseconds are 25 and seven zeros.
        assert_eq!(instant((seconds(1_569_888_000_000), 25 << 3 | 6)), 1_569_888_000_250);
        assert_eq!(instant((seconds(0), 1 << 3)), 0, "a nanosecond is cut");
        assert_eq!(instant((-EPOCH_SECONDS - 1, 5 << 3 | 7)), -1500, "written one second nearer to 1970");
        assert_eq!(instant((i64::MIN, 0)), i64::MIN);
    }

    #[test]
    fn decimals_change_their_scale_exactly_or_not_at_all() {
        assert_eq!(rescale(3579, 2, 4), Some(357_900));
        assert_eq!(rescale(357_900, 4, 2), Some(3579));
        assert_eq!(rescale(357_901, 4, 2), None);
        assert_eq!(rescale(i128::MAX, 0, 1), None);
        assert_eq!(rescale(1, i64::MIN, 4), None);
    }
}
