"""`cartlog compact`: fewer segments, the same answers."""

import json

from cartlog import Store, analyses, cartlog, summary
from engine import Engine, assert_equal, read


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


def test_events_in_order_of_user_give_the_same_answers(tmp_path):
    rows, more = tmp_path / "events.csv", tmp_path / "more.csv"
    cartlog("generate", "--events", 40_000, "--seed", 21, "--out", rows)
    cartlog("generate", "--events", 3000, "--seed", 22, "--out", more)
    store = Store.load(tmp_path / "store", rows, "--no-log")
    filters = [(), ("--event-type", "purchase"), ("--from", "2019-10-01 12:00:00 UTC", "--category", "electronics")]

    def answers():
        return {(name, words): store.analyze(name, "csv", *words) for name in analyses() for words in filters}

    before = answers()
    got = summary("compact", "--by-user", "--store", store.path)
    assert (got["rows_sorted"], got["rows_left_out"]) == (40_000, 0), got
    assert answers() == before
    engine = Engine(rows)
    for name in analyses():
        expected = engine.analysis(name)
        assert_equal(read(before[name, ()], "csv", expected.schema), expected, name)
    # A second time there is nothing to do, and verify knows the copy.
    assert summary("compact", "--by-user", "--store", store.path)["rows_sorted"] == 0
    assert b"40,000 rows in order of user" in cartlog("verify", "--store", store.path)

    # Events that come later are read beside it; merged with the others, they end it.
    store.again(more, "--no-log")
    copy = store.path / "store" / "sorted"
    grown = answers()
    copy.rename(tmp_path / "away")
    assert answers() == grown != before
    (tmp_path / "away").rename(copy)
    assert summary("compact", "--store", store.path)["stale_bytes"] > 100_000
    assert not list(copy.glob("segment-*")) and answers() == grown

    # Damage is passed over, told by verify, and removed by its repair.
    summary("compact", "--by-user", "--store", store.path)
    segment = next(copy.glob("segment-*"))
    segment.write_bytes(b"nothing" + segment.read_bytes()[7:])
    assert answers() == grown
    cartlog("verify", "--store", store.path, expect=1)
    cartlog("verify", "--repair", "--store", store.path)
    assert not list(copy.glob("segment-*")) and answers() == grown


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
