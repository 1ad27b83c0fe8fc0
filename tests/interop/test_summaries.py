"""Summaries beside the segments: whatever is kept, lost, damaged or out of date, the answers are those without them."""

import json
import os
import stat

import pytest

from cartlog import Store, cartlog, environment, BINARY

ROWS = 300_000

# Analyses that add up, and questions that a summary can answer, or not.
NAMES = ["top_categories", "top_category_prices", "price_sensitivity", "hourly_activity", "daily_activity"]
QUESTIONS = [
    [],
    ["--event-type", "purchase"],
    ["--event-type", "view,cart"],
    ["--category", "electronics"],
    ["--brand", "samsung", "--missing", "drop"],
    ["--min-price", "20", "--max-price", "300.5"],
    ["--from", "2019-10-03", "--to", "2019-11-20"],
    ["--from", "2019-10-01T12:30:00Z", "--event-type", "purchase"],
    ["--user", "1"],
]


def generate(path, seed, rows=ROWS):
    cartlog("generate", "--events", rows, "--seed", seed, "--out", path)
    return path


@pytest.fixture
def store(tmp_path):
    """Two segments that are large enough to be summed up."""
    store = tmp_path / "store"
    for seed in [61, 62]:
        Store.load(store, generate(tmp_path / f"{seed}.csv", seed), "--no-log")
    return store


def summaries(store):
    folder = store / "store" / "summaries"
    return sorted(path for path in folder.glob("*") if path.name != "lock") if folder.exists() else []


def answers(store, *words):
    return {(name, *question): cartlog("analyze", name, "--format", "csv", "--store", store, *question, *words)
            for name in NAMES for question in QUESTIONS}


def test_answers_are_the_same_with_summaries(store, tmp_path):
    afresh = answers(store, "--afresh")
    assert summaries(store) == []
    assert answers(store) == afresh
    kept = summaries(store)
    assert {path.name.rsplit("-", 1)[1] for path in kept} == {"categories", "prices", "hours", "days", "sales"}
    assert len(kept) == 10
    assert any(path.stat().st_size > 100 for path in kept)
    assert answers(store) == afresh
    assert summaries(store) == kept
    found = json.loads(cartlog("verify", "--json", "--store", store))["summaries"]
    assert found == {"files": 10, "bytes": sum(path.stat().st_size for path in kept), "damage": []}

    # New rows are read beside them, and summed up if they are many.
    Store.load(store, generate(tmp_path / "few.csv", 63, 3000), "--no-log")
    more = answers(store, "--afresh")
    assert more[("hourly_activity",)] != afresh[("hourly_activity",)]
    assert answers(store) == more
    assert summaries(store) == kept

    # Merged, the segments are others; in order of users, they are the same.
    cartlog("compact", "--by-user", "--store", store)
    assert summaries(store) == []
    assert answers(store) == more
    assert len(summaries(store)) == 5 and not set(summaries(store)) & set(kept)
    assert answers(store) == more
    # So they are for whoever asks for all analyses at once, and for a report.
    cartlog("analyze", "--store", store, "--format", "csv", "--out", tmp_path / "all")
    cartlog("analyze", "--store", store, "--format", "csv", "--out", tmp_path / "afresh", "--afresh")
    for path in (tmp_path / "afresh").iterdir():
        assert (tmp_path / "all" / path.name).read_bytes() == path.read_bytes(), path.name


def test_what_is_damaged_is_passed_over_and_made_anew(store):
    expected = answers(store)
    kept = summaries(store)
    for number, path in enumerate(kept):
        content = bytearray(path.read_bytes())
        if content != b"declined\n":
            content[(number * 977 + 40) % len(content)] ^= 16
            path.write_bytes(content)
    damaged = [path.name for path in kept if path.read_bytes() != b"declined\n"]
    found = json.loads(cartlog("verify", "--json", "--store", store, expect=1))
    assert found["damage"] == [] and len(found["summaries"]["damage"]) == len(damaged)
    assert all(name in message for name, message in zip(damaged, found["summaries"]["damage"]))
    assert answers(store) == expected
    cartlog("verify", "--store", store)
    kept[0].write_bytes(b"no segment")
    got = json.loads(cartlog("verify", "--repair", "--json", "--store", store))
    assert got["summaries_removed"] and got["summaries"] is None and summaries(store) == []
    assert answers(store) == expected
    assert summaries(store) == kept


def test_a_store_that_cannot_be_written_to_is_answered_from(store):
    expected = answers(store, "--afresh")
    folder = store / "store"
    mode = folder.stat().st_mode
    # Root may write anywhere; a file in the folder's place stops it too.
    (folder / "summaries").write_text("")
    os.chmod(folder, stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert answers(store) == expected
    finally:
        os.chmod(folder, mode)
    assert (folder / "summaries").read_text() == ""


def test_two_at_once_keep_them_once(store):
    import subprocess
    expected = answers(store, "--afresh")
    command = [BINARY, "analyze", *NAMES, "--format", "csv", "--store", str(store), "--out"]
    running = [subprocess.Popen([*command, str(store.parent / f"out{number}")], env=environment(), stdout=subprocess.DEVNULL)
               for number in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    for number in range(4):
        for name in NAMES:
            assert (store.parent / f"out{number}" / f"{name}.csv").read_bytes() == expected[(name,)]
    assert len(summaries(store)) == 10
    assert answers(store) == expected
