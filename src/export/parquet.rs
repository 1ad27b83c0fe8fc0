//! Parquet: the columnar interchange format of DuckDB, Spark, pandas and data lakes.
//!
//! Zstandard pages, dictionaries, statistics and the page index, so that readers skip what a query does not need.
//! Decimals are decimals, instants are UTC milliseconds. The Arrow schema is not embedded: what a reader sees depends
//! on the Parquet types alone, never on how a batch happened to be laid out in memory.
//!
//! The columns of a row group are encoded by all threads of the current pool, one column a task, batch by batch;
//! only encoded pages of the row group are kept in memory.

use std::io;
use std::mem;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{self, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;

use super::arrow::plain_schema;
use super::csv::check_printable;
use super::{Compression, ExportError, Format, Sink, Stream, TableWriter, WriteOptions, check_schema};

/// The `parquet` format.
#[derive(Debug)]
pub(super) struct Parquet;

/// Rows of a full row group: the segments of a store and the row groups of other writers are as long.
const ROW_GROUP_ROWS: usize = 1 << 20;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn description(&self) -> &'static str {
        "Apache Parquet with statistics and page index, for DuckDB, Spark, pandas and data lakes"
    }

    fn compressions(&self) -> &'static [Compression] {
        &[Compression::Zstd, Compression::Snappy, Compression::None]
    }

    fn open<'sink>(
        &self,
        schema: SchemaRef,
        sink: Box<dyn Sink + 'sink>,
        options: WriteOptions,
    ) -> Result<Box<dyn TableWriter + 'sink>, ExportError> {
        let compression = match options.compression_of(self)? {
            Compression::Zstd => basic::Compression::ZSTD(ZstdLevel::default()),
            Compression::Snappy => basic::Compression::SNAPPY,
            _ => basic::Compression::UNCOMPRESSED,
        };
        check_printable(self.name(), &schema)?;
        let schema = Arc::new(plain_schema(&schema));
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_created_by(concat!("cartlog version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let root = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
        let file = SerializedFileWriter::new(sink, root, Arc::new(properties))?;
        let columns = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        Ok(Box::new(ParquetWriter { schema, file, columns, open: Vec::new(), open_rows: 0 }))
    }
}

struct ParquetWriter<'sink> {
    schema: SchemaRef,
    file: SerializedFileWriter<Box<dyn Sink + 'sink>>,
    columns: ArrowRowGroupWriterFactory,
    /// The columns of the row group under way; empty when there is none.
    open: Vec<ArrowColumnWriter>,
    open_rows: usize,
}

impl TableWriter for ParquetWriter<'_> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ExportError> {
        check_schema(&self.schema, rows)?;
        let mut start = 0;
        while start < rows.num_rows() {
            let taken = (rows.num_rows() - start).min(ROW_GROUP_ROWS - self.open_rows);
            self.encode(&rows.slice(start, taken))?;
            start += taken;
            if self.open_rows == ROW_GROUP_ROWS {
                self.close_row_group()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        self.close_row_group()?;
        self.file.finish()?;
        // The library's own `into_inner` writes what is left and turns an I/O error into its text; everything is
        // written and flushed here, so that the sink can be taken out as it is.
        let nowhere: Box<dyn Sink> = Box::new(Stream(io::sink()));
        mem::replace(self.file.inner_mut(), nowhere).complete()
    }
}

impl ParquetWriter<'_> {
    fn encode(&mut self, rows: &RecordBatch) -> Result<(), ExportError> {
        if self.open.is_empty() {
            self.open = self.columns.create_column_writers(self.file.flushed_row_groups().len())?;
        }
        let schema = &self.schema;
        self.open.par_iter_mut().enumerate().try_for_each(|(index, writer)| -> Result<(), ParquetError> {
            for leaf in compute_leaves(schema.field(index), rows.column(index))? {
                writer.write(&leaf)?;
            }
            Ok(())
        })?;
        self.open_rows += rows.num_rows();
        Ok(())
    }

    fn close_row_group(&mut self) -> Result<(), ExportError> {
        if self.open_rows == 0 {
            return Ok(());
        }
        let writers = mem::take(&mut self.open);
        self.open_rows = 0;
        let chunks = writers.into_par_iter().map(ArrowColumnWriter::close).collect::<Result<Vec<_>, _>>()?;
        let mut row_group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        Ok(())
    }
}
