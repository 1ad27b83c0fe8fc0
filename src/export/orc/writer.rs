//! The file: stripes one after the other, and a tail that says where everything is.
//!
//! Invariants:
//! - A stripe holds whole rows, and its streams only its own rows.
//! - `offset` is the number of bytes handed to the sink.
//! - The file's statistics are the merged statistics of its stripes.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use rayon::prelude::*;

use super::FORMAT;
use super::chunks::{CHUNK_BYTES, compress};
use super::column::{EncodedColumn, ROW_GROUP_ROWS, RowIndex, encode_column};
use super::kinds::{ColumnType, Encoding, StreamKind};
use super::protobuf::Message;
use super::size::memory_bytes;
use super::statistics::Statistics;
use crate::export::{Compression, ExportError, Sink, TableWriter, check_schema};

const MAGIC: &[u8] = b"ORC";

/// Writes one ORC file.
pub(super) struct OrcWriter<'sink> {
    schema: SchemaRef,
    columns: Vec<ColumnType>,
    compression: Compression,
    /// Bytes of rows in memory from which on a stripe is written.
    stripe_bytes: usize,
    sink: Box<dyn Sink + 'sink>,
    offset: u64,
    pending: Vec<RecordBatch>,
    pending_bytes: usize,
    stripes: Vec<Stripe>,
}

/// What the tail says of a stripe that is written.
#[derive(Debug)]
struct Stripe {
    offset: u64,
    index_bytes: u64,
    data_bytes: u64,
    footer_bytes: u64,
    rows: usize,
    /// One a column, the root struct first.
    statistics: Vec<Statistics>,
}

impl<'sink> OrcWriter<'sink> {
    /// Begins a file.
    ///
    /// # Errors
    /// [`ExportError::ColumnType`] for a column that can't be written, [`ExportError::Write`] from the sink.
    pub(super) fn new(
        schema: SchemaRef,
        compression: Compression,
        stripe_bytes: usize,
        mut sink: Box<dyn Sink + 'sink>,
    ) -> Result<Self, ExportError> {
        let column_type = |field: &arrow_schema::FieldRef| {
            ColumnType::of(field.data_type()).ok_or_else(|| ExportError::ColumnType {
                format: FORMAT,
                column: field.name().clone(),
                got: field.data_type().clone(),
            })
        };
        let columns = schema.fields().iter().map(column_type).collect::<Result<_, _>>()?;
        sink.write_all(MAGIC)?;
        Ok(Self {
            schema,
            columns,
            compression,
            stripe_bytes,
            sink,
            offset: MAGIC.len() as u64,
            pending: Vec::new(),
            pending_bytes: 0,
            stripes: Vec::new(),
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<u64, ExportError> {
        self.sink.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(bytes.len() as u64)
    }

    /// Writes the pending rows: indexes of all columns, streams of all columns, stripe footer.
    fn write_stripe(&mut self) -> Result<(), ExportError> {
        let batches = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows == 0 {
            return Ok(());
        }
        let columns: Vec<EncodedColumn> = (self.columns.par_iter().enumerate())
            .map(|(index, &column_type)| {
                let pieces: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(index)).collect();
                encode_column(self.schema.field(index).name(), column_type, &pieces, self.compression)
            })
            .collect::<Result<_, _>>()?;
        let root_index = root_row_index(rows).encode(self.compression)?;

        let offset = self.offset;
        let mut directory = StripeFooter::default();
        let mut index_bytes = directory.put(self, StreamKind::RowIndex, 0, &root_index)?;
        for (id, column) in (1..).zip(&columns) {
            index_bytes += directory.put(self, StreamKind::RowIndex, id, &column.row_index)?;
        }
        let mut data_bytes = 0;
        for (id, column) in (1..).zip(&columns) {
            for (kind, bytes) in &column.streams {
                data_bytes += directory.put(self, *kind, id, bytes)?;
            }
        }
        let footer = directory.message(&columns, &self.columns);
        let footer_bytes = self.put_message(&footer)?;
        let mut statistics = vec![Statistics::rows(rows)];
        statistics.extend(columns.into_iter().map(|column| column.statistics));
        self.stripes.push(Stripe { offset, index_bytes, data_bytes, footer_bytes, rows, statistics });
        Ok(())
    }

    fn put_message(&mut self, message: &Message) -> Result<u64, ExportError> {
        let bytes = compress(message.encoded().to_vec(), self.compression)?.bytes;
        self.put(&bytes)
    }

    /// Writes stripe statistics, footer, postscript and the postscript's length.
    fn write_tail(&mut self) -> Result<(), ExportError> {
        let content_bytes = self.offset;
        let metadata_bytes = self.put_message(&self.metadata())?;
        let footer_bytes = self.put_message(&self.footer(content_bytes))?;
        let postscript = postscript(footer_bytes, metadata_bytes, self.compression);
        self.put(postscript.encoded())?;
        self.put(&[postscript.encoded().len() as u8])?;
        Ok(())
    }

    /// The message `Metadata`: the statistics of each stripe.
    fn metadata(&self) -> Message {
        const STRIPE_STATISTICS: u64 = 1;
        const COLUMN_STATISTICS: u64 = 1;
        let mut metadata = Message::new();
        for stripe in &self.stripes {
            let mut columns = Message::new();
            for statistics in &stripe.statistics {
                columns.message(COLUMN_STATISTICS, &statistics.message());
            }
            metadata.message(STRIPE_STATISTICS, &columns);
        }
        metadata
    }

    /// The message `Footer`: schema, stripes, rows, statistics.
    fn footer(&self, content_bytes: u64) -> Message {
        const HEADER_LENGTH: u64 = 1;
        const CONTENT_LENGTH: u64 = 2;
        const STRIPES: u64 = 3;
        const TYPES: u64 = 4;
        const METADATA: u64 = 5;
        const NUMBER_OF_ROWS: u64 = 6;
        const STATISTICS: u64 = 7;
        const ROW_INDEX_STRIDE: u64 = 8;
        const CALENDAR: u64 = 11;
        const PROLEPTIC_GREGORIAN: u64 = 2;
        let mut footer = Message::new();
        footer.unsigned(HEADER_LENGTH, MAGIC.len() as u64).unsigned(CONTENT_LENGTH, content_bytes);
        for stripe in &self.stripes {
            footer.message(STRIPES, &stripe.information());
        }
        footer.message(TYPES, &self.root_type());
        for column in &self.columns {
            footer.message(TYPES, &column.message());
        }
        footer.message(METADATA, &written_by());
        footer.unsigned(NUMBER_OF_ROWS, self.stripes.iter().map(|stripe| stripe.rows as u64).sum());
        for statistics in self.file_statistics() {
            footer.message(STATISTICS, &statistics.message());
        }
        footer.unsigned(ROW_INDEX_STRIDE, ROW_GROUP_ROWS as u64).unsigned(CALENDAR, PROLEPTIC_GREGORIAN);
        footer
    }

    /// The root struct, which every column is a field of.
    fn root_type(&self) -> Message {
        const KIND: u64 = 1;
        const SUBTYPES: u64 = 2;
        const FIELD_NAMES: u64 = 3;
        const STRUCT: u64 = 12;
        let mut root = Message::new();
        root.unsigned(KIND, STRUCT).packed(SUBTYPES, 1..=self.columns.len() as u64);
        for field in self.schema.fields() {
            root.bytes(FIELD_NAMES, field.name().as_bytes());
        }
        root
    }

    fn file_statistics(&self) -> Vec<Statistics> {
        let mut total = vec![Statistics::default(); self.columns.len() + 1];
        for stripe in &self.stripes {
            total.iter_mut().zip(&stripe.statistics).for_each(|(total, part)| total.merge(part));
        }
        total
    }
}

impl TableWriter for OrcWriter<'_> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ExportError> {
        check_schema(&self.schema, rows)?;
        for start in (0..rows.num_rows()).step_by(ROW_GROUP_ROWS) {
            let piece = rows.slice(start, ROW_GROUP_ROWS.min(rows.num_rows() - start));
            self.pending_bytes += memory_bytes(&piece);
            self.pending.push(piece);
            if self.pending_bytes >= self.stripe_bytes {
                self.write_stripe()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        self.write_stripe()?;
        self.write_tail()?;
        self.sink.complete()
    }
}

impl Stripe {
    /// The message `StripeInformation`.
    fn information(&self) -> Message {
        const OFFSET: u64 = 1;
        const INDEX_LENGTH: u64 = 2;
        const DATA_LENGTH: u64 = 3;
        const FOOTER_LENGTH: u64 = 4;
        const NUMBER_OF_ROWS: u64 = 5;
        let mut message = Message::new();
        message
            .unsigned(OFFSET, self.offset)
            .unsigned(INDEX_LENGTH, self.index_bytes)
            .unsigned(DATA_LENGTH, self.data_bytes)
            .unsigned(FOOTER_LENGTH, self.footer_bytes)
            .unsigned(NUMBER_OF_ROWS, self.rows as u64);
        message
    }
}

/// The message `StripeFooter` under construction: the directory of the streams in the order of their bytes.
#[derive(Debug, Default)]
struct StripeFooter(Message);

impl StripeFooter {
    fn put(
        &mut self,
        file: &mut OrcWriter<'_>,
        kind: StreamKind,
        column: u64,
        bytes: &[u8],
    ) -> Result<u64, ExportError> {
        const STREAMS: u64 = 1;
        const KIND: u64 = 1;
        const COLUMN: u64 = 2;
        const LENGTH: u64 = 3;
        let mut stream = Message::new();
        stream.unsigned(KIND, kind as u64).unsigned(COLUMN, column).unsigned(LENGTH, bytes.len() as u64);
        self.0.message(STREAMS, &stream);
        file.put(bytes)
    }

    fn message(mut self, columns: &[EncodedColumn], types: &[ColumnType]) -> Message {
        const ENCODINGS: u64 = 2;
        const WRITER_TIMEZONE: u64 = 3;
        self.0.message(ENCODINGS, &Encoding::Direct.message());
        for column in columns {
            self.0.message(ENCODINGS, &column.encoding.message());
        }
        // Readers look the zone up on their machine even when no column needs it: it is named only if one does.
        if types.iter().any(|column| matches!(column, ColumnType::Timestamp | ColumnType::Instant)) {
            self.0.bytes(WRITER_TIMEZONE, b"UTC");
        }
        self.0
    }
}

/// The message `UserMetadataItem` that names this writer. The footer's own field for it takes registered numbers only
/// (pyarrow fails on others), so that it stays empty.
fn written_by() -> Message {
    const NAME: u64 = 1;
    const VALUE: u64 = 2;
    let mut item = Message::new();
    item.bytes(NAME, b"cartlog.version").bytes(VALUE, env!("CARGO_PKG_VERSION").as_bytes());
    item
}

/// The root struct's row index: it has no streams, only a count for each row group.
fn root_row_index(rows: usize) -> RowIndex {
    let mut index = RowIndex::default();
    for start in (0..rows).step_by(ROW_GROUP_ROWS) {
        index.add(Vec::new(), &Statistics::rows(ROW_GROUP_ROWS.min(rows - start)));
    }
    index
}

/// The message `PostScript`, which is never compressed.
fn postscript(footer_bytes: u64, metadata_bytes: u64, compression: Compression) -> Message {
    const FOOTER_LENGTH: u64 = 1;
    const COMPRESSION: u64 = 2;
    const COMPRESSION_BLOCK_SIZE: u64 = 3;
    const VERSION: u64 = 4;
    const METADATA_LENGTH: u64 = 5;
    const WRITER_VERSION: u64 = 6;
    const POSTSCRIPT_MAGIC: u64 = 8000;
    /// Statistics of instants are in UTC, bounds of text in UTF-8 (ORC-135).
    const UTC_STATISTICS: u64 = 6;
    let kind = match compression {
        Compression::None => 0,
        Compression::Zlib => 1,
        Compression::Snappy => 2,
        Compression::Zstd => 5,
    };
    let mut postscript = Message::new();
    postscript
        .unsigned(FOOTER_LENGTH, footer_bytes)
        .unsigned(COMPRESSION, kind)
        .unsigned(COMPRESSION_BLOCK_SIZE, CHUNK_BYTES as u64)
        .packed(VERSION, [0, 12])
        .unsigned(METADATA_LENGTH, metadata_bytes)
        .unsigned(WRITER_VERSION, UTC_STATISTICS)
        .bytes(POSTSCRIPT_MAGIC, MAGIC);
    postscript
}
