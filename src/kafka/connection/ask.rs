//! What is asked of brokers: one line a request, with the versions spoken and the outline of its answer.
//!
//! The versions are old enough for every broker of the last years and still offered by Kafka 4 (KIP-896); only where a
//! newer version tells more is a range given.

use cartlog_storage::broker::shape::{Part, bytes, fixed, nested, structs, text, texts, values};
use kafka_protocol::messages::{
    ApiVersionsRequest, ConsumerGroupDescribeRequest, CreateTopicsRequest, DescribeConfigsRequest,
    DescribeGroupsRequest, DescribeLogDirsRequest, FetchRequest, FindCoordinatorRequest,
    IncrementalAlterConfigsRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::Request;

/// A request, and what its answer looks like.
pub(in crate::kafka) trait Ask: Request {
    /// What it asks for, for messages: a verb and its object.
    const WHAT: &'static str;
    /// The versions that are spoken.
    const SPOKEN: (i16, i16);
    /// The first version with compact encodings and tagged fields.
    const FLEXIBLE_SINCE: i16 = i16::MAX;
    /// The outline of its answer.
    const ANSWER: &'static [Part];
}

impl Ask for ApiVersionsRequest {
    const WHAT: &'static str = "asking what is offered";
    const SPOKEN: (i16, i16) = (0, 0);
    const ANSWER: &'static [Part] = &[fixed(2), structs(&[fixed(2), fixed(2), fixed(2)])];
}

impl Ask for SaslHandshakeRequest {
    const WHAT: &'static str = "choosing a login";
    const SPOKEN: (i16, i16) = (1, 1);
    const ANSWER: &'static [Part] = &[fixed(2), texts()];
}

impl Ask for SaslAuthenticateRequest {
    const WHAT: &'static str = "logging in";
    const SPOKEN: (i16, i16) = (0, 0);
    const ANSWER: &'static [Part] = &[fixed(2), text(), bytes()];
}

impl Ask for MetadataRequest {
    const WHAT: &'static str = "asking for topics and brokers";
    // From version 10 on the ids of topics are told.
    const SPOKEN: (i16, i16) = (4, 10);
    const FLEXIBLE_SINCE: i16 = 9;
    const ANSWER: &'static [Part] = &[
        fixed(4),
        structs(&[fixed(4), text(), fixed(4), text()]),
        text(),
        fixed(4),
        structs(&[
            fixed(2),
            text(),
            fixed(16).since(10),
            fixed(1),
            structs(&[fixed(2), fixed(4), fixed(4), fixed(4).since(7), values(4), values(4), values(4).since(5)]),
            fixed(4).since(8),
        ]),
        fixed(4).since(8),
    ];
}

impl Ask for ListOffsetsRequest {
    const WHAT: &'static str = "asking for the offsets of partitions";
    // From version 2 on it can be asked what is behind the last transaction that is over.
    const SPOKEN: (i16, i16) = (2, 2);
    const ANSWER: &'static [Part] = &[fixed(4), structs(&[text(), structs(&[fixed(4), fixed(2), fixed(8), fixed(8)])])];
}

impl Ask for FetchRequest {
    const WHAT: &'static str = "fetching records";
    // From version 10 on records compressed by zstd are given.
    const SPOKEN: (i16, i16) = (4, 11);
    const ANSWER: &'static [Part] = &[
        fixed(4),
        fixed(2).since(7),
        fixed(4).since(7),
        structs(&[
            text(),
            structs(&[
                fixed(4),
                fixed(2),
                fixed(8),
                fixed(8),
                fixed(8).since(5),
                structs(&[fixed(8), fixed(8)]),
                fixed(4).since(11),
                bytes(),
            ]),
        ]),
    ];
}

impl Ask for ProduceRequest {
    const WHAT: &'static str = "producing records";
    // Version 3 is the first with record batches, 7 the first with those that are compressed by zstd.
    const SPOKEN: (i16, i16) = (3, 7);
    const ANSWER: &'static [Part] =
        &[structs(&[text(), structs(&[fixed(4), fixed(2), fixed(8), fixed(8), fixed(8).since(5)])]), fixed(4)];
}

impl Ask for DescribeLogDirsRequest {
    const WHAT: &'static str = "asking for the sizes of partitions";
    const SPOKEN: (i16, i16) = (1, 1);
    const ANSWER: &'static [Part] = &[
        fixed(4),
        structs(&[fixed(2), text(), structs(&[text(), structs(&[fixed(4), fixed(8), fixed(8), fixed(1)])])]),
    ];
}

impl Ask for DescribeConfigsRequest {
    const WHAT: &'static str = "asking for the settings of a topic";
    const SPOKEN: (i16, i16) = (1, 1);
    const ANSWER: &'static [Part] = &[
        fixed(4),
        structs(&[
            fixed(2),
            text(),
            fixed(1),
            text(),
            structs(&[text(), text(), fixed(1), fixed(1), fixed(1), structs(&[text(), text(), fixed(1)])]),
        ]),
    ];
}

impl Ask for IncrementalAlterConfigsRequest {
    const WHAT: &'static str = "changing the settings of a topic";
    const SPOKEN: (i16, i16) = (0, 0);
    const ANSWER: &'static [Part] = &[fixed(4), structs(&[fixed(2), text(), fixed(1), text()])];
}

impl Ask for CreateTopicsRequest {
    const WHAT: &'static str = "creating a topic";
    const SPOKEN: (i16, i16) = (4, 4);
    const ANSWER: &'static [Part] = &[fixed(4), structs(&[text(), fixed(2), text()])];
}

impl Ask for ListGroupsRequest {
    const WHAT: &'static str = "listing the groups";
    // From version 4 on states are told, from 5 on types.
    const SPOKEN: (i16, i16) = (1, 5);
    const FLEXIBLE_SINCE: i16 = 3;
    const ANSWER: &'static [Part] = &[fixed(4), fixed(2), structs(&[text(), text(), text().since(4), text().since(5)])];
}

impl Ask for DescribeGroupsRequest {
    const WHAT: &'static str = "asking for the members of groups";
    const SPOKEN: (i16, i16) = (1, 1);
    const ANSWER: &'static [Part] = &[
        fixed(4),
        structs(&[fixed(2), text(), text(), text(), text(), structs(&[text(), text(), text(), bytes(), bytes()])]),
    ];
}

impl Ask for ConsumerGroupDescribeRequest {
    const WHAT: &'static str = "asking for the members of groups";
    const SPOKEN: (i16, i16) = (0, 0);
    const FLEXIBLE_SINCE: i16 = 0;
    const ANSWER: &'static [Part] = {
        const ASSIGNMENT: &[Part] = &[structs(&[fixed(16), text(), values(4)])];
        &[
            fixed(4),
            structs(&[
                fixed(2),
                text(),
                text(),
                text(),
                fixed(4),
                fixed(4),
                text(),
                structs(&[
                    text(),
                    text(),
                    text(),
                    fixed(4),
                    text(),
                    text(),
                    texts(),
                    text(),
                    nested(ASSIGNMENT),
                    nested(ASSIGNMENT),
                ]),
                fixed(4),
            ]),
        ]
    };
}

impl Ask for FindCoordinatorRequest {
    const WHAT: &'static str = "asking who coordinates a group";
    const SPOKEN: (i16, i16) = (1, 2);
    const ANSWER: &'static [Part] = &[fixed(4), fixed(2), text(), fixed(4), text(), fixed(4)];
}

impl Ask for OffsetCommitRequest {
    const WHAT: &'static str = "committing the offsets of a group";
    const SPOKEN: (i16, i16) = (2, 2);
    const ANSWER: &'static [Part] = &[structs(&[text(), structs(&[fixed(4), fixed(2)])])];
}

impl Ask for OffsetFetchRequest {
    const WHAT: &'static str = "asking for committed offsets";
    const SPOKEN: (i16, i16) = (2, 2);
    const ANSWER: &'static [Part] = &[structs(&[text(), structs(&[fixed(4), fixed(8), text(), fixed(2)])]), fixed(2)];
}
