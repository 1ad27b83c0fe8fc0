"""Where a store reads on: behind lost records, aborted transactions, compaction, and a topic made anew."""

from types import SimpleNamespace

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from cartlog import Store, refusal, summary
from engine import Engine, read
from test_clients import create, produce


@pytest.fixture(params=["cartlog", "apache"])
def server(request):
    fixture = {"cartlog": "cartlog_server", "apache": "apache_kafka"}[request.param]
    return SimpleNamespace(name=request.param, address=request.getfixturevalue(fixture))


@pytest.fixture
def rows(real_rows):
    """The header line, and 4,000 real rows."""
    header, *lines = real_rows.read_bytes().splitlines()[:4_001]
    return header, lines


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


def test_records_lost_to_retention(server, topic, rows, tmp_path):
    header, lines = rows
    create(server.address, topic, 1)
    words = ["--brokers", server.address, "--topic", topic, "--store", tmp_path / "store"]
    produce(server.address, topic, lines[:1_000])
    assert summary("ingest", *words)["rows_stored"] == 1_000
    produce(server.address, topic, lines[1_000:3_000])
    delete_records(server.address, topic, 1_700)

    said = refusal("ingest", *words)
    assert f"{topic}/0" in said and "1000..1700" in said and "--skip-lost" in said, said
    assert summary("verify", "--store", tmp_path / "store")["rows"] == 1_000
    done = summary("ingest", *words, "--skip-lost")
    assert (done["rows_stored"], done["records"], done["records_lost"]) == (1_300, 1_300, 700)
    assert summary("ingest", *words, "--skip-lost")["records_lost"] == 0
    holds(Store(tmp_path / "store"), header, lines[:1_000] + lines[1_700:3_000], tmp_path)


def test_all_is_lost(server, topic, rows, tmp_path):
    header, lines = rows
    create(server.address, topic, 1)
    words = ["--brokers", server.address, "--topic", topic, "--store", tmp_path / "store"]
    produce(server.address, topic, lines[:100])
    assert summary("ingest", *words)["rows_stored"] == 100
    produce(server.address, topic, lines[100:200])
    delete_records(server.address, topic, 200)
    done = summary("ingest", *words, "--skip-lost")
    assert (done["rows_read"], done["records_lost"]) == (0, 100)
    produce(server.address, topic, lines[200:300])
    assert summary("ingest", *words)["rows_stored"] == 100
    holds(Store(tmp_path / "store"), header, lines[:100] + lines[200:300], tmp_path)
