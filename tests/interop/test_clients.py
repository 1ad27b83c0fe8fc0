"""librdkafka against `cartlog broker`, by way of confluent-kafka and kcat."""

import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from cartlog import Store, summary
from clients import kafkajs
from engine import Engine, read


def create(address, name, partitions, **settings):
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(name, partitions, 1, config=settings)]).values():
        future.result(10)


def produce(address, topic, values, **options):
    """Sends all values and waits until each is acknowledged."""
    failed = []
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, **options})
    for value in values:
        while True:
            try:
                producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    assert not failed, failed[:3]


def consume(address, topic, partitions, count):
    """The values of all partitions, from their start."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "interop", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    values = []
    while len(values) < count:
        messages = consumer.consume(min(10_000, count - len(values)), timeout=30)
        assert messages, f"only {len(values)} of {count} messages came"
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            values.append(message.value())
    consumer.close()
    return values


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("acks", ["all", "1"])
def test_confluent_kafka(compression, acks, broker):
    values = [f"{compression} {number}".encode() * 3 for number in range(5_000)]
    create(broker, "events", 3)
    produce(broker, "events", values, **{"compression.type": compression, "acks": acks})
    assert sorted(consume(broker, "events", 3, len(values))) == sorted(values)


def test_a_partition_keeps_the_order(broker):
    values = [str(number).encode() for number in range(20_000)]
    create(broker, "ordered", 1)
    produce(broker, "ordered", values)
    assert consume(broker, "ordered", 1, len(values)) == values


def test_offsets_and_watermarks(broker):
    create(broker, "marks", 1)
    produce(broker, "marks", [b"value"] * 100)
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "interop"})
    assert consumer.get_watermark_offsets(TopicPartition("marks", 0), timeout=10) == (0, 100)
    consumer.close()


def test_topics_are_listed_and_deleted(broker):
    admin = AdminClient({"bootstrap.servers": broker})
    create(broker, "short-lived", 5)
    assert len(admin.list_topics(timeout=10).topics["short-lived"].partitions) == 5
    for future in admin.delete_topics(["short-lived"]).values():
        future.result(10)
    assert "short-lived" not in admin.list_topics(timeout=10).topics


def test_kcat(broker):
    lines = "".join(f"line {number}\n" for number in range(1_000))
    subprocess.run(["kcat", "-b", broker, "-t", "kcat", "-P", "-p", "0", "-z", "lz4"], input=lines, text=True,
                   check=True, timeout=60)
    got = subprocess.run(["kcat", "-b", broker, "-t", "kcat", "-C", "-p", "0", "-o", "beginning", "-e", "-q"],
                         capture_output=True, text=True, check=True, timeout=60)
    assert got.stdout == lines
    listed = subprocess.run(["kcat", "-b", broker, "-L"], capture_output=True, text=True, check=True, timeout=60)
    assert 'topic "kcat" with 4 partitions' in listed.stdout


def test_rows_of_another_producer_are_ingested(broker, real_rows, tmp_path):
    """One row a record, as a plain producer sends them: CSV without a header, and JSON."""
    lines = real_rows.read_bytes().splitlines()[1:]
    create(broker, "csv-event-data", 4)
    produce(broker, "csv-event-data", lines)
    store = Store(tmp_path / "store")
    done = summary("ingest", "--brokers", broker, "--store", store.path)
    assert (done["rows_stored"], done["rows_rejected"]) == (17_434, 0)
    exported = store.export(tmp_path / "events.parquet")
    assert Engine(real_rows).differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)
    assert summary("ingest", "--brokers", broker, "--store", store.path)["rows_read"] == 0


def test_produce_to_a_broker_and_consume_with_librdkafka(broker, real_rows):
    produced = summary("produce", real_rows, "--brokers", broker, "--store", "unused", "--rows-per-record", 500,
                       "--partitions", 2)
    values = consume(broker, "csv-event-data", 2, produced["records_produced"])
    got = b"".join(value if value.endswith(b"\n") else value + b"\n" for value in values)
    assert sorted(got.splitlines()) == sorted(real_rows.read_bytes().splitlines()[1:])


def test_run_through_a_broker(broker, real_rows, tmp_path):
    store = Store.load(tmp_path / "store", real_rows, "--brokers", broker)
    assert store.counts() == (17_434, 17_434, 0, 0)
    exported = store.export(tmp_path / "events.parquet")
    assert Engine(real_rows).differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)


def test_platformatic(broker):
    """npm's @platformatic/kafka, which fetches by topic id in the versions that it speaks well: a group that resumes."""
    topic, program = "platformatic", Path(__file__).parent / "clients/platformatic.mjs"
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(10)

    def node(verb, *rest):
        done = subprocess.run(["node", program, kafkajs.MODULES, verb, broker, topic, *map(str, rest)],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr[-2000:]
        return [line.split() for line in done.stdout.splitlines()]

    node("produce", 300)
    first, rest = node("read", "group", 120), node("read", "group", 180)
    assert (len(first), len(rest)) == (120, 180)
    assert {value for _, _, value in first + rest} == {f"v{number}" for number in range(300)}
    places = {partition: [] for partition, _, _ in first + rest}
    for partition, offset, _ in first + rest:
        places[partition].append(int(offset))
    assert all(offsets == list(range(len(offsets))) for offsets in places.values())
