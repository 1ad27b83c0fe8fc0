//! The two sparse indexes of a segment, in Kafka's encoding: big-endian entries, sorted, offsets relative to the
//! segment's base.
//!
//! ```text
//! .index       u32 relative offset (of a batch's last record), u32 position of that batch
//! .timeindex   i64 milliseconds (the latest so far),            u32 relative offset of the batch that holds it
//! ```
//!
//! Both are caches: what they say is checked against the log when it is used, and they are rebuilt from the log when
//! missing or wrong. The growing segment's entries are kept in memory, a sealed segment's are mapped.
//!
//! Invariants:
//! - relative offsets and positions of the offset index rise strictly;
//! - times of the time index rise strictly, its offsets rise.

use bytes::Bytes;

/// Bytes of an entry of the offset index.
const OFFSET_ENTRY: usize = 8;
/// Bytes of an entry of the time index.
const TIME_ENTRY: usize = 12;

/// An entry of the offset index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    /// Last offset of the batch, less the segment's base.
    pub(super) relative: u32,
    /// Where the batch starts in the `.log` file.
    pub(super) position: u32,
}

/// An entry of the time index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeEntry {
    /// The latest time in the segment up to this batch.
    pub(super) timestamp_ms: i64,
    /// Last offset of the batch that holds it, less the segment's base.
    pub(super) relative: u32,
}

/// A fixed-size entry of an index.
pub(super) trait Entry: Copy {
    /// Encoded length in bytes.
    const LENGTH: usize;
    /// Appends the encoded entry.
    fn encode(self, buffer: &mut Vec<u8>);
    /// Decodes one entry of exactly [`Entry::LENGTH`] bytes.
    fn decode(bytes: &[u8]) -> Self;
    /// Whether `self` may stand directly before `next`.
    fn precedes(self, next: Self) -> bool;
}

impl Entry for OffsetEntry {
    const LENGTH: usize = OFFSET_ENTRY;

    fn encode(self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.relative.to_be_bytes());
        buffer.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { relative: word(0), position: word(4) }
    }

    fn precedes(self, next: Self) -> bool {
        self.relative < next.relative && self.position < next.position
    }
}

impl Entry for TimeEntry {
    const LENGTH: usize = TIME_ENTRY;

    fn encode(self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        buffer.extend_from_slice(&self.relative.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut time = [0; 8];
        time.copy_from_slice(&bytes[..8]);
        Self {
            timestamp_ms: i64::from_be_bytes(time),
            relative: u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
        }
    }

    fn precedes(self, next: Self) -> bool {
        self.timestamp_ms < next.timestamp_ms && self.relative <= next.relative
    }
}

/// The entries of one index, growing in memory or mapped.
#[derive(Debug, Clone)]
pub(super) struct Index<E> {
    bytes: IndexBytes,
    entry: std::marker::PhantomData<E>,
}

#[derive(Debug, Clone)]
enum IndexBytes {
    Growing(Vec<u8>),
    Sealed(Bytes),
}

impl<E: Entry> Index<E> {
    /// An index without entries, to grow.
    pub(super) fn new() -> Self {
        Self { bytes: IndexBytes::Growing(Vec::new()), entry: std::marker::PhantomData }
    }

    /// Takes an index file's bytes; `None` if they can't be an index: not whole entries, or not sorted.
    pub(super) fn open(bytes: Bytes) -> Option<Self> {
        let index = Self { bytes: IndexBytes::Sealed(bytes), entry: std::marker::PhantomData };
        let bytes = index.as_bytes();
        let sorted = (1..index.len()).all(|at| index.get(at - 1).precedes(index.get(at)));
        (bytes.len().is_multiple_of(E::LENGTH) && sorted).then_some(index)
    }

    /// The encoded entries.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match &self.bytes {
            IndexBytes::Growing(bytes) => bytes,
            IndexBytes::Sealed(bytes) => bytes,
        }
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.as_bytes().len() / E::LENGTH
    }

    /// The entry at `at`, which must be below [`Index::len`].
    pub(super) fn get(&self, at: usize) -> E {
        E::decode(&self.as_bytes()[at * E::LENGTH..(at + 1) * E::LENGTH])
    }

    /// The last entry.
    pub(super) fn last(&self) -> Option<E> {
        self.len().checked_sub(1).map(|at| self.get(at))
    }

    /// The last entry for which `holds` is true; it must be true for a prefix of the entries and false after it.
    pub(super) fn last_where(&self, holds: impl Fn(E) -> bool) -> Option<E> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1).map(|at| self.get(at))
    }

    /// Appends an entry that the last one precedes; any other is left out. Says whether it was taken.
    pub(super) fn push(&mut self, entry: E) -> bool {
        if self.last().is_some_and(|last| !last.precedes(entry)) {
            return false;
        }
        if let IndexBytes::Sealed(bytes) = &self.bytes {
            self.bytes = IndexBytes::Growing(bytes.to_vec());
        }
        if let IndexBytes::Growing(bytes) = &mut self.bytes {
            entry.encode(bytes);
        }
        true
    }

    /// Keeps only the leading entries for which `holds` is true.
    pub(super) fn keep_while(&mut self, holds: impl Fn(E) -> bool) {
        let kept = (0..self.len()).take_while(|&at| holds(self.get(at))).count() * E::LENGTH;
        match &mut self.bytes {
            IndexBytes::Growing(bytes) => bytes.truncate(kept),
            IndexBytes::Sealed(bytes) => bytes.truncate(kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn roundtrip() {
        let mut offsets = Index::new();
        let entry = OffsetEntry { relative: 0x0102_0304, position: 0x0506_0708 };
        assert!(offsets.push(entry));
        assert_eq!(offsets.as_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Index::open(Bytes::copy_from_slice(offsets.as_bytes())).and_then(|index| index.last()), Some(entry));

        let mut times = Index::new();
        let entry = TimeEntry { timestamp_ms: 0x0102_0304_0506_0708, relative: 0x090a_0b0c };
        assert!(times.push(entry));
        assert_eq!(times.as_bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(Index::open(Bytes::copy_from_slice(times.as_bytes())).and_then(|index| index.last()), Some(entry));
    }

    #[test]
    fn detects_corruption() {
        assert!(Index::<OffsetEntry>::open(Bytes::from_static(&[0; 7])).is_none(), "half an entry");
        assert!(Index::<OffsetEntry>::open(Bytes::from_static(&[0; 16])).is_none(), "entries that don't rise");
        assert!(Index::<TimeEntry>::open(Bytes::from_static(&[0; 24])).is_none(), "entries that don't rise");
        let mut index = Index::new();
        assert!(index.push(OffsetEntry { relative: 5, position: 5 }));
        assert!(!index.push(OffsetEntry { relative: 5, position: 9 }));
        assert_eq!(index.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn lookup_equals_a_linear_search(steps in proptest::collection::vec(1_u32..9, 0..40), wanted in 0_u32..200) {
            let mut index = Index::new();
            let mut linear = None;
            let mut at = 0;
            for step in steps {
                at += step;
                let entry = OffsetEntry { relative: at, position: at * 3 };
                index.push(entry);
                if at <= wanted {
                    linear = Some(entry);
                }
            }
            prop_assert_eq!(index.last_where(|entry| entry.relative <= wanted), linear);
            index.keep_while(|entry| entry.relative <= wanted);
            prop_assert_eq!(index.last(), linear);
        }
    }
}
