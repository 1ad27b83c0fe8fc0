//! Sources: files, globs and standard input as blocks of whole lines.
//!
//! [`Source::resolve`] turns what was typed into sources, [`Source::open`] makes each a [`BlockReader`]: an iterator of
//! [`Block`]s, cut at line ends, each with its byte range and line number. What is compressed (gzip, zstd) is known by
//! its first bytes, not by its name; offsets are those of the decompressed content. So are Parquet and ORC files, whose
//! content is the text that their rows stand for (`columnar`).
//!
//! A source is known by its content, whatever its name: ranges of it that the store knows already are checked by their
//! checksum and then passed over, so that an interrupted load goes on and a repeated one adds nothing.
//!
//! Deliberately absent: threads (a reader is an iterator), and what a line means (apart from the header line).

mod block;
mod buffer;
mod columnar;
mod content;
mod error;
mod identity;
mod known;
mod reader;
mod resolve;

pub use block::{Block, ReadOptions};
pub use error::SourceError;
pub use reader::BlockReader;
pub use resolve::Source;
