"""`cartlog ingest --follow`: through restarts of its broker, without a wrong lag, and nothing lost when it is stopped."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time

import pytest

from cartlog import BINARY, cartlog, environment, summary
from servers import free_ports, wait_for_port

ROWS = 12_000


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    paths = []
    for seed in [61, 62]:
        path = tmp_path_factory.mktemp("follow") / f"events-{seed}.csv"
        cartlog("generate", "--events", ROWS, "--seed", seed, "--out", path)
        paths.append(path)
    return paths


class Broker:
    """A broker on a port of its own, stopped and started again."""

    def __init__(self, store):
        [port] = free_ports(1)
        self.address, self.store = f"127.0.0.1:{port}", store
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "broker", "--store", self.store, "--listen", self.address], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
        )
        wait_for_port(self.address, self.process)

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        self.process.wait(30)


@pytest.fixture
def server(tmp_path):
    running = Broker(tmp_path / "broker")
    try:
        yield running
    finally:
        running.stop(signal.SIGKILL)


class Follower:
    """A following ingest, with what it says."""

    def __init__(self, store, address, *words):
        self.store = store
        self.process = subprocess.Popen(
            [BINARY, "ingest", "--follow", "--json", "--store", store, "--brokers", address, *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )
        self.said = []
        self.listener = threading.Thread(target=lambda: self.said.extend(self.process.stderr))
        self.listener.start()

    def stop(self):
        """Asks it to stop, and gives its summary."""
        self.process.send_signal(signal.SIGTERM)
        out = self.process.stdout.read()
        assert self.process.wait(60) == 0, self.said
        self.listener.join()
        return json.loads(out)


@contextlib.contextmanager
def following(*words):
    follower = Follower(*words)
    try:
        yield follower
    finally:
        follower.process.kill()
        follower.process.wait()
        follower.listener.join()


def stored(store):
    shown = subprocess.run([BINARY, "inspect", "--json", "--store", store], capture_output=True, env=environment())
    return json.loads(shown.stdout)["rows_stored"] if shown.returncode == 0 else 0


def wait_until(what, is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.05)


def test_restarts_of_the_broker_are_lived_through(rows, server, tmp_path):
    at = ["--brokers", server.address]
    cartlog("topics", "create", "csv-event-data", "--partitions", 3, *at)
    store = tmp_path / "store"
    with following(store, server.address, "--commit-interval", 0.2) as follower:
        summary("produce", rows[0], "--rows-per-record", 300, *at)
        wait_until("the first file is committed", lambda: stored(store) == ROWS)
        for how in [signal.SIGINT, signal.SIGKILL]:
            server.stop(how)
            time.sleep(0.5)
            assert follower.process.poll() is None, follower.said
            server.start()
        summary("produce", rows[1], "--rows-per-record", 300, *at)
        wait_until("the second file is committed", lambda: stored(store) == 2 * ROWS)
        done = follower.stop()
    assert (done["rows_read"], done["rows_stored"], done["rows_duplicate"]) == (2 * ROWS, 2 * ROWS, 0)
    cartlog("verify", "--store", store)


def test_what_was_read_is_committed_when_it_is_stopped(rows, server, tmp_path):
    """Long before its time for a commit has come."""
    at = ["--brokers", server.address]
    summary("produce", *rows, "--rows-per-record", 200, *at)
    store = tmp_path / "store"
    read = 0
    for pause in [0.3, 0.6, 2, 4]:
        with following(store, server.address, "--commit-interval", 3600) as follower:
            time.sleep(pause)
            done = follower.stop()
        assert done["interrupted"]
        read += done["rows_stored"]
        assert stored(store) == read, f"{done} after {pause} s"
    assert read == 2 * ROWS
    assert summary("ingest", "--store", store, *at)["rows_read"] == 0


def test_lag_is_never_negative_and_none_when_idle(rows, server, tmp_path):
    """As a terminal shows it, partition by partition."""
    at = ["--brokers", server.address]
    summary("produce", rows[0], "--rows-per-record", 50, *at)
    shown, terminal = b"", None
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [BINARY, "ingest", "--follow", "--store", tmp_path / "store", *at, "--threads", "1"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=terminal, env={**environment(), "COLUMNS": "200", "TERM": "xterm"},
    )
    os.close(terminal)

    def read():
        nonlocal shown
        with contextlib.suppress(OSError):
            while piece := os.read(master, 4096):
                shown += piece

    reader = threading.Thread(target=read)
    reader.start()
    try:
        idle = re.compile(rb"12,000 rows, 0 records behind")
        wait_until("it is idle", lambda: idle.search(shown))
        begin = len(shown)
        summary("produce", rows[1], "--rows-per-record", 50, *at)
        wait_until("it is idle again", lambda: re.search(rb"24,000 rows, 0 records behind", shown[begin:]))
        assert not re.search(rb"-\d+ records? behind|: -\d", shown)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        reader.join()
        os.close(master)


def test_runs_that_overlap_count_their_duplicates(rows, server, tmp_path):
    """Two producers of one file, side by side and in pieces of their own sizes: each row is stored once, the rest counted."""
    at = ["--brokers", server.address]
    cartlog("topics", "create", "csv-event-data", "--partitions", 3, *at)
    store = tmp_path / "store"
    with following(store, server.address, "--commit-interval", 0.1) as follower:
        producers = [
            subprocess.Popen([BINARY, "produce", rows[0], *at, "--rows-per-record", size, "--quiet"], env=environment())
            for size in ["170", "333"]
        ]
        assert [producer.wait(60) for producer in producers] == [0, 0]
        offsets = json.loads(cartlog("topics", "describe", "csv-event-data", "--json", *at))
        wait_until("all is read", lambda: stored(store) == ROWS)
        time.sleep(1)
        done = follower.stop()
    assert done["rows_stored"] == ROWS and done["rows_rejected"] == 0, (done, offsets)
    assert done["rows_duplicate"] > 0 and done["rows_read"] == ROWS + done["rows_duplicate"], done
    held = json.loads(cartlog("inspect", "--json", "--store", store))
    assert held["rows_read"] == held["rows_stored"] + held["rows_duplicate"]
    exported = sorted(cartlog("export", "--format", "csv", "--store", store).splitlines()[1:])
    summary("run", rows[0], "--store", tmp_path / "alone", "--no-analyses", "--no-log")
    assert exported == sorted(cartlog("export", "--format", "csv", "--store", tmp_path / "alone").splitlines()[1:])
    cartlog("verify", "--store", store)
