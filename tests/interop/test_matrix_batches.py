"""Every client's batches, in every compression, read by every other client; and seeking by time."""

import pytest
from confluent_kafka import KafkaError, Producer

from clients import CLIENTS, EVERY_COMPRESSION
from conftest import TOPICS
from servers import offers
from test_clients import consume, create, produce

ROWS = 40
JOIN_GROUP, INIT_PRODUCER_ID = 11, 22


def named(clients):
    return pytest.mark.parametrize("client", clients, ids=lambda client: client.NAME)


def needs_groups(client, server):
    """kafkajs reads in groups alone, and Java's console consumer reads several partitions so."""
    if client.NAME in ("kafkajs", "java") and not offers(server.address, JOIN_GROUP):
        pytest.skip("this broker offers no groups")


@pytest.fixture(scope="module")
def mixed(server):
    """One partition into which every client wrote with every compression, half of them as idempotent producers."""
    topic, expected = next(TOPICS), []
    has_producer_ids = offers(server.address, INIT_PRODUCER_ID)
    create(server.address, topic, 1)
    for client in CLIENTS:
        for at, compression in enumerate(client.COMPRESSIONS):
            values = [f"{client.NAME} {compression} {number} {'x' * 100}".encode() for number in range(ROWS)]
            client.produce(server.address, topic, values, compression=compression,
                           idempotent=has_producer_ids and at % 2 == 1)
            expected += values
    return topic, [(0, offset, value) for offset, value in enumerate(expected)]


@named(CLIENTS)
def test_what_every_client_wrote_is_read(client, server, mixed):
    topic, expected = mixed
    needs_groups(client, server)
    assert len(expected) == sum(len(each.COMPRESSIONS) for each in CLIENTS) * ROWS
    assert client.read(server.address, topic, 1, len(expected)) == expected


@named(CLIENTS)
def test_several_partitions_are_read(client, server, topic):
    needs_groups(client, server)
    create(server.address, topic, 3)
    values = [f"{number}".encode() for number in range(300)]
    client.produce(server.address, topic, values)
    got = client.read(server.address, topic, 3, len(values))
    assert sorted(value for _, _, value in got) == sorted(values)
    for partition in range(3):
        offsets = [offset for at, offset, _ in got if at == partition]
        assert offsets == list(range(len(offsets)))


@pytest.fixture(scope="module")
def compressed_anew(server):
    """A topic for each compression that a topic may want, into which producers wrote with every other."""
    topics = {}
    for wanted in ["uncompressed", "gzip", "snappy", "lz4", "zstd"]:
        topic, expected = next(TOPICS), []
        create(server.address, topic, 1, **{"compression.type": wanted})
        for kind in EVERY_COMPRESSION:
            values = [f"{kind} {number} {'x' * 2000}".encode() for number in range(ROWS)]
            produce(server.address, topic, values, **{"compression.type": kind, "enable.idempotence": kind == "gzip"})
            expected += values
        topics[topic] = [(0, offset, value) for offset, value in enumerate(expected)]
    return topics


@named(CLIENTS)
def test_what_a_topic_compresses_anew_is_read(client, server, compressed_anew):
    needs_groups(client, server)
    for topic, expected in compressed_anew.items():
        assert client.read(server.address, topic, 1, len(expected)) == expected


def test_a_compacted_topic_takes_no_record_without_a_key(server, topic):
    """A batch with such a record is refused; its records say which of them was at fault."""
    create(server.address, topic, 1, **{"cleanup.policy": "compact"})
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 500, "compression.type": "zstd"})
    told = {}

    def send(key, value):
        producer.produce(topic, value, key=key, on_delivery=lambda error, message: told.update({message.value(): error}))

    for number in range(20):
        send(None if number in (3, 17) else b"key", f"refused {number}".encode())
    assert producer.flush(20) == 0
    assert {value: error.code() for value, error in told.items()} == {
        f"refused {number}".encode(): KafkaError.INVALID_RECORD if number in (3, 17) else KafkaError._INVALID_DIFFERENT_RECORD
        for number in range(20)
    }
    told.clear()
    send(b"key", b"taken")
    assert producer.flush(20) == 0
    assert told == {b"taken": None}
    assert consume(server.address, topic, 1, 1) == [b"taken"]


@pytest.fixture(scope="module")
def dated(server):
    """A partition whose record N is of second N, in batches of ten and every compression."""
    topic, start = next(TOPICS), 1_700_000_000_000
    create(server.address, topic, 1)
    for batch in range(50):
        kind = EVERY_COMPRESSION[batch % len(EVERY_COMPRESSION)]
        producer = Producer({"bootstrap.servers": server.address, "linger.ms": 100, "compression.type": kind})
        for number in range(batch * 10, batch * 10 + 10):
            producer.produce(topic, str(number).encode(), timestamp=start + number * 1000)
        assert producer.flush(20) == 0
    return topic, start


@named(CLIENTS)
def test_time_leads_to_offsets(client, server, dated):
    topic, start = dated
    # At a record, between two, the last of a batch, before all, and after all: there it goes on at the end.
    for second, offset in [(123, 123), (123.5, 124), (249, 249), (-10, 0), (1000, 500)]:
        assert client.offset_at(server.address, topic, int(start + second * 1000)) == offset, second


@named([client for client in CLIENTS if hasattr(client, "transaction")])
def test_a_transaction_is_refused_with_a_reason(client, server):
    if server.name == "apache":
        pytest.skip("Apache Kafka has transactions")
    if not offers(server.address, INIT_PRODUCER_ID):
        pytest.skip("this broker offers no producer ids, so that nobody comes as far as a transaction")
    with pytest.raises(Exception, match="(?i)transaction|not.?authorized|unsupported"):
        client.transaction(server.address)
