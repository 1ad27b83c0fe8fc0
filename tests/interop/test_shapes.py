"""Every analysis equals its SQL definition over stores of awkward shapes, at their full size."""

import uuid

import pytest

from cartlog import Store, analyses
from engine import Engine, assert_equal, read

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
KINDS = ["view", "view", "view", "cart", "purchase"]
ENDS = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**63 - 1]


def event(row, **other):
    """An ordinary event, with some fields replaced."""
    fields = {
        "event_time": f"2019-10-{1 + row // 86400 % 28:02} {row // 3600 % 24:02}:{row // 60 % 60:02}:{row % 60:02} UTC",
        "event_type": KINDS[row % 5], "product_id": 1000 + row % 1999, "category_id": 2053013552226107603 + row % 97,
        "category_code": f"category.{row % 61}", "brand": f"brand{row % 53}", "price": f"{row * 7919 % 100000 / 100:.2f}",
        "user_id": 512000000 + row % 1013, "user_session": uuid.UUID(int=row // 4 * 2**64),
    }
    return ",".join(map(str, (fields | other).values())) + "\n"


def bare(row):
    return event(row, category_code="", brand="", user_session="")


def giant(row):
    return event(row, **{"user_id": 42, "user_session": uuid.UUID(int=42)} if row % 50 else {})


def tied(row):
    same = {"event_time": "2019-10-01 00:00:00 UTC", "price": "9.99", "event_type": ["view", "cart", "purchase"][row // 216 % 3]}
    return event(row, **same, product_id=row % 6, category_id=row % 6, user_id=row % 6,
                 category_code=["", *"abcde"][row // 6 % 6], brand=["", *"abcde"][row // 36 % 6],
                 user_session=uuid.UUID(int=row % 6))


def extreme(row):
    # The most and the least that DECIMAL(18,4) holds, which is what prices are exported as.
    prices = ["-99999999999999.9999", "-0.0001", "0", "0.0001", "99999999999999.9999"]
    times = ["0001-01-01 00:00:00 UTC", "1969-12-31 23:59:59 UTC", "1970-01-01 00:00:00 UTC", "9999-12-31 23:59:59 UTC"]
    return event(row, event_time=times[row % 4], product_id=ENDS[row // 3 % 6], category_id=ENDS[row // 5 % 6],
                 price=prices[row // 7 % 5], user_id=ENDS[row // 11 % 6])


SHAPES = {
    "one event": (event, 1),
    "one bare event": (bare, 1),
    "columns without any value": (bare, 100_000),
    "one giant user": (giant, 500_000),
    "a million users of one event": (lambda row: event(row, user_id=row * 419, user_session=uuid.UUID(int=row * 2**70)), 1_000_000),
    "ties everywhere": (tied, 648),
    "extremes": (extreme, 5000),
    "many categories": (lambda row: event(row, category_code=f"c{row * 7919 % 3001}"), 100_000),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shape(shape, tmp_path):
    make, rows = SHAPES[shape]
    path = tmp_path / "rows.csv"
    with open(path, "w") as file:
        file.write(HEADER)
        file.writelines(make(row) for row in range(rows))
    store = Store.load(tmp_path / "store", path, "--no-log")
    assert store.counts() == (rows, rows, 0, 0)
    engine = Engine(path)
    for name in analyses():
        expected = engine.analysis(name)
        assert_equal(read(store.analyze(name, "parquet"), "parquet", None), expected, f"{shape}: {name}")


def test_no_events(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(HEADER)
    store = Store.load(tmp_path / "store", path, "--no-log")
    engine = Engine(path)
    for name in analyses():
        assert_equal(read(store.analyze(name, "parquet"), "parquet", None), engine.analysis(name), name)
