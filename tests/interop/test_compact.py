"""`cartlog compact`: fewer segments, the same answers."""

import json

from cartlog import Store, analyses, cartlog, summary


def test_many_small_loads_become_one_segment(tmp_path):
    store = tmp_path / "store"
    for number in range(6):
        rows = tmp_path / f"{number}.csv"
        cartlog("generate", "--events", 2000 * (number + 1), "--seed", number, "--out", rows)
        loaded = Store.load(store, rows, "--no-log")
    before = {name: loaded.analyze(name, "csv") for name in analyses()}
    got = summary("compact", "--store", store)
    assert (got["segments_before"], got["segments_after"]) == (6, 1), got
    assert got["rows"] == 42_000 and got["bytes_after"] < got["bytes_before"]
    assert {name: loaded.analyze(name, "csv") for name in analyses()} == before
    assert json.loads(cartlog("compact", "--store", store, "--json"))["segments_after"] == 1
    cartlog("verify", "--store", store)
    # What was loaded stays known.
    again = Store.load(store, tmp_path / "3.csv", "--no-log")
    assert again.counts() == (8000, 0, 0, 8000)


def test_no_store_is_an_error(tmp_path):
    cartlog("compact", "--store", tmp_path / "absent", expect=1)
