//! `InitProducerId`: an id for an idempotent producer (KIP-98).
//!
//! Ids are random numbers of 63 bits: unlike a counter they need no file to stay unique over restarts, and two of a
//! million producers share one with a probability of one in ten million.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::Node;
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 22,
    name: "InitProducerId",
    announced: (0, 4),
    least_implemented: 0,
    flexible_since: 2,
    flexible_response_header: true,
    shape: &[shape::text(), shape::fixed(4), shape::fixed(8).since(3), shape::fixed(2).since(3)],
    handle,
    unknown_version: refuse,
};

fn handle(_: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: InitProducerIdRequest = request.decode()?;
    let blank = InitProducerIdResponse::default().with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
    let response = match message.transactional_id.as_ref().map(|id| id.as_str()) {
        // A producer that lost its place asks again and starts afresh with another id, as in Kafka.
        None => blank.with_producer_id(ProducerId(random_id())).with_producer_epoch(0),
        Some("") => blank.with_error_code(ResponseError::InvalidRequest.code()),
        // No transactions are offered; this is the error of Kafka that clients don't try again after.
        Some(_) => blank.with_error_code(ResponseError::TransactionalIdAuthorizationFailed.code()),
    };
    request.respond(&response).map(Response::Ready)
}

fn random_id() -> i64 {
    // Each state is keyed by the operating system's randomness.
    (RandomState::new().hash_one(std::time::SystemTime::now()) >> 1).cast_signed()
}
