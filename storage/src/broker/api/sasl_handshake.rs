//! `SaslHandshake`: the client names the mechanism by which it logs in.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::sasl_handshake_request::SaslHandshakeRequest;
use kafka_protocol::messages::sasl_handshake_response::SaslHandshakeResponse;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;
use crate::security::Mechanism;

pub(super) static API: Api = Api {
    key: 17,
    name: "SaslHandshake",
    announced: (0, 1),
    least_implemented: 0,
    flexible_since: i16::MAX,
    flexible_response_header: true,
    shape: &[shape::text()],
    handle,
    unknown_version: refuse,
};

fn handle(_: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: SaslHandshakeRequest = request.decode()?;
    let response = SaslHandshakeResponse::default();
    let response = match &request.login {
        // What Kafka says where no login is asked for.
        None => response.with_error_code(ResponseError::IllegalSaslState.code()),
        Some(login) => {
            let begun = login.begin(&message.mechanism, request.version == 0);
            let offered = Mechanism::ALL.iter().map(|mechanism| text(mechanism.name())).collect();
            response.with_error_code(begun.err().map_or(0, |error| error.code())).with_mechanisms(offered)
        }
    };
    request.respond(&response).map(Response::Ready)
}
