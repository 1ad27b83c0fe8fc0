"""Three brokers of Apache Kafka that ask for a login over TLS: a broker is lost between and during the steps of a load."""

import pytest

from cluster import apache_kafka_cluster
from conftest import HERE
from test_security import (  # noqa: F401
    MECHANISMS, SCRAM_USERS, USER, certificates, is_refused, key_store, login, run, with_login,
)
from test_store_kills import rows_of

ROWS = 40_000


@pytest.fixture(scope="module")
def cluster(certificates, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("secured-cluster")
    store = key_store(certificates, folder)
    with apache_kafka_cluster(
        HERE / ".work/kafka-jars", folder, lambda text: with_login(text, store, certificates),
        lambda address: not is_refused(login(address, ca=certificates)), SCRAM_USERS,
    ) as running:
        yield running


@pytest.mark.parametrize("mechanism", MECHANISMS[:2])
def test_a_load_past_a_lost_broker(mechanism, cluster, certificates, small_rows, tmp_path):  # noqa: F811
    topic = f"rows-{mechanism.lower()}"
    at = ["--brokers", cluster.brokers, "--tls-ca", certificates / "ca.pem", "--sasl", mechanism.lower(), "--username", USER]
    run("topics", "create", topic, "--partitions", 6, *at)
    lost = cluster.nodes[MECHANISMS.index(mechanism)]
    lost.kill()
    run("produce", small_rows, "--topic", topic, "--rows-per-record", 200, *at)
    for number in (1, 2):
        run("ingest", "--shard", f"{number}/2", "--store", tmp_path / f"{number}", "--topic", topic, *at)
    lost.start()
    shown = run("topics", "groups", "cartlog", *at)
    assert all(line.split()[4] == "0" for line in shown.splitlines() if topic in line), shown
    held = sum(rows_of(tmp_path / f"{number}") for number in (1, 2))
    assert held == ROWS
