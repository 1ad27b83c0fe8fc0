//! What the APIs of groups have in common: texts of requests that outlive them, error codes, awaited answers.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::node::{Node, closed, text};
use crate::groups::{Answer, GroupError, Identity};

/// The protocol's code for an error of a group.
pub(super) fn error_code(error: &GroupError) -> ResponseError {
    match error {
        GroupError::InvalidGroupId { .. } => ResponseError::InvalidGroupId,
        GroupError::UnknownMember => ResponseError::UnknownMemberId,
        GroupError::MemberIdRequired(_) => ResponseError::MemberIdRequired,
        GroupError::FencedInstance => ResponseError::FencedInstanceId,
        GroupError::IllegalGeneration { .. } => ResponseError::IllegalGeneration,
        GroupError::RebalanceInProgress => ResponseError::RebalanceInProgress,
        GroupError::InconsistentProtocol => ResponseError::InconsistentGroupProtocol,
        GroupError::InvalidSessionTimeout { .. } => ResponseError::InvalidSessionTimeout,
        GroupError::GroupFull(_) => ResponseError::GroupMaxSizeReached,
        GroupError::GroupNotFound(_) => ResponseError::GroupIdNotFound,
        GroupError::NotEmpty => ResponseError::NonEmptyGroup,
        GroupError::SubscribedToTopic => ResponseError::GroupSubscribedToTopic,
        GroupError::OffsetMetadataTooLarge { .. } => ResponseError::OffsetMetadataTooLarge,
        GroupError::UnknownPartition => ResponseError::UnknownTopicOrPartition,
        GroupError::Limit { .. } => ResponseError::PolicyViolation,
        // Clients try again after these two, as they do when Kafka's own offsets topic can't be written.
        GroupError::NotAvailable | GroupError::Storage(_) => ResponseError::CoordinatorNotAvailable,
    }
}

/// The code of a result; 0 if it is good.
pub(super) fn code_of<T>(result: &Result<T, GroupError>) -> i16 {
    result.as_ref().err().map_or(0, |error| error_code(error).code())
}

/// A copy: a slice of the request would keep all its bytes.
pub(super) fn owned(text: &StrBytes) -> Arc<str> {
    Arc::from(text.as_str())
}

/// A text for a protocol message.
pub(super) fn shared(shared: &str) -> StrBytes {
    text(shared)
}

/// Who a request says that it is from.
pub(super) fn identity(member_id: &StrBytes, instance_id: Option<&StrBytes>) -> Identity {
    Identity { member_id: owned(member_id), instance_id: instance_id.map(owned) }
}

/// Awaits an answer. At a shutdown, or when the coordinator has gone, the client is told to ask again.
pub(super) async fn awaited<T>(node: &Node, answer: Answer<T>) -> Result<T, GroupError> {
    let mut closing = node.closing.clone();
    tokio::select! {
        biased;
        answer = answer => answer.unwrap_or(Err(GroupError::NotAvailable)),
        () = closed(&mut closing) => Err(GroupError::NotAvailable),
    }
}
