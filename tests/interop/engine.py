"""DuckDB as the second opinion: the same rows, the same definitions, and tables compared row by row."""

import datetime
import io
import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet

DEFINITIONS = Path(__file__).parent.parent.parent / "src/analysis/sql"
COLUMNS = [
    "event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price", "user_id",
    "user_session",
]
# Doubles are compared to this relative distance: both sides divide an exact sum, in their own order of roundings.
TOLERANCE = 1e-14


class Engine:
    """DuckDB with the rows of CSV files as `events`."""

    def __init__(self, *files, header=True):
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        names = ", ".join(f"'{file}'" for file in files)
        types = {name: "VARCHAR" for name in COLUMNS}
        types |= {"product_id": "BIGINT", "category_id": "BIGINT", "price": "DECIMAL(18,4)", "user_id": "BIGINT"}
        self.connection.execute(f"""
            CREATE TABLE all_events AS
            SELECT * REPLACE (CAST(replace(event_time, ' UTC', '') AS TIMESTAMP) AS event_time)
            FROM read_csv([{names}], columns = {json.dumps(types).replace('"', "'")}, header = {header},
                          delim = ',', quote = '"', nullstr = '', auto_detect = false, all_varchar = false)
        """)
        self.filter("TRUE")

    def filter(self, condition):
        self.connection.execute(f"CREATE OR REPLACE VIEW events AS SELECT * FROM all_events WHERE {condition}")
        self.connection.execute(
            "CREATE OR REPLACE VIEW events_with_epoch AS "
            "SELECT *, CAST(epoch(event_time) AS BIGINT) AS epoch_seconds FROM events"
        )

    def analysis(self, name):
        return self.query((DEFINITIONS / f"{name}.sql").read_text())

    def query(self, sql):
        return self.connection.sql(sql).to_arrow_table()

    def one(self, sql):
        return self.connection.execute(sql).fetchall()[0]

    def differences(self, events):
        """How many rows of `events` (an Arrow table) are not here, and how many here are not there."""
        self.connection.register("others", canonical(events))
        try:
            if self.fingerprint("others") == self.fingerprint("events"):
                return 0, 0
            columns = ", ".join(COLUMNS)
            there, here = f"SELECT {columns} FROM others", f"SELECT {columns} FROM events"
            return tuple(
                self.one(f"SELECT count(*) FROM ({left} EXCEPT ALL {right})")[0]
                for left, right in [(there, here), (here, there)]
            )
        finally:
            self.connection.unregister("others")

    def fingerprint(self, events):
        """Equal for equal rows in any order, and different, as good as certainly, for others."""
        columns = ", ".join(COLUMNS).replace("price", "CAST(price AS DECIMAL(18,4))")
        return self.one(f"SELECT count(*), sum(CAST(hash({columns}) AS HUGEINT)), bit_xor(hash({columns})) FROM {events}")


def canonical(table):
    """The table with one type a kind: int64, decimal(38,4), float64, string, date32, timestamp in microseconds."""
    return table.cast(pa.schema([(field.name, canonical_type(field.type)) for field in table.schema]))


def canonical_type(kind):
    if pa.types.is_dictionary(kind):
        return canonical_type(kind.value_type)
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_decimal(kind):
        return pa.decimal128(38, 4) if kind.scale <= 4 else kind
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def read(data, file_format, schema):
    """What a file holds, read by pyarrow or the standard library; `schema` gives the types of text formats."""
    if file_format == "csv":
        options = pa.csv.ConvertOptions(
            column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        return pa.csv.read_csv(io.BytesIO(data), convert_options=options)
    if file_format == "json":
        rows = json.loads(data, parse_float=str, parse_int=str)
        return pa.table({
            field.name: pa.array([json_value(row[field.name], field.type) for row in rows], field.type)
            for field in schema
        })
    if file_format == "parquet":
        return pa.parquet.read_table(io.BytesIO(data))
    if file_format == "orc":
        return pa.orc.read_table(io.BytesIO(data))
    assert file_format == "arrow", file_format
    return pa.ipc.open_file(io.BytesIO(data)).read_all()


def json_value(value, kind):
    if value is None or pa.types.is_string(kind):
        return value
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(value)
    return Decimal(value) if pa.types.is_decimal(kind) else float(value)


def assert_equal(got, expected, what):
    """Both tables have the same columns and the same rows in the same order."""
    expected = canonical(expected)
    assert got.column_names == expected.column_names, what
    got = canonical(got)
    assert got.num_rows == expected.num_rows, f"{what}: {got.num_rows} rows, expected {expected.num_rows}"
    for name in expected.column_names:
        mine, other = got[name].combine_chunks(), expected[name].combine_chunks()
        if mine.type != other.type and {str(mine.type), str(other.type)} <= {"int64", "decimal128(38, 4)"}:
            mine, other = mine.cast(pa.decimal128(38, 4)), other.cast(pa.decimal128(38, 4))
        if (mine.type, other.type) == (pa.int64(), pa.float64()):
            # DuckDB's quotient of whole numbers; the cast fails where it isn't whole.
            other = other.cast(pa.int64())
        assert mine.type == other.type, f"{what}: {name} is {mine.type}, expected {other.type}"
        if mine.equals(other):
            continue
        for row, (left, right) in enumerate(zip(mine.to_pylist(), other.to_pylist())):
            if left == right:
                continue
            if isinstance(left, float) and isinstance(right, float) and abs(left - right) <= TOLERANCE * abs(right):
                continue
            raise AssertionError(
                f"{what}: row {row}, {name} is {left!r}, expected {right!r}\n"
                f"got      {got.slice(row, 1).to_pylist()}\nexpected {expected.slice(row, 1).to_pylist()}"
            )
