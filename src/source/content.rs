//! The decompressed bytes of a source; of a columnar file, the text that its rows stand for.
//!
//! Plain files are read into buffers, not mapped. A CSV file belongs to its owner, who may cut it or write to it while
//! it is loaded: under a map that is a bus error that ends the process, or bytes that change between checking and
//! parsing; with `read` it is an error at a known offset. Copying from the page cache into a buffer that is used again
//! runs at some 8 GB/s, beside a parser of about 1 GB/s; a map would pay page faults instead.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::columnar::{ColumnarFormat, ColumnarText};
use super::resolve::Place;
use super::{Source, SourceError};

/// Bytes of compressed data read at once.
const COMPRESSED_BYTES: usize = 256 * 1024;

/// The decompressed bytes of a source, from its start.
pub(super) struct Content {
    name: Arc<str>,
    kind: Kind,
    /// The offset of the next byte.
    offset: u64,
}

enum Kind {
    /// A plain file that can be sought in.
    File(Counted<File>),
    /// Anything else, and the name of its compression if it has one.
    Stream(Box<dyn Read + Send>, Option<&'static str>),
    /// A columnar file.
    Columnar(Box<ColumnarText>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Content")
            .field("name", &self.name)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Content {
    /// Opens a source at its start. `bytes_read` counts the bytes read from it, compressed as they are.
    pub(super) fn open(source: &Source, bytes_read: Arc<AtomicU64>) -> Result<Self, SourceError> {
        let open_error = |error| SourceError::Open { name: source.name.to_string(), source: error };
        let name = Arc::clone(&source.name);
        let kind = match &source.place {
            Place::File(path) => {
                let file = File::open(path).map_err(open_error)?;
                let can_seek = file.metadata().map_err(open_error)?.is_file();
                let mut file = Counted { inner: file, bytes_read };
                if can_seek {
                    let head = Head::read(&mut file).map_err(open_error)?;
                    file.inner.rewind().map_err(open_error)?;
                    file.bytes_read.store(0, Ordering::Relaxed);
                    if let Some(format) = head.columnar() {
                        let text = ColumnarText::open(format, file.inner, &name, file.bytes_read)?;
                        return Ok(Self { name, kind: Kind::Columnar(Box::new(text)), offset: 0 });
                    }
                    match head.compression(&name)? {
                        None => Kind::File(file),
                        compression => decompressed(file, compression).map_err(open_error)?,
                    }
                } else {
                    stream(file, &name)?
                }
            }
            Place::StandardInput => stream(Counted { inner: io::stdin(), bytes_read }, &name)?,
        };
        Ok(Self { name, kind, offset: 0 })
    }

    /// The offset of the next byte.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads some bytes; 0 is the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        loop {
            let (result, compression) = match &mut self.kind {
                Kind::File(file) => (file.read(buffer), None),
                Kind::Stream(stream, compression) => (stream.read(buffer), *compression),
                Kind::Columnar(text) => {
                    let bytes = text.read(buffer)?;
                    self.offset += bytes as u64;
                    return Ok(bytes);
                }
            };
            match result {
                Ok(bytes) => {
                    self.offset += bytes as u64;
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let (name, offset) = (self.name.to_string(), self.offset);
                    return Err(match compression {
                        Some(format) => SourceError::Compressed { name, format, offset, source },
                        None => SourceError::Read { name, offset, source },
                    });
                }
            }
        }
    }

    /// Goes on at a later offset, if the content can be sought in; says whether it did.
    pub(super) fn seek(&mut self, offset: u64) -> Result<bool, SourceError> {
        let Kind::File(file) = &mut self.kind else { return Ok(false) };
        file.inner.seek(SeekFrom::Start(offset)).map_err(|source| SourceError::Read {
            name: self.name.to_string(),
            offset: self.offset,
            source,
        })?;
        file.bytes_read.store(offset, Ordering::Relaxed);
        self.offset = offset;
        Ok(true)
    }
}

/// A reader that counts what is read from it.
struct Counted<R> {
    inner: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

fn stream<R: Read + Send + 'static>(mut reader: Counted<R>, name: &Arc<str>) -> Result<Kind, SourceError> {
    let open_error = |error| SourceError::Open { name: name.to_string(), source: error };
    let head = Head::read(&mut reader).map_err(open_error)?;
    if let Some(format) = head.columnar() {
        return Err(SourceError::NotAFile { name: name.to_string(), format: format.name() });
    }
    let compression = head.compression(name)?;
    let whole = io::Cursor::new(head.bytes).take(head.filled as u64).chain(reader);
    decompressed(whole, compression).map_err(open_error)
}

fn decompressed<R: Read + Send + 'static>(reader: R, compression: Option<Compression>) -> io::Result<Kind> {
    let buffered = |reader| BufReader::with_capacity(COMPRESSED_BYTES, reader);
    Ok(match compression {
        None => Kind::Stream(Box::new(reader), None),
        Some(Compression::Gzip) => Kind::Stream(Box::new(MultiGzDecoder::new(buffered(reader))), Some("gzip")),
        Some(Compression::Zstd) => {
            Kind::Stream(Box::new(zstd::stream::read::Decoder::with_buffer(buffered(reader))?), Some("zstd"))
        }
    })
}

/// How a source is compressed.
#[derive(Debug, Clone, Copy)]
enum Compression {
    Gzip,
    Zstd,
}

/// The first bytes of a source, by which its format is known.
struct Head {
    bytes: [u8; 8],
    filled: usize,
}

impl Head {
    fn read(reader: &mut impl Read) -> io::Result<Self> {
        let mut head = Self { bytes: [0; 8], filled: 0 };
        while head.filled < head.bytes.len() {
            match reader.read(&mut head.bytes[head.filled..]) {
                Ok(0) => break,
                Ok(bytes) => head.filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(head)
    }

    /// The columnar format, if it is one.
    fn columnar(&self) -> Option<ColumnarFormat> {
        ColumnarFormat::of_head(&self.bytes[..self.filled])
    }

    /// The compression; an error for formats that some would try and that can't be CSV.
    fn compression(&self, name: &Arc<str>) -> Result<Option<Compression>, SourceError> {
        let (format, advice) = match &self.bytes[..self.filled] {
            [0x1F, 0x8B, ..] => return Ok(Some(Compression::Gzip)),
            // A zstd frame, or a skippable frame before one.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => return Ok(Some(Compression::Zstd)),
            [b'P', b'K', 3 | 5, 4 | 6, ..] => {
                ("a zip archive or a spreadsheet", "unpack it, or unzip -p FILE | cartlog run -")
            }
            [b'B', b'Z', b'h', ..] => ("compressed by bzip2", "bzcat FILE | cartlog run -"),
            [0xFD, b'7', b'z', b'X', b'Z', ..] => ("compressed by xz", "xzcat FILE | cartlog run -"),
            [0x04, 0x22, 0x4D, 0x18, ..] => ("compressed by lz4", "lz4cat FILE | cartlog run -"),
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => ("Arrow", "convert it to Parquet or CSV"),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => ("UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE | cartlog run -"),
            head if is_json_document(head) => (
                "one JSON document",
                "export it in one of these, or give each event a line of its own: jq -c '.[]' FILE | cartlog run -",
            ),
            _ => return Ok(None),
        };
        Err(SourceError::OtherFormat { name: name.to_string(), format, advice })
    }
}

/// Whether a text begins like JSON that goes over several lines, as `--format json` and pretty printers write it. Of JSON events a line
/// each, none begins so, and no line of CSV does.
fn is_json_document(head: &[u8]) -> bool {
    let [b'[' | b'{', inside @ ..] = head else { return false };
    let is_list = head.starts_with(b"[");
    match inside.trim_ascii_start() {
        [b'{' | b']', ..] => is_list,
        _ => inside.iter().take_while(|byte| byte.is_ascii_whitespace()).any(|byte| *byte == b'\n'),
    }
}
