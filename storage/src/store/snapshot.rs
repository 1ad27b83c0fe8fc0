//! Snapshots: the store as of one commit, for reading.

use std::sync::Arc;

use super::{Dictionary, Schema, Segment};

/// The store as of one commit. Cheap to clone; stays readable whatever is written or merged later.
#[derive(Debug, Clone)]
pub struct Snapshot {
    schema: Arc<Schema>,
    segments: Vec<Arc<Segment>>,
    /// One a column; empty for columns that have none.
    dictionaries: Vec<Arc<Dictionary>>,
}

impl Snapshot {
    /// A snapshot of segments in memory; `dictionaries` has one entry a column (empty for columns that need none).
    #[must_use]
    pub fn in_memory(schema: Schema, segments: Vec<Segment>, dictionaries: Vec<Dictionary>) -> Self {
        let mut dictionaries: Vec<Arc<Dictionary>> = dictionaries.into_iter().map(Arc::new).collect();
        dictionaries.resize_with(schema.columns.len(), Arc::default);
        Self { schema: Arc::new(schema), segments: segments.into_iter().map(Arc::new).collect(), dictionaries }
    }

    /// What the columns hold.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The segments, in the order of their commits.
    #[must_use]
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// A column's dictionary; an empty one if the column has none.
    ///
    /// # Panics
    /// If the schema has no such column.
    #[must_use]
    pub fn dictionary(&self, column: usize) -> &Arc<Dictionary> {
        &self.dictionaries[column]
    }

    /// Rows in all segments.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows() as u64).sum()
    }
}
