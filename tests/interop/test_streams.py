"""Kafka Streams, whose state lives in compacted topics that it makes for itself."""

import subprocess
import time
from collections import Counter
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from clients import java
from test_clients import create
from test_matrix_admin import topics

PROGRAM = Path(__file__).parent / "clients/Streams.java"
BRANDS = ["apple", "samsung", "", "nan", "xiaomi"]


def lines(count):
    return [f"2019-10-01 00:00:00 UTC,view,{number},1,,{BRANDS[number * number % 7 % 5]},1.0,1," for number in range(count)]


def produce(server, topic, rows):
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 5})
    for number, row in enumerate(rows):
        producer.produce(topic, row.encode(), partition=number % 2)
    assert producer.flush(20) == 0


def newest(server, topic):
    """The last value of each key."""
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "looks", "enable.auto.commit": False})
    partitions = [TopicPartition(topic, 0, 0)]
    end = consumer.get_watermark_offsets(partitions[0])[1]
    consumer.assign(partitions)
    values = {}
    for message in consumer.consume(end, 20) if end else []:
        values[message.key().decode()] = int(message.value())
    consumer.close()
    return values


def count_brands(server, name, source, target, folder, expected):
    """Runs the program until the counts are these, and stops it."""
    words = [*java.JAVA, PROGRAM, server.address, name, source, target, folder]
    running = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 60
        while (found := newest(server, target)) != expected:
            assert running.poll() is None and time.monotonic() < deadline, (found, expected, running.poll())
            time.sleep(0.2)
        said = running.communicate("\n", timeout=40)[0]
        assert running.returncode == 0, said
    finally:
        running.kill()


def test_counts_go_on_from_the_changelog(server, topic, tmp_path):
    """Two runs of one application, the second without what the first one kept on its own disk."""
    source, target, name = topic, f"{topic}-counts", f"app-{topic}"
    create(server.address, source, 2)
    create(server.address, target, 1)
    rows = lines(5_000)
    counted = lambda rows: dict(Counter(row.split(",")[5] for row in rows))
    produce(server, source, rows[:3_000])
    count_brands(server, name, source, target, tmp_path / "first", counted(rows[:3_000]))
    changelog = next(name for name in topics(server, "--list").split() if name.startswith(f"app-{topic}-") and "changelog" in name)
    assert "cleanup.policy=compact" in topics(server, "--describe", "--topic", changelog)
    produce(server, source, rows[3_000:])
    count_brands(server, name, source, target, tmp_path / "second", counted(rows))
