"""DuckDB, over its own file and over Parquet. The definitions are in its dialect.

Its own table has ENUM columns for texts (sorted, so that they order as texts do), UUIDs for sessions, prices as 32-bit
decimals: all of it is narrower and faster than plain types. Parquet is what it writes of that table.
"""

import duckdb

from .base import COLUMNS, TEXTS, THREADS, Engine


class Own(Engine):
    def load(self):
        base = self.connect()
        types = {name: "VARCHAR" for name in COLUMNS} | {
            "event_time": "TIMESTAMP", "product_id": "INTEGER", "category_id": "BIGINT", "price": "DECIMAL(9,2)",
            "user_id": "INTEGER", "user_session": "UUID",
        }
        rows = (f"read_csv('{self.file}', header = true, columns = {types}, nullstr = '', "
                "timestampformat = '%Y-%m-%d %H:%M:%S UTC')")
        base.execute(f"CREATE TABLE plain AS FROM {rows}")
        for name in TEXTS:
            base.execute(f"CREATE TYPE {name}s AS ENUM (SELECT DISTINCT {name} FROM plain "
                         f"WHERE {name} IS NOT NULL ORDER BY {name})")
        casts = ", ".join(f"CAST({name} AS {name}s) AS {name}" for name in TEXTS)
        base.execute(f"CREATE TABLE events AS SELECT * REPLACE ({casts}) FROM plain")
        base.execute("DROP TABLE plain")
        base.execute("CHECKPOINT")
        base.close()

    def connect(self):
        base = duckdb.connect(self.folder / "events.duckdb")
        base.execute(f"SET threads = {THREADS}; SET TimeZone = 'UTC'")
        return base

    def open(self):
        self.base = self.connect()
        self.views()
        return duckdb.__version__

    def views(self):
        self.base.execute("CREATE OR REPLACE TEMP VIEW events_with_epoch AS "
                          "SELECT *, CAST(epoch(event_time) AS BIGINT) AS epoch_seconds FROM events")

    def ways(self, name):
        return [lambda: self.table(name)]

    def table(self, name):
        return self.base.sql(self.sql(name)).to_arrow_table()


class Parquet(Own):
    """Over a Parquet file, which DuckDB itself wrote."""

    def load(self):
        super().load()
        base = self.connect()
        base.execute(f"COPY events TO '{self.folder}/events.parquet' (FORMAT parquet)")
        base.close()
        (self.folder / "events.duckdb").unlink()

    def connect(self):
        if not (self.folder / "events.parquet").exists():
            return super().connect()
        base = duckdb.connect()
        base.execute(f"SET threads = {THREADS}; SET TimeZone = 'UTC'")
        return base

    def views(self):
        self.base.execute(f"CREATE VIEW events AS FROM '{self.folder}/events.parquet'")
        super().views()
