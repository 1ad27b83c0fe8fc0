//! The events themselves, out of a snapshot, as record batches of the nine columns.

mod mapping;

pub use mapping::Mapping;
