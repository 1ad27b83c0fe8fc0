"""librdkafka, by way of confluent-kafka."""

import sys
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

NAME = "confluent-kafka"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce(address, topic, values, compression="none", idempotent=False, **options):
    failed = []
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, "compression.type": compression,
                         "enable.idempotence": idempotent, **options})
    for value in values:
        while True:
            try:
                producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    assert not failed, failed[:3]


def consumer(address, **options):
    return Consumer({"bootstrap.servers": address, "group.id": "interop", "enable.auto.commit": False,
                     "auto.offset.reset": "earliest", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                     **options})


def read(address, topic, partitions, count):
    reader = consumer(address)
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    got = []
    while len(got) < count:
        messages = reader.consume(min(10_000, count - len(got)), timeout=30)
        assert messages, f"only {len(got)} of {count} records came"
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            got.append((message.partition(), message.offset(), message.value()))
    reader.close()
    return got


def offset_at(address, topic, time_ms):
    reader = consumer(address)
    [found] = reader.offsets_for_times([TopicPartition(topic, 0, time_ms)], timeout=20)
    # -1 stands for the end.
    offset = found.offset if found.offset >= 0 else reader.get_watermark_offsets(found, timeout=20)[1]
    reader.close()
    return offset


def transaction(address):
    Producer({"bootstrap.servers": address, "transactional.id": "shop"}).init_transactions(15)


def member(address, topic, group):
    return [sys.executable, Path(__file__).parent / "member.py", "confluent", address, topic, group]
