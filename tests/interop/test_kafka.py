"""Apache Kafka itself in place of the embedded log."""

import os
import shutil
import subprocess

import pytest

from cartlog import Store, analyses, summary
from conftest import ROOT
from engine import Engine, read
from test_clients import consume, create, produce

def holds(store, engine, folder):
    exported = store.export(folder / "events.parquet")
    assert engine.differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)


def test_run(apache_kafka, topic, generated_rows, generated_store, tmp_path):
    words = ["--brokers", apache_kafka, "--topic", topic]
    store = Store.load(tmp_path / "store", generated_rows, *words)
    rows = generated_rows.read_bytes().count(b"\n") - 1
    assert store.counts() == (rows, rows, 0, 0)
    for name in analyses():
        assert store.analyze(name, "csv") == generated_store.analyze(name, "csv"), name
    assert store.again(generated_rows, *words).counts() == (rows, 0, 0, rows)
    holds(store, Engine(generated_rows), tmp_path)


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_produce_then_ingest(compression, apache_kafka, topic, real_rows, tmp_path):
    words = ["--brokers", apache_kafka, "--topic", topic, "--store", tmp_path / "store"]
    produced = summary("produce", real_rows, *words, "--log-compression", compression)
    assert produced["rows_read"] == 17_434
    done = summary("ingest", *words)
    assert (done["rows_read"], done["rows_stored"]) == (17_434, 17_434)
    holds(Store(tmp_path / "store"), Engine(real_rows), tmp_path)
    assert summary("ingest", *words)["rows_read"] == 0


def test_the_records_are_plain_to_others(apache_kafka, topic, real_rows, tmp_path):
    produced = summary("produce", real_rows, "--brokers", apache_kafka, "--topic", topic, "--partitions", 3,
                       "--store", tmp_path / "store")
    values = consume(apache_kafka, topic, 3, produced["records_produced"])
    got = b"".join(value if value.endswith(b"\n") else value + b"\n" for value in values)
    assert sorted(got.splitlines()) == sorted(real_rows.read_bytes().splitlines()[1:])


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_rows_of_another_producer(compression, apache_kafka, topic, real_rows, tmp_path):
    create(apache_kafka, topic, 2)
    produce(apache_kafka, topic, real_rows.read_bytes().splitlines()[1:], **{"compression.type": compression})
    store = Store(tmp_path / "store")
    done = summary("ingest", "--brokers", apache_kafka, "--topic", topic, "--store", store.path)
    assert (done["rows_stored"], done["rows_rejected"]) == (17_434, 0)
    holds(store, Engine(real_rows), tmp_path)


def test_topics(apache_kafka, topic, tmp_path):
    words = ["--brokers", apache_kafka, "--store", tmp_path / "store"]
    from cartlog import cartlog

    cartlog("topics", "create", topic, "--partitions", 7, *words)
    assert topic in cartlog("topics", "list", *words).decode()
    described = cartlog("topics", "describe", topic, *words).decode()
    assert described.count("\n") >= 8, described
    cartlog("topics", "delete", topic, *words)
    assert topic not in cartlog("topics", "list", *words).decode()


@pytest.mark.skipif(not shutil.which("cargo"), reason="needs cargo")
def test_the_rust_client_tests(apache_kafka):
    """The integration tests that want a real broker."""
    done = subprocess.run(
        # The whole workspace, as the gate has built it: for one crate alone, dependencies are built anew with fewer features.
        ["cargo", "test", "-q", "--workspace", "--locked", "--test", "main"], cwd=ROOT, capture_output=True, text=True, timeout=1200,
        env={**os.environ, "CARTLOG_TEST_BROKERS": apache_kafka},
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
