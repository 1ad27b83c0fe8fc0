//! One column of one stripe: its values become streams, row group by row group.
//!
//! The stripe's rows are all at hand, so the work is two plain steps. The values are gathered without the missing
//! ones; then every stream is written whole, and its offset noted where each row group starts. Runs end at row group
//! boundaries: at most one short block in twenty, and a position never points into the middle of a run.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};

use super::chunks::{Chunked, compress};
use super::integers::{Sign, append_integers};
use super::kinds::{ColumnType, Encoding, StreamKind};
use super::protobuf::Message;
use super::runs::append_booleans;
use super::statistics::{self, Statistics};
use super::text::{Text, text_range};
use super::varint::{append_wide_varint, wide_zigzag};
use crate::export::text::{TimestampStyle, append_timestamp};
use crate::export::{Compression, ExportError};

/// Rows of a row group.
pub(super) const ROW_GROUP_ROWS: usize = 10_000;

/// A column of a stripe, as it stands in the file.
#[derive(Debug)]
pub(super) struct EncodedColumn {
    pub(super) encoding: Encoding,
    pub(super) streams: Vec<(StreamKind, Vec<u8>)>,
    pub(super) row_index: Vec<u8>,
    pub(super) statistics: Statistics,
}

/// Encodes the pieces of one column, whose rows make up a stripe.
pub(super) fn encode_column(
    name: &str,
    column_type: ColumnType,
    pieces: &[&ArrayRef],
    compression: Compression,
) -> Result<EncodedColumn, ExportError> {
    let rows = pieces.iter().map(arrow_array::Array::len).sum();
    let presence = presence(pieces, rows);
    let groups = groups(rows, presence.as_deref());
    let (encoding, mut streams, ranges) = match column_type {
        ColumnType::Long => longs(&gather::<Int64Type, _>(pieces, |value| value), &groups),
        ColumnType::Double => doubles(&gather::<Float64Type, _>(pieces, |value| value), &groups),
        ColumnType::Text => texts(Text::of(pieces), &groups),
        ColumnType::Decimal { scale, .. } => {
            decimals(&gather::<Decimal128Type, _>(pieces, |value| value), scale, &groups)
        }
        ColumnType::Date => days(&gather::<Date32Type, _>(pieces, i64::from), &groups),
        ColumnType::Timestamp | ColumnType::Instant => {
            instants(name, &gather::<TimestampMillisecondType, _>(pieces, |value| value), &groups)?
        }
    };
    if let Some(presence) = &presence {
        let row_groups: Vec<_> = groups.iter().map(|group| group.rows.clone()).collect();
        let append = |rows: Range<usize>, out: &mut Vec<u8>| append_booleans(&presence[rows], out);
        streams.insert(0, Stream::grouped(StreamKind::Present, Pending::Bits, &row_groups, append));
    }
    finish(encoding, streams, ranges, &groups, compression)
}

/// Which rows have a value; `None` if all do.
fn presence(pieces: &[&ArrayRef], rows: usize) -> Option<Vec<bool>> {
    if pieces.iter().all(|piece| piece.logical_null_count() == 0) {
        return None;
    }
    let mut presence = Vec::with_capacity(rows);
    for piece in pieces {
        match piece.logical_nulls() {
            None => presence.resize(presence.len() + piece.len(), true),
            Some(nulls) => presence.extend(nulls.iter()),
        }
    }
    Some(presence)
}

/// A row group: its rows in the stripe, and its values among those that are not missing.
#[derive(Debug, Clone)]
struct Group {
    rows: Range<usize>,
    values: Range<usize>,
}

fn groups(rows: usize, presence: Option<&[bool]>) -> Vec<Group> {
    let mut start = 0;
    let group = |first: usize| {
        let rows = first..rows.min(first + ROW_GROUP_ROWS);
        let count = match presence {
            None => rows.len(),
            Some(presence) => presence[rows.clone()].iter().filter(|&&present| present).count(),
        };
        let values = start..start + count;
        start += count;
        Group { rows, values }
    };
    (0..rows).step_by(ROW_GROUP_ROWS).map(group).collect()
}

fn gather<T: ArrowPrimitiveType, U>(pieces: &[&ArrayRef], convert: impl Fn(T::Native) -> U + Copy) -> Vec<U> {
    let mut values = Vec::with_capacity(pieces.iter().map(|piece| piece.len() - piece.null_count()).sum());
    for piece in pieces {
        let piece: &PrimitiveArray<T> = piece.as_primitive();
        if piece.null_count() == 0 {
            values.extend(piece.values().iter().map(|&value| convert(value)));
        } else {
            values.extend(piece.iter().flatten().map(convert));
        }
    }
    values
}

/// What a reader needs behind a byte position to find a value: how much of a run, or of a byte's bits, is used up.
/// Runs end at row groups, so that all of these are zero; only their number differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing = 0,
    Run = 1,
    Bits = 2,
}

/// A stream before compression.
#[derive(Debug)]
struct Stream {
    kind: StreamKind,
    pending: Pending,
    bytes: Vec<u8>,
    /// The offset at which each row group starts; empty for what is read as a whole.
    starts: Vec<usize>,
}

impl Stream {
    fn grouped(
        kind: StreamKind,
        pending: Pending,
        groups: &[Range<usize>],
        mut append: impl FnMut(Range<usize>, &mut Vec<u8>),
    ) -> Self {
        let mut stream = Self { kind, pending, bytes: Vec::new(), starts: Vec::with_capacity(groups.len()) };
        for group in groups {
            stream.starts.push(stream.bytes.len());
            append(group.clone(), &mut stream.bytes);
        }
        stream
    }

    fn integers(kind: StreamKind, groups: &[Group], sign: Sign, values: &[i64]) -> Self {
        Self::grouped(kind, Pending::Run, &value_ranges(groups), |range, out| {
            append_integers(&values[range], sign, out);
        })
    }

    fn whole(kind: StreamKind, bytes: Vec<u8>) -> Self {
        Self { kind, pending: Pending::Nothing, bytes, starts: Vec::new() }
    }
}

fn value_ranges(groups: &[Group]) -> Vec<Range<usize>> {
    groups.iter().map(|group| group.values.clone()).collect()
}

/// An encoding, its streams, and each row group's statistics.
type Encoded = (Encoding, Vec<Stream>, Vec<Option<statistics::Range>>);

fn ranges<T>(
    values: &[T],
    groups: &[Group],
    range: impl Fn(&[T]) -> Option<statistics::Range>,
) -> Vec<Option<statistics::Range>> {
    groups.iter().map(|group| range(&values[group.values.clone()])).collect()
}

fn longs(values: &[i64], groups: &[Group]) -> Encoded {
    let data = Stream::integers(StreamKind::Data, groups, Sign::Signed, values);
    (Encoding::DirectV2, vec![data], ranges(values, groups, statistics::Range::integers))
}

fn days(values: &[i64], groups: &[Group]) -> Encoded {
    let data = Stream::integers(StreamKind::Data, groups, Sign::Signed, values);
    (Encoding::DirectV2, vec![data], ranges(values, groups, statistics::Range::days))
}

fn doubles(values: &[f64], groups: &[Group]) -> Encoded {
    let data = Stream::grouped(StreamKind::Data, Pending::Nothing, &value_ranges(groups), |range, out| {
        out.extend(values[range].iter().flat_map(|value| value.to_le_bytes()));
    });
    (Encoding::Direct, vec![data], ranges(values, groups, statistics::Range::doubles))
}

/// Units as zigzag varints of any length, and the scale of each value, which is that of the type.
fn decimals(units: &[i128], scale: i8, groups: &[Group]) -> Encoded {
    let data = Stream::grouped(StreamKind::Data, Pending::Nothing, &value_ranges(groups), |range, out| {
        for &value in &units[range] {
            append_wide_varint(wide_zigzag(value), out);
        }
    });
    let scales = vec![i64::from(scale); units.len()];
    let secondary = Stream::integers(StreamKind::Secondary, groups, Sign::Signed, &scales);
    let ranges = ranges(units, groups, |units| statistics::Range::decimals(units, scale));
    (Encoding::DirectV2, vec![data, secondary], ranges)
}

/// Seconds from 2015 on and nanoseconds within the second.
///
/// Readers take a second off instants before 1970 that have a fraction, so that one is added here. This leaves one
/// second of history without a representation: fractions of the last second before 1970.
fn instants(name: &str, milliseconds: &[i64], groups: &[Group]) -> Result<Encoded, ExportError> {
    /// 2015-01-01T00:00:00Z.
    const EPOCH_SECONDS: i64 = 1_420_070_400;
    if let Some(&value) = milliseconds.iter().find(|&&value| (-999..0).contains(&value)) {
        let mut text = Vec::new();
        append_timestamp(value, TimestampStyle::Public, &mut text);
        let value = String::from_utf8_lossy(&text).into_owned();
        return Err(ExportError::Value { format: "orc", column: name.to_owned(), value });
    }
    let seconds: Vec<i64> = milliseconds
        .iter()
        .map(|&value| value.div_euclid(1000) + i64::from(value < 0 && value % 1000 != 0) - EPOCH_SECONDS)
        .collect();
    let nanoseconds: Vec<i64> =
        milliseconds.iter().map(|value| shortened(value.rem_euclid(1000) * 1_000_000)).collect();
    let data = Stream::integers(StreamKind::Data, groups, Sign::Signed, &seconds);
    let secondary = Stream::integers(StreamKind::Secondary, groups, Sign::Unsigned, &nanoseconds);
    Ok((Encoding::DirectV2, vec![data, secondary], ranges(milliseconds, groups, statistics::Range::instants)))
}

/// Nanoseconds without their trailing decimal zeros, whose number less one stands in the lowest three bits; a single
/// zero is kept.
fn shortened(nanoseconds: i64) -> i64 {
    if nanoseconds == 0 || nanoseconds % 100 != 0 {
        return nanoseconds << 3;
    }
    let (mut digits, mut zeros) = (nanoseconds / 100, 2);
    while digits % 10 == 0 && zeros < 8 {
        digits /= 10;
        zeros += 1;
    }
    digits << 3 | (zeros - 1)
}

fn texts(text: Text<'_>, groups: &[Group]) -> Encoded {
    match text {
        Text::Dictionary { entries, codes } => {
            let ranges = dictionary_ranges(&entries, &codes, groups);
            let mut scratch = Vec::new();
            let data = Stream::grouped(StreamKind::Data, Pending::Run, &value_ranges(groups), |range, out| {
                scratch.clear();
                scratch.extend(codes[range].iter().map(|&code| i64::from(code)));
                append_integers(&scratch, Sign::Unsigned, out);
            });
            let mut lengths = Vec::new();
            append_integers(&byte_lengths(&entries), Sign::Unsigned, &mut lengths);
            let length = Stream::whole(StreamKind::Length, lengths);
            let dictionary = Stream::whole(StreamKind::DictionaryData, entries.concat());
            (Encoding::DictionaryV2 { entries: entries.len() }, vec![data, dictionary, length], ranges)
        }
        Text::Direct(values) => {
            let data = Stream::grouped(StreamKind::Data, Pending::Nothing, &value_ranges(groups), |range, out| {
                for value in &values[range] {
                    out.extend_from_slice(value);
                }
            });
            let length = Stream::integers(StreamKind::Length, groups, Sign::Unsigned, &byte_lengths(&values));
            let range = |values: &[&[u8]]| text_range(values.iter().copied(), values.iter().map(|v| v.len()).sum());
            (Encoding::DirectV2, vec![data, length], ranges(&values, groups, range))
        }
    }
}

fn byte_lengths(texts: &[&[u8]]) -> Vec<i64> {
    texts.iter().map(|text| text.len() as i64).collect()
}

/// Each row group's statistics, comparing every entry once a group however often it occurs there.
fn dictionary_ranges(entries: &[&[u8]], codes: &[u32], groups: &[Group]) -> Vec<Option<statistics::Range>> {
    let mut last_seen = vec![usize::MAX; entries.len()];
    let range = |(index, group): (usize, &Group)| {
        let codes = &codes[group.values.clone()];
        let bytes = codes.iter().map(|&code| entries[code as usize].len()).sum();
        let distinct = codes.iter().filter_map(|&code| {
            let code = code as usize;
            (std::mem::replace(&mut last_seen[code], index) != index).then(|| entries[code])
        });
        text_range(distinct, bytes)
    };
    groups.iter().enumerate().map(range).collect()
}

/// Compresses the streams and writes the row index over them.
fn finish(
    encoding: Encoding,
    streams: Vec<Stream>,
    ranges: Vec<Option<statistics::Range>>,
    groups: &[Group],
    compression: Compression,
) -> Result<EncodedColumn, ExportError> {
    let mut positions = vec![Vec::new(); groups.len()];
    let mut kept = Vec::with_capacity(streams.len());
    for stream in streams {
        let chunked: Chunked = compress(stream.bytes, compression)?;
        for (positions, &start) in positions.iter_mut().zip(&stream.starts) {
            chunked.append_position(start, positions);
            positions.resize(positions.len() + stream.pending as usize, 0);
        }
        kept.push((stream.kind, chunked.bytes));
    }
    let mut total = Statistics::default();
    let mut index = RowIndex::default();
    for ((group, positions), range) in groups.iter().zip(positions).zip(ranges) {
        let statistics =
            Statistics { values: group.values.len() as u64, has_missing: group.values.len() < group.rows.len(), range };
        total.merge(&statistics);
        index.add(positions, &statistics);
    }
    Ok(EncodedColumn { encoding, streams: kept, row_index: index.encode(compression)?, statistics: total })
}

/// The message `RowIndex`: where each row group starts in each stream, and its statistics.
#[derive(Debug, Default)]
pub(super) struct RowIndex(Message);

impl RowIndex {
    pub(super) fn add(&mut self, positions: Vec<u64>, statistics: &Statistics) {
        const ENTRY: u64 = 1;
        const POSITIONS: u64 = 1;
        const STATISTICS: u64 = 2;
        let mut entry = Message::new();
        entry.packed(POSITIONS, positions).message(STATISTICS, &statistics.message());
        self.0.message(ENTRY, &entry);
    }

    pub(super) fn encode(&self, compression: Compression) -> Result<Vec<u8>, ExportError> {
        Ok(compress(self.0.encoded().to_vec(), compression)?.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_of_the_specification() {
        assert_eq!(shortened(1000), 0x0a);
        assert_eq!(shortened(100_000), 0x0c);
        assert_eq!(shortened(10), 80);
        assert_eq!(shortened(0), 0);
        assert_eq!(shortened(123_000_000), 123 << 3 | 5);
        assert_eq!(shortened(900_000_000), 9 << 3 | 7);
    }
}
