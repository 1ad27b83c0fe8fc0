//! `DescribeCluster`: the one broker there is (KIP-700).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};

use super::{Api, refuse};
use crate::broker::error::ProtocolError;
use crate::broker::node::{NODE_ID, Node, text};
use crate::broker::session::{Body, Request, Response};
use crate::broker::shape;

pub(super) static API: Api = Api {
    key: 60,
    name: "DescribeCluster",
    announced: (0, 1),
    least_implemented: 0,
    flexible_since: 0,
    flexible_response_header: true,
    shape: &[shape::fixed(1), shape::fixed(1).since(1)],
    handle,
    unknown_version: refuse,
};

/// The endpoints of brokers, as opposed to those of controllers.
const BROKERS: i8 = 1;

/// What may be done with the cluster, as bits: create (5), alter (7), describe, cluster actions, describe and alter settings,
/// write idempotently (12).
pub(super) const OF_CLUSTER: i32 = 0b1_1111_1010_0000;

fn handle(node: &Arc<Node>, mut request: Request) -> Result<Response<Body>, ProtocolError> {
    let message: DescribeClusterRequest = request.decode()?;
    let response = DescribeClusterResponse::default().with_cluster_id(text(node.log.cluster_id()));
    let response = if message.include_cluster_authorized_operations {
        response.with_cluster_authorized_operations(OF_CLUSTER)
    } else {
        response
    };
    let response = if message.endpoint_type == BROKERS {
        let broker = DescribeClusterBroker::default().with_broker_id(NODE_ID);
        response
            .with_controller_id(NODE_ID)
            .with_brokers(vec![broker.with_host(node.host.clone()).with_port(node.port)])
    } else {
        response
            .with_error_code(ResponseError::UnsupportedEndpointType.code())
            .with_error_message(Some(text("this broker has endpoints of brokers only")))
    };
    request.respond(&response).map(Response::Ready)
}
