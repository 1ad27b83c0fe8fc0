//! The batches of an answer: which of them hold records to be read, and where the next fetch starts.
//!
//! An answer starts with the batch that the wanted offset is in and may end in the middle of one. A control batch ends a
//! transaction and holds no record. With the answer come the aborted transactions that overlap it, each by its producer
//! and its first offset; of such a producer everything is left away from there up to the control batch that aborts
//! (KIP-98). Offsets that no batch covers are those of records that compaction has removed.

use std::collections::BTreeSet;

use bytes::Bytes;
use cartlog_storage::log::{BatchHeader, HEADER_LENGTH};

use super::LogRecord;
use super::records;

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aborted {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
}

/// What an answer holds.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// The records from the wanted offset on, without those of aborted transactions.
    pub(super) records: Vec<LogRecord>,
    /// The offset behind the last whole batch; `None` if there is none.
    pub(super) next_offset: Option<i64>,
}

/// Takes an answer apart.
///
/// # Errors
/// What is wrong with the answer, in words.
pub(super) fn decode(answer: &Bytes, from: i64, mut aborted: Vec<Aborted>) -> Result<Batches, String> {
    aborted.sort_unstable_by_key(|transaction| transaction.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut aborting = BTreeSet::new();
    let mut batches = Batches::default();
    let mut at = 0;
    while answer.len() - at >= HEADER_LENGTH {
        let header = BatchHeader::decode(&answer[at..]).map_err(|error| error.to_string())?;
        if header.size > answer.len() - at {
            break;
        }
        let batch = answer.slice(at..at + header.size);
        at += header.size;
        let place = |error: &dyn std::fmt::Display| format!("the batch at offset {}: {error}", header.base_offset);
        header.verify(&batch).map_err(|error| place(&error))?;
        while aborted.peek().is_some_and(|transaction| transaction.first_offset <= header.last_offset().0) {
            aborting.extend(aborted.next().map(|transaction| transaction.producer_id));
        }
        if header.attributes.is_control() {
            // Committing or aborting, the transaction is over.
            aborting.remove(&header.producer_id);
        } else if !(header.attributes.is_transactional() && aborting.contains(&header.producer_id)) {
            batches.records.extend(records::decode(&batch, &header, from).map_err(|error| place(&error))?);
        }
        batches.next_offset = Some(header.next_offset().0.max(from));
    }
    if batches.next_offset.is_none() && !answer.is_empty() {
        return Err(format!("{} bytes hold no whole batch", answer.len()));
    }
    Ok(batches)
}
