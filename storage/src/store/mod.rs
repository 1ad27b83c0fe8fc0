//! The columnar store: immutable segments, append-only dictionaries, and one manifest that commits them.
//!
//! The store knows no business column: a [`Schema`] tells it what each column holds, [`Batch`]es bring rows, and a
//! [`ColumnView`] gives them back as slices of the memory map.

mod batch;
mod column;
mod schema;

pub use batch::{Batch, ColumnValues, IdentifierException, IdentifierValues};
pub use column::{ColumnView, Identifiers, Integers, Packed};
pub use schema::{ColumnSchema, ColumnType, Schema};
