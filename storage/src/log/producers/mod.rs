//! What a partition remembers of its idempotent producers (KIP-98, KIP-679).
//!
//! A producer with an id numbers its records. A partition keeps the last five batches of each producer, as many as a
//! client has in flight: a batch sent again because its answer was lost is recognised and answered with the offset it
//! got, and one that would leave a hole is refused.
//!
//! The memory follows from the batches in the log. [`snapshot`] files only spare the next start from walking all of it.
//!
//! Invariants:
//! - of each producer at most [`REMEMBERED`] batches are kept, in the order of their offsets, all of its present epoch;
//! - of each partition at most [`MAXIMUM_PRODUCERS`] producers are kept, the latest to write.

mod snapshot;

use std::collections::{HashMap, VecDeque};

use super::batch::{BatchHeader, Offset};

pub(super) use snapshot::{Snapshot, remove_stale};

/// Batches remembered of each producer: Kafka's clients have at most as many in flight.
const REMEMBERED: usize = 5;
/// Producers remembered of each partition; beyond that the one that wrote longest ago is forgotten.
const MAXIMUM_PRODUCERS: usize = 10_000;

/// Why a batch of an idempotent producer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// It doesn't follow the producer's last batch.
    #[error("producer {producer_id} sent sequence number {got}, {expected} was expected: a batch before it was lost")]
    OutOfOrder {
        /// The producer.
        producer_id: i64,
        /// The first sequence number of the batch.
        got: i32,
        /// What would have followed.
        expected: i32,
    },
    /// A newer instance of the producer has written.
    #[error(
        "producer {producer_id} sent epoch {got}, epoch {current} has written already: another instance replaced it"
    )]
    Fenced {
        /// The producer.
        producer_id: i64,
        /// The epoch of the batch.
        got: i16,
        /// The latest epoch.
        current: i16,
    },
    /// An id without epoch or sequence number.
    #[error("producer {producer_id} sent epoch {epoch} and sequence number {sequence}; both count from 0")]
    Invalid {
        /// The producer.
        producer_id: i64,
        /// The epoch of the batch.
        epoch: i16,
        /// The first sequence number of the batch.
        sequence: i32,
    },
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new.
    Append,
    /// It is in the log already, from this offset on.
    Repeated(Offset),
}

/// The producers of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Remembered>,
}

/// One batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remembered {
    last_sequence: i32,
    last_offset: Offset,
    offset_delta: i32,
    timestamp_ms: i64,
}

impl Remembered {
    fn base_offset(&self) -> Offset {
        Offset(self.last_offset.0 - i64::from(self.offset_delta))
    }

    fn first_sequence(&self) -> i32 {
        // Sequence numbers wrap from the largest to 0.
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        i32::try_from(first.rem_euclid(1 << 31)).unwrap_or(0)
    }
}

/// The sequence number `count` after `sequence`.
fn sequence_after(sequence: i32, count: i32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(count)).rem_euclid(1 << 31);
    i32::try_from(sum).unwrap_or(0)
}

impl Producers {
    /// Says what to do with a batch, by the header it was sent with.
    ///
    /// # Errors
    /// [`ProducerError`] if it is refused.
    pub(super) fn judge(&self, header: &BatchHeader) -> Result<Verdict, ProducerError> {
        let BatchHeader { producer_id, producer_epoch: epoch, base_sequence: sequence, .. } = *header;
        if producer_id < 0 {
            return Ok(Verdict::Append);
        }
        if epoch < 0 || sequence < 0 {
            return Err(ProducerError::Invalid { producer_id, epoch, sequence });
        }
        let Some(producer) = self.by_id.get(&producer_id) else {
            // Its state may have been forgotten: it goes on where it is.
            return Ok(Verdict::Append);
        };
        if epoch < producer.epoch {
            return Err(ProducerError::Fenced { producer_id, got: epoch, current: producer.epoch });
        }
        let expected = match producer.batches.back() {
            Some(last) if epoch == producer.epoch => sequence_after(last.last_sequence, 1),
            _ => 0,
        };
        if sequence == expected {
            return Ok(Verdict::Append);
        }
        let repeated = producer
            .batches
            .iter()
            .filter(|_| epoch == producer.epoch)
            .find(|batch| batch.first_sequence() == sequence && batch.offset_delta == header.last_offset_delta);
        match repeated {
            Some(batch) => Ok(Verdict::Repeated(batch.base_offset())),
            None => Err(ProducerError::OutOfOrder { producer_id, got: sequence, expected }),
        }
    }

    /// Takes note of a batch that stands in the log.
    pub(super) fn note(&mut self, header: &BatchHeader) {
        if header.producer_id < 0 {
            return;
        }
        let batch = Remembered {
            last_sequence: sequence_after(header.base_sequence.max(0), header.last_offset_delta),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp_ms: header.max_timestamp_ms,
        };
        self.remember(header.producer_id, header.producer_epoch, batch);
    }

    fn remember(&mut self, producer_id: i64, epoch: i16, batch: Remembered) {
        let producer =
            self.by_id.entry(producer_id).or_insert_with(|| Producer { epoch, batches: VecDeque::with_capacity(1) });
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(batch);
        if self.by_id.len() > MAXIMUM_PRODUCERS {
            self.forget_oldest();
        }
    }

    /// Forgets the tenth of the producers that wrote longest ago, so that this is rarely done.
    fn forget_oldest(&mut self) {
        let last = |producer: &Producer| producer.batches.back().map_or(Offset(-1), |batch| batch.last_offset);
        let mut offsets: Vec<_> = self.by_id.values().map(last).collect();
        let (_, &mut limit, _) = offsets.select_nth_unstable(MAXIMUM_PRODUCERS / 10);
        self.by_id.retain(|_, producer| last(producer) > limit);
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::{batch, idempotent};
    use super::*;

    fn header(producer: i64, epoch: i16, sequence: i32, records: i32, base_offset: i64) -> BatchHeader {
        let mut header = BatchHeader::decode(&idempotent(&batch(records, 1, b"v"), producer, epoch, sequence)).unwrap();
        header.base_offset = Offset(base_offset);
        header
    }

    #[test]
    fn batches_follow_each_other_and_the_last_five_may_repeat() {
        let mut producers = Producers::default();
        for number in 0..7 {
            let next = header(9, 0, number * 3, 3, i64::from(number) * 3);
            assert_eq!(producers.judge(&next), Ok(Verdict::Append));
            producers.note(&next);
        }
        for number in 0..7 {
            let verdict = producers.judge(&header(9, 0, number * 3, 3, 0));
            let offset = i64::from(number) * 3;
            if number < 2 {
                assert_eq!(verdict, Err(ProducerError::OutOfOrder { producer_id: 9, got: number * 3, expected: 21 }));
            } else {
                assert_eq!(verdict, Ok(Verdict::Repeated(Offset(offset))), "{number}");
            }
        }
        assert!(producers.judge(&header(9, 0, 18, 2, 0)).is_err(), "a repeat has as many records");
        assert!(producers.judge(&header(9, 0, 22, 1, 0)).is_err(), "a hole");
        assert_eq!(
            producers.judge(&header(10, 3, 77, 1, 0)),
            Ok(Verdict::Append),
            "an unknown producer starts anywhere"
        );
        assert_eq!(producers.judge(&header(-1, -1, -1, 1, 0)), Ok(Verdict::Append));
        assert!(matches!(producers.judge(&header(9, -1, 0, 1, 0)), Err(ProducerError::Invalid { .. })));
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
        let mut producers = Producers::default();
        producers.note(&header(9, 1, 5, 1, 0));
        assert_eq!(
            producers.judge(&header(9, 0, 6, 1, 0)),
            Err(ProducerError::Fenced { producer_id: 9, got: 0, current: 1 })
        );
        assert!(matches!(producers.judge(&header(9, 2, 6, 1, 0)), Err(ProducerError::OutOfOrder { expected: 0, .. })));
        assert_eq!(producers.judge(&header(9, 2, 0, 1, 0)), Ok(Verdict::Append));
        producers.note(&header(9, 2, 0, 1, 1));
        assert_eq!(producers.judge(&header(9, 2, 0, 1, 0)), Ok(Verdict::Repeated(Offset(1))));
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut producers = Producers::default();
        producers.note(&header(9, 0, i32::MAX - 1, 4, 10));
        assert_eq!(producers.judge(&header(9, 0, 2, 1, 0)), Ok(Verdict::Append));
        assert_eq!(producers.judge(&header(9, 0, i32::MAX - 1, 4, 0)), Ok(Verdict::Repeated(Offset(10))));
    }

    #[test]
    fn the_number_of_producers_is_bounded() {
        let mut producers = Producers::default();
        for id in 0..=i64::try_from(MAXIMUM_PRODUCERS).unwrap() {
            producers.note(&header(id, 0, 0, 1, id));
        }
        assert!(producers.by_id.len() <= MAXIMUM_PRODUCERS);
        assert!(!producers.by_id.contains_key(&0) && producers.by_id.contains_key(&5_000));
    }
}
