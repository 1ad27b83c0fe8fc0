//! ORC.
use arrow_schema::SchemaRef;

use super::{Compression, ExportError, Format, Sink, TableWriter, WriteOptions};

/// The `orc` format.
#[derive(Debug)]
pub(super) struct Orc;

impl Format for Orc {
    fn name(&self) -> &'static str {
        "orc"
    }

    fn description(&self) -> &'static str {
        "Apache ORC with statistics and row index, for Spark, Hive, Trino and pandas"
    }

    fn compressions(&self) -> &'static [Compression] {
        &[Compression::Zstd, Compression::Zlib, Compression::None]
    }

    fn open<'sink>(
        &self,
        schema: SchemaRef,
        sink: Box<dyn Sink + 'sink>,
        options: WriteOptions,
    ) -> Result<Box<dyn TableWriter + 'sink>, ExportError> {
        let _ = (schema, sink);
        options.compression_of(self)?;
        Err(ExportError::Write(std::io::Error::from(std::io::ErrorKind::Unsupported)))
    }
}
