"""`cartlog verify --repair`: damaged files of a store made anew from the log, embedded or elsewhere."""

import json
import random
import subprocess

import pytest

from cartlog import BINARY, Store, cartlog, environment, refusal, summary
from test_clients import create, produce

ROWS = 20_000


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("repair") / "events.csv"
    cartlog("generate", "--events", ROWS, "--seed", 51, "--out", path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[700] = b"no event\n"
    path.write_bytes(b"".join(lines))
    return path


def content(store):
    exported = sorted(cartlog("export", "--format", "csv", "--store", store).splitlines())
    return exported, Store(store).rejects()


def repair(store, *words, expect=0):
    return json.loads(cartlog("verify", "--repair", "--json", "--store", store, *words, expect=expect))


def flip(path, seed):
    """Flips one bit somewhere."""
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


@pytest.mark.parametrize("where", ["embedded", "broker"])
def test_every_kind_of_file_comes_back(where, rows, request, tmp_path):
    words = ["--brokers", request.getfixturevalue("broker")] if where == "broker" else []
    store = tmp_path / "store"
    Store.load(store, rows, *words)
    expected = content(store)
    inspected = json.loads(cartlog("inspect", "--json", "--store", store))
    for seed, kind in enumerate(["segment", "dictionary", "dictionary", "rejects", "segment"]):
        paths = sorted((store / "store").glob(f"{kind}-*"))
        path = paths[seed % len(paths)]
        if seed == 4:
            path.unlink()
        else:
            flip(path, seed)
        found = json.loads(cartlog("verify", "--json", "--store", store, expect=1))["damage"]
        assert [damage["file"] for damage in found] == [path.name]
        got = repair(store, *words)
        assert got["damage"] == [] and got["repair"]["found"] == found, got
        assert path.name in got["repair"]["replaced"] and got["repair"]["not_repaired"] == []
        assert content(store) == expected
        assert not path.exists()
    again = json.loads(cartlog("inspect", "--json", "--store", store))
    for name in ["rows_read", "rows_stored", "rows_rejected", "rows_duplicate", "positions", "sources"]:
        assert again[name] == inspected[name], name
    assert summary("run", rows, "--store", store, "--no-analyses", *words)["rows_duplicate"] == ROWS


def test_rows_of_another_producer_come_back(broker, rows, tmp_path):
    lines = rows.read_bytes().splitlines()[1:]
    create(broker, "clicks", 2)
    produce(broker, "clicks", lines)
    store = tmp_path / "store"
    done = summary("ingest", "--brokers", broker, "--topic", "clicks", "--store", store)
    assert (done["rows_stored"], done["rows_rejected"]) == (ROWS - 1, 1), done
    expected = content(store)
    for kind in ["segment", "rejects", "dictionary"]:
        path = sorted((store / "store").glob(f"{kind}-*"))[0]
        flip(path, 7)
        got = repair(store, "--brokers", broker)
        assert got["damage"] == [] and got["repair"]["not_repaired"] == [], got
        assert content(store) == expected


def test_what_can_not_be_made_anew_is_told_with_its_rows(rows, tmp_path):
    store = tmp_path / "store"
    Store.load(store, rows, "--no-log")
    [path] = (store / "store").glob("segment-*")
    flip(path, 3)
    before = path.read_bytes()
    left = repair(store, expect=1)["repair"]["not_repaired"]
    assert [(entry["file"], entry["rows"]) for entry in left] == [(path.name, [0, ROWS - 1])], left
    size = rows.stat().st_size
    header = rows.read_bytes().index(b"\n") + 1
    assert f"bytes {header} to {size} of {rows}" in left[0]["reason"], left
    assert path.read_bytes() == before, "the damaged file is left as it was"
    said = subprocess.run([BINARY, "verify", "--repair", "--store", store], capture_output=True, text=True, env=environment())
    assert said.returncode == 1 and f"{path.name} (rows 0 to {ROWS - 1:,}): not repaired" in said.stdout, said


def test_a_damaged_manifest_is_not_guessed_at(rows, tmp_path):
    store = tmp_path / "store"
    Store.load(store, rows)
    flip(store / "store/manifest", 5)
    said = refusal("verify", "--repair", "--store", store)
    assert "manifest" in said and "cartlog ingest" in said, said
    # And what the error advises works.
    (store / "store").rename(tmp_path / "aside")
    assert summary("ingest", "--store", store)["rows_stored"] == ROWS - 1
