//! Analyses: pure kernels, their registry, and the driver that runs them in parallel.
//!
//! Each analysis is one file in `kernels` and one line in [`registry`]; its SQL definition stands beside it in `sql/` and
//! is what it means. Underneath:
//!
//! - `filter` says which events are covered, `selection` finds their rows, `chosen` takes them out once for several analyses;
//! - `driver` deals rows to threads and merges what they made: the only place that knows threads;
//! - `field` and `keys` turn columns into small numbers, `periods` times, `pairing` two texts; `group` and `sort` bring equal ones
//!   together, but where `ordered` finds that they are, `pairs` finds which keys there are, `tally` counts within one group, `quantiles`
//!   selects without sorting; `numbering` numbers sessions over all segments, `apart` each segment's by themselves, `products` adds up by
//!   product;
//! - `summary` keeps what segments come to beside them, so that what adds up needs not be added up again;
//! - `ahead` asks for memory before it is needed, `room` is memory in large pages;
//! - `decode` widens a chunk of a column; everything above works on plain slices of one type.
//!
//! Kernels know no files, no segments' layout and no threads. They see [`Events`], borrowed from a snapshot.

mod ahead;
mod apart;
mod catalogue;
mod chosen;
mod combinations;
mod decode;
mod documentation;
mod driver;
mod error;
mod events;
mod field;
mod filter;
mod group;
mod kernels;
mod keys;
mod kinds;
mod number;
mod numbering;
mod ordered;
mod pairing;
mod pairs;
mod parameter;
mod periods;
mod products;
mod quantiles;
mod reach;
mod registry;
mod result;
mod room;
mod selection;
mod sort;
mod summary;
mod tally;
mod together;
mod top;
mod totals;

#[cfg(test)]
mod shapes;
#[cfg(test)]
mod testing;

pub use catalogue::catalogue;
pub use chosen::Chosen;
pub use documentation::documentation;
pub use driver::Input;
pub use error::AnalysisError;
pub use events::{EventColumn, EventSegment, Events, Shared};
pub use filter::{Filter, Missing};
pub use parameter::{Parameter, ParameterKind, Parameters};
pub use registry::{Analysis, find, listed, of_table, registry};
pub use selection::Selection;
pub use summary::{KeptSummaries, Summaries};
pub use together::Together;
