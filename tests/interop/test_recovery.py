"""A load that is killed at any moment and run again equals one that nobody disturbed."""

import random
import signal
import subprocess
import time

import pytest

from cartlog import BINARY, Store, analyses, cartlog, environment, summary
from conftest import KILLS
from engine import Engine, read


@pytest.fixture(scope="module")
def undisturbed(generated_rows, tmp_path_factory):
    """The results of a load in one go, and how long it takes."""
    start = time.monotonic()
    store = Store.load(tmp_path_factory.mktemp("undisturbed") / "store", generated_rows)
    return {name: store.analyze(name, "csv") for name in analyses()}, time.monotonic() - start


@pytest.fixture(scope="module")
def engine(generated_rows):
    return Engine(generated_rows)


def kill_after(seconds, *words):
    """Starts a command and kills it; whether it was still running."""
    with subprocess.Popen(
        [BINARY, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=environment(),
    ) as load:
        try:
            load.wait(seconds)
        except subprocess.TimeoutExpired:
            load.send_signal(signal.SIGKILL)
    return load.returncode == -signal.SIGKILL


def moments(seconds):
    """Moments of a load, spread over it, each somewhere in its stretch."""
    chance = random.Random(17)
    return [seconds * (index + chance.random()) / KILLS for index in range(KILLS)]


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_and_run_again(number, generated_rows, undisturbed, engine, tmp_path):
    results, seconds = undisturbed
    words = ["run", generated_rows, "--store", tmp_path / "store", "--no-analyses"]
    moment = moments(seconds)[number]
    killed = kill_after(moment, *words)
    assert killed or number >= KILLS / 3, f"the load was over after {moment:.2f} s: nothing was tested"
    # A second kill while the first one's remains are taken up.
    if killed and number % 2:
        kill_after(moment / 3, *words)
    done = summary(*words)
    rows = generated_rows.read_bytes().count(b"\n") - 1
    store = Store(tmp_path / "store")
    exported = read(store.export(tmp_path / "events.parquet").read_bytes(), "parquet", None)
    assert exported.num_rows == rows, f"killed after {moment:.2f} s: {done}"
    assert engine.differences(exported) == (0, 0)
    for name, expected in results.items():
        assert store.analyze(name, "csv") == expected, f"{name} after a kill at {moment:.2f} s"
    assert done["rows_rejected"] == 0
    assert summary(*words)["rows_stored"] == 0
    cartlog("verify", "--store", store.path)


def test_killed_without_a_log(generated_rows, undisturbed, engine, tmp_path):
    words = ["run", generated_rows, "--store", tmp_path / "store", "--no-analyses", "--no-log"]
    kill_after(undisturbed[1] / 2, *words)
    summary(*words)
    exported = Store(tmp_path / "store").export(tmp_path / "events.parquet")
    assert engine.differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)


def test_interrupted_by_ctrl_c(generated_rows, undisturbed, engine, tmp_path):
    """What was acknowledged is committed, the exit says so, and the same command goes on."""
    words = ["run", generated_rows, "--store", tmp_path / "store", "--no-analyses"]
    load = subprocess.Popen([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, env=environment())
    time.sleep(undisturbed[1] / 2)
    load.send_signal(signal.SIGINT)
    _, errors = load.communicate(timeout=60)
    assert load.returncode in (0, 130), errors.decode()
    summary(*words)
    exported = Store(tmp_path / "store").export(tmp_path / "events.parquet")
    assert engine.differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)


def test_killed_ingest(generated_rows, undisturbed, engine, tmp_path):
    summary("produce", generated_rows, "--store", tmp_path / "store")
    words = ["ingest", "--store", tmp_path / "store"]
    kill_after(undisturbed[1] / 3, *words)
    summary(*words)
    exported = Store(tmp_path / "store").export(tmp_path / "events.parquet")
    assert engine.differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)


def test_killed_produce(generated_rows, undisturbed, engine, tmp_path):
    words = ["produce", generated_rows, "--store", tmp_path / "store"]
    kill_after(undisturbed[1] / 4, *words)
    summary(*words)
    done = summary("ingest", "--store", tmp_path / "store")
    rows = generated_rows.read_bytes().count(b"\n") - 1
    assert done["rows_stored"] == rows, done
    exported = Store(tmp_path / "store").export(tmp_path / "events.parquet")
    assert engine.differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)
