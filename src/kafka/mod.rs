//! The Kafka client side: producing and consuming through rskafka with timeouts and retries.
