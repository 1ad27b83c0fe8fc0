//! Answers encoded by kafka-protocol, taken apart here.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use proptest::prelude::*;

use super::batches::{Aborted, decode};

const VALUE: &[u8] = b"2019-10-01 00:00:00 UTC,view,1,2,,,1.00,3,00000000-0000-0000-0000-000000000000";

/// A batch of so many records from an offset on.
fn batch(offset: i64, count: i64, producer_id: i64, kind: Kind) -> Vec<u8> {
    let record = |place: i64| Record {
        transactional: kind != Kind::Plain,
        control: matches!(kind, Kind::Abort | Kind::Commit),
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset: offset + place,
        sequence: i32::try_from(place).unwrap(),
        timestamp: 1_569_888_000_000 + place,
        key: match kind {
            Kind::Abort => Some(Bytes::from_static(&[0, 0, 0, 0])),
            Kind::Commit => Some(Bytes::from_static(&[0, 0, 0, 1])),
            _ => (place % 2 == 0).then(|| Bytes::from_static(b"key")),
        },
        value: (place % 5 != 4).then(|| Bytes::from_static(VALUE)),
        headers: (0..place % 3)
            .map(|header| (StrBytes::from_string(format!("h{header}")), Some(Bytes::from_static(b"x"))))
            .collect(),
    };
    let records: Vec<Record> = (0..count).map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.to_vec()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Transactional,
    Abort,
    Commit,
}

fn offsets(answer: Vec<u8>, from: i64, aborted: &[(i64, i64)]) -> (Vec<i64>, Option<i64>) {
    let aborted = aborted.iter().map(|&(producer_id, first_offset)| Aborted { producer_id, first_offset });
    let batches = decode(&answer.into(), from, aborted.collect()).unwrap();
    (batches.records.iter().map(|record| record.offset).collect(), batches.next_offset)
}

#[test]
fn what_was_aborted_is_left_away_and_nothing_else() {
    // Producer 1 aborts 0..2 and commits 6..8, while producer 2 commits 2..4; 10..11 belongs to nobody.
    let answer = [
        batch(0, 2, 1, Kind::Transactional),
        batch(2, 2, 2, Kind::Transactional),
        batch(4, 1, 1, Kind::Abort),
        batch(5, 1, 2, Kind::Commit),
        batch(6, 2, 1, Kind::Transactional),
        batch(8, 1, 1, Kind::Commit),
        batch(10, 1, -1, Kind::Plain),
    ]
    .concat();
    assert_eq!(offsets(answer.clone(), 0, &[(1, 0)]), (vec![2, 3, 6, 7, 10], Some(11)));
    assert_eq!(offsets(answer.clone(), 3, &[(1, 0)]).0, [3, 6, 7, 10], "an answer starts with a whole batch");
    assert_eq!(offsets(answer, 0, &[(1, 0), (2, 2)]).0, [6, 7, 10]);
}

#[test]
fn marks_of_transactions_alone_still_move_on() {
    assert_eq!(offsets(batch(7, 1, 1, Kind::Commit), 7, &[]), (vec![], Some(8)));
    assert_eq!(offsets(Vec::new(), 7, &[]), (vec![], None));
}

#[test]
fn values_are_given_as_they_were_sent() {
    let records = decode(&batch(0, 6, -1, Kind::Plain).into(), 0, Vec::new()).unwrap().records;
    let values: Vec<&[u8]> = records.iter().map(|record| record.value.as_ref()).collect();
    assert_eq!(values, [VALUE, VALUE, VALUE, VALUE, b"", VALUE]);
}

#[test]
fn an_answer_without_a_whole_batch_is_refused() {
    let whole = batch(0, 3, -1, Kind::Plain);
    let error = decode(&Bytes::copy_from_slice(&whole[..whole.len() - 1]), 0, Vec::new()).unwrap_err();
    assert!(error.contains("no whole batch"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whole_batches_are_read_wherever_the_answer_ends(
        counts in proptest::collection::vec(1_i64..20, 1..6),
        gap in 0_i64..5,
        from in 0_i64..40,
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut answer, mut ends, mut held) = (Vec::new(), vec![], vec![]);
        let mut offset = 0;
        for count in counts {
            answer.extend(batch(offset, count, -1, Kind::Plain));
            held.extend(offset..offset + count);
            offset += count;
            ends.push((answer.len(), offset));
            offset += gap;
        }
        let length = cut.index(answer.len() + 1);
        let Some(&(_, end)) = ends.iter().rfind(|&&(end, _)| end <= length) else { return Ok(()) };
        answer.truncate(length);
        let expected: Vec<i64> = held.into_iter().filter(|&held| (from..end).contains(&held)).collect();
        prop_assert_eq!(offsets(answer, from, &[]), (expected, Some(end.max(from))));
    }

    #[test]
    fn damage_is_an_error_or_a_shorter_answer_and_never_a_panic(
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        is_resealed in any::<bool>(),
    ) {
        let mut answer = [batch(0, 5, -1, Kind::Plain), batch(5, 5, -1, Kind::Plain)].concat();
        let at = at.index(answer.len());
        answer[at] ^= flip;
        if is_resealed {
            // With a checksum that fits, only what the records say is left to show the damage.
            let size = batch(0, 5, -1, Kind::Plain).len();
            let start = if at < size { 0 } else { size };
            let checksum = crc32c::crc32c(&answer[start + 21..start + size]);
            answer[start + 17..start + 21].copy_from_slice(&checksum.to_be_bytes());
        }
        let _ = decode(&answer.into(), 0, Vec::new());
    }
}
