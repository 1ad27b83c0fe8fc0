//! The columnar store: immutable segments, append-only dictionaries, and one manifest that commits them.
//!
//! The store knows no business column: a [`Schema`] tells it what each column holds, [`Batch`]es bring rows, and a
//! [`ColumnView`] gives them back as slices of the memory map.

mod batch;
mod column;
mod dictionary;
mod error;
mod intern;
mod schema;
mod segment;
mod snapshot;
mod wire;

pub use batch::{Batch, ColumnValues, IdentifierException, IdentifierValues};
pub use column::{ColumnView, Identifier, Identifiers, Integers, Packed};
pub use dictionary::{Dictionary, MAX_DICTIONARY_TEXT, SharedDictionary};
pub use error::StoreError;
pub use schema::{ColumnSchema, ColumnType, Schema};
pub use segment::{ColumnStatistics, DamagedPage, EncodedSegment, Segment};
pub use snapshot::Snapshot;
