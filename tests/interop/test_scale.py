"""Nothing depends on the size of the public data: fifty million people who may come, ten million products, little memory.

A million events in the usual run, and thirty million with --long; CARTLOG_SCALE_ROWS says how many.
"""

import functools
import os
import subprocess
import threading
import time

import pytest

from cartlog import BINARY, Store, analyses, cartlog, environment
from conftest import LONG
from engine import Engine, assert_equal, read

ROWS = int(os.environ.get("CARTLOG_SCALE_ROWS", 30_000_000 if LONG else 1_000_000))
USERS, PRODUCTS = 50_000_000, 10_000_000
# What groups may take, and what all of it may: the results are some millions of rows themselves.
MEMORY, OWN = "256MiB", 2 << 30


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("scale") / "rows.csv"
    cartlog("generate", "--events", ROWS, "--users", USERS, "--products", PRODUCTS, "--out", path)
    return path


@pytest.fixture(scope="module")
def store(rows):
    store = Store.load(rows.parent / "store", rows, "--no-log")
    assert store.counts() == (ROWS, ROWS, 0, 0)
    return store


@pytest.fixture(scope="module")
def expected(rows):
    return functools.cache(Engine(rows).analysis)


@pytest.fixture(scope="module", params=["as loaded", "by user"])
def ordered(request, store):
    if request.param == "by user":
        cartlog("compact", "--by-user", "--store", store.path)
    return store


@pytest.mark.parametrize("name", analyses())
def test_analysis(ordered, expected, name, tmp_path):
    took = own_memory("analyze", name, "--memory", MEMORY, "--format", "parquet", "--out", tmp_path, "--store", ordered.path)
    assert took < OWN, f"{took / (1 << 20):,.0f} MiB of own memory"
    [table] = tmp_path.iterdir()
    assert_equal(read(table.read_bytes(), "parquet", None), expected(name), name)


def own_memory(*words):
    """Runs the command; the most memory that was its own, without the maps of the store, as seen every few milliseconds."""
    process = subprocess.Popen([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=environment())
    most = [0]

    def watch():
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status") as status:
                    own = [int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon")]
            except OSError:
                break
            most[0] = max([*most, *own])
            time.sleep(0.005)

    watching = threading.Thread(target=watch)
    watching.start()
    said = process.communicate(timeout=600)[0].decode()
    watching.join()
    assert process.returncode == 0, said
    return most[0]
