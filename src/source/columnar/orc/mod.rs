//! ORC, read by a reader of our own: as much of the format as flat rows need.
//!
//! The public crate forces all of arrow's default features on, and what is read here is small: the footer, then stripe by
//! stripe the wanted columns' streams, each decompressed chunk by chunk ([`stream`]) and decoded batch by batch
//! ([`values`]). A stripe's wanted streams are in memory as they are on disk, so memory is bounded by the file's own size
//! of a stripe.
//!
//! A `timestamp` of ORC is a time on the wall of whoever wrote it, in a zone that each stripe names. Only UTC says what
//! instant that was to everybody; another zone is refused.

mod integers;
mod message;
mod runs;
mod stream;
mod tail;
mod values;

use std::fs::File;

use bytes::Bytes;

use self::stream::Stream;
use self::tail::{StripeFooter, Tail, Type, read_at};
use self::values::{ColumnReader, Streams, kind};
use super::{BATCH_ROWS, Batch, Batches, COLUMNS, FileColumn, Opened, ReadError};

/// Names of the zone that is UTC.
const UTC: [&str; 9] = ["", "UTC", "GMT", "Etc/UTC", "Etc/GMT", "Z", "Zulu", "UCT", "Universal"];

/// A file of which the footer has been read.
pub(super) struct OrcFile {
    file: File,
    tail: Tail,
    opened: Opened,
}

impl OrcFile {
    pub(super) fn open(file: File) -> Result<Self, ReadError> {
        let tail = Tail::read(&file)?;
        let row = tail.types.first().filter(|row| row.kind == kind::STRUCT && row.names.len() == row.children.len());
        let row = row.ok_or_else(|| ReadError::damaged("its rows are not made of named columns"))?;
        let column = |(name, child): (&String, &u64)| {
            let column = usize::try_from(*child).ok().and_then(|child| tail.types.get(child));
            let column = column.ok_or_else(|| ReadError::damaged(format!("column {name} has no type")))?;
            let (kind, type_name) = (values::kind_of(column), values::type_name(column));
            Ok(FileColumn { name: name.clone(), kind, type_name })
        };
        let columns = row.names.iter().zip(&row.children).map(column).collect::<Result<_, ReadError>>()?;
        let opened = Opened { rows: tail.rows, columns };
        Ok(Self { file, tail, opened })
    }

    pub(super) const fn opened(&self) -> &Opened {
        &self.opened
    }

    pub(super) fn read(self, wanted: [Option<usize>; COLUMNS]) -> OrcBatches {
        let row = &self.tail.types[0];
        let wanted = wanted.map(|index| {
            let index = index?;
            let (name, id) = (row.names.get(index)?, *row.children.get(index)?);
            Some(Wanted { name: name.clone(), id, column: self.tail.types.get(id as usize)?.clone() })
        });
        OrcBatches {
            file: self.file,
            tail: self.tail,
            wanted,
            next_stripe: 0,
            readers: Default::default(),
            rows_left: 0,
        }
    }
}

/// A column that is read.
struct Wanted {
    name: String,
    /// Its number in the file.
    id: u64,
    column: Type,
}

/// The wanted columns, batch by batch.
pub(super) struct OrcBatches {
    file: File,
    tail: Tail,
    wanted: [Option<Wanted>; COLUMNS],
    next_stripe: usize,
    /// Of the present stripe.
    readers: [Option<ColumnReader>; COLUMNS],
    rows_left: u64,
}

impl Batches for OrcBatches {
    fn next(&mut self) -> Result<Option<Batch>, ReadError> {
        while self.rows_left == 0 {
            if self.next_stripe == self.tail.stripes.len() {
                return Ok(None);
            }
            self.open_stripe()?;
        }
        let rows = self.rows_left.min(BATCH_ROWS as u64);
        self.rows_left -= rows;
        let mut batch = Batch::default();
        for (column, reader) in batch.iter_mut().zip(&mut self.readers) {
            *column = reader.as_mut().map(|reader| reader.next(rows as usize)).transpose()?;
        }
        Ok(Some(batch))
    }
}

impl OrcBatches {
    fn open_stripe(&mut self) -> Result<(), ReadError> {
        let stripe = self.tail.stripes[self.next_stripe].clone();
        self.next_stripe += 1;
        let footer = stripe.read_footer(&self.file, self.tail.chunking)?;
        if footer.streams.iter().any(|stream| stream.column == 0 && stream.kind == 0) {
            return Err(ReadError::Unsupported("whole rows are missing; write it without them".to_owned()));
        }
        for (reader, wanted) in self.readers.iter_mut().zip(&self.wanted) {
            let open = |wanted: &Wanted| open_column(&self.file, &self.tail, &footer, wanted, stripe.rows);
            *reader = wanted.as_ref().map(open).transpose()?;
        }
        self.rows_left = stripe.rows;
        Ok(())
    }
}

fn open_column(
    file: &File,
    tail: &Tail,
    footer: &StripeFooter,
    wanted: &Wanted,
    rows: u64,
) -> Result<ColumnReader, ReadError> {
    let Wanted { name, id, column } = wanted;
    if column.kind == kind::TIMESTAMP && !UTC.contains(&&*footer.time_zone) {
        return Err(ReadError::Unsupported(format!(
            "column {name} holds times of the zone {}; write it with the zone UTC, or as timestamp with local time zone",
            footer.time_zone
        )));
    }
    let encoding = usize::try_from(*id).ok().and_then(|id| footer.encodings.get(id)).copied();
    let encoding =
        encoding.ok_or_else(|| ReadError::damaged(format!("column {name}: a stripe has no encoding of it")))?;
    let stream = |bytes| Stream::new(format!("column {name}"), bytes, tail.chunking);
    let empty = || stream(Bytes::new());
    let mut streams =
        Streams { present: None, data: empty(), length: empty(), dictionary: empty(), secondary: empty() };
    for place in footer.streams.iter().filter(|place| place.column == *id) {
        let open = || read_at(file, place.offset, place.length).map(stream);
        match place.kind {
            0 => streams.present = Some(open()?),
            1 => streams.data = open()?,
            2 => streams.length = open()?,
            3 => streams.dictionary = open()?,
            5 => streams.secondary = open()?,
            _ => {}
        }
    }
    ColumnReader::new(column, encoding, streams, rows)
}
