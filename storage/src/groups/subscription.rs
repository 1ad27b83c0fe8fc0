//! What a consumer's join metadata says of its topics.
//!
//! A group's protocol is opaque to its coordinator, with one exception: the offsets of topics that a consumer group
//! reads are kept while it does, so their names are looked up in the `ConsumerProtocolSubscription` of Kafka's clients:
//! a version (16 bits) and an array of topic names.

use std::collections::BTreeSet;

/// Adds the topics of one member to `topics`; `None` if the metadata isn't that of a consumer.
pub(super) fn add_topics(metadata: &[u8], topics: &mut BTreeSet<String>) -> Option<()> {
    let (version, rest) = metadata.split_first_chunk()?;
    let (count, mut rest) = rest.split_first_chunk()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    for _ in 0..i32::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        let (name, after) = after.split_at_checked(usize::try_from(i16::from_be_bytes(*length)).ok()?)?;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
        rest = after;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_refuses_other_bytes() {
        let mut topics = BTreeSet::new();
        let metadata = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        assert_eq!(add_topics(metadata, &mut topics), Some(()));
        assert_eq!(topics, BTreeSet::from(["a".to_owned(), "bc".to_owned()]));
        for length in 0..13 {
            assert_eq!(add_topics(&metadata[..length], &mut BTreeSet::new()), None, "{length}");
        }
        assert_eq!(add_topics(b"\0\0\x7f\xff\xff\xff\0\x01a", &mut BTreeSet::new()), None);
        assert_eq!(add_topics(b"\xff\xff\0\0\0\0", &mut BTreeSet::new()), None);
    }
}
