"""Tableau's own engine: the extract that it makes of a store, and what it reads from our CSV and Parquet files."""

import csv
import io
import sys
from decimal import Decimal

import pyarrow.parquet
import pytest
from tableauhyperapi import Connection, CreateMode, HyperProcess, SchemaName, TableName, Telemetry, escape_string_literal

from cartlog import analyses, cartlog, refusal, summary

# How Tableau's engine calls the types of our columns.
TYPES = {"int64": "BIGINT", "double": "DOUBLE PRECISION", "string": "TEXT", "large_string": "TEXT", "date32[day]": "DATE",
         "timestamp[ms, tz=UTC]": "TIMESTAMP WITH TIME ZONE"}

# The engine's SQL names of types that its Python library prints otherwise.
PRINTED = {"BIG_INT": "BIGINT", "DOUBLE": "DOUBLE PRECISION", "TIMESTAMP_TZ": "TIMESTAMP WITH TIME ZONE"}


@pytest.fixture(scope="module")
def hyper():
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}) as process:
        yield process


@pytest.fixture(scope="module")
def extract(real_store, hyper, tmp_path_factory):
    path = tmp_path_factory.mktemp("hyper") / "shop.hyper"
    got = summary("report", "--hyper", path, "--python", sys.executable, "--store", real_store.path)
    assert got["files"] == [str(path)] and [file.name for file in path.parent.iterdir()] == [path.name]
    with Connection(hyper.endpoint, path, CreateMode.NONE) as connection:
        yield connection


def text(value):
    """A value as our CSV has it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return value
    if isinstance(value, Decimal):
        return f"{value:.4f}"
    return str(value)


def agree(got, wanted, about):
    assert len(got) == len(wanted), about
    for row, line in zip(got, wanted):
        for value, cell in zip(row, line, strict=True):
            value = text(value)
            if isinstance(value, float) or (value and value != cell):
                assert float(value) == float(cell), (about, row, line)
            else:
                assert value == cell, (about, row, line)


def kind(field):
    """The type that a column of an Arrow schema has there."""
    return TYPES.get(str(field.type)) or str(field.type).replace("decimal128", "NUMERIC").replace(" ", "")


def test_the_extract_has_every_table_typed(extract, real_store):
    tables = {table.name.unescaped for table in extract.catalog.get_table_names(SchemaName("Extract"))}
    stems = {"top_categories": "top_10_categories", "top_category_prices": "top_10_categories_prices",
             "top_interactions": "top_10_interactions"}
    assert tables == {stems.get(name, name) for name in analyses()} | {"events"}
    for name in analyses():
        table = TableName("Extract", stems.get(name, name))
        schema = pyarrow.parquet.read_schema(io.BytesIO(real_store.analyze(name, "parquet")))
        columns = extract.catalog.get_table_definition(table).columns
        assert [column.name.unescaped for column in columns] == schema.names
        for column, field in zip(columns, schema):
            printed = str(column.type)
            got = PRINTED.get(printed, printed.replace(" ", ""))
            assert got == kind(field), (name, field)
        wanted = list(csv.reader(io.StringIO(real_store.analyze(name, "csv").decode())))[1:]
        got = extract.execute_list_query(f"SELECT * FROM {table}")
        # A table has no order there.
        key = lambda row: [text(value) if not isinstance(value, float) else "" for value in row]
        floats = [isinstance(value, float) for value in got[0]] if got else []
        clean = lambda line: ["" if is_float and cell else cell for is_float, cell in zip(floats, line)]
        agree(sorted(got, key=key), sorted(wanted, key=clean), name)


def test_the_events_are_there_with_their_ids(extract, real_store, tmp_path):
    events = TableName("Extract", "events")
    path = real_store.export(tmp_path / "events.csv")
    wanted = list(csv.reader(io.StringIO(path.read_text())))
    got = extract.execute_list_query(
        f"SELECT category_id, category_code, brand, price, user_id, product_id FROM {events}")
    header, places = wanted[0], None
    places = [header.index(name) for name in ["category_id", "category_code", "brand", "price", "user_id", "product_id"]]
    assert len(got) == len(wanted) - 1
    as_read = sorted((c, code or "", brand or "", Decimal(str(price)), user, product) for c, code, brand, price, user, product in got)
    as_kept = sorted((int(line[places[0]]), line[places[1]], line[places[2]], Decimal(line[places[3]]), int(line[places[4]]),
                      int(line[places[5]])) for line in wanted[1:])
    assert as_read == as_kept
    assert max(row[0] for row in as_read) > 2**53
    first = extract.execute_scalar_query(f"SELECT CAST(min(event_time) AT TIME ZONE 'UTC' AS TEXT) FROM {events}")
    assert first[:19] == min(line[header.index("event_time")] for line in wanted[1:])[:19]


def test_it_reads_our_csv_with_declared_types(hyper, real_store, tmp_path):
    names = {"BIGINT": "BIGINT", "DOUBLE PRECISION": "DOUBLE PRECISION", "TEXT": "TEXT", "DATE": "DATE"}
    with Connection(hyper.endpoint) as connection:
        for name in ["sales_history", "top_categories", "most_engaged_users", "cohort_retention", "brand_performance"]:
            path = tmp_path / f"{name}.csv"
            path.write_bytes(real_store.analyze(name, "csv"))
            schema = pyarrow.parquet.read_schema(io.BytesIO(real_store.analyze(name, "parquet")))
            columns = ", ".join(f'"{field.name}" {names.get(kind(field), "NUMERIC(18,4)")}' for field in schema)
            got = connection.execute_list_query(
                f"SELECT * FROM external({escape_string_literal(str(path))}, COLUMNS => DESCRIPTOR({columns}), "
                "FORMAT => 'csv', HEADER => true, DELIMITER => ',')")
            wanted = list(csv.reader(io.StringIO(path.read_text())))[1:]
            agree(got, wanted, name)


def test_an_absent_engine_is_told(real_store, tmp_path):
    told = refusal("report", "--hyper", tmp_path / "a.hyper", "--python", "/usr/bin/false", "--store", real_store.path)
    assert "a.hyper" in told
    told = refusal("report", "--hyper", tmp_path / "a.hyper", "--python", "no-such-python", "--store", real_store.path)
    assert "pip install tableauhyperapi" in told
    assert list(tmp_path.iterdir()) == []


def test_filters_hold(hyper, real_store, tmp_path):
    path = tmp_path / "purchases.hyper"
    cartlog("report", "--hyper", path, "--python", sys.executable, "--event-type", "purchase", "--store", real_store.path)
    with Connection(hyper.endpoint, path, CreateMode.NONE) as connection:
        kinds = connection.execute_list_query(f"SELECT DISTINCT event_type FROM {TableName('Extract', 'events')}")
    assert kinds == [["purchase"]]
