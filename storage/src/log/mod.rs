//! Topics and partitions as record batches in Kafka's own file layout.
