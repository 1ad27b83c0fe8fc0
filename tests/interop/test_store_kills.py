"""`kill -9` of the loader, of the broker, and of both: the store ends as if nobody had disturbed it.

Small files with some damaged lines are loaded one after the other and killed at random moments, until each of them is through;
then the store is compared with an undisturbed one: every row, every reject, every checksum, and counts that add up. Then a new
store begins, until there were enough kills. The seed is printed, and CARTLOG_SEED repeats it; CARTLOG_STORE_KILLS is the number.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import time

import pytest

from cartlog import BINARY, Store, cartlog, environment, summary
from servers import free_ports, wait_for_port

KILLS = int(os.environ.get("CARTLOG_STORE_KILLS", 200))
FILES = 4
ROWS = 3_000
WORDS = ["--rows-per-record", 40, "--quiet"]


def start(*words):
    return subprocess.Popen(
        [BINARY, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=environment(),
    )


def kill(process):
    """Kills a process that may have ended; whether it was still running."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for number in range(FILES):
        path = folder / f"part-{number}.csv"
        cartlog("generate", "--events", ROWS, "--seed", 70 + number, "--out", path)
        lines = path.read_bytes().splitlines(keepends=True)
        lines[500 * number + 7] = b"no event\n"
        lines[1000] = lines[1000].replace(b",", b";", 3)
        path.write_bytes(b"".join(lines))
        paths.append(path)
    return paths


def content(store, folder):
    """All that a store holds, in an order of its own."""
    rows = sorted(store.export(folder / "events.csv").read_bytes().splitlines())
    rejects = [(row["source"], row["line"], row["byte_offset"], row["raw"]) for row in store.rejects()]
    return rows, rejects


@pytest.fixture(scope="module")
def undisturbed(files, tmp_path_factory):
    """What the files hold, and the seconds that one takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    begin = time.monotonic()
    for path in files:
        summary("run", path, "--store", folder / "store", "--no-analyses", *WORDS)
    seconds = (time.monotonic() - begin) / len(files)
    rows, rejects = content(Store(folder / "store"), folder)
    assert len(rows) == FILES * (ROWS - 2) + 1 and len(rejects) == FILES * 2
    return (rows, rejects), seconds


def compare(store, expected, folder):
    """The store holds what it should, says so itself, and is sound."""
    assert content(Store(store), folder) == expected, store
    held = json.loads(cartlog("inspect", "--json", "--store", store))
    held = held.get("store", held)
    counts = {name: held[name] for name in ["rows_read", "rows_stored", "rows_rejected", "rows_duplicate"]}
    assert counts["rows_stored"] == FILES * (ROWS - 2) and counts["rows_rejected"] == FILES * 2, counts
    assert counts["rows_read"] == sum(counts.values()) - counts["rows_read"], counts
    cartlog("verify", "--store", store)


@pytest.fixture
def numbers():
    seed = int(os.environ.get("CARTLOG_SEED", time.time_ns() % 1_000_000_007))
    print(f"CARTLOG_SEED={seed}")
    return random.Random(seed)


def test_killed_loaders(files, undisturbed, numbers, tmp_path):
    """The loader and the embedded log in one process."""
    expected, seconds = undisturbed
    kills = stores = 0
    while kills < KILLS * 2 // 5:
        store = tmp_path / f"store-{stores}"
        stores += 1
        for path in files:
            words = ["run", path, "--store", store, "--no-analyses", *WORDS]
            if numbers.random() < 0.1:
                words.append("--no-log")
            while True:
                with start(*words) as load:
                    time.sleep(numbers.uniform(0, 1.3 * seconds))
                    if not kill(load):
                        assert load.returncode == 0, load.stderr.read().decode()
                        break
                    kills += 1
        compare(store, expected, tmp_path)
    print(f"{kills} kills, {stores} stores")


class Broker:
    """A broker that is killed and started again on the same port."""

    def __init__(self, store):
        [port] = free_ports(1)
        self.address, self.store = f"127.0.0.1:{port}", store
        self.start()

    def start(self):
        self.process = start("broker", "--store", self.store, "--listen", self.address)
        wait_for_port(self.address, self.process)

    def kill(self):
        assert self.process.poll() is None, f"the broker ended: {self.process.stderr.read().decode()}"
        kill(self.process)


@contextlib.contextmanager
def broker(store):
    running = Broker(store)
    try:
        yield running
    finally:
        kill(running.process)


def test_killed_brokers_and_loaders(files, undisturbed, numbers, tmp_path):
    """A loader that outlives its broker ends well; one that does not goes on where it was."""
    expected, seconds = undisturbed
    kills, stores = {"loader": 0, "broker": 0, "both": 0}, 0
    while sum(kills.values()) < KILLS * 2 // 5:
        store = tmp_path / f"store-{stores}"
        stores += 1
        with broker(tmp_path / f"broker-{stores}") as server:
            for path in files:
                words = ["run", path, "--store", store, "--no-analyses", "--brokers", server.address, *WORDS]
                is_loaded = False
                while not is_loaded:
                    with start(*words) as load:
                        time.sleep(numbers.uniform(0, 1.3 * seconds))
                        target = numbers.choice(list(kills)) if load.poll() is None else None
                        if target:
                            kills[target] += 1
                        if target in ("broker", "both"):
                            server.kill()
                        if target in ("loader", "both"):
                            kill(load)
                        if target in ("broker", "both"):
                            time.sleep(numbers.uniform(0, 0.05))
                            server.start()
                        load.wait(60)
                        is_loaded = load.returncode != -signal.SIGKILL
                        assert load.returncode in (0, -signal.SIGKILL), load.stderr.read().decode()
            compare(store, expected, tmp_path)
    print(f"{kills}, {stores} stores")


def rows_of(store):
    """Rows that a store holds now, read beside its writer."""
    shown = subprocess.run([BINARY, "inspect", "--json", "--store", store], capture_output=True, env=environment())
    held = json.loads(shown.stdout) if shown.returncode == 0 else {}
    held = held.get("store") or held
    return held.get("rows_stored", 0)


def test_killed_followers(files, undisturbed, numbers, tmp_path):
    """A following ingest beside producers; it, the broker or both are killed, and it ends cleanly when asked."""
    expected, seconds = undisturbed
    kills = stores = 0
    while kills < KILLS // 5:
        store = tmp_path / f"store-{stores}"
        stores += 1
        with broker(tmp_path / f"broker-{stores}") as server, contextlib.ExitStack() as at_end:
            at = ["--brokers", server.address]
            cartlog("topics", "create", "csv-event-data", "--partitions", 4, *at)
            words = ["ingest", "--follow", "--commit-interval", 0.05, "--store", store, "--quiet", *at]
            follower = start(*words)
            at_end.callback(lambda: kill(follower))
            for path in files:
                producer = start("produce", path, *at, *WORDS)
                for _ in range(2):
                    time.sleep(numbers.uniform(0, seconds))
                    is_broker_killed = numbers.random() < 0.4
                    if is_broker_killed:
                        server.kill()
                    if not is_broker_killed or numbers.random() < 0.5:
                        assert kill(follower), f"the ingest ended: {follower.stderr.read().decode()}"
                        follower = start(*words)
                    if is_broker_killed:
                        server.start()
                    kills += 1
                assert producer.wait(60) == 0, producer.stderr.read().decode()
            end = time.monotonic() + 60
            while rows_of(store) < FILES * (ROWS - 2):
                assert follower.poll() is None, follower.stderr.read().decode()
                assert time.monotonic() < end, f"{rows_of(store)} rows after a minute"
                time.sleep(0.05)
            follower.send_signal(signal.SIGTERM)
            assert follower.wait(30) == 0, follower.stderr.read().decode()
            compare(store, expected, tmp_path)
    print(f"{kills} kills, {stores} stores")
