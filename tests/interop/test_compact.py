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


def test_old_events_are_dropped_and_do_not_come_back(tmp_path):
    rows = tmp_path / "events.csv"
    cartlog("generate", "--events", 60_000, "--events-per-day", 8000, "--seed", 8, "--out", rows)
    store = Store.load(tmp_path / "store", rows)
    cutting = ["--drop-before", "2019-10-04"]
    times = [line[:10] for line in rows.read_text().splitlines()[1:]]
    left = sum(time >= "2019-10-04" for time in times)
    assert 10_000 < left < 50_000
    before = {name: store.analyze(name, "csv", "--from", "2019-10-04") for name in analyses()}

    got = summary("compact", *cutting, "--store", store.path)
    assert (got["rows"], got["rows_dropped"]) == (left, 60_000 - left), got
    assert {name: store.analyze(name, "csv") for name in analyses()} == before
    held = json.loads(cartlog("inspect", "--json", "--store", store.path))
    assert (held["rows_read"], held["rows_stored"], held["rows_dropped"]) == (60_000, left, 60_000 - left)
    assert b"dropped" in cartlog("inspect", "--store", store.path)

    # Neither the file nor the log brings them back.
    assert store.again(rows).counts() == (60_000, 0, 0, 60_000)
    assert summary("ingest", "--store", store.path)["rows_read"] == 0
    assert summary("compact", *cutting, "--store", store.path)["rows_dropped"] == 0
    assert {name: store.analyze(name, "csv") for name in analyses()} == before
    cartlog("verify", "--store", store.path)
    cartlog("compact", "--drop-before", "tomorrow", "--store", store.path, expect=2)
