"""What clients' authors ask of a broker: the suites of librdkafka and of kafka-python, as they are. Only in the long form: one compiles for minutes.

Left out of them is what this broker doesn't offer: transactions, share groups, access lists, settings of a running broker, compaction, a
second broker; and what the suite wants to start or to build itself (a broker with TLS, a client with OpenSSL)."""

import os
import re
import subprocess
import sys
import tarfile

import pytest

import servers
from conftest import HERE, LONG

pytestmark = pytest.mark.skipif(not LONG, reason="a long test: tests/interop/run --long")
WORK = HERE / ".work/suites"
# npm's package brings librdkafka's sources, its tests included.
LIBRDKAFKA = "@confluentinc/kafka-javascript@1.10.1"
KAFKA_PYTHON = "3.0.12"
# By their numbers: transactions and what reads them, share groups, access lists, a second broker, TLS, telemetry, Kafka's own scripts.
NOT_OFFERED = ["0098", "0103", "0129", *(f"01{number}" for number in range(70, 87)), "0190", "0077", "0109", "0115", "0119", "0101",
               "0126", "0142", "0153", "0097", "0064", "0052", "8000", "8001"]
# The parts of its test of administration that need none of that.
ADMINISTRATION = ["CreateTopics", "DeleteTopics", "CreatePartitions", "DescribeConfigs", "DeleteRecords", "ListConsumerGroups",
                  "DescribeConsumerGroups:", "DeleteGroups", "DeleteConsumerGroupOffsets", "ListOffsets", "AlterConsumerGroupOffsets"]
OF_OTHERS = ["acls", "create_partitions", "alter_replica_log_dirs", "metadata_quorum", "version_infer", "transactional", "ssl", "sasl"]


def run(*words, **options):
    done = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **options)
    return done.returncode, done.stdout


def needed(*words, **options):
    code, told = run(*words, **options)
    assert code == 0, told[-3000:]


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with servers.cartlog_broker(tmp_path_factory.mktemp("suites"), "--min-session-timeout", "1s") as address:
        yield address


@pytest.fixture(scope="module")
def librdkafka():
    """The folder of librdkafka's tests, with their program."""
    folder = WORK / "package/deps/librdkafka"
    if not (folder / "tests/test-runner").exists():
        WORK.mkdir(parents=True, exist_ok=True)
        needed("npm", "pack", "--silent", LIBRDKAFKA, cwd=WORK)
        with tarfile.open(next(WORK.glob("confluentinc-*.tgz"))) as package:
            package.extractall(WORK, filter="data")
        needed("sh", "./configure", "--disable-ssl", "--disable-gssapi", "--disable-curl", cwd=folder)
        needed("make", "-j2", "libs", cwd=folder)
        needed("make", "-j2", "-C", "tests", "build", cwd=folder)
    return folder / "tests"


def rdkafka(folder, address, **choice):
    (folder / "test.conf").write_text(f"bootstrap.servers={address}\n")
    environment = {**os.environ, "TEST_KAFKA_VERSION": "4.0.0", "LD_LIBRARY_PATH": "../src:../src-cpp", **choice}
    # Without those that need no broker, with fewer rounds, and one at a time: some measure how long things take.
    return run("./test-runner", "-L", "-Q", "-p1", cwd=folder, env=environment, timeout=1500)


def failures(told):
    """What went wrong, without what only says that something had."""
    return [failure for failure in re.findall(r'### Test "(.*?)" failed at (.*\n.*)', told) if failure[0] != "<MAIN>"]


def test_librdkafka_asks_of_a_broker(librdkafka, broker):
    code, told = rdkafka(librdkafka, broker, TESTS_SKIP=",".join([*NOT_OFFERED, "0081"]))
    assert told.count("PASSED") > 60, (code, told[-3000:])
    # Some of them guess how long a rebalance or a retry takes, and are wrong about that now and then: alone, they must pass.
    for name, reason in failures(told):
        print(f"{name}: {reason}")
        code, alone = rdkafka(librdkafka, broker, TESTS=name[:4])
        assert (code, failures(alone)) == (0, []), reason


def test_librdkafka_administers_a_broker(librdkafka, broker):
    for part in ADMINISTRATION:
        code, told = rdkafka(librdkafka, broker, TESTS="0081", SUBTESTS=f"do_test_{part}")
        assert (code, failures(told)) == (0, []), told[-3000:]
        assert "PASS" in told, part


def test_kafka_python_asks_of_a_broker(broker):
    folder = WORK / f"kafka_python-{KAFKA_PYTHON}"
    if not folder.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        source = f"kafka-python=={KAFKA_PYTHON}"
        needed(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-d", WORK, source)
        with tarfile.open(WORK / f"{folder.name}.tar.gz") as package:
            package.extractall(WORK, filter="data")
    # What the package leaves out of its tests: how they start a service, and that a service runs already.
    (folder / "test/__init__.py").touch()
    (folder / "test/service.py").write_text(
        "class ExternalService:\n    def __init__(self, host, port):\n        self.host, self.port = host, port\n\n"
        "    def open(self):\n        pass\n\n    close = open\n\n\nclass SpawnedService:\n    pass\n"
    )
    environment = {**os.environ, "KAFKA_URI": f"plaintext://{broker}", "KAFKA_VERSION": "4.2.0", "KAFKA_ROOT": "/tmp", "PYTHONPATH": "."}
    code, told = run(sys.executable, "-m", "pytest", "test/integration", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:xdist",
                     "-W", "ignore", "--tb=short", "--show-capture=no", "-k", " and ".join(f"not {name}" for name in OF_OTHERS),
                     cwd=folder, env=environment, timeout=900)
    assert code == 0, told[-3000:]
