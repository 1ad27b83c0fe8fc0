"""ClickHouse, inside this process (chdb), over a MergeTree of its own.

Rows are ordered by user and time: most questions ask about users and sessions, whose rows then lie together. Texts are
LowCardinality, sessions UUIDs, prices 32-bit decimals. Answers that are timed go to the format Null: no other form of
them is cheaper.
"""

import shutil

import pyarrow as pa
from chdb import session

from .base import THREADS, Engine

TABLE = """CREATE TABLE shop.events (
    event_time DateTime('UTC'), event_type LowCardinality(String), product_id Int32, category_id Int64,
    category_code LowCardinality(Nullable(String)), brand LowCardinality(Nullable(String)), price Decimal32(2),
    user_id Int32, user_session Nullable(UUID)
) ENGINE = MergeTree ORDER BY (user_id, event_time)"""
ROWS = """INSERT INTO shop.events SELECT parseDateTime(event_time, '%Y-%m-%d %H:%i:%s UTC', 'UTC'), event_type, product_id,
    category_id, nullIf(category_code, ''), nullIf(brand, ''), price, user_id, toUUIDOrNull(user_session)
FROM file('{file}', CSVWithNames, 'event_time String, event_type String, product_id Int32, category_id Int64,
    category_code String, brand String, price Decimal32(2), user_id Int32, user_session String')"""
SETTINGS = {"max_threads": THREADS, "session_timezone": "'UTC'", "join_use_nulls": 1, "prefer_column_name_to_alias": 1}


class ClickHouse(Engine):
    REWRITES = [
        # The first value whose place reaches the share of the sum of weights: nearest-rank.
        (r"percentile_disc\(([^)]*)\) WITHIN GROUP \(ORDER BY (\w+)\)", r"quantileExactWeighted(\1)(\2, 1)"),
        (r"\bisodow\(", "toDayOfWeek("),
        # A quotient of decimals is a decimal here, cut off after the digits of the first.
        (r"/ nullif\(", "* 1.0 / nullif("),
        (r"\bevents_with_epoch\b", "shop.events_with_epoch"),
        (r"\bevents\b(?! AS|,)(?<=FROM events)", "shop.events"),
    ]

    def load(self):
        self.connect()
        self.run("CREATE DATABASE shop ENGINE = Atomic")
        self.run(TABLE)
        self.run(ROWS.format(file=self.file))
        self.run("OPTIMIZE TABLE shop.events FINAL")
        self.run("CREATE VIEW shop.events_with_epoch AS SELECT *, toUnixTimestamp(event_time) AS epoch_seconds FROM shop.events")
        self.base.close()

    def connect(self):
        self.base = session.Session(str(self.folder / "chdb"))

    def run(self, sql, form="Null"):
        return self.base.query(f"{sql}", form)

    def open(self):
        self.connect()
        for name, value in SETTINGS.items():
            self.run(f"SET {name} = {value}")
        return self.base.query("SELECT version()", "TSV").bytes().decode().strip()

    def ways(self, name):
        return [lambda: self.run(self.sql(name))]

    def table(self, name):
        data = self.run(self.sql(name), "ArrowStream").bytes()
        return pa.ipc.open_stream(data).read_all()
