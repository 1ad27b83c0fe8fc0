//! Where a segment's rows came from, so that they can be read again from there.
//!
//! A segment knows the offsets of the log and the byte ranges of the sources that its rows were made of. Segments that
//! are merged bring theirs along. Only what gave rows is listed: a range that was a duplicate, or of which every line
//! was rejected, belongs to no segment.
//!
//! Invariants:
//! - the rows of a segment's origins are the segment's rows, in their order: first those of the first origin, and so on;
//! - of a partition an origin has one span, from the first to the last record that gave it rows: what stands between them
//!   was delivered between them, because deliveries of a partition come in order and only neighbours are merged;
//! - an origin without spans and sources is that of rows whose way was not written down (a store of format version 1)
//!   or that stand in no log and no source as they are (rejects that were mended).

use super::sources::{KnownSource, KnownSources, SourceRange};
use super::{LogPosition, StoreError};
use crate::wire::{Put, Take, TakeError};

/// Where some rows of a segment came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The rows.
    pub rows: u64,
    /// Older rows of the same origin have been dropped: those whose time, in milliseconds, is before this one.
    pub kept_from: Option<i64>,
    /// The offsets that held the rows, one span a partition.
    pub spans: Vec<LogSpan>,
    pub(crate) sources: KnownSources,
}

/// Offsets of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSpan {
    /// The topic's name.
    pub topic: String,
    /// The topic's id, where the broker gave one.
    pub topic_id: Option<[u8; 16]>,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub start: i64,
    /// The offset behind the last one.
    pub end: i64,
}

impl Origin {
    /// The origin of rows of which nothing else is known.
    pub(crate) fn unknown(rows: u64) -> Self {
        Self { rows, ..Self::default() }
    }

    /// The byte ranges that held the rows, by source.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = &KnownSource> {
        self.sources.iter()
    }

    /// Whether it isn't known where the rows came from, or they stand nowhere else as they are.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.rows > 0 && self.spans.is_empty() && self.sources.iter().len() == 0
    }

    /// Adds a record's offsets.
    pub(crate) fn add_span(&mut self, span: LogSpan) {
        let same = |known: &&mut LogSpan| {
            (&known.topic, known.topic_id, known.partition) == (&span.topic, span.topic_id, span.partition)
        };
        match self.spans.iter_mut().find(same) {
            Some(known) => {
                known.start = known.start.min(span.start);
                known.end = known.end.max(span.end);
            }
            None => self.spans.push(span),
        }
    }

    fn add(&mut self, other: Self) -> Result<(), StoreError> {
        self.rows += other.rows;
        other.spans.into_iter().for_each(|span| self.add_span(span));
        for source in other.sources.iter() {
            for known in &source.ranges {
                self.sources.add(&SourceRange {
                    source: source.id.clone(),
                    name: source.name.clone(),
                    range: known.range.clone(),
                    crc32c: known.crc32c,
                })?;
            }
        }
        Ok(())
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_u64(self.rows);
        bytes.put(&[u8::from(self.kept_from.is_some())]);
        bytes.put_u64(self.kept_from.unwrap_or_default() as u64);
        bytes.put_u32(self.spans.len() as u32);
        for span in &self.spans {
            bytes.put_counted(span.topic.as_bytes());
            bytes.put(&[u8::from(span.topic_id.is_some())]);
            bytes.put(&span.topic_id.unwrap_or_default());
            bytes.put_u32(span.partition as u32);
            bytes.put_u64(span.start as u64);
            bytes.put_u64(span.end as u64);
        }
        self.sources.encode(bytes);
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Result<Self, TakeError> {
        let rows = take.u64()?;
        let is_cut = take.u8()? != 0;
        let kept_from = take.u64()? as i64;
        let spans = take.list(|take| {
            let topic = take.text()?.to_owned();
            let topic_id = take.optional_id()?;
            let partition = take.u32()? as i32;
            Ok(LogSpan { topic, topic_id, partition, start: take.u64()? as i64, end: take.u64()? as i64 })
        })?;
        Ok(Self { rows, kept_from: is_cut.then_some(kept_from), spans, sources: KnownSources::decode(take)? })
    }
}

impl LogSpan {
    /// The offset or offsets that a delivery took to move a partition from `before` to `after`. Its records begin with
    /// `first`, or it has one.
    pub(crate) fn between(before: Option<&LogPosition>, first: Option<i64>, after: &LogPosition) -> Self {
        let LogPosition { topic, topic_id, partition, next_offset: end } = after.clone();
        let is_same_topic = |before: &&LogPosition| before.topic_id.zip(topic_id).is_none_or(|(one, two)| one == two);
        let first = first.unwrap_or(end - 1).min(end - 1);
        let start = before.filter(is_same_topic).map_or(first, |before| before.next_offset.min(first));
        let topic_id = topic_id.or_else(|| before.and_then(|before| before.topic_id));
        Self { topic, topic_id, partition, start: start.max(0), end }
    }
}

/// The origins of a segment that is made of others, in their order: as few as their differences allow.
pub(crate) fn joined(origins: impl IntoIterator<Item = Origin>) -> Result<Vec<Origin>, StoreError> {
    let mut joined: Vec<Origin> = Vec::new();
    for origin in origins.into_iter().filter(|origin| origin.rows > 0) {
        match joined.last_mut().filter(|known| known.belongs_with(&origin)) {
            Some(known) => known.add(origin)?,
            None => joined.push(origin),
        }
    }
    Ok(joined)
}

impl Origin {
    /// Unknown rows stay apart from known ones, and rows that were cut by time from those that were not.
    fn belongs_with(&self, other: &Self) -> bool {
        self.kept_from == other.kept_from && self.is_unknown() == other.is_unknown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(topic_id: Option<[u8; 16]>, next_offset: i64) -> LogPosition {
        LogPosition { topic: "t".to_owned(), topic_id, partition: 3, next_offset }
    }

    fn origin(rows: u64, spans: &[(i64, i64)]) -> Origin {
        let mut origin = Origin { rows, ..Origin::default() };
        for &(start, end) in spans {
            origin.add_span(LogSpan { topic: "t".to_owned(), topic_id: None, partition: 3, start, end });
        }
        origin
    }

    #[test]
    fn a_span_begins_where_the_last_delivery_ended() {
        let bounds = |before: Option<LogPosition>, first, after| {
            let span = LogSpan::between(before.as_ref(), first, &after);
            (span.start, span.end)
        };
        assert_eq!(bounds(None, None, position(None, 8)), (7, 8), "of a first delivery only its own record is known");
        assert_eq!(bounds(None, Some(3), position(None, 8)), (3, 8), "or where its records begin");
        assert_eq!(bounds(Some(position(None, 5)), None, position(None, 8)), (5, 8));
        assert_eq!(bounds(Some(position(None, 5)), Some(6), position(None, 8)), (5, 8));
        let (old, new) = (position(Some([1; 16]), 500), position(Some([2; 16]), 8));
        assert_eq!(bounds(Some(old.clone()), None, new.clone()), (7, 8), "another topic");
        assert_eq!(bounds(Some(old), Some(2), new), (2, 8), "another topic");
        assert_eq!(bounds(Some(position(None, 0)), None, position(None, 0)), (0, 0));
    }

    #[test]
    fn neighbours_become_one_span_and_the_unknown_stays_apart() {
        let cut = Origin { kept_from: Some(5), ..origin(7, &[(0, 2)]) };
        let all = [cut.clone(), origin(10, &[(4, 6)]), origin(2, &[(6, 9)]), Origin::unknown(3), Origin::unknown(1)];
        let expected = vec![cut, origin(12, &[(4, 9)]), Origin::unknown(4)];
        assert_eq!(joined(all).unwrap(), expected);
    }

    #[test]
    fn roundtrip() {
        let mut origin = Origin { kept_from: Some(-5), ..origin(9, &[(2, 1 << 40)]) };
        let range = SourceRange { source: "id".into(), name: "a.csv".to_owned(), range: 5..9, crc32c: 7 };
        origin.sources.add(&range).unwrap();
        let mut bytes = Vec::new();
        origin.encode(&mut bytes);
        let mut take = Take::new(&bytes);
        assert_eq!(Origin::decode(&mut take).unwrap(), origin);
        take.end().unwrap();
    }
}
