"""Three brokers of Apache Kafka, lost one after the other under load: the stores together hold every row once.

Two producers write a file each into a topic of six partitions with three copies, of which two must have a record before it is
acknowledged; two ingests read a shard each into a store of their own. Meanwhile broker after broker is killed with `kill -9` and started
again, or stopped and started as an operator does who restarts a cluster. A million rows, twenty million with --long; CARTLOG_CLUSTER_ROWS
is the number.
"""

import json
import os
import random
import signal
import subprocess
import threading
import time

import pyarrow as pa
import pyarrow.parquet
import pytest

from cartlog import BINARY, Store, analyses, cartlog, environment, summary
from cluster import apache_kafka_cluster
from conftest import HERE, LONG
from engine import Engine
from test_store_kills import rows_of

ROWS = int(os.environ.get("CARTLOG_CLUSTER_ROWS", 20_000_000 if LONG else 1_000_000))
JARS = HERE / ".work/kafka-jars"
PARTITIONS = 6
# Small records, so that the load lasts through several losses.
WORDS = ["--rows-per-record", 500 if ROWS <= 1_000_000 else 5000]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with apache_kafka_cluster(JARS, tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Two files of rows, one for each producer."""
    folder = tmp_path_factory.mktemp("halves")
    paths = [folder / "first.csv", folder / "second.csv"]
    for seed, path in enumerate(paths, 21):
        cartlog("generate", "--events", ROWS // 2, "--seed", seed, "--out", path)
    return paths


@pytest.fixture(scope="module")
def direct(halves, tmp_path_factory):
    """The same files, loaded without anything in between."""
    return Store.load(tmp_path_factory.mktemp("direct") / "store", *halves, "--no-log")


def start(*words):
    return subprocess.Popen([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=environment())


class Trouble(threading.Thread):
    """Takes a broker away and gives it back, one after the other, until it is stopped."""

    def __init__(self, cluster, take, seed):
        super().__init__(daemon=True)
        self.cluster, self.take, self.random = cluster, take, random.Random(seed)
        self.stopping, self.times = threading.Event(), 0

    def run(self):
        order = list(self.cluster.nodes)
        while not self.stopping.wait(self.random.uniform(1, 3)):
            node = order[self.times % len(order)]
            self.take(node)
            self.times += 1
            self.stopping.wait(self.random.uniform(0, 4))
            node.start()
            # The next one goes only when this one has all copies again: a second loss beside it may stop the cluster, and
            # should, because two of three copies have to be there. Before it is up, the others may not know that it was away.
            node.wait()
            self.wait_for_copies()

    def wait_for_copies(self, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            shown = subprocess.run([BINARY, "topics", "describe", self.topic, "--json", "--brokers", self.cluster.brokers],
                                   capture_output=True, env=environment())
            if shown.returncode == 0:
                partitions = json.loads(shown.stdout)["partitions"]
                if all(len(partition["in_sync"]) == 3 for partition in partitions):
                    return
            time.sleep(0.2)
        raise AssertionError(f"the copies were not complete after {seconds} s: {shown}")


def run_load(cluster, topic, files, folder, take, at_least):
    """Two producers and two ingests through all losses; gives the stores."""
    at = ["--brokers", cluster.brokers, "--topic", topic]
    cartlog("topics", "create", topic, "--partitions", PARTITIONS, "--brokers", cluster.brokers)
    stores = [folder / "one", folder / "two"]
    ingests = [start("ingest", "--follow", "--shard", f"{number}/2", "--store", store, "--quiet", *at)
               for number, store in enumerate(stores, 1)]
    producers = [start("produce", path, "--json", *WORDS, *at) for path in files]
    trouble = Trouble(cluster, take, int(os.environ.get("CARTLOG_SEED", 7)))
    trouble.topic = topic
    trouble.start()
    try:
        for producer in producers:
            told, complaint = producer.communicate(timeout=1200)
            assert producer.returncode == 0, complaint
            print(json.loads(told)["seconds"], complaint)
        while trouble.times < at_least and trouble.is_alive():
            time.sleep(0.1)
        trouble.stopping.set()
        trouble.join(120)
        assert trouble.times >= at_least, trouble.times
        end = time.monotonic() + 300
        while (held := sum(map(rows_of, stores))) < ROWS:
            assert all(ingest.poll() is None for ingest in ingests), [ingest.communicate() for ingest in ingests]
            assert time.monotonic() < end, f"{held} of {ROWS} rows after five minutes"
            time.sleep(0.2)
        for ingest in ingests:
            ingest.send_signal(signal.SIGTERM)
            _, complaint = ingest.communicate(timeout=60)
            assert ingest.returncode == 0, complaint
    finally:
        trouble.stopping.set()
        for process in [*producers, *ingests]:
            if process.poll() is None:
                process.kill()
                process.wait()
    print(f"{trouble.times} losses")
    return [Store(store) for store in stores]


def compare(stores, halves, folder):
    """The stores together hold what the files hold, each row once; each store is sound and counts right."""
    parts = [pa.parquet.read_table(store.export(folder / f"{number}.parquet")) for number, store in enumerate(stores)]
    assert Engine(*halves).differences(pa.concat_tables(parts)) == (0, 0)
    for store in stores:
        held = json.loads(cartlog("inspect", "--json", "--store", store.path))
        held = held.get("store", held)
        assert held["rows_read"] == held["rows_stored"] + held["rows_rejected"] + held["rows_duplicate"], held
        assert held["rows_rejected"] == 0, held
        cartlog("verify", "--store", store.path)
    # Both shards have had their part, and a reader that comes now finds nothing that they have not.
    assert all(rows_of(store.path) > 0 for store in stores)


def test_brokers_killed(cluster, topic, halves, direct, tmp_path):
    stores = run_load(cluster, topic, halves, tmp_path, lambda node: node.kill(), 4)
    compare(stores, halves, tmp_path)
    # What has been committed is seen by Kafka's own tool, and nothing is behind.
    told = group_command(cluster, "--describe", "--group", "cartlog")
    rows = [line.split() for line in told.splitlines() if topic in line]
    assert len(rows) == PARTITIONS and all(row[5] == "0" for row in rows), told
    # The topic as a whole into one store: the copies that retries may have left are known as such.
    once = summary("ingest", "--store", tmp_path / "whole", "--brokers", cluster.brokers, "--topic", topic)
    assert once["rows_stored"] == ROWS, once
    for name in analyses():
        assert Store(tmp_path / "whole").analyze(name, "csv") == direct.analyze(name, "csv"), name


def test_rolling_restart(cluster, topic, halves, tmp_path):
    stores = run_load(cluster, topic, halves, tmp_path, lambda node: node.stop(), 3)
    compare(stores, halves, tmp_path)


def group_command(cluster, *words):
    java = ["java", "-Xmx256m", "-cp", f"{JARS}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    done = subprocess.run([*java, tool, "--bootstrap-server", cluster.brokers, *words], capture_output=True, text=True,
                          timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout
