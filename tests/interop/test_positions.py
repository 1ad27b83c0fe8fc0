"""Where a store reads on: behind lost records, aborted transactions, compaction, and a topic made anew."""

import json
import subprocess
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from cartlog import BINARY, Store, environment, refusal, summary
from engine import Engine, read
from test_clients import create, produce


@pytest.fixture
def rows(real_rows):
    """The header line, and 4,000 real rows."""
    header, *lines = real_rows.read_bytes().splitlines()[:4_001]
    return header, lines


def start(*words):
    return subprocess.Popen([BINARY, *map(str, words)], stdout=subprocess.PIPE, env=environment())


def holds(store, header, lines, folder):
    """Whether the store has exactly these rows."""
    expected = folder / "expected.csv"
    expected.write_bytes(b"\n".join([header, *lines]) + b"\n")
    exported = store.export(folder / "events.parquet")
    assert Engine(expected).differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)


def delete_records(address, topic, before):
    """Removes the records of a topic's first partition before an offset, as its retention does."""
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.delete_records([TopicPartition(topic, 0, before)]).values():
        future.result(20)


def test_records_lost_to_retention(brokers, topic, rows, tmp_path):
    header, lines = rows
    create(brokers, topic, 1)
    words = ["--brokers", brokers, "--topic", topic, "--store", tmp_path / "store"]
    produce(brokers, topic, lines[:1_000])
    assert summary("ingest", *words)["rows_stored"] == 1_000
    produce(brokers, topic, lines[1_000:3_000])
    delete_records(brokers, topic, 1_700)

    said = refusal("ingest", *words)
    assert f"{topic}/0" in said and "1000..1700" in said and "--skip-lost" in said, said
    assert summary("verify", "--store", tmp_path / "store")["rows"] == 1_000
    done = summary("ingest", *words, "--skip-lost")
    assert (done["rows_stored"], done["records"], done["records_lost"]) == (1_300, 1_300, 700)
    assert summary("ingest", *words, "--skip-lost")["records_lost"] == 0
    holds(Store(tmp_path / "store"), header, lines[:1_000] + lines[1_700:3_000], tmp_path)


def test_all_is_lost(brokers, topic, rows, tmp_path):
    header, lines = rows
    create(brokers, topic, 1)
    words = ["--brokers", brokers, "--topic", topic, "--store", tmp_path / "store"]
    produce(brokers, topic, lines[:100])
    assert summary("ingest", *words)["rows_stored"] == 100
    produce(brokers, topic, lines[100:200])
    delete_records(brokers, topic, 200)
    done = summary("ingest", *words, "--skip-lost")
    assert (done["rows_read"], done["records_lost"]) == (0, 100)
    produce(brokers, topic, lines[200:300])
    assert summary("ingest", *words)["rows_stored"] == 100
    holds(Store(tmp_path / "store"), header, lines[:100] + lines[200:300], tmp_path)


def transactions(address, name):
    producer = Producer({"bootstrap.servers": address, "transactional.id": name, "linger.ms": 5})
    producer.init_transactions(30)
    return producer


def send(producer, topic, lines):
    producer.begin_transaction()
    for line in lines:
        producer.produce(topic, line)
    assert producer.flush(30) == 0


def test_aborted_transactions_are_not_stored(apache_kafka, topic, rows, tmp_path):
    header, lines = rows
    create(apache_kafka, topic, 1)
    words = ["--brokers", apache_kafka, "--topic", topic, "--store", tmp_path / "store"]
    shop, cart = transactions(apache_kafka, f"{topic}-shop"), transactions(apache_kafka, f"{topic}-cart")

    # Two transactions at once, of which one is taken back; then rows of nobody's transaction.
    send(shop, topic, lines[:300])
    send(cart, topic, lines[300:500])
    shop.abort_transaction(30)
    cart.commit_transaction(30)
    send(shop, topic, lines[500:900])
    shop.commit_transaction(30)
    produce(apache_kafka, topic, lines[900:1_000])
    done = summary("ingest", *words)
    assert (done["records"], done["rows_stored"], done["records_lost"]) == (700, 700, 0)

    # Behind an open transaction nothing is read, and an ingest that doesn't follow doesn't wait for it.
    send(cart, topic, lines[1_000:1_100])
    produce(apache_kafka, topic, lines[1_100:1_200])
    assert summary("ingest", *words, timeout=60)["records"] == 0
    cart.commit_transaction(30)
    assert summary("ingest", *words)["rows_stored"] == 200
    # Nothing but the marks of an aborted transaction and what it had sent.
    send(shop, topic, lines[1_200:1_300])
    shop.abort_transaction(30)
    assert summary("ingest", *words)["records"] == 0
    holds(Store(tmp_path / "store"), header, lines[300:1_200], tmp_path)


def test_a_load_goes_through_a_topic_with_transactions(apache_kafka, topic, real_rows, rows, tmp_path):
    """The load produces behind what others have sent and taken back, and fills the store from both."""
    _, lines = rows
    create(apache_kafka, topic, 1)
    shop = transactions(apache_kafka, f"{topic}-shop")
    send(shop, topic, lines[:100])
    shop.abort_transaction(30)
    words = ["--brokers", apache_kafka, "--topic", topic]
    store = Store.load(tmp_path / "store", real_rows, *words)
    assert store.counts() == (17_434, 17_434, 0, 0)
    assert summary("ingest", *words, "--store", store.path)["records"] == 0
    exported = store.export(tmp_path / "events.parquet")
    assert Engine(real_rows).differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)


def produce_keyed(address, topic, lines, keys):
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0, "batch.num.messages": 50})
    for number, line in enumerate(lines):
        producer.produce(topic, line, key=str(number % keys))
        if number % 50 == 49:
            assert producer.flush(30) == 0
    assert producer.flush(30) == 0


def held(address, topic):
    """The values in a topic's first partition, in order."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "interop", "enable.auto.commit": False,
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = []
    while (message := consumer.poll(10)) and not message.error():
        values.append(message.value())
    consumer.close()
    return values


def wait_for_compaction(address, topic, lines):
    """Closes segments with one more record each until the cleaner has been there."""
    for number, line in enumerate(lines):
        produce_keyed(address, topic, [line], keys=1)
        time.sleep(1.5)
        if len(held(address, topic)) < 2_000:
            return
        assert number < 60, "the topic wasn't compacted"


def test_what_compaction_leaves(apache_kafka, topic, rows, tmp_path):
    """Of 2,000 records under 500 keys the last of each is left in closed segments, behind gaps in the offsets."""
    header, lines = rows
    create(apache_kafka, topic, 1, **{
        "cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.001",
        "min.compaction.lag.ms": "0", "segment.ms": "1000",
    })
    produce_keyed(apache_kafka, topic, lines[:2_000], keys=500)
    # A record in a segment of its own closes the one before.
    wait_for_compaction(apache_kafka, topic, lines[2_000:])
    words = ["--brokers", apache_kafka, "--topic", topic, "--store", tmp_path / "store"]
    # The cleaner goes on by itself: what it may have removed meanwhile is of the same keys.
    before = held(apache_kafka, topic)
    done = summary("ingest", *words)
    after = held(apache_kafka, topic)
    assert len(after) <= done["records"] <= len(before) < 2_000
    assert summary("ingest", *words)["records"] == 0
    if before == after:
        holds(Store(tmp_path / "store"), header, before, tmp_path)


def test_a_topic_made_anew_is_another_one(brokers, topic, rows, tmp_path):
    header, lines = rows
    words = ["--brokers", brokers, "--topic", topic, "--store", tmp_path / "store"]
    create(brokers, topic, 1)
    produce(brokers, topic, lines[:100])
    assert summary("ingest", *words)["rows_stored"] == 100
    admin = AdminClient({"bootstrap.servers": brokers})
    for future in admin.delete_topics([topic], operation_timeout=30).values():
        future.result(30)
    gone = time.monotonic() + 30
    while topic in admin.list_topics(timeout=10).topics and time.monotonic() < gone:
        time.sleep(0.1)
    create(brokers, topic, 1)
    # More than before: by the offsets alone the first hundred would be taken for those that were read.
    produce(brokers, topic, lines[100:300])
    assert summary("ingest", *words)["rows_stored"] == 200
    holds(Store(tmp_path / "store"), header, lines[:300], tmp_path)


def test_shards_share_a_topic(brokers, topic, real_rows, tmp_path):
    """Three ingests at once read each partition once; their stores together hold what one load does."""
    words = ["--brokers", brokers, "--topic", topic]
    summary("produce", real_rows, *words, "--partitions", 5, "--store", tmp_path / "producer", "--rows-per-record", 500)
    shares = [["--shard", "1/2"], ["--partitions", "1"], ["--partitions", "3-3"]]
    running = [start("ingest", *words, *share, "--store", tmp_path / f"{number}", "--json")
               for number, share in enumerate(shares)]
    done = [json.loads(each.communicate(timeout=120)[0]) for each in running]
    assert [each.returncode for each in running] == [0, 0, 0]
    assert sum(each["rows_stored"] for each in done) == 17_434 and all(each["rows_stored"] for each in done)

    together, header = [], None
    for number in range(3):
        lines = Store(tmp_path / f"{number}").export(tmp_path / f"{number}.csv").read_bytes().splitlines()
        header, together = lines[0], together + lines[1:]
    (tmp_path / "together.csv").write_bytes(b"\n".join([header, *together]) + b"\n")
    joined = Store.load(tmp_path / "joined", tmp_path / "together.csv").export(tmp_path / "joined.parquet")
    assert Engine(real_rows).differences(read(joined.read_bytes(), "parquet", None)) == (0, 0)

    # A store may take another share later: it knows how far it is in each partition.
    assert summary("ingest", *words, "--store", tmp_path / "0")["rows_stored"] == 17_434 - done[0]["rows_stored"]
    said = refusal("ingest", *words, "--store", tmp_path / "0", "--partitions", "4-5")
    assert "no partition 5" in said and "0-4" in said, said
    said = refusal("ingest", *words, "--store", tmp_path / "0", "--shard", "6/6")
    assert "6/6" in said, said
