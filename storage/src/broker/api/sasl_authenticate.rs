//! `SaslAuthenticate`: the tokens of a login.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use kafka_protocol::messages::sasl_authenticate_response::SaslAuthenticateResponse;

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 36,
    name: "SaslAuthenticate",
    announced: (0, 2),
    least_implemented: 0,
    flexible_since: 2,
    flexible_response_header: true,
    shape: &[shape::bytes()],
    handle,
    unknown_version: refuse,
};

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: SaslAuthenticateRequest = request.decode()?;
    let Some(login) = request.login.clone() else {
        let response = SaslAuthenticateResponse::default()
            .with_error_code(ResponseError::IllegalSaslState.code())
            .with_error_message(Some(text("this broker asks for no login")));
        return request.respond(&response).map(Response::Ready);
    };
    let node = Arc::clone(node);
    // Alone: what the client sends behind its token is handled once it is known who it is.
    Ok(Response::Alone(Box::pin(async move {
        let response = match login.step(&node, message.auth_bytes.to_vec()).await {
            // A session has no end of its own: its lifetime stays 0.
            Ok(token) => SaslAuthenticateResponse::default().with_auth_bytes(token.into()),
            Err((error, told)) => {
                SaslAuthenticateResponse::default().with_error_code(error.code()).with_error_message(Some(text(told)))
            }
        };
        request.respond(&response)
    })))
}
