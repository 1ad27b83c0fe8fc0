"""Fixtures: the binary, rows to load, servers to talk to."""

import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import servers
from cartlog import BINARY, Store, cartlog

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SHARED = Path(os.environ.get("CARTLOG_SHARED", ROOT.parent / "shared"))
REAL_ROWS = SHARED / "data/real/2019-Oct-head.csv"
ROWS = int(os.environ.get("CARTLOG_ROWS", 1_000_000))
KILLS = int(os.environ.get("CARTLOG_KILLS", 6))
BROKER_KILLS = int(os.environ.get("CARTLOG_BROKER_KILLS", 10))
LONG = os.environ.get("CARTLOG_LONG") == "1"
# All of Spark's sessions share one virtual machine, whose jars are those that it was started with.
SPARK_JARS = ",".join(map(str, sorted((HERE / ".work/spark-jars").glob("*.jar"))))
os.environ["PYSPARK_SUBMIT_ARGS"] = f"--jars {SPARK_JARS} pyspark-shell"
TOPICS = (f"interop-{number}" for number in itertools.count())


@pytest.fixture(scope="session", autouse=True)
def binary():
    assert BINARY.exists(), f"{BINARY} is missing: cargo build --release, or set CARTLOG_BINARY"
    return BINARY


@pytest.fixture(scope="session")
def real_rows():
    if not REAL_ROWS.exists():
        pytest.skip(f"no real rows at {REAL_ROWS}; set CARTLOG_SHARED")
    return REAL_ROWS


@pytest.fixture(scope="session")
def generated_rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "generated.csv"
    cartlog("generate", "--events", ROWS, "--seed", 11, "--out", path)
    return path


@pytest.fixture(scope="session")
def small_rows(tmp_path_factory):
    """Rows of a small, sparse shop: many ties, and 40,000 of them."""
    path = tmp_path_factory.mktemp("rows") / "small.csv"
    cartlog("generate", "--events", 40_000, "--seed", 5, "--users", 700, "--products", 400, "--out", path)
    return path


@pytest.fixture(scope="session")
def real_store(real_rows, tmp_path_factory):
    return Store.load(tmp_path_factory.mktemp("real") / "store", real_rows)


@pytest.fixture(scope="session")
def generated_store(generated_rows, tmp_path_factory):
    return Store.load(tmp_path_factory.mktemp("generated") / "store", generated_rows)


@pytest.fixture(scope="session")
def small_store(small_rows, tmp_path_factory):
    return Store.load(tmp_path_factory.mktemp("small") / "store", small_rows)


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory):
    """The address of one node of Apache Kafka."""
    with servers.apache_kafka(HERE / ".work/kafka-jars", tmp_path_factory.mktemp("kafka")) as address:
        yield address


@pytest.fixture
def broker(tmp_path):
    """The address of a `cartlog broker`."""
    with servers.cartlog_broker(tmp_path / "broker") as address:
        yield address


@pytest.fixture(scope="session")
def cartlog_server(tmp_path_factory):
    """The address of one `cartlog broker` that many tests share, as the clients of a shop do."""
    with servers.cartlog_broker(tmp_path_factory.mktemp("shared") / "broker") as address:
        yield address


@pytest.fixture(scope="session", params=["cartlog", "apache"] if LONG else ["cartlog"])
def server(request):
    """The broker under test; the long form asks Apache Kafka the same, which shows that the test is right."""
    fixture = {"cartlog": "cartlog_server", "apache": "apache_kafka"}[request.param]
    return SimpleNamespace(name=request.param, address=request.getfixturevalue(fixture))


@pytest.fixture(params=["cartlog", "apache"])
def brokers(request):
    """The address of either kind of broker: what is tested must be true of both."""
    return request.getfixturevalue({"cartlog": "cartlog_server", "apache": "apache_kafka"}[request.param])


@pytest.fixture
def topic():
    """A name that no other test uses."""
    return next(TOPICS)
