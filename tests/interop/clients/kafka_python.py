"""kafka-python, which speaks the protocol in Python alone."""

import sys
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

NAME = "kafka-python"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce(address, topic, values, compression="none", idempotent=False):
    kind = None if compression == "none" else compression
    with_retries = {"enable_idempotence": True} if idempotent else {"enable_idempotence": False}
    producer = KafkaProducer(bootstrap_servers=address, linger_ms=5, acks="all", compression_type=kind, **with_retries)
    sent = [producer.send(topic, value) for value in values]
    for future in sent:
        future.get(60)
    producer.close()


def read(address, topic, partitions, count):
    reader = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    reader.assign([TopicPartition(topic, partition) for partition in range(partitions)])
    reader.seek_to_beginning()
    got = []
    while len(got) < count:
        polled = reader.poll(30_000)
        assert polled, f"only {len(got)} of {count} records came"
        got += [(record.partition, record.offset, record.value) for records in polled.values() for record in records]
    reader.close()
    return got


def offset_at(address, topic, time_ms):
    reader = KafkaConsumer(bootstrap_servers=address)
    partition = TopicPartition(topic, 0)
    found = reader.offsets_for_times({partition: time_ms})[partition]
    offset = found.offset if found else reader.end_offsets([partition])[partition]
    reader.close()
    return offset


def transaction(address):
    producer = KafkaProducer(bootstrap_servers=address, transactional_id="shop", max_block_ms=15_000)
    try:
        producer.init_transactions()
    finally:
        producer.close(timeout=1)


def member(address, topic, group):
    return [sys.executable, Path(__file__).parent / "member.py", "kafka-python", address, topic, group]
