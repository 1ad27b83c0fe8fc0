//! The columnar store: immutable segments, append-only dictionaries, and one manifest that commits them.
//!
//! The store knows no business column: a [`Schema`] tells it what each column holds, [`Batch`]es bring rows, and a
//! [`ColumnView`] gives them back as slices of the memory map.

mod batch;
mod column;
mod combine;
mod delivery;
mod dictionary;
mod document;
mod dropping;
mod error;
mod framed;
mod gaps;
mod identity;
mod intern;
mod manifest;
mod mending;
mod merging;
mod origin;
mod recovery;
mod rejects;
mod repairing;
mod schema;
mod sealer;
mod segment;
mod snapshot;
mod sorted;
mod sources;
mod summaries;
mod verify;
mod writer;

pub use batch::{Batch, ColumnValues, IdentifierException, IdentifierValues};
pub use column::{ColumnView, Identifier, Identifiers, Integers, Packed};
pub use delivery::{CommitSummary, Delivery, LogPosition, Reject, Totals};
pub use dictionary::{Dictionary, MAX_DICTIONARY_TEXT, SharedDictionary};
pub use dropping::{DropSummary, drop_before};
pub use error::StoreError;
pub use identity::StoreIdentity;
pub use mending::Mending;
pub use merging::{CompactSummary, compact};
pub use origin::{LogSpan, Origin};
pub use rejects::Rejects;
pub use repairing::{LostSegment, Repair, RepairSummary};
pub use schema::{ColumnSchema, ColumnType, Schema};
pub use segment::{ColumnStatistics, DamagedPage, EncodedSegment, Segment};
pub use snapshot::Snapshot;
pub use sorted::{
    SortOptions, SortOrder, SortSummary, SortedCopy, SortedReport, remove_copy, remove_stale_copy, sort_copy,
};
pub use sources::{KnownRange, KnownSource, SourceId, SourceRange};
pub use summaries::{SummariesReport, Summary, SummaryKind, SummaryWriter, remove_stale_summaries, remove_summaries};
pub use verify::{Damage, VerifyReport, verify};
pub use writer::{StoreWriter, WriterOptions};
