//! The log served over the Kafka protocol.
